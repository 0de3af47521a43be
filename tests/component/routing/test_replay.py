"""What another register would change in past cases: counted before it goes live."""

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.reference import case_reference
from contracts.referral import DESK
from contracts.situation import Subject
from services.chassis.ids import utc_now
from services.routing import replay
from services.routing.register import REGISTER_PATH
from tests.component.routing.conftest import (
    BULLIED,
    REGISTER,
    MakeWorld,
    World,
    again,
    changed,
    report,
)


async def try_out(
    world: World, document: dict[str, Any] | bytes, days: int = 365
) -> httpx.Response:
    content = json.dumps(document) if isinstance(document, dict) else document
    return await world.client.post(
        "/registers/_replay",
        content=content,
        params={"days": days},
        headers=world.operator,
        timeout=60,
    )


async def test_a_replay_counts_who_would_get_what_and_changes_nothing(world: World) -> None:
    cases: list[UUID] = [uuid4() for _ in range(5)]
    schools = ("99XX", "12AB", "12AB01", None, "34CD")
    situations = [BULLIED.model_copy(update={"brin": brin}) for brin in schools]
    await world.handle(*(report(c, s) for c, s in zip(cases, situations, strict=True)))
    first = (await world.assigned(cases[0]))[0]
    await world.handle(again(cases[0], 2, first.organisation))
    second = (await world.assigned(cases[0]))[1]
    assert DESK not in (first.organisation, second.organisation)

    same = (await try_out(world, REGISTER_PATH.read_bytes())).json()
    assert (same["complete"], same["decisions"], same["changed"], same["moves"]) == (True, 6, 0, [])
    # The school's number decides nothing: five reports are one situation, and one came back.
    assert same["situations"] == 2

    document = changed("2027-01-01", **{first.rule: {"primary": DESK, "also": []}})
    found = (await try_out(world, document)).json()
    assert found["changed"] == 6
    assert found["aspects"]["organisation"] == 6
    moves = {(move["from"], move["to"]): move for move in found["moves"]}
    assert moves[first.organisation, DESK]["decisions"] == 5
    assert moves[second.organisation, DESK]["decisions"] == 1
    examples = moves[first.organisation, DESK]["examples"]
    assert len(examples) == 3
    for example in examples:
        assert UUID(example["caseId"]) in cases
        assert example["reference"] == case_reference(UUID(example["caseId"]))
    counts = {item["organisation"]: item for item in found["organisations"]}
    assert counts[DESK] == {"organisation": DESK, "before": 0, "after": 6}
    assert counts[first.organisation]["after"] == 0

    listed = (await world.client.get("/registers", headers=world.operator)).json()["registers"]
    assert "2027-01-01" not in [item["version"] for item in listed]
    assert len(await world.assigned(cases[0])) == 2


async def test_a_replay_shows_no_situation(world: World) -> None:
    await world.decided()
    first = await world.decided()
    document = changed("2027-01-01", **{first.rule: {"primary": DESK, "also": []}})
    text = (await try_out(world, document)).text
    for answer in (BULLIED.subject, BULLIED.reporter, BULLIED.brin):
        assert f'"{answer}"' not in text


async def test_only_what_was_decided_lately_is_replayed(world: World) -> None:
    old = await world.decided()
    before = (await try_out(world, REGISTER_PATH.read_bytes(), 30)).json()["decisions"]
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE decision SET decided_at = decided_at - interval '40 days' WHERE case_id = $1",
            old.case_id,
        )
    assert (await try_out(world, REGISTER_PATH.read_bytes(), 30)).json()["decisions"] == before - 1
    assert (await try_out(world, REGISTER_PATH.read_bytes(), 0)).status_code == 400


async def test_facts_that_this_release_cannot_read_are_counted_apart(world: World) -> None:
    odd = await world.decided()
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE routed_case SET situation = '{}' WHERE case_id = $1", odd.case_id
        )
    found = (await try_out(world, REGISTER_PATH.read_bytes())).json()
    assert found["unreadable"] == 1
    assert found["decisions"] == 1 + sum(item["before"] for item in found["organisations"])


async def test_a_register_that_is_wrong_is_not_replayed(world: World) -> None:
    answer = await try_out(world, b"version: 1\n")
    assert (answer.status_code, answer.json()["type"]) == (
        400,
        "urn:meldpunt:problem:register-invalid",
    )


async def test_a_replay_that_runs_out_of_time_says_how_far_it_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject in (Subject.PESTEN, Subject.PRIVACY, Subject.OVERIG):
        await world.decided(BULLIED.model_copy(update={"subject": subject}))
    monkeypatch.setattr(replay, "CHUNK", 1)
    ticks = iter(range(0, 1000, 10))
    monkeypatch.setattr(replay, "time", SimpleNamespace(monotonic=ticks.__next__))
    since = utc_now() - timedelta(days=1)
    async with world.database.transaction() as connection:
        found = await replay.replay(connection, REGISTER, since, 15)
    assert not found.complete
    assert found.situations == 2


async def test_one_replay_at_a_time_and_none_for_ever(make_world: MakeWorld, world: World) -> None:
    impatient = make_world(replay_seconds_max=1)
    await impatient.start()
    async with world.database.transaction() as connection:
        # What it would read is out of reach, so it waits as long as it may.
        await connection.execute("LOCK TABLE decision IN ACCESS EXCLUSIVE MODE")
        first = asyncio.create_task(try_out(impatient, REGISTER_PATH.read_bytes()))
        await asyncio.sleep(0.2)
        second = await try_out(impatient, REGISTER_PATH.read_bytes())
        waited = await first
    assert (second.status_code, second.headers["Retry-After"]) == (429, "10")
    assert waited.status_code == 503
    assert waited.json()["type"] == "urn:meldpunt:problem:replay-too-long"
    assert (await try_out(impatient, REGISTER_PATH.read_bytes())).status_code == 200
