"""An orderly stop: SIGTERM ends each service quickly, with status 0, whatever it is doing."""

import asyncio
import os
import signal
import time
import uuid

import psutil
import pytest

from tests.flow.stack import Stack, report, send, until

STOP_SECONDS_MAX = 10.0


async def stopped(stack: Stack, service: str) -> tuple[float, str]:
    """Send SIGTERM; seconds until the end, and what the supervisor says of it."""
    pid, size = stack.pid(service), len(stack.log("supervisor"))
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - began < 2 * STOP_SECONDS_MAX
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - began

    async def told() -> str | None:
        lines = stack.log("supervisor")[size:].splitlines()
        return next((line for line in lines if line.startswith(f"{service} ")), None)

    return seconds, await until(told, f"the supervisor tells how {service} ended")


async def ready_again(stack: Stack, service: str) -> None:
    async def ready() -> bool | None:
        async with stack.client(service) as http:
            return (await http.get(f"{stack.state.services[service]}/readyz")).is_success or None

    await until(ready, f"{service} is ready again")


@pytest.mark.parametrize("service", ["intake", "routing", "referral", "audit"])
async def test_service_ends_in_order_during_work(stack: Stack, service: str) -> None:
    """Referral is then also asked by thirty partners that wait for events."""
    before = (await stack.completeness())["received"]
    run = uuid.uuid4().hex
    async with stack.client("intake", "channel") as channel:
        sending = [
            asyncio.create_task(send(channel, report(), f"{run}-{number}")) for number in range(60)
        ]
        await asyncio.sleep(0.3)
        seconds, told = await stopped(stack, service)
        await asyncio.gather(*sending)
    assert seconds < STOP_SECONDS_MAX
    assert told.startswith(f"{service} ended with status 0")
    await ready_again(stack, service)
    await stack.settled(received=before + 60)


async def test_long_polls_end_with_an_answer_when_referral_stops(stack: Stack) -> None:
    waiting = {"after": 2_000_000, "waitSeconds": 20}
    async with stack.client("referral", "partner", "lkc") as partner:
        asked = [
            asyncio.create_task(partner.get("/partner-events", params=waiting)) for _ in range(5)
        ]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in asked)
        seconds, told = await stopped(stack, "referral")
        answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [200] * 5
    for answer in answers:
        page = answer.json()
        assert (page["events"], page["lastSequence"]) == ([], 2_000_000)
        assert page["feedLastSequence"] < 2_000_000
    assert seconds < STOP_SECONDS_MAX
    assert told.startswith("referral ended with status 0")
    await ready_again(stack, "referral")
