"""Any past decision is made again bit for bit, also after other registers decided."""

from uuid import UUID, uuid4

import pytest

from contracts.referral import DESK
from contracts.routing import CaseAssigned
from services.routing.engine import engine_version
from tests.component.routing.conftest import MakeWorld, World, again, changed, report
from tests.component.service import NOW

OTHER = '{"sector": "mbo", "reporter": "student_mbo", "kind": "klacht", "subject": "privacy"}'


async def old_case(world: World) -> UUID:
    case_id = uuid4()
    await world.handle(report(case_id))
    first = (await world.assigned(case_id))[0]
    await world.handle(again(case_id, 2, first.organisation))
    return case_id


async def change(world: World, statement: str, *values: object) -> None:
    async with world.database.connection() as connection:
        await connection.execute(statement, *values)


async def test_a_chain_over_two_registers_is_one_explanation_and_reproduced(
    make_world: MakeWorld, world: World
) -> None:
    case_id = uuid4()
    await world.handle(report(case_id))
    first = (await world.assigned(case_id))[0]
    document = changed("2027-01-01", **{first.rule: {"primary": DESK, "also": []}})
    assert (await world.activate(document)).status_code == 201
    await world.handle(again(case_id, 2, first.organisation))
    # An instance that compiled neither of them has only the database to go by.
    fresh = make_world(environment="production")
    await fresh.start()
    found = await fresh.decisions(case_id)
    assert [item["reproduced"] for item in found["decisions"]] == [True, True]
    assert [item["difference"] for item in found["decisions"]] == [None, None]
    versions = [item["registerVersion"] for item in found["decisions"]]
    assert versions == [first.register_version, "2027-01-01"]
    assert {item["engine"] for item in found["decisions"]} == {engine_version()}
    assert found["firstReceivedAt"] == NOW.isoformat().replace("+00:00", "Z")
    assert [item["reason"] for item in found["decisions"]] == [None, "rejected"]
    assert "2 maart 2026" in found["text"]
    whys = [item["explanation"]["why"].split()[:3] for item in found["decisions"]]
    places = [found["text"].index(" ".join(words)) for words in whys]
    assert places == sorted(places)
    for item in found["decisions"]:
        assert item["citizen"]
        assert item["desk"]
        assert item["auditor"]


async def test_every_decision_of_a_mixed_batch_is_reproduced(world: World) -> None:
    first = await world.decided()
    values = first.situation.model_dump()
    for more in ({"brin": None}, {"subject": "privacy"}, {"age": 9}, {"steps_tried": ("school",)}):
        decided: CaseAssigned = await world.decided(type(first.situation)(**(values | more)))
        found = await world.decisions(decided.case_id)
        assert found["decisions"][0]["reproduced"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision SET organisation = 'somebody_else' WHERE case_id = $1 AND number = 2",
        "UPDATE decision SET excluded = '[]' WHERE case_id = $1 AND number = 2",
        f"UPDATE decision SET situation = '{OTHER}' WHERE case_id = $1 AND number = 2",
    ],
)
async def test_a_record_that_was_altered_is_told_as_such(world: World, statement: str) -> None:
    case_id = await old_case(world)
    await change(world, statement, case_id)
    answer = await world.decisions(case_id)
    found = answer["decisions"]
    assert (found[0]["reproduced"], found[0]["difference"]) == (True, None)
    assert (found[1]["reproduced"], found[1]["difference"]) == (False, "altered")
    # The chain is still told, by what was stored.
    assert found[1]["citizen"] is None
    assert found[1]["explanation"]["primary_name"] in answer["text"]


async def test_other_code_is_told_from_damage(world: World) -> None:
    case_id = await old_case(world)
    await change(
        world,
        "UPDATE decision SET organisation = 'x', engine = 'other' WHERE case_id = $1",
        case_id,
    )
    found = (await world.decisions(case_id))["decisions"]
    assert [item["difference"] for item in found] == ["engine-changed", "engine-changed"]


async def test_other_code_that_decides_the_same_makes_no_difference(world: World) -> None:
    case_id = await old_case(world)
    await change(world, "UPDATE decision SET engine = NULL WHERE case_id = $1", case_id)
    found = (await world.decisions(case_id))["decisions"]
    assert [item["reproduced"] for item in found] == [True, True]


async def test_an_altered_explanation_is_found_without_deciding(world: World) -> None:
    case_id = await old_case(world)
    # Explanations are shared by cases that are alike: this one must be its own.
    await change(
        world,
        """
        WITH own AS (
            INSERT INTO explanation (sha256, document)
            SELECT decode(repeat('ab', 32), 'hex'), document FROM explanation e
            JOIN decision d ON d.explanation = e.sha256 WHERE d.case_id = $1 AND d.number = 1
            RETURNING sha256)
        UPDATE decision SET explanation = (SELECT sha256 FROM own)
        WHERE case_id = $1 AND number = 1
        """,
        case_id,
    )
    found = (await world.decisions(case_id))["decisions"]
    assert [item["difference"] for item in found] == ["altered", None]


async def test_a_register_that_is_gone_from_what_this_code_can_read(
    make_world: MakeWorld, world: World
) -> None:
    answer = await world.activate(changed("2027-02-01"))
    case_id = await old_case(world)
    await change(
        world,
        "UPDATE register_version SET document = '{}' WHERE sha256 = $1",
        answer.json()["hash"],
    )
    fresh = make_world()
    await fresh.start()
    found = (await fresh.decisions(case_id))["decisions"]
    assert {item["difference"] for item in found} == {"register-unreadable"}


async def test_an_unknown_case_has_no_decisions(world: World) -> None:
    answer = await world.client.get(
        "/decisions", params={"caseId": str(uuid4())}, headers=world.desk
    )
    assert answer.status_code == 404
