"""What a holder says, and a case that it refers onward: one holder through every path (P2)."""

import pytest

from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    CaseNews,
    ClosedBecause,
    DeclineReason,
    DeskReason,
    News,
    NextAction,
    RedecisionRequested,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Status,
)
from contracts.situation import Kind
from services.referral import by_desk, escalation, holding, rules
from services.referral.domain import Channel, Verdict, WhoMustAct
from tests.unit.referral.builders import (
    NOW,
    UNTIL,
    after,
    again,
    agrees,
    go,
    held,
    in_status,
    offering,
    onward,
    reach,
    said,
    stands,
)

WEEK = 10_080


def test_progress_renews_the_time_and_keeps_the_holder():
    standing = held()

    outcome = said(standing, Answer.IN_PROGRESS, after(100))

    assert outcome.referrals[0].status is Status.IN_PROGRESS
    assert outcome.case.next_step.due_at == after(100 + WEEK)
    assert (outcome.case.holder, outcome.case.handoff) == ("school", 1)
    repeated = said(stands(outcome, standing), Answer.IN_PROGRESS, after(200))
    assert repeated.verdict is Verdict.APPLIED
    assert repeated.case.next_step.due_at == after(200 + WEEK)
    assert repeated.case.reminders == 0


def test_progress_after_no_contact_and_on_hold_takes_both_away():
    standing = go(go(held(), Answer.ON_HOLD), Answer.NO_CONTACT)

    outcome = said(standing, Answer.IN_PROGRESS)

    working = outcome.referrals[0]
    assert (working.status, working.business_status, working.until) == (
        Status.IN_PROGRESS,
        None,
        None,
    )


def test_an_on_hold_names_its_date_and_stays_with_the_holder():
    outcome = said(held(), Answer.ON_HOLD)

    [changed] = outcome.events
    assert changed.until == outcome.case.next_step.due_at == UNTIL
    assert outcome.case.next_step.actor == outcome.case.holder == "school"
    assert outcome.case.timer_at < UNTIL


def test_no_contact_makes_the_desk_ask_and_leaves_the_holder():
    outcome = said(held(), Answer.NO_CONTACT)

    case, referral = outcome.case, outcome.referrals[0]
    assert (referral.status, referral.business_status) == (
        Status.ON_HOLD,
        BusinessStatus.NO_CONTACT,
    )
    assert case.holder == "school"
    assert case.next_step.actor == DESK
    assert case.next_step.action is NextAction.ASK_REPORTER
    assert case.who_must_act is WhoMustAct.REPORTER


@pytest.mark.parametrize(
    ("outcome", "kind", "reason"),
    [
        ("helped", Kind.KLACHT, None),
        ("advised", Kind.HULPVRAAG, None),
        ("mediated", Kind.KLACHT, None),
        ("informed", Kind.MELDING, None),
        ("withdrawn", Kind.KLACHT, None),
        ("decided", Kind.MELDING, None),
        ("decided", Kind.KLACHT, DeskReason.FINDING),
        ("not-helped", Kind.MELDING, DeskReason.NOT_HELPED),
        ("no-contact", Kind.KLACHT, DeskReason.NO_CONTACT),
    ],
)
def test_each_end_closes_the_case_or_brings_it_to_the_desk(outcome, kind, reason):
    decision = "upheld" if outcome == "decided" else None

    ended = said(held(kind_at_primary=kind), Answer.COMPLETED, outcome=outcome, decision=decision)

    changed, last = ended.events
    assert changed.status is Status.COMPLETED
    assert changed.outcome == outcome
    assert changed.decision == decision
    agrees(ended)
    if reason is None:
        assert isinstance(last, CaseClosed)
        assert last.because is ClosedBecause.COMPLETED
        assert last.outcome == outcome
        assert (ended.case.holder, ended.case.handoff) == ("school", 1)
        assert not ended.case.open
    else:
        assert isinstance(last, CaseAtDesk)
        assert last.reason is ended.case.desk_reason is reason
        assert (ended.case.holder, ended.case.handoff) == (DESK, 2)


def test_a_closed_case_is_changed_by_no_late_answer():
    standing, done = in_status(Status.COMPLETED)
    for says in Answer:
        outcome = said(standing, says, after(5), referral=done)
        assert outcome.verdict in {Verdict.DUPLICATE, Verdict.ILLEGAL}
        assert outcome.case == standing.case


def test_a_return_counts_and_names_the_better_party():
    outcome = said(held(), Answer.RETURNED, suggested_organisation="lkc")

    changed, redecision = outcome.events
    assert (changed.status, changed.business_status) == (Status.FAILED, BusinessStatus.RETURNED)
    assert changed.reason is DeclineReason.NOT_ELIGIBLE
    assert redecision.proposed == "lkc"
    assert redecision.excluded == ("school",)
    assert (outcome.case.holder, outcome.case.handoff, outcome.case.returns) == (DESK, 2, 1)
    agrees(outcome)


def test_the_second_return_is_for_people_also_when_it_was_held():
    declined, _ = in_status(Status.REJECTED)
    asked = stands(rules.assign(declined, again(declined, "lkc"), offering(), NOW), declined)

    outcome = said(go(asked, Answer.ACCEPTED), Answer.RETURNED)

    assert outcome.case.desk_reason is DeskReason.SECOND_RETURN


def test_entered_in_error_brings_the_case_to_the_desk():
    outcome = said(held(), Answer.ENTERED_IN_ERROR)

    assert outcome.referrals[0].status is Status.ENTERED_IN_ERROR
    assert outcome.case.desk_reason is DeskReason.ENTERED_IN_ERROR
    assert (outcome.case.holder, outcome.case.handoff) == (DESK, 2)
    assert outcome.case.next_step.action is NextAction.ASSIGN
    assert outcome.case.open
    agrees(outcome)


def test_a_holder_that_refers_onward_stays_holder_and_routing_is_asked():
    outcome = said(held(), Answer.REFERRED_ONWARD)

    changed, redecision = outcome.events
    assert (changed.status, changed.business_status) == (
        Status.ACCEPTED,
        BusinessStatus.REFERRED_ONWARD,
    )
    assert changed.onward_to == redecision.proposed == "lkc"
    assert redecision.onward
    assert (redecision.holder, redecision.handoff) == ("school", 1)
    agrees(outcome)


def test_routing_agrees_and_the_holder_is_told():
    standing = onward()

    assert standing.case.holder == "school"
    assert standing.request.onward_of == standing.holding.referral_id
    assert standing.case.next_step.actor == "lkc"
    assert standing.case.next_step.action is NextAction.ACKNOWLEDGE


def test_what_routing_agrees_with_is_news_for_the_holder():
    standing = go(held(), Answer.REFERRED_ONWARD)

    outcome = rules.assign(standing, again(standing, "lkc", onward=True), offering(), NOW)

    offer, news = outcome.feed
    assert (offer.organisation, news.organisation) == ("lkc", "school")
    assert (news.event.news, news.event.other) == (News.ONWARD_OFFERED, "lkc")


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (lambda s: holding.onward_refused(s, "not-competent", NOW), "not-competent"),
        (
            lambda s: rules.assign(s, again(s, "lkc", onward=True), offering(None), NOW),
            "switched-off",
        ),
        (
            lambda s: rules.assign(
                s, again(s, "lkc", onward=True, never=("lkc",)), offering(), NOW
            ),
            "accused-party",
        ),
        (
            lambda s: rules.assign(
                s,
                again(s, "lkc", onward=True, never=("lkc/noord",), loket="noord"),
                offering(),
                NOW,
            ),
            "accused-party",
        ),
    ],
)
def test_a_holder_that_may_not_refer_onward_keeps_the_case_and_is_told_why(case, problem):
    standing = go(held(), Answer.REFERRED_ONWARD)

    outcome = case(standing)

    [item] = outcome.feed
    assert (item.event.news, item.event.problem) == (News.ONWARD_REFUSED, problem)
    [kept] = outcome.referrals
    assert (kept.status, kept.business_status, kept.onward_to) == (Status.ACCEPTED, None, None)
    assert (outcome.case.holder, outcome.case.handoff) == ("school", 1)
    assert outcome.case.next_step.action is NextAction.HANDLE
    agrees(outcome)
    once_more = said(
        stands(outcome, standing), Answer.REFERRED_ONWARD, suggested_organisation="inspectie"
    )
    assert once_more.verdict is Verdict.APPLIED


def test_the_next_accepts_and_only_then_is_the_holder_done():
    standing = onward()
    received = go(standing, Answer.RECEIVED)
    assert received.case.holder == "school"

    outcome = said(received, Answer.ACCEPTED)

    done, taken = outcome.referrals
    assert (done.status, done.business_status) == (
        Status.COMPLETED,
        BusinessStatus.REFERRED_ONWARD,
    )
    assert taken.status is Status.ACCEPTED
    assert (outcome.case.holder, outcome.case.handoff) == ("lkc", 2)
    assert outcome.case.returns == 0
    [item] = outcome.feed
    assert isinstance(item.event, ReferralWithdrawn)
    assert item.organisation == "school"
    agrees(outcome)


def test_a_case_that_was_passed_on_never_comes_back_by_the_same_way():
    standing = onward()
    taken = go(standing, Answer.ACCEPTED)

    outcome = said(taken, Answer.REFERRED_ONWARD, suggested_organisation="school")

    assert outcome.verdict is Verdict.LOOP
    assert outcome.case == taken.case


def test_only_one_referral_onward_at_a_time():
    pending = go(held(), Answer.REFERRED_ONWARD)
    other = {"suggested_organisation": "inspectie"}

    assert said(pending, Answer.REFERRED_ONWARD, **other).verdict is Verdict.BUSY
    asked = onward()
    outcome = said(asked, Answer.REFERRED_ONWARD, referral=asked.holding, **other)
    assert outcome.verdict is Verdict.BUSY


ENDS = {
    "declined": (lambda s: said(s, Answer.REJECTED), Status.REJECTED, "capacity"),
    "silent": (
        lambda s: escalation.expire(s, s.request, reach(Channel.EMAIL), after(60)),
        Status.FAILED,
        "failed",
    ),
    "taken back": (lambda s: rules.withdraw(s, s.request, NOW), Status.CANCELLED, "cancelled"),
    "switched off": (
        lambda s: by_desk.switched_off(s, "lkc", NOW),
        Status.CANCELLED,
        "cancelled",
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_when_the_next_does_not_take_it_the_holder_keeps_it(how):
    do, status, problem = ENDS[how]
    standing = onward()

    outcome = do(standing)

    ended, kept = outcome.referrals
    assert ended.status is status
    assert (kept.referral_id, kept.status) == (standing.holding.referral_id, Status.ACCEPTED)
    assert (kept.business_status, kept.onward_to) == (None, None)
    case = outcome.case
    assert (case.holder, case.handoff, case.returns) == ("school", 1, 0)
    assert "lkc" in case.returned_by
    assert case.next_step.actor == "school"
    [news] = [i.event for i in outcome.feed if isinstance(i.event, CaseNews)]
    assert (news.organisation, news.other) == ("school", "lkc")
    assert (news.news, news.problem) == (News.ONWARD_DECLINED, problem)
    agrees(outcome)
    after_all = stands(outcome, standing)
    assert said(after_all, Answer.REFERRED_ONWARD).verdict is Verdict.LOOP


HOLDER_ENDS = {
    "completed": (lambda s: _of_holder(s, Answer.COMPLETED), "school", False),
    "not helped": (lambda s: _of_holder(s, Answer.COMPLETED, outcome="not-helped"), DESK, True),
    "returned": (lambda s: _of_holder(s, Answer.RETURNED), DESK, True),
    "entered in error": (lambda s: _of_holder(s, Answer.ENTERED_IN_ERROR), DESK, True),
    "taken back": (lambda s: rules.withdraw(s, s.holding, NOW), DESK, True),
}


def _of_holder(standing, says, **changes):
    return said(standing, says, referral=standing.holding, **changes)


@pytest.mark.parametrize("how", HOLDER_ENDS)
def test_when_the_holder_ends_meanwhile_what_it_asked_is_taken_back(how):
    do, holder, is_open = HOLDER_ENDS[how]
    standing = onward()

    outcome = do(standing)

    left = stands(outcome, standing)
    assert (left.request, left.holding) == (None, None)
    cancelled = next(i for i in outcome.referrals if i.organisation == "lkc")
    assert cancelled.status is Status.CANCELLED
    assert "lkc" in {i.organisation for i in outcome.feed}
    assert (outcome.case.holder, outcome.case.open) == (holder, is_open)
    assert outcome.case.handoff == (1 if holder == "school" else 2)
    agrees(outcome)
    late = said(left, Answer.ACCEPTED, referral=cancelled)
    assert late.verdict is (Verdict.WITHDRAWN if holder == DESK else Verdict.HELD_BY_OTHER)


def test_two_accepts_race_and_the_slower_is_told_who_has_it():
    """The same attempt from two hands, and an accept of the holder that is no more."""
    standing = onward()
    taken = said(standing, Answer.ACCEPTED)
    left = stands(taken, standing)

    twice = said(left, Answer.ACCEPTED, referral=taken.referrals[1])
    former = said(left, Answer.IN_PROGRESS, referral=taken.referrals[0])

    assert twice.verdict is Verdict.DUPLICATE
    assert former.verdict is Verdict.HELD_BY_OTHER
    assert twice.case == former.case == taken.case


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("says", [Answer.IN_PROGRESS, Answer.ON_HOLD])
def test_the_holder_may_work_on_while_it_refers_onward(says, asked):
    standing = onward() if asked else go(held(), Answer.REFERRED_ONWARD)

    outcome = _of_holder(standing, says)

    kept = outcome.referrals[0]
    assert kept.business_status is BusinessStatus.REFERRED_ONWARD
    assert kept.onward_to == "lkc"
    left = stands(outcome, standing)
    if asked:
        assert go(left, Answer.ACCEPTED).case.holder == "lkc"
    else:
        event = again(left, "lkc", onward=True)
        assert rules.assign(left, event, offering(), NOW).referrals[0].organisation == "lkc"


def test_a_decision_onward_for_another_than_was_asked_is_not_carried_out():
    standing = go(held(), Answer.REFERRED_ONWARD)

    outcome = rules.assign(standing, again(standing, "inspectie", onward=True), offering(), NOW)

    # It used up the number of what was asked, so that is asked again; nobody is offered the case.
    assert not outcome.referrals
    [asks] = outcome.events
    assert isinstance(asks, RedecisionRequested)
    assert (asks.onward, asks.proposed, asks.decision_number) == (True, "lkc", 3)
    assert outcome.case.holder == standing.case.holder


def test_every_event_of_a_decline_is_of_a_known_kind():
    outcome = said(held(), Answer.RETURNED)
    assert [type(e) for e in outcome.events] == [ReferralStatusChanged, RedecisionRequested]
