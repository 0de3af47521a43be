"""What the reporter does with the receipt code, and what the desk does with a case."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    REPORTER,
    Answer,
    CaseAtDesk,
    CaseClosed,
    ClosedBecause,
    DeskReason,
    HandOverBy,
    News,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Status,
)
from contracts.routing import Mode
from contracts.situation import Kind
from services.referral import by_desk, reporter, rules
from services.referral.by_desk import HandedOver
from services.referral.domain import HOLDING, OPEN, Channel, Standing, Verdict
from tests.unit.referral.builders import (
    NOW,
    after,
    agrees,
    first,
    go,
    held,
    in_status,
    live,
    offering,
    onward,
    said,
    stands,
)

PHONE = HandedOver(HandOverBy.PHONE, accepted=True)
LETTER = HandedOver(HandOverBy.LETTER, accepted=False)


def _found(**changes):
    """A complaint on which a committee decided: the case is at the desk for its finding."""
    standing = held(kind_at_primary=Kind.KLACHT, **changes)
    return go(standing, Answer.COMPLETED, outcome="decided", decision="upheld")


@pytest.mark.parametrize("make", [onward, held, lambda: stands(first()), _found])
def test_a_withdrawn_report_ends_every_live_referral_and_the_case(make):
    standing = make()
    lived = [item for item in (standing.request, standing.holding) if item]

    outcome = reporter.withdrawn(standing, NOW)

    assert {item.status for item in outcome.referrals} <= {Status.CANCELLED}
    assert len(outcome.referrals) == len(lived)
    assert {i.organisation for i in outcome.feed} == {i.organisation for i in lived}
    closed = outcome.events[-1]
    assert isinstance(closed, CaseClosed)
    assert closed.because is ClosedBecause.WITHDRAWN
    assert outcome.case.holder == DESK
    assert outcome.case.handoff == standing.case.handoff + (standing.holding is not None)
    agrees(outcome)
    left = stands(outcome, standing)
    assert reporter.withdrawn(left, NOW).verdict is Verdict.DUPLICATE
    for item in outcome.referrals:
        assert said(left, Answer.ACCEPTED, referral=item).verdict is Verdict.WITHDRAWN


@pytest.mark.parametrize("make", [onward, held, lambda **c: stands(first(**c))])
def test_in_acute_danger_people_judge_a_withdrawal_first(make):
    standing = make(urgency="acuut")

    outcome = reporter.withdrawn(standing, NOW)

    case = outcome.case
    assert case.open
    assert (case.holder, case.desk_reason) == (DESK, DeskReason.WITHDRAWN)
    assert case.next_step.action is NextAction.JUDGE_WITHDRAWAL
    assert case.next_step.due_at == after(15)
    assert stands(outcome, standing) == Standing(case)
    agrees(outcome)
    assert reporter.withdrawn(stands(outcome, standing), NOW).verdict is Verdict.DUPLICATE


def test_an_acute_case_at_the_desk_is_judged_too_when_it_is_withdrawn():
    standing = stands(first(Mode.DESK, DESK, urgency="acuut"))
    assert reporter.withdrawn(standing, NOW).case.desk_reason is DeskReason.WITHDRAWN


def test_a_closed_case_cannot_be_withdrawn():
    standing, _ = in_status(Status.COMPLETED)
    assert reporter.withdrawn(standing, NOW).verdict is Verdict.DUPLICATE
    assert reporter.entered_in_error(standing, NOW).verdict is Verdict.DUPLICATE


def test_what_was_no_case_at_all_is_closed_as_such():
    outcome = reporter.entered_in_error(onward(), NOW)

    assert [i.status for i in outcome.referrals] == [Status.ENTERED_IN_ERROR] * 2
    assert outcome.events[-1].because is ClosedBecause.ENTERED_IN_ERROR
    assert not outcome.case.open
    agrees(outcome)


def test_a_question_makes_the_reporter_the_next_and_an_answer_the_holder():
    standing, question = held(), uuid4()

    asked = reporter.asked(standing, standing.holding.referral_id, after(500), NOW)
    waiting = stands(asked, standing)
    answer = reporter.answered(waiting, question, after(10))

    assert waiting.case.next_step == NextStep(
        actor=REPORTER, action=NextAction.ANSWER_QUESTION, due_at=after(500)
    )
    assert waiting.case.holder == "school"
    assert answer.case.next_step.actor == answer.case.holder == "school"
    [item] = answer.feed
    assert (item.event.news, item.event.reference_id) == (News.QUESTION_ANSWERED, question)
    agrees(asked)
    agrees(answer)


def test_an_answer_to_an_older_question_is_news_but_no_new_step():
    standing = held()
    outcome = reporter.answered(standing, uuid4(), after(10))
    assert outcome.case.next_step == standing.case.next_step
    assert len(outcome.feed) == 1


def test_only_the_holder_asks_and_only_a_holder_is_answered():
    asked = onward()
    stranger = asked.request.referral_id
    assert reporter.asked(asked, stranger, after(9), NOW).verdict is Verdict.OUTDATED
    assert reporter.answered(stands(first()), uuid4(), NOW).verdict is Verdict.OUTDATED


def test_a_hidden_identity_is_told_to_who_has_the_case():
    standing = onward()

    outcome = reporter.identity_hidden(standing, NOW)

    assert outcome.case.content == (ContentField.NARRATIVE,)
    assert {i.organisation for i in outcome.feed} == {"school", "lkc"}
    assert {i.event.news for i in outcome.feed} == {News.IDENTITY_HIDDEN}
    assert outcome.case.next_step == standing.case.next_step
    twice = reporter.identity_hidden(stands(outcome, standing), NOW)
    assert twice.verdict is Verdict.DUPLICATE


def test_not_helped_opens_a_closed_case_again_at_the_desk():
    standing, _ = in_status(Status.COMPLETED)

    outcome = reporter.not_helped(standing, NOW)

    assert outcome.case.open
    assert (outcome.case.holder, outcome.case.handoff) == (DESK, 2)
    assert outcome.case.desk_reason is DeskReason.NOT_HELPED
    assert outcome.case.next_step.action is NextAction.FIND_PARTY
    assert outcome.case.timer_at is not None
    agrees(outcome)


def test_not_helped_opens_a_withdrawn_case_without_a_change_of_holder():
    before = held()
    standing = stands(reporter.withdrawn(before, NOW), before)
    outcome = reporter.not_helped(standing, NOW)
    assert (outcome.case.holder, outcome.case.handoff) == (DESK, standing.case.handoff)


def test_not_helped_by_a_holder_makes_the_desk_call_it():
    outcome = reporter.not_helped(held(), NOW)

    assert outcome.case.holder == "school"
    assert outcome.case.next_step.action is NextAction.CALL_HOLDER
    agrees(outcome)


@pytest.mark.parametrize(
    "make",
    [
        lambda: stands(first(Mode.SHOW, "hulpdiensten_112")),
        lambda: stands(first(Mode.SIGNAL, "inspectie")),
        lambda: go(held(), Answer.COMPLETED, outcome="no-contact"),
    ],
)
def test_not_helped_is_the_answer_where_the_desk_was_to_ask(make):
    outcome = reporter.not_helped(make(), NOW)

    assert outcome.case.desk_reason is DeskReason.NOT_HELPED
    assert outcome.case.next_step.action is NextAction.FIND_PARTY
    assert outcome.case.holder == DESK


@pytest.mark.parametrize("make", [lambda: stands(first()), lambda: stands(first(Mode.DESK, DESK))])
def test_not_helped_changes_nothing_where_somebody_is_sought_already(make):
    standing = make()
    outcome = reporter.not_helped(standing, NOW)
    assert outcome.verdict is Verdict.DUPLICATE
    assert outcome.case == standing.case


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
    standing = _found()
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


def test_a_report_of_no_case_is_no_withdrawal_of_a_held_one():
    standing = held()
    outcome = reporter.entered_in_error(standing, NOW)
    assert outcome.case.handoff == 2
    assert replace(outcome.case, open=True) != standing.case
    assert rules.withdraw(stands(outcome, standing), standing.holding, NOW).verdict is (
        Verdict.DUPLICATE
    )
