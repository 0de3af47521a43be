"""What a reporter and a partner get back, driven by the events of routing and referral."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.finding import FindingIssued, FindingReplied, FindingState
from contracts.intake import ContentDisclosed, ContentField
from contracts.referral import (
    BusinessStatus,
    CaseAtDesk,
    ClosedBecause,
    CompletedAs,
    ConsultationAnswered,
    ConsultationAsked,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralEscalated,
    Rung,
    Status,
    TermWarned,
)
from contracts.routing import Mode
from services.chassis.ids import utc_now
from services.intake import store
from tests.component.intake.conftest import Service, World, at
from tests.component.intake.events import (
    BODY,
    WORDS,
    assigned,
    at_desk,
    changed,
    closed,
    events,
    follow,
    held,
    known_referral,
    offered,
    problem,
    received,
    reported,
    shown,
)


async def test_without_a_broker_the_reporter_hears_that_forwarding_waits(
    service: Service, world: World
) -> None:
    case, code = await reported(service)
    status = await shown(service, code)
    assert status["forwarding"] == "waiting"
    assert status["state"] == "received"
    assert status["holder"] == status["nextActor"] == "vangnet"
    assert status["nextBy"] > status["receivedAt"]
    await world.rows(
        "UPDATE report SET committed_at = now() - interval '1 hour' WHERE case_id = $1", case
    )
    await world.rows("UPDATE event SET time = now() - interval '2 hours'")
    status = await shown(service, code)
    assert status["text"].startswith("Uw klacht is veilig opgeslagen. Het doorsturen wacht op een")


async def test_the_status_follows_the_case(service: Service) -> None:
    case, code = await reported(service)
    referral = uuid4()
    steps = [
        (received(assigned(case), 1, "routing"), "assigned", "vangnet"),
        (received(offered(case, referral), 10), "offered", "vangnet"),
        (received(changed(case, referral, Status.RECEIVED), 11), "seen", "vangnet"),
        (
            received(changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1), 12),
            "picked-up",
            "lkc",
        ),
        (
            received(
                changed(case, referral, Status.COMPLETED, holder="lkc", handoff=1, next_step=None),
                13,
            ),
            "finished",
            "lkc",
        ),
    ]
    for item, state, holder in steps:
        await follow(service, [item])
        status = await shown(service, code)
        assert (status["state"], status["holder"]) == (state, holder)
        assert status["forwarding"] == "done"


async def test_an_older_event_never_overwrites_a_newer_one(service: Service) -> None:
    case, code = await reported(service)
    referral = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    await follow(service, [received(accepted, 22)])
    await follow(service, [received(offered(case, referral), 21)])
    await follow(service, [received(changed(case, referral, Status.RECEIVED), 30)])
    await follow(service, [received(assigned(case), 5, "routing")])
    assert (await shown(service, code))["state"] == "picked-up"


async def test_a_later_decision_replaces_an_earlier_one_only(service: Service) -> None:
    case, code = await reported(service)
    await follow(service, [received(assigned(case, 2, Mode.DESK), 2, "routing")])
    await follow(service, [received(assigned(case, 1), 1, "routing")])
    assert (await shown(service, code))["state"] == "at-desk"


async def test_one_batch_holds_many_cases_and_many_events_of_one(service: Service) -> None:
    cases = [await reported(service) for _ in range(12)]
    referrals = [uuid4() for _ in cases]
    batch = [received(assigned(case), n, "routing") for n, (case, _) in enumerate(cases)]
    for n, ((case, _), referral) in enumerate(zip(cases, referrals, strict=True)):
        batch.append(received(offered(case, referral), 100 + 4 * n))
        batch.append(received(changed(case, referral, Status.REJECTED), 101 + 4 * n))
        redecision = RedecisionRequested(
            case_id=case, holder="vangnet", handoff=0, at=at(9), excluded=("lkc",),
            decision_number=2, reason="rejected",
        )  # fmt: skip
        batch.append(received(redecision, 102 + 4 * n))
        if n % 2:
            step = NextStep(actor="vangnet", action=NextAction.FIND_PARTY, due_at=at(15))
            desk = CaseAtDesk(
                case_id=case, holder="vangnet", handoff=0, next_step=step, at=at(9),
                reason=DeskReason.SECOND_RETURN,
            )  # fmt: skip
            batch.append(received(desk, 103 + 4 * n))
    await follow(service, batch)
    states = [(await shown(service, code))["state"] for _, code in cases]
    assert states == ["searching", "at-desk"] * 6


async def test_an_unknown_code_is_404_and_many_questions_429(world: World) -> None:
    async with world.running(status_calls_per_minute=3) as service:
        for code in ("0000-0000-0000-0000-0000", "nonsense", "UUUU"):
            answer = await service.status(code)
            assert answer.status_code == 404
            assert answer.json()["type"].endswith("code-unknown")
        answer = await service.status("0000-0000-0000-0000-0000")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "60"
        assert (await service.status("x" * 61)).status_code == 400


async def disclosures(world: World, case: UUID) -> list[ContentDisclosed]:
    return await events(world, case, ContentDisclosed)


async def test_content_is_given_as_far_as_allowed_and_recorded(
    service: Service, world: World
) -> None:
    case, referral = await known_referral(service)
    whole = await service.content(case, world.capability(case, referral))
    assert whole.status_code == 200, whole.text
    assert whole.json() == {"narrative": WORDS, "identity": BODY["identity"]}
    part = await service.content(case, world.capability(case, referral, fields=["narrative"]))
    assert part.json() == {"narrative": WORDS}
    told = await disclosures(world, case)
    assert [event.fields for event in told] == [
        (ContentField.NARRATIVE, ContentField.IDENTITY), (ContentField.NARRATIVE,),
    ]  # fmt: skip
    assert {(event.organisation, event.referral_id, event.attempt) for event in told} == {
        ("lkc", referral, 1)
    }


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": 1_700_000_000}, (403, "capability-expired")),
        ({"exp": 4_000_000_000}, (403, "capability-lives-too-long")),
        ({"sub": "gcbo"}, (403, "capability-of-another-organisation")),
        ({"case": str(uuid4())}, (403, "capability-for-another-case")),
        ({"aud": "urn:meldpunt:audit"}, (403, "capability-invalid")),
        ({"iss": "urn:somebody"}, (403, "capability-invalid")),
        ({"fields": ["everything"]}, (403, "capability-invalid")),
        ({"jti": "short"}, (403, "capability-invalid")),
        ({"attempt": 2}, (503, "referral-not-known-yet")),
        ({"referral": str(uuid4())}, (503, "referral-not-known-yet")),
    ],
)
async def test_a_capability_that_does_not_fit_gives_nothing(
    service: Service, world: World, claims: dict[str, Any], expected: tuple[int, str]
) -> None:
    case, referral = await known_referral(service)
    answer = await service.content(case, world.capability(case, referral, **claims))
    assert problem(answer) == expected
    assert await disclosures(world, case) == []


async def test_a_forged_or_missing_capability_gives_nothing(service: Service, world: World) -> None:
    case, referral = await known_referral(service)
    good = world.capability(case, referral)
    forged = good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB")
    assert problem(await service.content(case, forged)) == (403, "capability-invalid")
    assert problem(await service.content(case, "x.y.z")) == (403, "capability-invalid")
    missing = await service.content(case, None)
    assert problem(missing) == (400, "capability-missing")
    assert "Content-Capability" in missing.json()["detail"]
    channel = {"Authorization": f"Bearer {world.token('reports:write')}"}
    refused = await service.client.get(f"/v1/contents/{case}", headers=channel)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "status", [Status.REJECTED, Status.FAILED, Status.CANCELLED, Status.COMPLETED]
)
async def test_a_withdrawn_or_lost_referral_gives_nothing(
    service: Service, world: World, status: Status
) -> None:
    case, referral = await known_referral(service)
    await follow(service, [received(changed(case, referral, status), 1001)])
    answer = await service.content(case, world.capability(case, referral))
    assert problem(answer) == (403, "referral-closed")


async def test_a_holder_keeps_its_right_while_another_is_asked(
    service: Service, world: World
) -> None:
    case, referral = await known_referral(service)
    other = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    onward = offered(case, other, organisation="gcbo", holder="lkc", handoff=1, attempt=2)
    await follow(service, [received(accepted, 1001), received(onward, 1002)])
    assert (await service.content(case, world.capability(case, referral))).status_code == 200
    theirs = world.capability(case, other, sub="gcbo", attempt=2)
    assert (await service.content(case, theirs, "gcbo")).status_code == 200


async def test_an_older_attempt_of_a_referral_is_superseded(service: Service, world: World) -> None:
    case, referral = await known_referral(service, attempt=3)
    answer = await service.content(case, world.capability(case, referral, attempt=2))
    assert problem(answer) == (403, "attempt-superseded")


async def test_an_erased_case_has_no_content_any_more(service: Service, world: World) -> None:
    case, referral = await known_referral(service)
    async with service.runtime.database.transaction() as connection:
        assert await store.erase_case(connection, case, utc_now())
        assert not await store.erase_case(connection, case, utc_now())
    answer = await service.content(case, world.capability(case, referral))
    assert problem(answer) == (404, "content-erased")
    assert await disclosures(world, case) == []


async def test_without_referrals_keys_the_partner_is_asked_to_try_again(world: World) -> None:
    async with world.running(referral_url=str(world.folder / "away")) as service:
        case, referral = await known_referral(service)
        answer = await service.content(case, world.capability(case, referral))
        assert problem(answer) == (503, "keys-unavailable")
        assert "Retry-After" in answer.headers


async def test_times_are_utc(service: Service) -> None:
    case, code = await reported(service)
    await follow(service, [received(offered(case, uuid4()), 5)])
    status = await shown(service, code)
    assert status["nextBy"] == "2026-11-24T10:00:00Z"
    assert status["receivedAt"].endswith("Z")
    assert "uiterlijk op 24 november 2026 om 11:00 uur" in status["text"]


async def test_the_status_tells_what_the_holder_does(service: Service) -> None:
    case, referral, code = await held(service)
    mine = {"holder": "lkc", "handoff": 1}
    onward = {"organisation": "gcbo", "attempt": 2, **mine}
    until, other = at(9), uuid4()
    steps: list[tuple[Any, dict[str, Any]]] = [
        (
            changed(case, referral, Status.ON_HOLD, until=until, **mine),
            {"state": "on-hold", "onHoldUntil": "2026-11-24T09:00:00Z"},
        ),
        (
            changed(
                case, referral, Status.ON_HOLD, business_status=BusinessStatus.NO_CONTACT, **mine
            ),
            {"state": "no-contact", "onHoldUntil": None},
        ),
        (
            changed(
                case, referral, Status.IN_PROGRESS, onward_to="gcbo",
                business_status=BusinessStatus.REFERRED_ONWARD, **mine,
            ),
            {"state": "referred-onward", "holder": "lkc", "onwardTo": "gcbo"},
        ),
        (offered(case, other, **onward), {"state": "referred-onward", "onwardTo": "gcbo"}),
        (
            changed(case, other, Status.RECEIVED, **onward),
            {"state": "referred-onward", "holder": "lkc"},
        ),
        (
            changed(case, other, Status.REJECTED, **onward),
            {"state": "picked-up", "holder": "lkc", "onwardTo": None},
        ),
        (
            closed(case, ClosedBecause.COMPLETED, outcome=CompletedAs.ADVISED),
            {"state": "finished", "outcome": "advised", "nextActor": None, "nextBy": None},
        ),
    ]  # fmt: skip
    for number, (event, expected) in enumerate(steps, 600):
        await follow(service, [received(event, number)])
        status = await shown(service, code)
        assert {name: status[name] for name in expected} == expected
    assert "hebt u advies gekregen" in status["text"]


async def test_an_escalation_changes_the_next_step_and_not_the_stage(service: Service) -> None:
    case, referral, code = await held(service, 700)
    step = NextStep(actor="vangnet", action=NextAction.CALL_HOLDER, due_at=at(16))
    escalated = ReferralEscalated(
        case_id=case, holder="lkc", handoff=1, next_step=step, at=at(12), referral_id=referral,
        attempt=1, organisation="lkc", rung=Rung.DESK,
    )  # fmt: skip
    await follow(service, [received(escalated, 702)])
    late = changed(case, referral, Status.ON_HOLD, holder="lkc", handoff=1)
    await follow(service, [received(late, 701)])
    status = await shown(service, code)
    assert (status["state"], status["nextActor"]) == ("picked-up", "vangnet")
    assert (status["nextAction"], status["nextBy"]) == ("call-holder", "2026-11-24T16:00:00Z")


async def test_within_a_batch_too_nothing_moves_back(service: Service) -> None:
    case, referral, code = await held(service, 720)
    done = closed(case, ClosedBecause.WITHDRAWN, holder="vangnet", handoff=2)
    late = changed(case, referral, Status.IN_PROGRESS, holder="lkc", handoff=1)
    await follow(service, [received(done, 722), received(late, 721)])
    assert (await shown(service, code))["state"] == "withdrawn"


async def test_a_finding_tells_who_must_reply_by_when(service: Service) -> None:
    case, _, code = await held(service, 740)
    step = NextStep(actor="bevoegd_gezag", action=NextAction.REPLY_TO_FINDING, due_at=at(20))
    desk = at_desk(case, DeskReason.FINDING, handoff=2, next_step=step)
    common: dict[str, Any] = {
        "finding_id": uuid4(), "case_id": case, "holder": "vangnet", "handoff": 2,
        "issued_on": at(9).date(), "at": at(9),
    }  # fmt: skip
    issued = FindingIssued(
        **common, state=FindingState.REPLY_DUE, committee="lkc", board="bevoegd_gezag",
        decision="upheld", recorded=True, advice=True,
    )  # fmt: skip
    await follow(service, [received(desk, 741), received(issued, 742)])
    status = await shown(service, code)
    assert status["state"] == "finding"
    assert "De commissie heeft een oordeel gegeven over uw klacht. Nu moet het" in status["text"]
    assert "van het bestuur van de school, uiterlijk op 24 november" in status["text"]
    replied = FindingReplied(
        **common, state=FindingState.NOT_FOLLOWED, reply_id=uuid4(), reply="does-not-follow",
        replied_on=at(9).date(), reply_days=3, late=False, on_behalf=True,
    )  # fmt: skip
    await follow(service, [received(replied, 744), received(issued, 743)])
    assert "dat het niet doet wat de commissie vraagt" in (await shown(service, code))["text"]


async def test_a_term_that_ends_is_told_until_it_has_ended(service: Service, world: World) -> None:
    case, _, code = await held(service, 760)
    day = utc_now().date().replace(year=utc_now().year + 1)

    def warned(sequence: int, last_day: Any, term: str = "lkc-one-year") -> Any:
        event = TermWarned(
            case_id=case, holder="lkc", handoff=1, at=at(9), term=term, organisation="lkc",
            last_day=last_day,
        )  # fmt: skip
        return received(event, sequence)

    past = day.replace(year=day.year - 2)
    await follow(service, [warned(762, day), warned(763, past, "awb-6-7")])
    await follow(service, [warned(761, past)])
    status = await shown(service, code)
    assert status["state"] == "picked-up"
    assert status["terms"] == [
        {"term": "lkc-one-year", "organisation": "lkc", "lastDay": day.isoformat()}
    ]
    assert f"termijn loopt af op {day.day} " in status["text"]
    assert status["text"].count("Let op") == 1


async def test_who_is_consulted_reads_the_narrative_until_the_answer(
    service: Service, world: World
) -> None:
    case, _, code = await held(service, 780)
    consultation = uuid4()
    common: dict[str, Any] = {
        "case_id": case, "holder": "lkc", "handoff": 1, "at": at(10),
        "consultation_id": consultation, "organisation": "gcbo",
    }  # fmt: skip
    everything = world.capability(
        case, consultation, sub="gcbo", fields=["narrative", "identity", "answers"]
    )
    early = await service.content(case, everything, "gcbo")
    assert problem(early) == (503, "referral-not-known-yet")
    await follow(service, [received(ConsultationAsked(**common), 781)])
    assert (await shown(service, code))["state"] == "picked-up"
    answer = await service.content(case, everything, "gcbo")
    # Also when a capability was signed with more: advice needs no names.
    assert answer.json() == {"narrative": WORDS}
    assert (await service.ask(case, everything, "Wie bent u?", "gcbo")).status_code == 409
    [told] = await disclosures(world, case)
    assert (told.organisation, told.referral_id, told.fields) == (
        "gcbo", consultation, (ContentField.NARRATIVE,),
    )  # fmt: skip
    await follow(service, [received(ConsultationAnswered(**common, advised=True), 782)])
    await follow(service, [received(ConsultationAsked(**common), 781)])
    assert problem(await service.content(case, everything, "gcbo")) == (403, "referral-closed")


async def test_a_consultation_revives_no_referral_that_has_its_id(service: Service) -> None:
    case, referral, _ = await held(service, 790)
    capability = service.world.capability(case, referral)
    assert (await service.content(case, capability)).status_code == 200
    ended = changed(case, referral, Status.CANCELLED, handoff=2, next_step=None)
    await follow(service, [received(ended, 791)])
    other, _ = await reported(service)
    forged = ConsultationAsked(
        case_id=other, holder="lkc", handoff=1, at=at(11), consultation_id=referral,
        organisation="lkc",
    )  # fmt: skip
    await follow(service, [received(forged, 792)])
    assert problem(await service.content(case, capability)) == (403, "referral-closed")


async def test_after_a_withdrawal_nobody_reads_any_more_whatever_the_broker_does(
    service: Service,
) -> None:
    case, referral, code = await held(service, 795)
    capability = service.world.capability(case, referral)
    assert (await service.content(case, capability)).status_code == 200
    assert (await service.act("report-withdrawals", code)).status_code == 200
    assert problem(await service.content(case, capability)) == (403, "referral-closed")
    # An acute case is judged by the desk, which may have to bring it to somebody nevertheless.
    anew = uuid4()
    await follow(service, [received(offered(case, anew, attempt=2), 796)])
    capability = service.world.capability(case, anew, attempt=2)
    assert (await service.content(case, capability)).status_code == 200
