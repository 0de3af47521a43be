"""The sandbox between a partner and a meldpunt that is made up: what goes through and what not."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
import pytest_asyncio

from deploy.commands.base import CommandError
from deploy.conformance.notebook import Fault, Notebook, Provoked
from deploy.conformance.sandbox import Sandbox
from deploy.conformance.serving import serving

REFERRAL, CASE = "r-1", "c-1"
ANSWERS = f"/v1/referrals/{REFERRAL}/answers"
OFFER = "nl.sociale-veiligheid.meldingen.referral-offer.v1"
BODY = {"answerId": "a-1", "attempt": 1, "answer": "rejected", "reason": "other", "reasonText": "x"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Meldpunt:
    """Answers like referral and intake, and remembers what it was asked."""

    url: str
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)

    async def __call__(self, scope, receive, send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["path"], headers))
        path = scope["path"]
        if path == "/v1/partner-events":
            document = {"events": self.events, "lastSequence": 7}
        elif path.endswith("/content-capabilities"):
            document = {"contentUrl": f"{self.url}/v1/contents/{CASE}", "capability": "k"}
        elif path == f"/v1/referrals/{REFERRAL}":
            document = {"caseId": CASE}
        else:
            document = {"path": path}
        body = json.dumps(document).encode()
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start | {"headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    def answers(self) -> int:
        return sum(path == ANSWERS for _, path, _ in self.asked)


@dataclass
class World:
    meldpunt: Meldpunt
    sandbox: Sandbox
    partner: httpx.AsyncClient

    async def answer(self) -> httpx.Response:
        return await self.partner.post(ANSWERS, json=BODY, headers={"Authorization": "Bearer t"})

    @property
    def statuses(self) -> list[int | None]:
        return [item.status for item in self.sandbox.notebook.said]


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    inner, outer = free_port(), free_port()
    meldpunt, url = Meldpunt(f"http://127.0.0.1:{inner}"), f"http://127.0.0.1:{outer}"
    sandbox = Sandbox(meldpunt.url, meldpunt.url, url, Notebook())
    async with (
        serving(meldpunt, inner),
        serving(sandbox, outer),
        httpx.AsyncClient(base_url=url, trust_env=False) as partner,
    ):
        yield World(meldpunt, sandbox, partner)
    await sandbox.close()


async def test_without_faults_all_goes_through(world: World) -> None:
    answer = await world.answer()
    assert (answer.status_code, answer.json()) == (200, {"path": ANSWERS})
    assert world.meldpunt.asked[-1][2]["authorization"] == "Bearer t"
    [said] = world.sandbox.notebook.said
    assert (said.case_id, said.answer_id, said.reason, said.status) == (CASE, "a-1", "other", 200)
    assert said.with_text
    assert "x" not in (said.answer_id, said.reason)


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.BUSY, 503), (Fault.TOO_MANY, 429), (Fault.TOO_EARLY, 425)]
)
async def test_a_refusal_does_no_work_and_says_when_again(
    world: World, fault: Fault, status: int
) -> None:
    world.sandbox.plan(CASE, [Provoked(fault, 2)])
    refused = await world.answer()
    assert (refused.status_code, refused.headers["retry-after"]) == (status, "2")
    assert refused.headers["content-type"] == "application/problem+json"
    assert world.meldpunt.answers() == 0
    assert (await world.answer()).status_code == 200
    assert world.statuses == [status, 200]


@pytest.mark.parametrize(("fault", "work"), [(Fault.CUT, 0), (Fault.LOST, 1)])
async def test_a_connection_breaks_before_or_after_the_work(
    world: World, fault: Fault, work: int
) -> None:
    world.sandbox.plan(CASE, [Provoked(fault)])
    with pytest.raises(httpx.TransportError):
        await world.answer()
    assert world.meldpunt.answers() == work
    assert (await world.answer()).status_code == 200
    assert world.statuses == [0, 200]


async def test_a_slow_answer_is_an_answer(world: World) -> None:
    world.sandbox.plan(CASE, [Provoked(Fault.SLOW, 0.3)])
    began = time.monotonic()
    assert (await world.answer()).status_code == 200
    assert time.monotonic() - began >= 0.3


async def test_faults_for_every_answer_meet_its_first_tries(world: World) -> None:
    world.sandbox.always = [Provoked(Fault.BUSY, 1), Provoked(Fault.TOO_EARLY)]
    found = [(await world.answer()).status_code for _ in range(3)]
    assert found == [503, 425, 200]


async def test_an_answer_is_held_until_it_is_released(world: World) -> None:
    released = world.sandbox.hold(CASE, frozenset({"rejected"}))
    task = asyncio.create_task(world.answer())
    await asyncio.sleep(0.2)
    assert world.meldpunt.answers() == 0
    assert world.statuses == [None]
    released.set()
    assert (await task).status_code == 200


async def test_away_cuts_what_is_open_and_what_comes(world: World) -> None:
    polling = asyncio.create_task(
        world.partner.get("/v1/partner-events", params={"waitSeconds": 20}, timeout=30)
    )
    await asyncio.sleep(0.2)
    world.sandbox.go(away=True)
    with pytest.raises(httpx.TransportError):
        await polling
    with pytest.raises(httpx.TransportError):
        await world.answer()
    world.sandbox.go(away=False)
    assert (await world.answer()).status_code == 200


async def test_content_comes_through_the_sandbox(world: World) -> None:
    granted = await world.partner.post(f"/v1/referrals/{REFERRAL}/content-capabilities")
    url = granted.json()["contentUrl"]
    assert url.startswith(str(world.partner.base_url))
    await world.partner.get(url, headers={"Content-Capability": "k"})
    assert world.meldpunt.asked[-1][2]["content-capability"] == "k"
    assert [call.capability for call in world.sandbox.notebook.calls] == [False, True]


async def test_an_event_that_is_put_in_comes_once_and_is_known_to_be_handled(world: World) -> None:
    data = {"referral_id": REFERRAL, "case_id": CASE}
    world.sandbox.change(CASE, {"weather": "sunny"})
    taken = asyncio.create_task(world.sandbox.put_in({"type": OFFER, "data": data}, 5))
    await asyncio.sleep(0)
    page = (await world.partner.get("/v1/partner-events", params={"after": 7})).json()
    assert [item["data"]["weather"] for item in page["events"]] == ["sunny"]
    assert not taken.done()
    page = (await world.partner.get("/v1/partner-events", params={"after": 7})).json()
    assert page["events"] == []
    assert await taken
    assert [(call.after, call.given) for call in world.sandbox.notebook.calls] == [(7, 7), (7, 7)]
    assert not await world.sandbox.put_in({"type": OFFER, "data": data}, 0.1)


async def test_what_is_acknowledged_is_noted_and_goes_through(world: World) -> None:
    path = "/v1/partner-events/_acknowledge"
    for body in (b'{"sequence": 7}', b"no json", b"[]", b'{"sequence": null}'):
        assert (await world.partner.post(path, content=body)).json() == {"path": path}
    calls = world.sandbox.notebook.calls
    assert [call.acknowledged for call in calls] == [7, None, None, None]
    assert all(call.after is None for call in calls)


async def test_a_port_that_is_taken_is_told(world: World) -> None:
    port = world.partner.base_url.port
    assert port is not None
    with pytest.raises(CommandError, match="stop the other sandbox"):
        async with serving(world.sandbox, port):
            pass
