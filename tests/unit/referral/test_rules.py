from dataclasses import replace
from uuid import uuid4

import pytest

from contracts.referral import (
    DESK,
    Answer,
    AnswerRefused,
    BusinessStatus,
    CaseAtDesk,
    DeclineReason,
    DeskReason,
    NextAction,
    RedecisionRequested,
    ReferralOffer,
    ReferralOffered,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Status,
)
from contracts.routing import Mode
from services.referral import announce, rules
from services.referral.domain import OPEN, Channel, Verdict, WhoMustAct
from tests.unit.referral.builders import (
    NOW,
    after,
    answered,
    assigned,
    first,
    in_status,
    offering,
)

R, A, J = Answer.RECEIVED, Answer.ACCEPTED, Answer.REJECTED
APPLIED, DUPLICATE, ILLEGAL = Verdict.APPLIED, Verdict.DUPLICATE, Verdict.ILLEGAL
EXPIRED, WITHDRAWN = Verdict.EXPIRED, Verdict.WITHDRAWN
TABLE = {
    Status.REQUESTED: {R: APPLIED, A: APPLIED, J: APPLIED},
    Status.RECEIVED: {R: DUPLICATE, A: APPLIED, J: APPLIED},
    Status.ACCEPTED: {R: DUPLICATE, A: DUPLICATE, J: ILLEGAL},
    Status.IN_PROGRESS: {R: DUPLICATE, A: DUPLICATE, J: ILLEGAL},
    Status.ON_HOLD: {R: DUPLICATE, A: DUPLICATE, J: ILLEGAL},
    Status.COMPLETED: {R: DUPLICATE, A: DUPLICATE, J: ILLEGAL},
    Status.REJECTED: {R: DUPLICATE, A: ILLEGAL, J: DUPLICATE},
    Status.FAILED: {R: EXPIRED, A: EXPIRED, J: EXPIRED},
    Status.CANCELLED: {R: WITHDRAWN, A: WITHDRAWN, J: WITHDRAWN},
    Status.ENTERED_IN_ERROR: {R: WITHDRAWN, A: WITHDRAWN, J: WITHDRAWN},
}
PAIRS = [(status, said, TABLE[status][said]) for status in Status for said in Answer]


@pytest.mark.parametrize(("status", "said", "verdict"), PAIRS)
def test_every_pair_of_status_and_answer(status, said, verdict):
    case, referral = in_status(status)

    outcome = rules.answer(case, referral, answered(referral, said), NOW)

    assert outcome.verdict is verdict
    if verdict is APPLIED:
        assert outcome.referrals[0].status.value == said.value
    else:
        assert outcome.case == case
        assert not outcome.referrals
        assert not outcome.events


@pytest.mark.parametrize(
    ("status", "said"),
    [(s, a) for s, a, v in PAIRS if v not in {APPLIED, DUPLICATE} and s not in
     {Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD}],
)  # fmt: skip
def test_a_late_answer_tells_when_another_holds_the_case(status, said):
    case, referral = in_status(status, holder="bevoegd_gezag")
    event = answered(referral, said)

    outcome = rules.answer(case, referral, event, NOW)
    refused = announce.refusal(event, outcome.verdict, case, referral, NOW)

    assert outcome.verdict is Verdict.HELD_BY_OTHER
    assert refused.problem == "held-by-other"
    assert refused.status is status
    assert refused.who_must_act == "partner"


def test_an_offer_leaves_the_desk_holder_and_names_who_acts_when():
    outcome = first()

    [offered] = outcome.events
    [item] = outcome.feed
    assert isinstance(offered, ReferralOffered)
    assert (offered.holder, offered.handoff, offered.attempt) == (DESK, 0, 1)
    assert offered.next_step.actor == "school"
    assert offered.next_step.action is NextAction.ACKNOWLEDGE
    assert offered.next_step.due_at == after(60)
    assert isinstance(item.event, ReferralOffer)
    assert item.organisation == "school"
    assert item.event.accepted_by == after(480)
    assert item.event.first_received_at == NOW


@pytest.mark.parametrize(
    ("mode", "organisation", "channel", "reason", "action"),
    [
        (Mode.SHOW, "hulpdiensten_112", Channel.KAFKA, DeskReason.SHOWN_ONLY, "ask-reporter"),
        (Mode.DESK, DESK, None, DeskReason.NO_COMPETENT_PARTY, "find-party"),
        (Mode.REFER, "lkc", None, DeskReason.NO_CHANNEL, "find-party"),
        (Mode.SIGNAL, "inspectie", None, DeskReason.NO_CHANNEL, "find-party"),
        (Mode.REFER, DESK, Channel.INBOX, DeskReason.NO_COMPETENT_PARTY, "find-party"),
    ],
)
def test_what_goes_to_the_desk(mode, organisation, channel, reason, action):
    event = assigned(organisation, mode=mode)

    outcome = rules.assign(None, None, event, offering(channel), NOW)

    [at_desk] = outcome.events
    assert isinstance(at_desk, CaseAtDesk)
    assert at_desk.reason is reason
    assert at_desk.holder == at_desk.next_step.actor == DESK
    assert at_desk.next_step.action == action
    assert not outcome.referrals
    assert not outcome.feed
    assert outcome.case.desk_reason is reason


def test_a_signal_is_offered_but_the_reporter_is_asked():
    outcome = first(Mode.SIGNAL, "inspectie")

    offered, at_desk = outcome.events
    assert offered.signal
    assert at_desk.reason is DeskReason.NO_FEEDBACK_PARTY
    assert offered.next_step == at_desk.next_step
    assert at_desk.next_step.action is NextAction.ASK_REPORTER
    assert outcome.case.who_must_act is WhoMustAct.REPORTER
    assert outcome.referrals[0].due_at is None
    assert outcome.feed[0].event.signal


def test_a_received_signal_leaves_the_next_step_with_the_desk_but_an_accept_is_proof():
    start = first(Mode.SIGNAL, "inspectie")
    case, referral = start.case, start.referrals[0]

    received = rules.answer(case, referral, answered(referral, R), NOW)
    accepted = rules.answer(received.case, received.referrals[0], answered(referral, A), NOW)

    assert received.case.next_step == case.next_step
    assert accepted.case.holder == "inspectie"
    assert accepted.case.desk_reason is None


def test_a_signal_gives_way_to_a_newer_decision():
    start = first(Mode.SIGNAL, "inspectie")
    event = assigned("school", number=2, case_id=start.case.case_id)

    outcome = rules.assign(start.case, start.referrals[0], event, offering(), NOW)

    cancelled, offered = outcome.referrals
    assert cancelled.status is Status.CANCELLED
    assert (offered.attempt, offered.organisation) == (2, "school")
    assert [type(e) for e in outcome.events] == [ReferralStatusChanged, ReferralOffered]
    assert [type(i.event) for i in outcome.feed] == [ReferralWithdrawn, ReferralOffer]
    assert [i.organisation for i in outcome.feed] == ["inspectie", "school"]


def test_received_gives_the_term_to_decide():
    case, referral = in_status(Status.REQUESTED)

    outcome = rules.answer(case, referral, answered(referral, R), after(5))

    assert outcome.case.holder == DESK
    assert outcome.case.next_step.action is NextAction.DECIDE
    assert outcome.case.next_step.due_at == after(480)
    assert outcome.referrals[0].received_at == after(5)


def test_accept_changes_the_holder_once_and_implies_receipt():
    case, referral = in_status(Status.REQUESTED)

    outcome = rules.answer(case, referral, answered(referral, A), after(5))

    [changed] = outcome.events
    assert (changed.holder, changed.handoff) == ("school", 1)
    assert changed.next_step.action is NextAction.HANDLE
    assert outcome.referrals[0].received_at == outcome.referrals[0].accepted_at == after(5)
    again = rules.answer(outcome.case, outcome.referrals[0], answered(referral, A), after(6))
    assert again.verdict is DUPLICATE
    assert again.case.handoff == 1


def test_first_decline_asks_routing_and_second_goes_to_the_desk():
    case, referral = in_status(Status.REQUESTED)

    declined = rules.answer(case, referral, answered(referral, J), NOW)
    changed, redecision = declined.events
    assert changed.business_status is BusinessStatus.RETURNED
    assert changed.reason is DeclineReason.CAPACITY
    assert isinstance(redecision, RedecisionRequested)
    assert redecision.excluded == ("school",)
    assert redecision.decision_number == 2
    assert redecision.reason == "capacity"
    assert redecision.next_step.actor == DESK
    assert redecision.next_step.action is NextAction.ASSIGN

    event = assigned("bevoegd_gezag", number=2, case_id=case.case_id)
    again = rules.assign(declined.case, None, event, offering(), NOW)
    second = rules.answer(again.case, again.referrals[0], answered(again.referrals[0], J), NOW)
    assert again.referrals[0].attempt == 2
    assert [type(e) for e in second.events] == [ReferralStatusChanged, CaseAtDesk]
    assert second.case.desk_reason is DeskReason.SECOND_RETURN
    assert second.case.returned_by == ("school", "bevoegd_gezag")
    late = rules.assign(
        second.case, None, assigned(DESK, number=3, mode=Mode.DESK, case_id=case.case_id),
        offering(None), NOW,
    )  # fmt: skip
    assert late.case.desk_reason is DeskReason.SECOND_RETURN


def test_routing_cannot_send_a_case_in_a_circle():
    case, referral = in_status(Status.REQUESTED)
    declined = rules.answer(case, referral, answered(referral, J), NOW)

    event = assigned("school", number=2, case_id=case.case_id)
    outcome = rules.assign(declined.case, None, event, offering(), NOW)

    assert not outcome.referrals
    assert outcome.case.desk_reason is DeskReason.NO_COMPETENT_PARTY


@pytest.mark.parametrize(("status", "minutes"), [(Status.REQUESTED, 60), (Status.RECEIVED, 480)])
def test_silence_expires_at_the_due_time_and_not_before(status, minutes):
    case, referral = in_status(status)

    assert rules.expire(case, referral, after(minutes - 1)).verdict is ILLEGAL
    outcome = rules.expire(case, referral, after(minutes))

    changed, redecision = outcome.events
    assert changed.status is Status.FAILED
    assert changed.business_status is BusinessStatus.TERM_EXPIRED
    assert redecision.reason == "term-expired"
    assert isinstance(outcome.feed[0].event, ReferralWithdrawn)
    failed = outcome.referrals[0]
    assert rules.expire(outcome.case, failed, after(minutes)).verdict is ILLEGAL
    late = rules.answer(outcome.case, failed, answered(referral, A), after(minutes))
    assert late.verdict is EXPIRED


def test_second_silence_goes_to_the_desk():
    case, referral = in_status(Status.REQUESTED)
    once = replace(case, returns=1, returned_by=("lkc",))

    outcome = rules.expire(once, referral, after(60))

    assert outcome.events[1].reason is DeskReason.TERM_EXPIRED


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN])
def test_only_an_open_referral_expires(status):
    case, referral = in_status(status)
    assert rules.expire(case, referral, after(100_000)).verdict is ILLEGAL


def test_decisions_that_are_old_or_meet_an_open_request_change_nothing():
    start = first()
    case, referral = start.case, start.referrals[0]
    again = assigned(number=1, case_id=case.case_id)
    newer = assigned("lkc", number=2, case_id=case.case_id)
    held, holding = in_status(Status.ACCEPTED)

    assert rules.assign(case, referral, again, offering(), NOW).verdict is Verdict.OUTDATED
    assert rules.assign(case, referral, newer, offering(), NOW).verdict is Verdict.BUSY
    assert rules.assign(held, holding, newer, offering(), NOW).verdict is Verdict.BUSY


@pytest.mark.parametrize(
    ("changes", "text", "verdict"),
    [
        ({"reason": None}, True, Verdict.REASON_MISSING),
        ({"reason": "other"}, False, Verdict.TEXT_MISSING),
        ({"reason": "other"}, True, APPLIED),
        ({"attempt": 2}, True, Verdict.WRONG_ATTEMPT),
    ],
)
def test_what_a_decline_must_hold(changes, text, verdict):
    case, referral = in_status(Status.REQUESTED)
    event = answered(referral, J, **changes)
    assert rules.answer(case, referral, event, NOW, text_given=text).verdict is verdict


@pytest.mark.parametrize("status", list(Status))
def test_the_meldpunt_takes_back_what_has_not_ended(status):
    case, referral = in_status(status)

    outcome = rules.withdraw(case, referral, NOW)

    if referral.closed_at is None and status in OPEN | {
        Status.ACCEPTED,
        Status.IN_PROGRESS,
        Status.ON_HOLD,
    }:
        assert outcome.referrals[0].status is Status.CANCELLED
        assert outcome.case.holder == DESK
        assert outcome.case.handoff == (0 if status in OPEN else 2)
        assert outcome.case.next_step.action is NextAction.ASSIGN
        assert isinstance(outcome.feed[0].event, ReferralWithdrawn)
    else:
        assert outcome.verdict is DUPLICATE
        assert outcome.case == case


def test_of_a_strange_referral_nothing_is_told():
    _, referral = in_status(Status.ACCEPTED)
    event = answered(referral, A, referral_id=uuid4())

    refused = announce.refusal(event, Verdict.UNKNOWN_REFERRAL, None, None, NOW)

    assert isinstance(refused, AnswerRefused)
    assert refused.status is Status.ENTERED_IN_ERROR
    assert refused.problem == "unknown-referral"
