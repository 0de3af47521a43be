"""Decisions in the database: numbered, explained, never reset and never twice."""

from uuid import uuid4

import orjson
import pytest

from contracts.referral import DESK
from services.chassis.errors import Rejected
from services.routing import store
from services.routing.rules import decide
from tests.component.routing.conftest import BULLIED, REGISTER, World, again, report
from tests.component.service import NOW


async def test_a_decline_leads_to_a_new_decision_without_the_party(world: World) -> None:
    case_id = uuid4()
    await world.handle(report(case_id))
    first = (await world.assigned(case_id))[0]
    await world.handle(again(case_id, 2, first.organisation))
    assigned = await world.assigned(case_id)
    assert [event.number for event in assigned] == [1, 2]
    assert assigned[1].organisation != first.organisation
    assert assigned[1].received_at == first.received_at == NOW
    assert assigned[1].situation == BULLIED
    assert first.organisation in assigned[1].excluded


async def test_report_and_request_in_one_batch_are_folded_in_order(world: World) -> None:
    case_id = uuid4()
    await world.handle(report(case_id), again(case_id, 2, "school"))
    assert [event.number for event in await world.assigned(case_id)] == [1, 2]


async def test_an_old_request_changes_nothing(world: World) -> None:
    case_id = uuid4()
    await world.handle(report(case_id))
    await world.handle(again(case_id, 2, "school"))
    await world.handle(again(case_id, 2, "school", "bevoegd_gezag"), report(case_id))
    assert len(await world.assigned(case_id)) == 2


async def test_a_request_for_an_unknown_case_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="not known"):
        await world.handle(again(uuid4(), 2, "school"))


async def test_who_was_excluded_once_stays_so_until_only_the_desk_is_left(world: World) -> None:
    case_id = uuid4()
    await world.handle(report(case_id))
    named = []
    while (last := (await world.assigned(case_id))[-1]).organisation != DESK:
        named.append(last.organisation)
        assert len(named) < len(REGISTER.parties)
        # Each request names the last party only; the earlier ones must stay out all the same.
        await world.handle(again(case_id, len(named) + 1, last.organisation))
    assert len(named) == len(set(named)) >= 2
    assert set(last.excluded) == set(named)
    assert {event.received_at for event in await world.assigned(case_id)} == {NOW}


async def test_a_decision_names_everybody_who_was_weighed(world: World) -> None:
    case_id = uuid4()
    await world.handle(report(case_id), again(case_id, 2, "school"))
    async with world.database.connection() as connection:
        decisions = await store.decisions_of(connection, case_id)
    for made in decisions:
        row, explained = made.row, orjson.loads(made.explanation)
        excluded = frozenset(orjson.loads(row.excluded))
        fresh = decide(REGISTER, BULLIED, excluded)
        assert explained["primary"] == row.organisation == fresh.primary
        assert explained["rule"] == fresh.rule
        weighed = {item["organisation"] for item in explained["weighed"]}
        everyone = {item.id for item in REGISTER.register.organisations}
        assert weighed == everyone - {row.organisation, DESK}
        assert row.register_hash == REGISTER.hash
