"""A register version is checked, activated from a moment on, told as an event, and followed."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest
import yaml

from contracts.referral import DESK
from contracts.routing import register_key
from services.chassis.errors import Unavailable
from services.chassis.ids import utc_now
from services.routing import register_store
from services.routing.register import REGISTER_PATH
from tests.component.routing.conftest import (
    BULLIED,
    REGISTER,
    MakeWorld,
    World,
    changed,
    never,
    report,
)
from tests.component.service import NOW

SHIPPED = REGISTER.register.version
RULE = "R-of-the-bullied"


@pytest.fixture(autouse=True, scope="module")
async def rule(world: World) -> None:
    # The rule that decides on the situation of these tests, whatever the register calls it.
    globals()["RULE"] = (await world.decided()).rule


def to_desk(version: str) -> dict:
    return changed(version, **{RULE: {"primary": DESK, "also": []}})


async def test_a_first_start_activates_the_shipped_register_and_tells_it(world: World) -> None:
    (event,) = await world.activated(register_key(SHIPPED))
    assert (event.version, event.hash) == (SHIPPED, REGISTER.hash)
    assert event.activated_by == world.runtime.source
    assert event.valid_from == event.activated_at
    found = (await world.client.get("/registers", headers=world.desk)).json()["registers"]
    assert [(item["hash"], item["current"]) for item in found] == [(REGISTER.hash, True)]


async def test_a_second_start_changes_nothing(make_world: MakeWorld, world: World) -> None:
    await make_world().start()
    assert len(await world.activated(register_key(SHIPPED))) == 1


async def test_another_instance_follows_an_activation_in_its_next_decision(
    make_world: MakeWorld, world: World
) -> None:
    other = make_world()
    await other.start()
    assert (await other.decided()).organisation != DESK
    answer = await world.activate(to_desk("2027-01-01"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/registers/{answer.json()['hash']}"
    decided = await other.decided()
    assert (decided.organisation, decided.register_version) == (DESK, "2027-01-01")
    assert decided.register_hash == answer.json()["hash"]
    (event,) = await world.activated(register_key("2027-01-01"))
    assert (event.activated_by, event.hash) == ("operator-7", decided.register_hash)
    current = (await other.client.get("/registers/current")).json()
    assert current["version"] == "2027-01-01"


async def test_a_version_that_is_to_come_decides_from_its_moment_on(world: World) -> None:
    before = (await world.decided()).register_version
    moment = utc_now() + timedelta(seconds=1.5)
    answer = await world.activate(changed("2027-02-01"), moment)
    assert (answer.status_code, answer.json()["current"]) == (201, False)
    assert (await world.decided()).register_version == before
    await asyncio.sleep(1.6)
    assert (await world.decided()).register_version == "2027-02-01"


async def test_the_same_register_is_activated_once(world: World) -> None:
    document = changed("2027-03-01")
    assert (await world.activate(document)).status_code == 201
    repeat = await world.activate(document)
    assert (repeat.status_code, repeat.json()["current"]) == (200, True)
    assert len(await world.activated(register_key("2027-03-01"))) == 1


async def test_an_older_version_can_be_activated_again(world: World) -> None:
    await world.activate(changed("2027-03-02"))
    answer = await world.activate(REGISTER_PATH.read_bytes())
    assert (answer.status_code, answer.json()["hash"]) == (201, REGISTER.hash)
    assert (await world.decided()).register_hash == REGISTER.hash


async def test_a_version_names_one_document_for_ever(world: World) -> None:
    answer = await world.activate(to_desk("2027-01-01.5"))
    assert answer.status_code == 201
    answer = await world.activate(changed("2027-01-01.5"))
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:meldpunt:problem:version-taken",
    )


async def test_nothing_is_activated_for_the_past(world: World) -> None:
    answer = await world.activate(changed("2027-04-01"), utc_now() - timedelta(days=1))
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:meldpunt:problem:valid-from-passed"
    assert not await world.activated(register_key("2027-04-01"))


async def test_a_register_that_fails_a_proof_is_refused_with_the_counterexample(
    make_world: MakeWorld, world: World
) -> None:
    strict = make_world(never)
    await strict.start()
    before = (await world.decided()).register_hash
    answer = await strict.activate(changed("2027-05-01"))
    assert answer.status_code == 409
    assert answer.json()["errors"] == [
        {
            "field": "gap",
            "problem": "a parent of a pupil reaches nobody",
            "remedy": "Add a rule for it.",
        }
    ]
    assert (await world.decided()).register_hash == before


async def test_yaml_that_is_wrong_is_told_with_its_line(world: World) -> None:
    text = REGISTER_PATH.read_text().replace("\ndesk: vangnet", "\ndesk: nobody", 1)
    answer = await world.activate(text)
    assert answer.status_code == 400
    line = text[: text.index("\ndesk:")].count("\n") + 2
    assert f"line {line}: desk" in [item["field"] for item in answer.json()["errors"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 50_000,
        b"{" * 50_000,
        b"just words",
        b"a: &x [1, 2]\nb: [*x, *x]\n",
        b"- 1\n- [",
        b"null",
    ],
)
async def test_a_body_that_is_no_register_is_answered_with_400(world: World, body: bytes) -> None:
    answer = await world.activate(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "urn:meldpunt:problem:register-invalid"
    assert all(item["remedy"] for item in answer.json()["errors"])


async def test_a_body_over_the_limit_is_refused(world: World) -> None:
    assert (await world.activate(b"#" * 2_000_001)).status_code == 413


async def test_only_an_operator_activates(world: World) -> None:
    body = json.dumps(changed("2027-06-01"))
    for path in ("/registers", "/registers/_replay"):
        answer = await world.client.post(path, content=body, headers=world.desk)
        assert answer.status_code == 403
        assert (await world.client.post(path, content=body)).status_code == 401
    assert (await world.client.get("/registers")).status_code == 401


async def test_a_stored_version_is_read_back_whole(world: World) -> None:
    answer = await world.client.get(f"/registers/{REGISTER.hash}")
    assert answer.json() == json.loads(REGISTER.register.model_dump_json(by_alias=True))
    assert "immutable" in answer.headers["Cache-Control"]
    assert yaml.safe_load(answer.text)["version"] == SHIPPED
    assert (await world.client.get(f"/registers/{'0' * 64}")).status_code == 404
    assert (await world.client.get("/registers/short")).status_code == 400


async def test_an_operators_choice_stays_over_a_restart_in_production(
    make_world: MakeWorld, world: World
) -> None:
    answer = await world.activate(changed("2027-07-01"))
    await make_world(environment="production").start()
    assert (await world.decided()).register_hash == answer.json()["hash"]
    await make_world(environment="development").start()
    assert (await world.decided()).register_hash == REGISTER.hash


async def test_decisions_and_an_activation_at_once_never_disagree_on_the_moment(
    make_world: MakeWorld, world: World
) -> None:
    other = make_world()
    await other.start()

    async def decide() -> None:
        for _ in range(15):
            await other.handle(*(report(uuid4()) for _ in range(20)))

    async def activate() -> None:
        for number in range(8):
            await world.activate(changed(f"2027-08-01.{number}"))

    await asyncio.gather(decide(), activate())
    async with world.database.connection() as connection:
        wrong = await connection.fetchval(
            """
            SELECT count(*) FROM decision d WHERE register_hash IS DISTINCT FROM
              (SELECT register_hash FROM register_activation a WHERE a.valid_from <= d.decided_at
               ORDER BY valid_from DESC, number DESC LIMIT 1)
            """
        )
        versions = await connection.fetchval("SELECT count(DISTINCT register_hash) FROM decision")
    assert wrong == 0
    assert versions > 2


async def test_a_register_that_was_altered_in_the_database_decides_nothing(
    make_world: MakeWorld, world: World
) -> None:
    answer = await world.activate(to_desk("2027-09-01"))
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE register_version SET document = replace(document, '2027-09-01', '2027-09-02')"
            " WHERE sha256 = $1",
            answer.json()["hash"],
        )
    fresh = make_world(environment="production")
    await fresh.start()
    with pytest.raises(Unavailable, match="altered"):
        await fresh.handle(report(uuid4()))
    assert (await fresh.client.get("/registers/current")).status_code == 503
    # A sound register brings it back to work, without a restart.
    assert (await fresh.activate(REGISTER_PATH.read_bytes())).status_code == 201
    assert (await fresh.decided(BULLIED)).register_hash == REGISTER.hash


async def test_what_is_to_come_is_compiled_before_a_report_waits_for_it(world: World) -> None:
    moment = utc_now() + timedelta(days=30)
    answer = await world.activate(changed("2028-01-01"), moment)
    async with world.database.connection() as connection:
        hashes = await register_store.decides_from(connection, utc_now())
    assert answer.json()["hash"] in hashes
    assert moment > NOW
