"""What time does: reminders at their moments, then one rung after another, and never a close."""

from datetime import timedelta

import pytest

from contracts.referral import (
    DESK,
    REPORTER,
    Answer,
    BusinessStatus,
    CaseAtDesk,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralEscalated,
    ReferralOffer,
    ReferralReminded,
    ReferralReminder,
    ReferralWithdrawn,
    Rung,
    Status,
)
from contracts.routing import HandlingLimits, Mode
from contracts.situation import Urgency
from services.referral import by_desk, reporter, rules
from services.referral.domain import OPEN, Channel, Standing, Verdict
from services.referral.escalation import expire, tick
from services.referral.moves import stepped
from services.referral.reminding import (
    DESK_REMINDERS_MAX,
    next_timer,
    reminder_moments,
)
from tests.unit.referral.builders import (
    NOW,
    UNTIL,
    after,
    again,
    agrees,
    first,
    go,
    held,
    in_status,
    live,
    offering,
    onward,
    reach,
    said,
    stands,
)

SECOND = timedelta(seconds=1)
ACUTE = HandlingLimits(received_within_minutes=5, accepted_within_minutes=15)
_WEEK = 10_080


def _rungs(outcome):
    return [event.rung for event in outcome.events if isinstance(event, ReferralEscalated)]


def _silent(standing, fallback=None):
    """Nobody says anything until the request expires."""
    request = standing.request
    outcome = expire(standing, request, reach(fallback), request.due_at)
    agrees(outcome)
    return outcome, stands(outcome, standing)


@pytest.mark.parametrize(("status", "minutes"), [(Status.REQUESTED, 60), (Status.RECEIVED, 480)])
def test_silence_expires_at_the_due_time_and_not_before(status, minutes):
    standing, referral = in_status(status)

    early = expire(standing, referral, reach(), after(minutes) - timedelta(microseconds=1))
    assert early.verdict is Verdict.ILLEGAL
    assert early.case == standing.case
    outcome = expire(standing, referral, reach(), after(minutes))

    changed, redecision, escalated = outcome.events
    assert changed.status is Status.FAILED
    assert changed.business_status is BusinessStatus.TERM_EXPIRED
    assert isinstance(redecision, RedecisionRequested)
    assert redecision.reason == "term-expired"
    assert escalated.rung is Rung.NEXT_ORGANISATION
    assert isinstance(outcome.feed[0].event, ReferralWithdrawn)
    failed, left = outcome.referrals[0], stands(outcome, standing)
    assert expire(left, failed, reach(), after(minutes)).verdict is Verdict.ILLEGAL
    late = said(left, Answer.ACCEPTED, after(minutes), referral=failed)
    assert late.verdict is Verdict.EXPIRED


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN])
def test_only_an_open_referral_expires(status):
    standing, referral = in_status(status)
    outcome = expire(standing, referral, reach(Channel.EMAIL), after(100_000))
    assert outcome.verdict is Verdict.ILLEGAL


def test_neither_a_signal_nor_what_the_desk_has_yet_to_bring_expires():
    for start in (first(Mode.SIGNAL), first(channel=Channel.DESK)):
        standing = stands(start)
        outcome = expire(standing, live(standing), reach(), after(100_000))
        assert outcome.verdict is Verdict.ILLEGAL


@pytest.mark.parametrize("limits", [None, ACUTE])
def test_the_rungs_come_in_their_order_and_the_last_is_the_desk(limits):
    changes = {"urgency": "acuut", "limits": limits} if limits else {}
    minutes = 5 if limits else 60
    start = stands(first(loket="noord", other_lokets=("zuid", "west"), **changes))

    outcome, standing = _silent(start, Channel.EMAIL)
    assert _rungs(outcome) == [Rung.OTHER_LOKET]
    failed, asked = outcome.referrals
    assert (failed.status, failed.loket) == (Status.FAILED, "noord")
    assert (asked.organisation, asked.loket, asked.attempt) == ("school", "zuid", 2)
    assert asked.due_at == after(2 * minutes)
    assert [type(i.event) for i in outcome.feed] == [ReferralWithdrawn, ReferralOffer]

    outcome, standing = _silent(standing, Channel.EMAIL)
    assert _rungs(outcome) == [Rung.OTHER_LOKET]
    assert outcome.referrals[1].loket == "west"

    outcome, standing = _silent(standing, Channel.EMAIL)
    assert _rungs(outcome) == [Rung.OTHER_CHANNEL]
    [same] = outcome.referrals
    assert (same.attempt, same.status, same.channel) == (3, Status.REQUESTED, Channel.EMAIL)
    assert same.due_at == after(4 * minutes)
    [item] = outcome.feed
    assert item.via is Channel.EMAIL
    assert standing.case.returns == 0

    outcome, standing = _silent(standing, Channel.EMAIL)
    assert _rungs(outcome) == [Rung.NEXT_ORGANISATION]
    assert standing.request is None
    assert standing.case.returned_by == ("school",)

    event = again(standing, "lkc", **changes)
    standing = stands(rules.assign(standing, event, offering(), after(4 * minutes)), standing)
    outcome, standing = _silent(standing)
    assert _rungs(outcome) == [Rung.DESK]
    assert standing.case.desk_reason is DeskReason.TERM_EXPIRED
    assert standing.case.next_step.actor == DESK
    assert standing.case.open


def test_whoever_acknowledged_and_then_kept_silent_is_not_asked_at_another_loket():
    start = stands(first(loket="noord", other_lokets=("zuid",)))

    outcome, _ = _silent(go(start, Answer.RECEIVED), Channel.EMAIL)

    assert _rungs(outcome) == [Rung.NEXT_ORGANISATION]
    assert outcome.case.other_lokets == ()


def test_a_loket_that_the_case_is_about_is_passed_over():
    start = stands(first(loket="noord", other_lokets=("zuid", "west"), never=("school/zuid",)))

    outcome, standing = _silent(start)

    assert outcome.referrals[1].loket == "west"
    assert standing.case.other_lokets == ()
    alone = stands(first(loket="noord", other_lokets=("zuid",), never=("school/zuid",)))
    assert _rungs(_silent(alone)[0]) == [Rung.NEXT_ORGANISATION]


def test_the_other_channel_may_be_a_person():
    outcome, standing = _silent(stands(first()), Channel.DESK)

    assert _rungs(outcome) == [Rung.OTHER_CHANNEL]
    assert standing.case.next_step.action is NextAction.HAND_OVER
    assert standing.case.next_step.actor == DESK
    assert standing.request.due_at is None
    assert not outcome.feed


def test_the_same_channel_is_no_other_channel():
    assert _rungs(_silent(stands(first()), Channel.KAFKA)[0]) == [Rung.NEXT_ORGANISATION]


def test_an_organisation_may_answer_over_the_other_channel_with_the_same_attempt():
    _, standing = _silent(stands(first()), Channel.EMAIL)

    assert go(standing, Answer.ACCEPTED).case.holder == "school"


def test_a_desk_choice_that_keeps_silent_is_not_asked_at_lokets_of_another():
    start = stands(first(loket="noord", other_lokets=("zuid",)))
    taken_back = stands(rules.withdraw(start, live(start), NOW), start)
    chosen = stands(by_desk.assigned(taken_back, "lkc", None, offering(), NOW), taken_back)

    outcome, _ = _silent(chosen)

    assert _rungs(outcome) == [Rung.NEXT_ORGANISATION]


@pytest.mark.parametrize(
    ("actor", "action", "minutes", "moments"),
    [
        ("school", NextAction.ACKNOWLEDGE, 1000, (500, 850)),
        ("school", NextAction.DECIDE, 60, (30, 51)),
        ("school", NextAction.DECIDE, 59, (29.5,)),
        ("school", NextAction.HANDLE, 10_000, (5000, 8500)),
        (DESK, NextAction.FIND_PARTY, 15, (15, 30, 45)),
        (DESK, NextAction.HAND_OVER, 60, (60, 120, 180)),
        (REPORTER, NextAction.ANSWER_QUESTION, 10_000, ()),
        ("bevoegd_gezag", NextAction.REPLY_TO_FINDING, 40_000, ()),
    ],
)
def test_the_moments_of_a_step(actor, action, minutes, moments):
    step = NextStep(actor=actor, action=action, due_at=after(minutes))
    case = stepped(first().case, step, NOW)

    assert reminder_moments(case) == tuple(after(m) for m in moments)
    ends = action is NextAction.HANDLE or actor == REPORTER
    last = step.due_at if ends else None
    assert case.timer_at == (after(moments[0]) if moments else last)
    assert next_timer(case._replace(reminders=len(moments))) == last
    assert next_timer(case._replace(reminders=99)) == last


@pytest.mark.parametrize("urgency", list(Urgency))
@pytest.mark.parametrize("hours", [0, 1, 5, 30, 60, 200])
def test_the_timer_of_a_step_is_its_first_moment_on_whatever_day_it_begins(urgency, hours):
    case = first(urgency=urgency).case
    for hour in range(0, 24 * 40, 3):
        begins = after(hour * 60)
        due_at = begins + timedelta(hours=hours)
        step = NextStep(actor="school", action=NextAction.DECIDE, due_at=due_at)
        begun = stepped(case, step, begins)
        assert begun.timer_at == reminder_moments(begun)[0]


def test_a_step_that_is_over_when_it_begins_is_not_reminded_for_ever():
    step = NextStep(actor=DESK, action=NextAction.FIND_PARTY, due_at=NOW - timedelta(days=1))

    case = stepped(first().case, step, NOW)

    assert len(reminder_moments(case)) == DESK_REMINDERS_MAX
    assert next_timer(case._replace(reminders=DESK_REMINDERS_MAX)) is None


def _ticks(standing, until):
    """Lets every timer go off at its moment; gives what came of it with the moments."""
    found = []
    while (at := standing.case.timer_at) is not None and at <= until:
        early = tick(standing, at - SECOND)
        assert early.verdict is Verdict.ILLEGAL
        assert early.case == standing.case
        outcome = tick(standing, at)
        assert outcome.verdict is Verdict.APPLIED
        agrees(outcome)
        standing = stands(outcome, standing)
        found.append((at, outcome))
    return found, standing


def test_an_organisation_is_reminded_twice_and_told_of_what():
    found, standing = _ticks(stands(first()), after(1000))

    assert [at for at, _ in found] == [after(30), after(51)]
    for number, (at, outcome) in enumerate(found, start=1):
        [event], [item] = outcome.events, outcome.feed
        assert isinstance(event, ReferralReminded)
        assert (event.actor, event.action, event.number) == ("school", "acknowledge", number)
        assert isinstance(item.event, ReferralReminder)
        assert item.organisation == "school"
        assert (item.event.number, item.event.at, item.event.due_at) == (number, at, after(60))
        assert not outcome.referrals
    assert standing.case.timer_at is None
    assert standing.request.due_at == after(60)


def test_after_a_standstill_one_reminder_stands_for_all_that_were_missed():
    standing = stands(first())

    outcome = tick(standing, after(55))

    assert outcome.events[0].number == 2
    assert len(outcome.feed) == 1
    assert tick(stands(outcome, standing), after(56)).verdict is Verdict.ILLEGAL


def test_the_desk_is_reminded_three_times_and_stays_who_must_act():
    found, standing = _ticks(stands(first(Mode.DESK, DESK)), after(100_000))

    assert [at for at, _ in found] == [after(240), after(480), after(720)]
    assert all(outcome.events[0].actor == DESK for _, outcome in found)
    assert not any(outcome.feed for _, outcome in found)
    assert standing.case.next_step.actor == DESK
    assert standing.case.open


def test_a_new_step_is_reminded_anew():
    _, standing = _ticks(stands(first()), after(40))
    assert standing.case.reminders == 1

    received = go(standing, Answer.RECEIVED, after(45))

    assert received.case.reminders == 0
    assert received.case.timer_at == after(45 + (480 - 45) / 2)


def test_a_holder_that_keeps_silent_is_called_and_stays_the_holder():
    found, standing = _ticks(held(), after(_WEEK))

    reminded, last_reminded, called = (outcome for _, outcome in found)
    assert [reminded.events[0].number, last_reminded.events[0].number] == [1, 2]
    assert _rungs(called) == [Rung.DESK]
    assert found[-1][0] == after(_WEEK)
    case = standing.case
    assert (case.holder, case.handoff) == ("school", 1)
    assert (case.next_step.actor, case.next_step.action) == (DESK, NextAction.CALL_HOLDER)
    assert standing.holding.status is Status.ACCEPTED


def test_an_on_hold_whose_date_has_passed_is_called_too():
    found, standing = _ticks(go(held(), Answer.ON_HOLD), UNTIL)

    assert found[-1][0] == UNTIL
    assert standing.case.next_step.action is NextAction.CALL_HOLDER


def test_the_desk_is_reminded_of_a_holder_that_it_must_call():
    _, standing = _ticks(held(), after(_WEEK))

    outcome = tick(standing, standing.case.timer_at)

    assert outcome.events[0].action is NextAction.CALL_HOLDER
    assert outcome.events[0].referral_id == standing.holding.referral_id
    assert not outcome.feed


def test_a_reminder_beside_an_open_request_goes_to_whose_turn_it_is():
    standing = onward()
    outcome = said(standing, Answer.IN_PROGRESS, referral=standing.holding)
    standing = stands(outcome, standing)

    reminded = tick(standing, standing.case.timer_at)

    [item], [event] = reminded.feed, reminded.events
    assert item.organisation == item.event.organisation == event.actor == "school"
    assert event.referral_id == standing.holding.referral_id


def test_a_reporter_that_does_not_answer_gives_the_case_back_to_its_holder():
    standing = held()
    asked = reporter.asked(standing, standing.holding.referral_id, after(500), NOW)
    waiting = stands(asked, standing)
    assert waiting.case.next_step.actor == REPORTER

    [(at, outcome)], left = _ticks(waiting, after(500))

    assert at == after(500)
    assert (left.case.holder, left.case.handoff) == ("school", 1)
    assert left.case.next_step.action is NextAction.HANDLE
    assert outcome.referrals == (standing.holding,)


def test_nothing_ticks_in_a_closed_case():
    standing, _ = in_status(Status.COMPLETED)
    assert standing.case.timer_at is None
    assert tick(standing, after(10**6)).verdict is Verdict.ILLEGAL


def test_a_timer_that_nothing_belongs_to_is_put_out():
    standing = held()
    moment = standing.case.next_step.due_at
    late = standing.case._replace(reminders=2, timer_at=moment)
    outcome = tick(Standing(late), moment)
    assert outcome.case == late._replace(timer_at=None)
    assert not outcome.events
    assert not outcome.feed


def test_a_second_silence_names_the_desk():
    declined, _ = in_status(Status.REJECTED)
    asked = stands(rules.assign(declined, again(declined, "lkc"), offering(), NOW), declined)

    outcome, _ = _silent(asked)

    [at_desk] = [e for e in outcome.events if isinstance(e, CaseAtDesk)]
    assert at_desk.reason is DeskReason.TERM_EXPIRED
