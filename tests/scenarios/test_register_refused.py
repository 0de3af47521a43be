"""Hard scenario 05: a register whose rule throws or does not compile; the old one goes on."""

import json
from uuid import uuid4

import pytest

from contracts.envelope import service_source
from contracts.operations import EventParked
from contracts.routing import register_key
from services.routing import register_api
from services.routing.register import REGISTER_PATH
from tests.component.routing.conftest import BULLIED, changed, never, report
from tests.scenarios.simulated import record

TEXT = REGISTER_PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
async def routing(make_world):
    made = make_world()
    await made.start()
    return made


async def unchanged(routing, before, version: str) -> None:
    """The old register decides, for every instance, and nobody was told of another."""
    after = await routing.decided()
    assert (after.register_hash, after.organisation) == (before.register_hash, before.organisation)
    current = (await routing.client.get("/registers/current")).json()
    assert current["hash"] == before.register_hash
    assert await routing.activated(register_key(version)) == []
    found = (await routing.client.get("/registers", headers=routing.desk)).json()["registers"]
    assert version not in {item["version"] for item in found}


def with_rule(version: str, **changes) -> str:
    """The shipped register in which the first rule is other."""
    document = changed(version)
    document["routing_rules"][0] |= changes
    return json.dumps(document)


DOES_NOT_COMPILE = {
    "unknown-value": with_rule("2028-01-01", match={"subject": ["weather"]}),
    "unknown-party": with_rule("2028-01-01", primary="nobody_at_all"),
    "no-yaml": TEXT.replace("\nrouting_rules:", "\nrouting_rules: [", 1),
    "half-a-file": TEXT[: len(TEXT) // 2],
}


@pytest.mark.parametrize("name", DOES_NOT_COMPILE)
async def test_05_rule_that_does_not_compile(routing, name):
    before = await routing.decided()
    answer = await routing.activate(DOES_NOT_COMPILE[name])
    body = answer.json()
    assert (answer.status_code, body["type"]) == (400, "urn:meldpunt:problem:register-invalid")
    # Loud: every fault with its line and what to do about it.
    assert body["errors"]
    assert all(item["field"].startswith("line ") and item["remedy"] for item in body["errors"])
    await unchanged(routing, before, "2028-01-01")


def throws(_):
    raise ZeroDivisionError("a rule threw")


async def refused_loudly(instance, capsys) -> None:
    capsys.readouterr()
    answer = await instance.activate(changed("2028-02-01"))
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:meldpunt:problem:defect")
    assert "meldpunt must act" in answer.json()["detail"]
    said = capsys.readouterr()
    assert "request_defect" in said.out + said.err


async def test_05_rule_that_throws_when_it_is_checked(make_world, routing, capsys):
    before = await routing.decided()
    broken = make_world(throws)
    await broken.start()
    await refused_loudly(broken, capsys)
    await unchanged(routing, before, "2028-02-01")
    # Nor is the way blocked: the next attempt is judged by itself.
    await refused_loudly(broken, capsys)
    assert (await routing.activate(changed("2028-02-02"))).status_code == 201
    assert (await routing.activate(REGISTER_PATH.read_bytes())).status_code == 201


async def test_05_rule_that_throws_when_it_is_compiled(routing, capsys, monkeypatch):
    before = await routing.decided()
    monkeypatch.setattr(register_api, "compile_register", throws)
    await refused_loudly(routing, capsys)
    monkeypatch.undo()
    await unchanged(routing, before, "2028-02-01")


async def test_05_rule_that_reaches_nobody(make_world, routing):
    before = await routing.decided()
    strict = make_world(never)
    await strict.start()
    answer = await strict.activate(changed("2028-03-01"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "gap")
    await unchanged(routing, before, "2028-03-01")


async def test_05_rule_that_throws_for_one_report(routing):
    """Had a rule passed and still threw: its report is put aside loudly, the others are decided."""
    handler = routing.runtime.processors[0]._handler
    sick, healthy = uuid4(), uuid4()

    async def throwing(connection, received):
        if any(item.event.case_id == sick for item in received):
            raise ZeroDivisionError
        await handler(connection, received)

    records = [record(report(case, BULLIED), service_source("intake")) for case in (sick, healthy)]
    routing.runtime.processors[0]._handler = throwing
    await routing.runtime.processors[0].process(records)
    routing.runtime.processors[0]._handler = handler
    assert await routing.assigned(sick) == []
    assert len(await routing.assigned(healthy)) == 1
    [parked] = await routing.events(EventParked, sick)
    assert parked.reason == "defect"
    assert await routing.runtime.redrive(parked.parked_id) == 1
    assert len(await routing.assigned(sick)) == 1
