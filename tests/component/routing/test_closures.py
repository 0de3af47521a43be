"""A closed party is left out of new decisions while it is closed, and no longer."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.referral import DESK
from services.chassis.ids import utc_now
from tests.component.routing.conftest import BULLIED, MakeWorld, World, again, report


async def close(world: World, party: str, *, seconds: float = 3600, **more: Any) -> httpx.Response:
    until = (utc_now() + timedelta(seconds=seconds)).isoformat()
    body = {"party": party, "reason": "holiday", "until": until} | more
    return await world.client.post("/closures", json=body, headers=world.operator)


async def reopen(world: World, closure: httpx.Response) -> httpx.Response:
    return await world.client.post(f"/closures/{closure.json()['id']}/_end", headers=world.operator)


async def preview(world: World) -> dict[str, Any]:
    body = BULLIED.model_dump(mode="json", exclude_none=True)
    answer = await world.client.post("/decision-previews", json=body, headers=world.desk)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_closed_organisation_gets_nothing_until_it_opens(
    make_world: MakeWorld, world: World
) -> None:
    other = make_world()
    await other.start()
    usual = (await world.decided()).organisation
    closed = await close(world, usual)
    assert closed.status_code == 201, closed.text
    assert closed.json()["notedBy"] == "operator-7"
    during = await other.decided()
    assert during.organisation != usual
    assert usual in during.excluded
    assert (await preview(other))["closed"] == [usual]
    (decision,) = (await world.decisions(during.case_id))["decisions"]
    assert (decision["closed"], decision["reproduced"]) == ([usual], True)
    listed = await world.client.get("/closures", headers=world.desk)
    assert [item["party"] for item in listed.json()["closures"]] == [usual]
    assert (await reopen(world, closed)).status_code == 200
    assert (await other.decided()).organisation == usual
    # What was decided meanwhile is reproduced with the party closed.
    (decision,) = (await world.decisions(during.case_id))["decisions"]
    assert decision["reproduced"]


async def test_a_closed_loket_makes_way_for_another_of_its_organisation(world: World) -> None:
    usual = await world.decided()
    assert usual.loket is not None
    closed = await close(world, f"{usual.organisation}/{usual.loket}")
    during = await world.decided()
    assert (during.organisation, during.loket) != (usual.organisation, usual.loket)
    await reopen(world, closed)


async def test_a_closure_is_forgotten_by_the_case_when_it_is_over(world: World) -> None:
    usual = (await world.decided()).organisation
    closed = await close(world, usual)
    case_id = uuid4()
    await world.handle(report(case_id))
    first = (await world.assigned(case_id))[0]
    await reopen(world, closed)
    await world.handle(again(case_id, 2, first.organisation))
    second = (await world.assigned(case_id))[1]
    # Who declined stays out; who was closed for a while may be asked.
    assert second.excluded == (first.organisation,)
    assert second.organisation == usual


async def test_a_closure_starts_and_ends_by_itself(world: World) -> None:
    usual = (await world.decided()).organisation
    later = (utc_now() + timedelta(seconds=1800)).isoformat()
    assert (await close(world, usual, **{"from": later})).status_code == 201
    assert (await world.decided()).organisation == usual
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE closure SET valid_from = now() - interval '2 h',"
            " valid_until = now() - interval '1 s' WHERE party = $1",
            usual,
        )
    assert (await world.decided()).organisation == usual


async def test_everybody_closed_leaves_the_desk(world: World) -> None:
    closed = []
    while (decided := await world.decided()).organisation != DESK:
        closed.append(await close(world, decided.organisation))
        assert closed[-1].status_code == 201
    assert len(closed) >= 2
    for closure in closed:
        await reopen(world, closure)


@pytest.mark.parametrize(
    ("party", "field", "more"),
    [
        (DESK, "party", {}),
        ("nobody_at_all", "party", {}),
        ("school/no_such_loket", "party", {}),
        ("Jan Jansen", "party", {}),
        ("school", "until", {"seconds": -5}),
        ("school", "until", {"seconds": 367 * 86_400}),
        ("school", "reason", {"reason": "because"}),
        ("school", "until", {"until": "2027-01-01T00:00:00"}),
        ("school", "note", {"note": "mother called"}),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(
    world: World, party: str, field: str, more: dict[str, Any]
) -> None:
    answer = await close(world, party, **more)
    assert answer.status_code == 400, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_only_who_may_closes_and_only_once_is_ended(world: World) -> None:
    closed = await close(world, "school")
    path = f"/closures/{closed.json()['id']}/_end"
    auditor = world.headers("audit:read")
    assert (await world.client.post(path, headers=auditor)).status_code == 403
    assert (await reopen(world, closed)).status_code == 200
    assert (await reopen(world, closed)).status_code == 404
