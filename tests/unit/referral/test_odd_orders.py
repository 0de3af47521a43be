"""Answers and decisions that come at a bad moment: what they leave behind can still move on."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.calendar import SchoolRegion
from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CompletedAs,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    Status,
)
from contracts.routing import HandlingLimits
from contracts.situation import Kind, Urgency
from services.referral import by_desk, holding, reporter, rules
from services.referral.domain import Verdict
from services.referral.escalation import tick
from services.referral.moves import left_out, stepped
from services.referral.reminding import reminder_moments
from services.referral.waves import Waves
from tests.unit.referral.builders import (
    NOW,
    after,
    again,
    agrees,
    answered,
    first,
    go,
    held,
    offering,
    onward,
    stands,
)

LATER = after(16)
"""When the time of routing to answer is over."""


def _said(standing, answer, at=NOW, **changes):
    referral = standing.holding
    outcome = rules.answer(standing, referral, answered(referral, answer, **changes), at)
    if outcome.verdict is Verdict.APPLIED:
        agrees(outcome)
    return outcome


def _asked(target="lkc", before=()):
    """A holder that has asked to pass the case on, and routing has not answered."""
    standing = held()
    for answer in before:
        standing = stands(_said(standing, answer), standing)
    outcome = _said(standing, Answer.REFERRED_ONWARD, suggested_organisation=target)
    return stands(outcome, standing)


@pytest.mark.parametrize("before", [(Answer.NO_CONTACT,), ()])
def test_a_holder_is_what_it_was_when_its_referral_onward_ends(before):
    standing = _asked(before=before)
    was = Status.ON_HOLD if before else Status.ACCEPTED
    business = BusinessStatus.NO_CONTACT if before else None
    refused = stands(holding.onward_refused(standing, "not-competent", NOW), standing)
    offer = rules.assign(standing, again(standing, "lkc", onward=True), offering(), NOW)
    asked = stands(offer, standing)
    declined = stands(holding.onward_ended(asked, asked.request._replace(), NOW), asked)

    for after_it in (refused, declined):
        kept = after_it.holding
        assert (kept.status, kept.business_status, kept.onward_to) == (was, business, None)
        assert after_it.case.next_step.actor == "school"


def test_a_holder_waits_for_routing_and_then_names_another():
    standing = _asked()
    early = _said(standing, Answer.REFERRED_ONWARD, suggested_organisation="inspectie")
    assert early.verdict is Verdict.BUSY

    late = _said(standing, Answer.REFERRED_ONWARD, LATER, suggested_organisation="inspectie")
    assert late.verdict is Verdict.APPLIED
    [asks] = [item for item in late.events if isinstance(item, RedecisionRequested)]
    assert (asks.proposed, asks.onward) == ("inspectie", True)
    now = stands(late, standing)
    assert (now.holding.onward_to, now.case.holder) == ("inspectie", "school")

    # Routing answers the first question after all: what it used up is asked again.
    slow = rules.assign(now, again(now, "lkc", onward=True), offering(), LATER)
    [asks] = [item for item in slow.events if isinstance(item, RedecisionRequested)]
    assert (asks.proposed, asks.decision_number) == ("inspectie", now.case.decision_number + 2)
    assert stands(slow, now).request is None


def test_work_ends_a_referral_onward_that_nobody_answered_and_not_one_that_is_asked():
    standing = _asked()
    early = stands(_said(standing, Answer.IN_PROGRESS, after(5)), standing)
    assert early.holding.onward_to == "lkc"
    assert early.holding.business_status is BusinessStatus.REFERRED_ONWARD
    # The desk still has to see that routing answers.
    assert early.case.next_step == standing.case.next_step
    assert early.case.timer_at == standing.case.timer_at

    late = stands(_said(early, Answer.IN_PROGRESS, LATER), early)
    assert (late.holding.onward_to, late.holding.business_status) == (None, None)
    assert (late.case.next_step.actor, late.case.next_step.action) == ("school", NextAction.HANDLE)
    slow = rules.assign(late, again(late, "lkc", onward=True), offering(), LATER)
    assert (slow.verdict, slow.referrals, slow.events) == (Verdict.BUSY, (), ())


def test_work_does_not_end_a_referral_onward_that_was_offered():
    standing = onward()
    working = stands(_said(standing, Answer.IN_PROGRESS, after(100)), standing)
    assert working.request == standing.request
    assert working.holding.onward_to == "lkc"


def test_a_decision_from_before_a_finding_does_not_send_its_case_out():
    standing = held("lkc", kind_at_primary=Kind.KLACHT)
    done = stands(
        _said(standing, Answer.COMPLETED, outcome=CompletedAs.DECIDED, decision="upheld"), standing
    )
    assert done.case.desk_reason is DeskReason.FINDING
    late = rules.assign(done, again(done, "school"), offering(), NOW)

    assert (late.verdict, late.referrals, late.events) == (Verdict.OUTDATED, (), ())
    assert late.case == done.case._replace(decision_number=done.case.decision_number + 1)


def test_saying_not_helped_again_gives_the_desk_no_more_time():
    standing = held()
    called = stands(reporter.not_helped(standing, NOW), standing)
    assert called.case.next_step.action is NextAction.CALL_HOLDER
    again_ = reporter.not_helped(called, after(10))

    assert (again_.verdict, again_.case, again_.events) == (Verdict.DUPLICATE, called.case, ())


def test_an_organisation_is_left_out_once():
    case = left_out(left_out(left_out(first().case, "school"), "lkc"), "school")
    assert case.returned_by == ("school", "lkc")
    standing = held()
    gone = stands(rules.withdraw(standing, standing.holding, NOW), standing)
    back = stands(by_desk.assigned(gone, "school", None, offering(), NOW), gone)
    switched = by_desk.switched_off(
        back._replace(case=left_out(back.case, "school")), "school", NOW
    )
    assert switched.case.returned_by == ("school",)
    [asks] = [item for item in switched.events if isinstance(item, RedecisionRequested)]
    assert asks.reason == "switched-off"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _reminded(since, due, *, urgency=Urgency.NORMAAL, region=None, actor="school"):
    limits = HandlingLimits(received_within_minutes=60, accepted_within_minutes=480, region=region)
    case = first().case._replace(urgency=urgency, limits=limits)
    action = NextAction.FIND_PARTY if actor == DESK else NextAction.DECIDE
    step = NextStep(actor=actor, action=action, due_at=_at(due))
    return stepped(case, step, _at(since))


@pytest.mark.parametrize(
    ("since", "due", "moments"),
    [
        # Friday to Tuesday: half is Sunday, and the rest a Monday night.
        (
            "2026-11-27T12:00+01:00",
            "2026-12-01T12:00+01:00",
            ("2026-11-30T09:00+01:00", "2026-11-30T21:36+01:00"),
        ),
        # Both on the weekend: one moment for the two.
        (
            "2026-11-27T12:00+01:00",
            "2026-11-30T10:00+01:00",
            ("2026-11-30T09:00+01:00", "2026-11-30T09:00+01:00"),
        ),
        # The next working day comes too late: better on a Sunday than not at all.
        (
            "2026-11-28T12:00+01:00",
            "2026-11-30T09:00+01:00",
            ("2026-11-29T10:30+01:00", "2026-11-30T02:15+01:00"),
        ),
        # Christmas, a weekend and the clock of winter.
        (
            "2026-12-23T12:00+01:00",
            "2026-12-29T12:00+01:00",
            ("2026-12-28T09:00+01:00", "2026-12-28T14:24+01:00"),
        ),
        # The night of Saturday 27 March in which an hour is missing, and Easter Monday after it.
        (
            "2027-03-25T12:00+01:00",
            "2027-03-31T00:00+02:00",
            ("2027-03-30T04:21+02:00", "2027-03-30T09:00+02:00"),
        ),
        # The Sunday with an hour more.
        (
            "2026-10-23T12:00+02:00",
            "2026-10-27T12:00+01:00",
            ("2026-10-26T09:00+01:00", "2026-10-26T21:27+01:00"),
        ),
    ],
)
def test_reminders_wait_for_a_working_day(since, due, moments):
    case = _reminded(since, due)
    assert reminder_moments(case) == tuple(_at(moment) for moment in moments)
    assert case.timer_at == _at(moments[0])


def test_an_acute_case_and_the_desk_know_no_weekend():
    saturday, sunday = "2026-11-28T03:00+01:00", "2026-11-29T03:00+01:00"
    acute = _reminded(saturday, sunday, urgency=Urgency.ACUUT)
    assert reminder_moments(acute)[0] == _at("2026-11-28T15:00+01:00")
    assert reminder_moments(_reminded(saturday, sunday, actor=DESK))[0] == _at(sunday)


def test_a_school_is_reminded_after_its_holidays():
    since, due = "2026-12-17T12:00+01:00", "2027-01-06T00:00+01:00"
    in_holidays = _reminded(since, due)
    assert reminder_moments(in_holidays)[0].month == 12
    after_them = _reminded(since, due, region=SchoolRegion.NOORD)
    assert set(reminder_moments(after_them)) == {_at("2027-01-04T09:00+01:00")}


def test_reminders_that_fall_together_are_one():
    case = _reminded("2026-11-27T12:00+01:00", "2026-11-30T10:00+01:00")
    standing = stands(first())._replace(case=case)
    monday = _at("2026-11-30T09:00+01:00")
    assert tick(standing, monday - timedelta(seconds=1)).verdict is Verdict.ILLEGAL
    outcome = tick(standing, monday)

    assert len(outcome.events) == 1
    assert (outcome.case.reminders, outcome.case.timer_at) == (2, None)


def test_a_silent_holder_hears_of_it_before_it_is_called():
    standing = held()
    assert go(standing, Answer.IN_PROGRESS).case.timer_at is not None


def _waves(*outcomes):
    """The statuses per wave, of a holder (`school`) that passes a case on to `lkc`."""
    standing = onward()
    waves = Waves([standing.request, standing.holding])
    for moved in outcomes:
        known = {"school": standing.holding, "lkc": standing.request}
        waves.add(
            standing.case.case_id,
            [known[name]._replace(status=status) for name, status in moved.items()],
        )
    return [[item.status.value for item in wave] for wave in waves.all()]


def test_moves_that_are_one_legal_step_are_written_once():
    received, accepted = {"lkc": Status.RECEIVED}, {"lkc": Status.ACCEPTED}
    assert _waves() == []
    assert _waves(received) == [["received"]]
    assert _waves(received, accepted) == [["accepted"]]
    assert _waves({"school": Status.ON_HOLD}, {"school": Status.IN_PROGRESS}) == [["in-progress"]]


def test_moves_that_are_no_legal_step_together_are_written_apart():
    passed_on = {"school": Status.COMPLETED, "lkc": Status.ACCEPTED}
    working, back = {"lkc": Status.IN_PROGRESS}, {"lkc": Status.FAILED}
    assert _waves(passed_on, working) == [["completed", "accepted"], ["in-progress"]]
    assert _waves({"school": Status.IN_PROGRESS}, passed_on, working, back) == [
        ["completed", "accepted"],
        ["failed"],
    ]
