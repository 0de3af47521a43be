"""Intake on the real broker: reports go out, answers come in, an outage only delays."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer

from contracts import topics
from contracts.envelope import from_headers
from contracts.intake import ReportReceived
from deploy.local.provision import provision_topics
from tests.component.intake.conftest import Service, World
from tests.component.intake.events import assigned, offered, received, reported, shown
from tests.integration.harness import send


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.1)


async def read_event(bootstrap: str, case: UUID) -> ReportReceived:
    consumer = AIOKafkaConsumer(
        topics.INTAKE, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            async for record in consumer:
                envelope = from_headers(record.headers, record.value)
                if envelope.subject == str(case) and record.key == str(case).encode():
                    return ReportReceived.parse(envelope.data)
    finally:
        await consumer.stop()
    raise AssertionError("the topic ended")


async def test_a_report_taken_during_an_outage_goes_out_later_and_its_status_comes_back(
    world: World,
) -> None:
    bootstrap = world.servers.kafka_bootstrap
    await provision_topics(bootstrap, topics.CORE_TOPICS)
    async with world.running() as without_broker:
        case, code = await reported(without_broker)
        assert (await shown(without_broker, code))["forwarding"] == "waiting"
        assert (await without_broker.client.get("/readyz")).status_code == 200

    # A group of its own: an intake elsewhere on this broker must not take its partitions.
    group = f"test-intake-{uuid4().hex[:8]}"
    async with world.running(kafka_bootstrap=bootstrap, consumer_group=group) as service:
        event = await read_event(bootstrap, case)
        assert event.case_id == case

        async def forwarded() -> bool:
            return (await shown(service, code))["forwarding"] == "done"

        await until(forwarded)
        assert (await shown(service, code))["state"] == "received"
        await send(bootstrap, topics.ROUTING, [received(assigned(case), 1, "routing").envelope])
        await until(lambda: _is(service, code, "assigned"))
        offer = received(offered(case, uuid4()), 1).envelope
        await send(bootstrap, topics.REFERRAL, [offer, offer])
        await until(lambda: _is(service, code, "offered"))


async def _is(service: Service, code: str, state: str) -> bool:
    return bool((await shown(service, code))["state"] == state)
