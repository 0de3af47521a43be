"""What the reporter does with the receipt code."""

from uuid import uuid4

import pytest

from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    REPORTER,
    Answer,
    CaseClosed,
    ClosedBecause,
    DeskReason,
    News,
    NextAction,
    NextStep,
    Status,
)
from contracts.routing import Mode
from services.referral import reporter
from services.referral.domain import Standing, Verdict
from tests.unit.referral.builders import (
    NOW,
    after,
    agrees,
    first,
    found,
    go,
    held,
    in_status,
    onward,
    said,
    stands,
)


@pytest.mark.parametrize("make", [onward, held, lambda: stands(first())])
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


def test_a_finding_stands_also_when_the_report_is_withdrawn():
    standing = found()
    outcome = reporter.withdrawn(standing, NOW)
    assert (outcome.verdict, outcome.case) == (Verdict.OUTDATED, standing.case)


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
