"""What the desk does with a case: assign, hand over, switch off, follow a finding, end it."""

from datetime import timedelta

import pytest

from contracts.referral import (
    DESK,
    Answer,
    CaseAtDesk,
    ClosedBecause,
    CompletedAs,
    DeskReason,
    HandOverBy,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Status,
)
from contracts.routing import Mode
from services.referral import by_desk, escalation, reporter
from services.referral.by_desk import HandedOver
from services.referral.domain import HOLDING, OPEN, Channel, Verdict
from tests.unit.referral.builders import (
    NOW,
    after,
    agrees,
    first,
    found,
    go,
    held,
    in_status,
    live,
    offering,
    onward,
    stands,
)

PHONE = HandedOver(HandOverBy.PHONE, accepted=True)
LETTER = HandedOver(HandOverBy.LETTER, accepted=False)


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN | HOLDING])
def test_the_desk_asks_whom_it_chooses_also_who_had_it_before(status):
    standing, _ = in_status(status)

    outcome = by_desk.assigned(standing, "school", None, offering(), NOW)

    if status is Status.COMPLETED:
        assert outcome.verdict is Verdict.OUTDATED
    else:
        [referral] = outcome.referrals
        assert (referral.organisation, referral.attempt) == ("school", 2)
        assert outcome.case.desk_reason is None
        agrees(outcome)


@pytest.mark.parametrize(
    ("organisation", "loket", "verdict"),
    [
        ("bestuur", None, Verdict.NEVER),
        ("bestuur", "noord", Verdict.NEVER),
        ("lkc", "noord", Verdict.NEVER),
        (DESK, None, Verdict.NEVER),
        ("lkc", "zuid", Verdict.APPLIED),
    ],
)
def test_the_desk_cannot_bring_a_case_to_whom_it_is_about(organisation, loket, verdict):
    standing = stands(first(Mode.DESK, DESK, never=("bestuur", "lkc/noord")))
    outcome = by_desk.assigned(standing, organisation, loket, offering(), NOW)
    assert outcome.verdict is verdict


@pytest.mark.parametrize("make", [held, onward, lambda: stands(first())])
def test_the_desk_asks_nobody_while_somebody_has_it_or_is_asked(make):
    standing = make()
    outcome = by_desk.assigned(standing, "inspectie", None, offering(), NOW)
    assert outcome.verdict is Verdict.BUSY
    assert outcome.case == standing.case


def test_a_signal_gives_way_to_the_desk():
    standing = stands(first(Mode.SIGNAL, "inspectie"))

    outcome = by_desk.assigned(standing, "school", None, offering(), NOW)

    assert [i.status for i in outcome.referrals] == [Status.CANCELLED, Status.REQUESTED]
    assert isinstance(outcome.feed[0].event, ReferralWithdrawn)
    agrees(outcome)


def test_who_is_reached_by_nobody_but_the_desk_is_handed_over_by_it():
    standing = stands(first(Mode.DESK, DESK))
    outcome = by_desk.assigned(standing, "school", None, offering(Channel.DESK), NOW)
    assert outcome.case.next_step.action is NextAction.HAND_OVER


def test_by_phone_an_organisation_can_accept_once():
    standing = stands(first(channel=Channel.DESK))

    outcome = by_desk.handed_over(standing, live(standing), PHONE, after(5))

    assert outcome.case.holder == "school"
    assert outcome.events[0].handed_over_by is HandOverBy.PHONE
    agrees(outcome)
    left = stands(outcome, standing)
    twice = by_desk.handed_over(left, left.holding, PHONE, after(6))
    assert twice.verdict is Verdict.DUPLICATE
    assert twice.case == left.case


def test_a_letter_proves_no_acceptance_and_time_runs_from_then_on():
    standing = stands(first(channel=Channel.DESK))

    outcome = by_desk.handed_over(standing, live(standing), LETTER, after(2000))

    [referral] = outcome.referrals
    assert (referral.status, referral.handed_over_by) == (Status.RECEIVED, HandOverBy.LETTER)
    assert outcome.case.holder == DESK
    assert outcome.case.next_step.action is NextAction.DECIDE
    assert outcome.case.next_step.due_at == referral.due_at == after(2000 + 480)
    left = stands(outcome, standing)
    twice = by_desk.handed_over(left, referral, LETTER, after(2001))
    assert twice.verdict is Verdict.DUPLICATE
    assert by_desk.handed_over(left, referral, PHONE, after(2002)).case.holder == "school"


def test_a_signal_by_letter_leaves_the_desk_to_ask_the_reporter():
    standing = stands(first(Mode.SIGNAL, "inspectie", Channel.DESK))

    outcome = by_desk.handed_over(standing, live(standing), LETTER, NOW)

    changed, at_desk = outcome.events
    assert isinstance(changed, ReferralStatusChanged)
    assert isinstance(at_desk, CaseAtDesk)
    assert at_desk.reason is DeskReason.NO_FEEDBACK_PARTY
    assert outcome.case.next_step.action is NextAction.ASK_REPORTER
    assert outcome.referrals[0].due_at is None
    agrees(outcome)


def test_a_signal_that_was_received_otherwise_need_not_be_brought_any_more():
    standing = stands(first(Mode.SIGNAL, "inspectie", Channel.DESK))
    assert go(standing, Answer.RECEIVED).case.next_step.action is NextAction.ASK_REPORTER


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN])
def test_what_is_not_asked_any_more_cannot_be_handed_over(status):
    standing, referral = in_status(status)
    outcome = by_desk.handed_over(standing, referral, PHONE, NOW)
    assert outcome.verdict is Verdict.DUPLICATE


@pytest.mark.parametrize(
    "make", [held, lambda: stands(first()), lambda: stands(first(Mode.SIGNAL))]
)
def test_who_is_switched_off_loses_the_case_and_routing_decides_again(make):
    standing = make()

    outcome = by_desk.switched_off(standing, "school", NOW)

    left = stands(outcome, standing)
    assert (left.request, left.holding) == (None, None)
    assert outcome.referrals[0].status is Status.CANCELLED
    [redecision] = [e for e in outcome.events if isinstance(e, RedecisionRequested)]
    assert redecision.excluded == ("school",)
    assert (outcome.case.holder, outcome.case.returns) == (DESK, 0)
    assert outcome.case.handoff == (2 if standing.holding else 0)
    agrees(outcome)


@pytest.mark.parametrize(
    ("received", "action", "due"),
    [(False, NextAction.ACKNOWLEDGE, 60), (True, NextAction.DECIDE, 480)],
)
def test_when_the_holder_is_switched_off_whom_it_asked_stays_asked(received, action, due):
    standing = onward()
    if received:
        standing = go(standing, Answer.RECEIVED)

    outcome = by_desk.switched_off(standing, "school", NOW)

    left = stands(outcome, standing)
    assert left.holding is None
    assert left.request.onward_of is None
    case = outcome.case
    assert (case.holder, case.handoff) == (DESK, 2)
    assert case.next_step == NextStep(actor="lkc", action=action, due_at=after(due))
    assert "school" in case.returned_by
    agrees(outcome)
    assert go(left, Answer.ACCEPTED).case.handoff == 3


def test_whoever_has_nothing_to_do_with_a_case_may_be_switched_off():
    standing = held()
    assert by_desk.switched_off(standing, "lkc", NOW).verdict is Verdict.OUTDATED
    closed, _ = in_status(Status.COMPLETED)
    assert by_desk.switched_off(closed, "school", NOW).verdict is Verdict.OUTDATED


def test_a_case_shows_the_next_step_of_its_finding():
    standing = found()
    assert standing.case.next_step.action is NextAction.CHECK_FINDING
    step = NextStep(
        actor="bevoegd_gezag",
        action=NextAction.REPLY_TO_FINDING,
        due_at=NOW + timedelta(weeks=4),
    )

    outcome = by_desk.followed(standing, step, NOW)

    assert outcome.case.next_step == step
    assert outcome.case.holder == DESK
    assert outcome.events[0].reason is DeskReason.FINDING
    # The finding has a timer of its own.
    assert outcome.case.timer_at is None
    agrees(outcome)
    left = stands(outcome, standing)
    assert by_desk.followed(left, step, NOW).verdict is Verdict.OUTDATED
    elsewhere = stands(first(Mode.DESK, DESK))
    assert by_desk.followed(elsewhere, step, NOW).verdict is Verdict.OUTDATED


def test_after_the_desk_called_the_holder_goes_on():
    standing = held()
    silent = stands(reporter.not_helped(standing, NOW), standing)

    outcome = by_desk.called_holder(silent, after(50))

    assert outcome.case.next_step.actor == "school"
    assert outcome.case.next_step.action is NextAction.HANDLE
    assert outcome.case.step_since == after(50)
    agrees(outcome)
    assert by_desk.called_holder(standing, NOW).verdict is Verdict.OUTDATED
    assert by_desk.called_holder(stands(first()), NOW).verdict is Verdict.OUTDATED


def test_the_time_of_what_is_not_brought_by_the_desk_stays_as_it_was():
    standing = stands(first())
    outcome = by_desk.handed_over(standing, live(standing), LETTER, after(50))
    assert outcome.referrals[0].accepted_by == after(480)


@pytest.mark.parametrize("outcome", list(CompletedAs))
def test_the_desk_ends_what_rests_with_it_by_an_outcome_and_never_by_silence(outcome):
    standing = stands(first(Mode.SIGNAL, "inspectie"))

    ended = by_desk.ended(standing, outcome, NOW)

    if outcome in {CompletedAs.NOT_HELPED, CompletedAs.NO_CONTACT}:
        assert ended.verdict is Verdict.ILLEGAL
        assert ended.case == standing.case
        return
    cancelled, closed = ended.events
    assert cancelled.status is Status.CANCELLED
    assert closed.outcome is outcome
    withdrawn = outcome is CompletedAs.WITHDRAWN
    assert closed.because is (ClosedBecause.WITHDRAWN if withdrawn else ClosedBecause.COMPLETED)
    assert (ended.case.open, ended.case.holder, ended.case.handoff) == (False, DESK, 0)
    agrees(ended)
    left = stands(ended, standing)
    assert by_desk.ended(left, outcome, NOW).verdict is Verdict.DUPLICATE


@pytest.mark.parametrize(
    "make", [found, lambda: stands(reporter.withdrawn(held(urgency="acuut"), NOW))]
)
def test_the_desk_ends_a_finding_that_is_settled_and_a_withdrawal_that_was_judged(make):
    outcome = by_desk.ended(make(), CompletedAs.WITHDRAWN, NOW)
    assert not outcome.case.open
    agrees(outcome)


@pytest.mark.parametrize("make", [held, onward, lambda: stands(first())])
def test_the_desk_ends_nothing_that_somebody_has_or_is_asked(make):
    standing = make()
    outcome = by_desk.ended(standing, CompletedAs.HELPED, NOW)
    assert outcome.verdict is Verdict.BUSY
    assert outcome.case == standing.case


def test_after_the_desk_reached_the_reporter_the_holder_goes_on():
    unreached = go(held(), Answer.NO_CONTACT)
    assert by_desk.called_holder(unreached, NOW).case.next_step.actor == "school"


def test_who_is_reached_by_phone_is_reminded_through_the_desk():
    standing = stands(first(channel=Channel.DESK))
    how = HandedOver(HandOverBy.PHONE)
    standing = stands(by_desk.handed_over(standing, standing.request, how, NOW), standing)
    moment = standing.case.timer_at

    outcome = escalation.tick(standing, moment)

    [told] = outcome.events
    assert (told.actor, told.action) == (DESK, NextAction.CALL_HOLDER)
    assert outcome.feed == (), "nobody reads a feed there"
