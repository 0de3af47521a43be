"""The small steps of which every rule is made: a status, a next step, a rest at the desk. Pure.

Every change of a referral's status goes through `moved`, which knows the table of transitions;
every change of who acts next goes through `stepped`, which sets the timer that belongs to it.
"""

from datetime import datetime, timedelta
from typing import Any

from contracts.referral import (
    DESK,
    BusinessStatus,
    ClosedBecause,
    CompletedAs,
    DeskReason,
    NextAction,
    NextStep,
    Status,
)
from contracts.situation import Urgency
from services.referral import announce
from services.referral.domain import (
    HOLDING,
    RETURNS_MAX,
    TRANSITIONS,
    Case,
    IllegalTransition,
    Outcome,
    Referral,
    Verdict,
)
from services.referral.reminding import first_timer

# No law sets these; they are what a reporter may expect, in clock minutes.
_FIND_PARTY_MINUTES = {Urgency.ACUUT: 15, Urgency.SPOED: 240, Urgency.NORMAAL: 1440}
_ASK_REPORTER_MINUTES = {Urgency.ACUUT: 60, Urgency.SPOED: 1440, Urgency.NORMAAL: 10_080}
_HANDLE_MINUTES = {Urgency.ACUUT: 1440, Urgency.SPOED: 10_080, Urgency.NORMAAL: 40_320}
# A committee has given its decision; the finding itself follows on paper.
_CHECK_FINDING_MINUTES = 14 * 1440
# Routing answers within seconds; when it does not, the desk assigns by hand.
REDECIDE_MINUTES = 15
_ASKING = {
    DeskReason.SHOWN_ONLY,
    DeskReason.NO_FEEDBACK_PARTY,
    DeskReason.NO_CONTACT,
}


def stepped(case: Case, step: NextStep | None, now: datetime, **changes: Any) -> Case:
    """The case with another next step; its timer and reminders begin anew.

    `changes` are of other fields; the timer takes the urgency and the limits that the case has.
    """
    timer_at = None if step is None else first_timer(case, step, now)
    return case._replace(
        next_step=step,
        step_since=now,
        reminders=0,
        changed_at=now,
        timer_at=timer_at,
        **changes,
    )


def left_out(case: Case, organisation: str) -> Case:
    """The case with one more organisation that does not get it again."""
    every = dict.fromkeys((*case.returned_by, organisation))
    return case._replace(returned_by=tuple(every))


def handled_by(case: Case, organisation: str, now: datetime, **changes: Any) -> Case:
    """The holder acts next: it handles the case."""
    due_at = now + timedelta(minutes=_HANDLE_MINUTES[case.urgency])
    step = NextStep(actor=organisation, action=NextAction.HANDLE, due_at=due_at)
    return stepped(case, step, now, **changes)


def desk_step(urgency: Urgency, action: NextAction, now: datetime) -> NextStep:
    """A next step of the desk, with the time that its urgency allows."""
    if action is NextAction.CHECK_FINDING:
        minutes = _CHECK_FINDING_MINUTES
    elif action is NextAction.ASK_REPORTER:
        minutes = _ASK_REPORTER_MINUTES[urgency]
    else:
        minutes = _FIND_PARTY_MINUTES[urgency]
    return NextStep(actor=DESK, action=action, due_at=now + timedelta(minutes=minutes))


def to_desk(case: Case, held: Referral | None) -> Case:
    """The desk is the holder; that is a handoff when an organisation was."""
    if held is None or case.holder == DESK:
        return case
    return case._replace(holder=DESK, handoff=case.handoff + 1)


def at_desk(case: Case, reason: DeskReason, now: datetime) -> Outcome:
    """The case rests at the desk, which must act."""
    match reason:
        case DeskReason.FINDING:
            action = NextAction.CHECK_FINDING
        case DeskReason.WITHDRAWN:
            action = NextAction.JUDGE_WITHDRAWAL
        case DeskReason.TAKEN_BACK | DeskReason.ENTERED_IN_ERROR:
            action = NextAction.ASSIGN
        case _:
            action = NextAction.ASK_REPORTER if reason in _ASKING else NextAction.FIND_PARTY
    step = desk_step(case.urgency, action, now)
    case = stepped(case, step, now, desk_reason=reason)
    return Outcome(Verdict.APPLIED, case, events=(announce.at_desk(case, reason, now),))


def closed(
    case: Case, because: ClosedBecause, now: datetime, outcome: CompletedAs | None = None
) -> Outcome:
    """Nobody has to act any more; who had the case last stays its holder."""
    case = stepped(case, None, now, open=False, desk_reason=None)
    event = announce.case_closed(case, because, outcome, now)
    return Outcome(Verdict.APPLIED, case, events=(event,))


def redecide(
    case: Case, why: str, now: datetime, *, proposed: str | None = None, onward: bool = False
) -> Outcome:
    """Routing is asked to decide again without those who had the case."""
    due_at = now + timedelta(minutes=REDECIDE_MINUTES)
    step = NextStep(actor=DESK, action=NextAction.ASSIGN, due_at=due_at)
    case = stepped(case, step, now, desk_reason=None)
    event = announce.redecision(case, why, now, proposed=proposed, onward=onward)
    return Outcome(Verdict.APPLIED, case, events=(event,))


def returned(case: Case, referral: Referral, why: str, now: datetime) -> Outcome:
    """First return: routing decides again. Second: the desk, because a circle helps nobody."""
    case = left_out(case, referral.organisation)
    case = case._replace(returns=case.returns + 1, other_lokets=())
    if case.returns >= RETURNS_MAX:
        expired = referral.business_status is BusinessStatus.TERM_EXPIRED
        rest = at_desk(case, DeskReason.TERM_EXPIRED if expired else DeskReason.SECOND_RETURN, now)
    else:
        rest = redecide(case, why, now, proposed=referral.suggested_organisation)
    changed = announce.status_changed(rest.case, referral, now)
    return rest._replace(referrals=(referral,), events=(changed, *rest.events))


def moved(
    referral: Referral, status: Status, now: datetime, *, business: BusinessStatus | None = None
) -> Referral:
    """The referral in its next status, with the moments that this proves.

    Raises IllegalTransition for a step that the table does not know.
    """
    if status not in TRANSITIONS[referral.status]:
        raise IllegalTransition(f"{referral.status.value} to {status.value}")
    answered = status in {Status.RECEIVED, Status.ACCEPTED, Status.REJECTED}
    return referral._replace(
        status=status,
        business_status=business,
        received_at=referral.received_at or (now if answered else None),
        accepted_at=now if status is Status.ACCEPTED else referral.accepted_at,
        closed_at=now if not TRANSITIONS[status] else None,
        until=None,
        onward_to=referral.onward_to if status in HOLDING else None,
    )


def joined(first: Outcome, *others: Outcome) -> Outcome:
    """Outcomes that follow upon each other; the case, also in every event, is that of the last."""
    every = (first, *others)
    case = every[-1].case
    return Outcome(
        first.verdict,
        case,
        tuple(item for one in every for item in one.referrals),
        tuple(announce.of_case(case, item) for one in every for item in one.events),
        tuple(item for one in every for item in one.feed),
    )
