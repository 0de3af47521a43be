"""A party that another one names, the days that are known, and the limits with a calendar."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import orjson

from contracts.calendar import SchoolRegion
from contracts.intake import KnownDate
from contracts.referral import DESK
from contracts.routing import ProposalProblem, register_key
from contracts.situation import Accused, Flag, Situation
from services.chassis.ids import utc_now
from services.routing import store
from tests.component.routing.conftest import BULLIED, REGISTER, World, again, report

# A primary school in Zoetermeer, in region Midden.
LISTED = BULLIED.model_copy(update={"brin": "00AP"})
SEVERE = LISTED.model_copy(update={"flags": (Flag.SEVERE,)})
REFUSED_ADMISSION = Situation(
    sector="po",
    reporter="ouder",
    kind="klacht",
    subject="toelating",
    accused="bestuur",
    flags=("within_term",),
)


async def new_case(world: World, situation: Situation = BULLIED) -> UUID:
    case_id = uuid4()
    await world.handle(report(case_id, situation))
    return case_id


async def differences(world: World, case_id: UUID) -> set[object]:
    found = await world.decisions(case_id)
    assert all(item["reproduced"] for item in found["decisions"])
    return {item["difference"] for item in found["decisions"]}


async def test_a_decline_that_names_a_better_party_is_followed(world: World) -> None:
    case_id = await new_case(world)
    await world.handle(again(case_id, 2, "school", proposed="externe_vertrouwenspersoon"))
    _, second = await world.assigned(case_id)
    assert second.organisation == "externe_vertrouwenspersoon"
    assert second.proposal is not None
    assert second.proposal.followed
    assert not second.onward
    assert "Externe vertrouwenspersoon" in second.why
    assert await differences(world, case_id) == {None}


async def test_a_decline_that_names_a_wrong_party_is_told_with_the_reason(world: World) -> None:
    plain, named = await new_case(world), await new_case(world)
    await world.handle(again(plain, 2, "school"))
    await world.handle(again(named, 2, "school", proposed="college_rechten_mens"))
    ordinary, second = (await world.assigned(plain))[1], (await world.assigned(named))[1]
    assert (second.organisation, second.loket) == (ordinary.organisation, ordinary.loket)
    assert second.proposal is not None
    assert not second.proposal.followed
    assert second.proposal.problem == ProposalProblem.NOT_COMPETENT
    assert second.why.startswith("De vorige partij noemde ")
    assert second.why.endswith(ordinary.why)
    assert await differences(world, named) == {None}
    assert "De vorige partij noemde" in (await world.decisions(named))["decisions"][1]["citizen"]


async def test_a_holder_passes_the_case_on_to_whom_it_names(world: World) -> None:
    case_id = await new_case(world)
    await world.handle(again(case_id, 2, proposed="bevoegd_gezag", onward=True))
    first, second = await world.assigned(case_id)
    assert (second.number, second.organisation, second.onward) == (2, "bevoegd_gezag", True)
    # The holder does not get it back, also where its request did not say so.
    assert first.organisation in second.excluded
    assert not await world.refused(case_id)
    assert await differences(world, case_id) == {None}
    told = (await world.decisions(case_id))["decisions"]
    named = [(item["proposed"], item["onward"]) for item in told]
    assert named == [(None, False), ("bevoegd_gezag", True)]
    assert told[1]["auditor"]["proposal"]["followed"] is True


async def test_a_refused_handing_on_uses_no_number_and_changes_nothing(world: World) -> None:
    case_id = await new_case(world)
    for _ in range(2):
        await world.handle(again(case_id, 2, "politie", proposed="nobody", onward=True))
    (assigned,) = await world.assigned(case_id)
    problems = [
        (event.asked_number, event.organisation, event.problem)
        for event in await world.refused(case_id)
    ]
    assert problems == [(2, "nobody", ProposalProblem.UNKNOWN)] * 2
    async with world.database.connection() as connection:
        decisions = await store.decisions_of(connection, case_id)
        cases = await store.lock_cases(connection, [case_id])
    assert len(decisions) == cases[case_id].decisions == 1
    assert orjson.loads(cases[case_id].excluded) == []
    # The number is still free for what does work.
    await world.handle(again(case_id, 2, proposed="bevoegd_gezag", onward=True))
    assert [event.number for event in await world.assigned(case_id)] == [1, 2]
    assert assigned.organisation == "school"


async def test_a_case_never_goes_from_a_to_b_to_a(world: World) -> None:
    case_id = await new_case(world)
    await world.handle(again(case_id, 2, proposed="bevoegd_gezag", onward=True))
    await world.handle(again(case_id, 3, proposed="school", onward=True, holder="bevoegd_gezag"))
    assert [e.organisation for e in await world.assigned(case_id)] == ["school", "bevoegd_gezag"]
    (refused,) = await world.refused(case_id)
    assert (refused.problem, refused.asked_number) == (ProposalProblem.EXCLUDED, 3)
    # A decline that names the first party does not bring it back either.
    await world.handle(again(case_id, 3, "bevoegd_gezag", proposed="school"))
    third = (await world.assigned(case_id))[-1]
    assert third.organisation not in ("school", "bevoegd_gezag")
    assert third.proposal is not None
    assert third.proposal.problem == ProposalProblem.EXCLUDED


async def test_a_holder_that_the_desk_chose_passes_it_on_to_whom_routing_had_named(
    world: World,
) -> None:
    case_id = await new_case(world)
    # The desk took the offer to the school back, and gave the case to another.
    onward = again(case_id, 2, proposed="school", onward=True, holder="ouders_en_onderwijs")
    await world.handle(onward)
    assert not await world.refused(case_id)
    second = (await world.assigned(case_id))[-1]
    assert (second.number, second.organisation) == (2, "school")
    assert "ouders_en_onderwijs" in second.excluded


async def test_the_loop_is_refused_within_one_batch_too(world: World) -> None:
    case_id = uuid4()
    await world.handle(
        report(case_id),
        again(case_id, 2, proposed="bevoegd_gezag", onward=True),
        again(case_id, 3, proposed="school", onward=True, holder="bevoegd_gezag"),
    )
    assert [e.number for e in await world.assigned(case_id)] == [1, 2]
    assert [e.problem for e in await world.refused(case_id)] == [ProposalProblem.EXCLUDED]


async def test_a_closed_party_gets_no_case_by_being_named(world: World) -> None:
    case_id = await new_case(world)
    until = (utc_now() + timedelta(hours=1)).isoformat()
    closed = {"party": "bevoegd_gezag", "reason": "holiday", "until": until}
    answer = await world.client.post("/closures", json=closed, headers=world.operator)
    assert answer.status_code == 201, answer.text
    await world.handle(again(case_id, 2, proposed="bevoegd_gezag", onward=True))
    (refused,) = await world.refused(case_id)
    assert refused.problem == ProposalProblem.EXCLUDED
    ended = await world.client.post(f"/closures/{answer.json()['id']}/_end", headers=world.operator)
    assert ended.is_success, ended.text


async def test_a_preview_says_whether_a_party_may_have_it(world: World) -> None:
    async def proposal(organisation: str) -> dict[str, object]:
        answer = await world.client.post(
            "/decision-previews",
            params={"proposed": organisation},
            json=BULLIED.model_dump(mode="json", exclude_none=True),
            headers=world.desk,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["explanation"]["proposal"]

    assert (await proposal("bevoegd_gezag"))["followed"] is True
    refused = await proposal("hulpdiensten_112")
    assert refused["followed"] is False
    assert refused["problem"] in set(ProposalProblem)


async def test_an_old_request_to_pass_on_says_nothing(world: World) -> None:
    case_id = await new_case(world)
    await world.handle(again(case_id, 2, "school"))
    await world.handle(again(case_id, 2, proposed="nobody", onward=True))
    assert len(await world.assigned(case_id)) == 2
    assert not await world.refused(case_id)


async def test_known_days_date_the_terms_of_every_decision(world: World) -> None:
    case_id = uuid4()
    days = (KnownDate(starts="decision", day=date(2026, 2, 23)),)
    await world.handle(report(case_id, REFUSED_ADMISSION, days))
    first = (await world.assigned(case_id))[0]
    filing = next(term for term in first.terms if term.term == "gpo_indienen")
    # Easter Monday; only the term of an act runs on to the Tuesday.
    assert (filing.start, filing.last_day) == (date(2026, 2, 23), date(2026, 4, 6))
    objection = next(term for term in first.terms if term.term == "bezwaar_indienen")
    assert objection.last_day == date(2026, 4, 7)
    assert all(t.last_day is None for t in first.terms if t.starts not in ("decision", "report"))
    await world.handle(again(case_id, 2, first.organisation))
    second = (await world.assigned(case_id))[1]
    shared = {t.term for t in first.terms} & {t.term for t in second.terms}
    before, after = ({t.term: t for t in e.terms if t.term in shared} for e in (first, second))
    assert before == after
    assert await differences(world, case_id) == {None}
    assert "6 april 2026" in (await world.decisions(case_id))["decisions"][0]["citizen"]


async def test_limits_count_school_days_where_the_school_is_known(world: World) -> None:
    unknown = await world.decided()
    known = await world.decided(LISTED)
    assert unknown.organisation == known.organisation == "school"
    assert (unknown.limits.region, known.limits.region) == (None, SchoolRegion.MIDDEN)
    assert known.limits.accepted_within_working_days == 5
    case_id = await new_case(world, LISTED)
    await world.handle(again(case_id, 2, "school", "bevoegd_gezag", proposed="lkc"))
    last = (await world.assigned(case_id))[-1]
    assert last.organisation not in ("school", "bevoegd_gezag")
    assert last.limits.region is None


async def test_what_is_urgent_counts_minutes_also_at_school(world: World) -> None:
    urgent = await world.decided(SEVERE)
    assert urgent.urgency == "spoed"
    assert urgent.limits.accepted_within_working_days is None
    assert urgent.limits.region is None


async def test_other_lokets_and_who_never_gets_it_are_told(world: World) -> None:
    about_staff = BULLIED.model_copy(update={"accused": Accused.PERSONEEL})
    decided = await world.decided(about_staff)
    assert decided.loket not in decided.other_lokets
    assert decided.other_lokets
    assert "school/mentor_leerkracht" in decided.never
    assert "mentor_leerkracht" not in decided.other_lokets


async def test_the_shipped_register_tells_its_regimes_at_the_first_start(world: World) -> None:
    (event,) = await world.activated(register_key(REGISTER.register.version))
    assert [(r.id, r.finding) for r in event.regimes] == [
        ("advies_2015", "advice"),
        ("wvvo_36777", "comply-or-report"),
        ("bindend_plan_2022", "binding"),
    ]
    assert all(DESK not in (*r.after_silence, *r.after_deviation) for r in event.regimes)
