"""What a decision of routing and the first answers do to a case."""

import json

import pytest

from contracts.event import EventInvalid
from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CaseAtDesk,
    DeclineReason,
    DeskReason,
    NextAction,
    RedecisionRequested,
    ReferralAnswered,
    ReferralOffer,
    ReferralOffered,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Status,
)
from contracts.routing import Mode
from services.referral import by_desk, holding, reporter, rules
from services.referral.domain import HOLDING, OPEN, Channel, Verdict, WhoMustAct
from tests.unit.referral.builders import (
    NOW,
    after,
    again,
    agrees,
    answered,
    assigned,
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

R, A, J = Answer.RECEIVED, Answer.ACCEPTED, Answer.REJECTED


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
    outcome = first(mode, organisation, channel)

    [at_desk] = outcome.events
    assert isinstance(at_desk, CaseAtDesk)
    assert at_desk.reason is reason
    assert at_desk.holder == at_desk.next_step.actor == DESK
    assert at_desk.next_step.action == action
    assert not outcome.referrals
    assert not outcome.feed
    assert outcome.case.desk_reason is reason
    assert outcome.case.timer_at == at_desk.next_step.due_at


@pytest.mark.parametrize(
    ("never", "loket"), [(("school",), None), (("school",), "noord"), (("school/noord",), "noord")]
)
def test_whom_the_case_is_about_is_never_offered_it(never, loket):
    outcome = first(never=never, loket=loket)

    assert not outcome.referrals
    assert outcome.case.desk_reason is DeskReason.NO_COMPETENT_PARTY


def test_another_loket_than_the_one_that_it_is_about_may_get_it():
    assert first(never=("school/noord",), loket="zuid").referrals


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
    start = stands(first(Mode.SIGNAL, "inspectie"))

    received = said(start, R)
    accepted = said(stands(received, start), A)

    assert received.case.next_step == start.case.next_step
    assert accepted.case.holder == "inspectie"
    assert accepted.case.desk_reason is None


def test_a_declined_signal_goes_back_to_routing():
    declined = said(stands(first(Mode.SIGNAL, "inspectie")), J)

    assert declined.case.next_step.action is NextAction.ASSIGN
    assert declined.case.returned_by == ("inspectie",)


def test_a_signal_gives_way_to_a_newer_decision():
    start = stands(first(Mode.SIGNAL, "inspectie"))

    outcome = rules.assign(start, again(start, "school"), offering(), NOW)

    cancelled, offered = outcome.referrals
    assert cancelled.status is Status.CANCELLED
    assert (offered.attempt, offered.organisation) == (2, "school")
    assert [type(e) for e in outcome.events] == [ReferralStatusChanged, ReferralOffered]
    assert [type(i.event) for i in outcome.feed] == [ReferralWithdrawn, ReferralOffer]
    assert [i.organisation for i in outcome.feed] == ["inspectie", "school"]
    agrees(outcome)


@pytest.mark.parametrize("mode", [Mode.REFER, Mode.SIGNAL])
def test_what_has_no_channel_is_brought_by_the_desk_before_time_runs(mode):
    outcome = first(mode, "inspectie", Channel.DESK)

    assert outcome.case.next_step.actor == DESK
    assert outcome.case.next_step.action is NextAction.HAND_OVER
    assert outcome.referrals[0].due_at is None
    assert outcome.case.timer_at is not None
    assert not outcome.feed
    agrees(outcome)


def test_received_gives_the_term_to_decide():
    outcome = said(stands(first()), R, after(5))

    assert outcome.case.holder == DESK
    assert outcome.case.next_step.action is NextAction.DECIDE
    assert outcome.case.next_step.due_at == after(480)
    assert outcome.referrals[0].received_at == after(5)


def test_accept_changes_the_holder_once_and_implies_receipt():
    start = stands(first())

    outcome = said(start, A, after(5))

    [changed] = outcome.events
    assert (changed.holder, changed.handoff) == ("school", 1)
    assert changed.next_step.action is NextAction.HANDLE
    assert outcome.referrals[0].received_at == outcome.referrals[0].accepted_at == after(5)
    repeated = said(stands(outcome, start), A, after(6))
    assert repeated.verdict is Verdict.DUPLICATE
    assert repeated.case.handoff == 1


def test_first_decline_asks_routing_and_second_goes_to_the_desk():
    start = stands(first())

    declined = said(start, J, suggested_organisation="bevoegd_gezag")
    changed, redecision = declined.events
    assert changed.business_status is BusinessStatus.RETURNED
    assert changed.reason is DeclineReason.CAPACITY
    assert isinstance(redecision, RedecisionRequested)
    assert redecision.excluded == ("school",)
    assert redecision.decision_number == 2
    assert redecision.reason == "capacity"
    assert redecision.proposed == "bevoegd_gezag"
    assert not redecision.onward
    assert redecision.next_step.actor == DESK
    assert redecision.next_step.action is NextAction.ASSIGN

    waiting = stands(declined, start)
    offered = stands(rules.assign(waiting, again(waiting, "bevoegd_gezag"), offering(), NOW))
    second = said(offered, J)
    assert offered.request.attempt == 2
    assert [type(e) for e in second.events] == [ReferralStatusChanged, CaseAtDesk]
    assert second.case.desk_reason is DeskReason.SECOND_RETURN
    assert second.case.returned_by == ("school", "bevoegd_gezag")
    at_desk = stands(second, offered)
    late = rules.assign(at_desk, again(at_desk, DESK, mode=Mode.DESK), offering(None), NOW)
    assert late.case.desk_reason is DeskReason.SECOND_RETURN


def test_routing_cannot_send_a_case_in_a_circle():
    standing, _ = in_status(Status.REJECTED)

    outcome = rules.assign(standing, again(standing, "school"), offering(), NOW)

    assert not outcome.referrals
    assert outcome.case.desk_reason is DeskReason.NO_COMPETENT_PARTY


def test_a_decision_that_is_old_changes_nothing():
    start = stands(first())
    repeated = assigned(number=1, case_id=start.case.case_id)

    outcome = rules.assign(start, repeated, offering(), NOW)

    assert outcome.verdict is Verdict.OUTDATED
    assert outcome.case == start.case


TOO_LATE = {
    "asked": (lambda: stands(first()), Verdict.BUSY),
    "held": (held, Verdict.BUSY),
    "asked onward": (onward, Verdict.BUSY),
    "closed": (lambda: in_status(Status.COMPLETED)[0], Verdict.OUTDATED),
    "withdrawn, to be judged": (
        lambda: stands(reporter.withdrawn(stands(first(urgency="acuut")), NOW)),
        Verdict.OUTDATED,
    ),
}


@pytest.mark.parametrize("name", TOO_LATE)
def test_of_a_decision_that_comes_too_late_only_the_number_is_noted(name):
    make, verdict = TOO_LATE[name]
    standing = make()
    event = again(standing, "bevoegd_gezag")

    outcome = rules.assign(standing, event, offering(), NOW)

    assert outcome.verdict is verdict
    assert outcome.case == standing.case._replace(decision_number=event.number)
    assert not outcome.referrals
    assert not outcome.events
    assert not outcome.feed


def test_after_a_decision_that_came_too_late_routing_is_asked_with_a_fresh_number():
    """The desk was quicker than routing; when its choice fails, routing must answer again."""
    waiting, _ = in_status(Status.REJECTED)
    chosen = stands(by_desk.assigned(waiting, "lkc", None, offering(), NOW), waiting)
    late = rules.assign(chosen, again(chosen, "bevoegd_gezag"), offering(), NOW)

    noted = chosen._replace(case=late.case._replace(returns=0))
    [redecision] = [e for e in said(noted, J).events if isinstance(e, RedecisionRequested)]

    assert redecision.decision_number == 3


@pytest.mark.parametrize("status", list(Status))
def test_the_meldpunt_takes_back_what_has_not_ended(status):
    standing, referral = in_status(status)

    outcome = rules.withdraw(standing, referral, NOW)

    if status in OPEN | HOLDING:
        assert outcome.referrals[0].status is Status.CANCELLED
        assert outcome.case.holder == DESK
        assert outcome.case.handoff == (0 if status in OPEN else 2)
        assert outcome.case.next_step.action is NextAction.ASSIGN
        assert outcome.case.desk_reason is DeskReason.TAKEN_BACK
        assert isinstance(outcome.feed[0].event, ReferralWithdrawn)
        agrees(outcome)
    else:
        assert outcome.verdict is Verdict.DUPLICATE
        assert outcome.case == standing.case


def test_what_the_reporter_has_hidden_stays_hidden_after_another_decision():
    start = stands(first())
    hidden = stands(reporter.identity_hidden(start, NOW), start)
    declined = go(hidden, J)

    outcome = rules.assign(declined, again(declined, "lkc"), offering(), NOW)

    assert outcome.case.content == (ContentField.NARRATIVE,)
    assert outcome.feed[0].event.content == (ContentField.NARRATIVE,)


def test_the_first_receipt_keeps_counting_whatever_a_later_decision_says():
    declined, _ = in_status(Status.REJECTED)
    event = again(declined, "lkc", received_at=after(500))

    outcome = rules.assign(declined, event, offering(), after(501))

    assert outcome.case.first_received_at == NOW
    assert outcome.feed[0].event.first_received_at == NOW


def test_a_decision_onward_for_a_holder_that_is_gone_makes_routing_decide_anew():
    """The holder gave the case back meanwhile: both questions bore the same number."""
    asked = go(held(), Answer.REFERRED_ONWARD)
    waiting = go(asked, Answer.RETURNED)

    outcome = rules.assign(waiting, again(waiting, "lkc", onward=True), offering(), NOW)

    [redecision] = outcome.events
    assert redecision.decision_number == 3
    assert not redecision.onward
    assert redecision.excluded == ("school",)
    assert not outcome.referrals


@pytest.mark.parametrize("back", ["returned", "taken"])
def test_a_late_decision_does_not_overrule_people_who_look_for_a_party(back):
    """Routing was slow, the desk assigned by hand, and that came to nothing."""
    declined = go(stands(first()), Answer.REJECTED)
    by_hand = by_desk.assigned(declined, "lkc", None, offering(), after(20))
    asked = stands(by_hand, declined)
    if back == "returned":
        people = go(asked, Answer.REJECTED, after(30))
    else:
        people = stands(rules.withdraw(asked, live(asked), after(30)), asked)
    assert people.case.desk_reason is not None

    late = rules.assign(people, again(people, "inspectie"), offering(), after(60))

    assert (late.verdict, late.referrals, late.feed) == (Verdict.OUTDATED, (), ())
    assert late.case.decision_number == people.case.decision_number + 1
    assert late.case.next_step == people.case.next_step


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
@pytest.mark.parametrize("name", ["until", "at"])
def test_a_moment_at_the_end_of_the_calendar_breaks_the_contract_and_is_no_defect(name, moment):
    event = answered(live(held()), Answer.ON_HOLD, until=after(600))
    sent = json.loads(event.encode()) | {name: moment}
    with pytest.raises(EventInvalid, match=f"{name}: value_error"):
        ReferralAnswered.parse(json.dumps(sent).encode())


def test_a_holder_that_loses_the_reporter_again_is_heard():
    lost = go(held(), Answer.NO_CONTACT)
    assert said(lost, Answer.NO_CONTACT).verdict is Verdict.DUPLICATE
    found = stands(by_desk.called_holder(lost, after(30)), lost)
    assert found.case.next_step.actor == "school"

    again_lost = said(found, Answer.NO_CONTACT, after(60))

    assert again_lost.verdict is Verdict.APPLIED
    assert again_lost.case.next_step.action is NextAction.ASK_REPORTER


def test_a_refusal_onward_for_a_holder_that_is_gone_is_outdated():
    waiting = go(go(held(), Answer.REFERRED_ONWARD), Answer.RETURNED)

    assert holding.onward_refused(waiting, "unknown", NOW).verdict is Verdict.OUTDATED


def test_the_live_referral_of_a_case_is_the_one_that_was_offered():
    start = stands(first())
    assert live(start).attempt == start.case.attempts == 1
