"""Who holds a case and who acts next: pure functions from a state and an event to an Outcome.

Nothing here reads a clock or makes an id. Every path ends in a case with one holder and, while it
is open, a next step; every change of a referral's status goes through `_moved`, which knows the
table of transitions.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.event import Event
from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    DeskReason,
    NextAction,
    NextStep,
    ReferralAnswered,
    Status,
)
from contracts.routing import CaseAssigned, Mode
from contracts.situation import Urgency
from services.referral import announce, verdicts
from services.referral.domain import (
    HOLDING,
    OPEN,
    RETURNS_MAX,
    TRANSITIONS,
    Case,
    Channel,
    IllegalTransition,
    Outcome,
    Referral,
    Verdict,
)

# No law sets these; they are what a reporter may expect, in clock minutes.
_FIND_PARTY_MINUTES = {Urgency.ACUUT: 15, Urgency.SPOED: 240, Urgency.NORMAAL: 1440}
_ASK_REPORTER_MINUTES = {Urgency.ACUUT: 60, Urgency.SPOED: 1440, Urgency.NORMAAL: 10_080}
_HANDLE_MINUTES = {Urgency.ACUUT: 1440, Urgency.SPOED: 10_080, Urgency.NORMAAL: 40_320}
# Routing answers within seconds; when it does not, the desk assigns by hand.
_REDECIDE_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Offering:
    """What `assign` needs from outside: how the organisation is reached, and an id to give out."""

    channel: Channel | None
    referral_id: UUID


def assign(
    case: Case | None,
    current: Referral | None,
    event: CaseAssigned,
    offering: Offering,
    now: datetime,
) -> Outcome:
    """Apply a decision of routing; `current` is the case's open or holding referral.

    A decision that is not newer is OUTDATED; one that meets an open request or a holder is BUSY.
    A signal gives way, because nobody answers it.
    """
    if case is not None and event.number <= case.decision_number:
        return Outcome(Verdict.OUTDATED, case)
    gives_way = current is not None and current.signal and current.status in OPEN
    if case is not None and current is not None and not gives_way:
        return Outcome(Verdict.BUSY, case)
    opened = _opened(case, event, now)
    withdrawn = () if current is None else (_moved(current, Status.CANCELLED, now),)
    decided = _decided(opened, event, offering, now)
    before = [announce.status_changed(decided.case, item, now) for item in withdrawn]
    return replace(
        decided,
        referrals=(*withdrawn, *decided.referrals),
        events=(*before, *decided.events),
        feed=(*(announce.withdrawn_item(item, now) for item in withdrawn), *decided.feed),
    )


def answer(
    case: Case,
    referral: Referral,
    event: ReferralAnswered,
    now: datetime,
    *,
    text_given: bool = False,
) -> Outcome:
    """Apply a partner's answer, or tell by the verdict why it has no effect.

    The state decides, not the clock: until `expire` has come, an answer counts. DUPLICATE says
    that the state already holds what was answered. `text_given` tells whether the decline came
    with a text, which only the API takes.
    """
    verdict = verdicts.judged(case, referral, event, text_given=text_given)
    if verdict is not Verdict.APPLIED:
        return Outcome(verdict, case)
    match event.answer:
        case Answer.RECEIVED:
            return _received(case, referral, now)
        case Answer.ACCEPTED:
            return _accepted(case, referral, now)
        case Answer.REJECTED:
            return _declined(case, referral, event, now)


def expire(case: Case, referral: Referral, now: datetime) -> Outcome:
    """Silence beyond the due time: the referral fails and the case moves on, as with a decline."""
    if referral.due_at is None or referral.due_at > now:
        return Outcome(Verdict.ILLEGAL, case)
    failed = _moved(referral, Status.FAILED, now, business=BusinessStatus.TERM_EXPIRED)
    outcome = _returned(case, failed, BusinessStatus.TERM_EXPIRED.value, now)
    return replace(outcome, feed=(announce.withdrawn_item(failed, now),))


def withdraw(case: Case, referral: Referral, now: datetime) -> Outcome:
    """The meldpunt takes a referral back; the desk holds the case and must assign it."""
    if referral.status not in OPEN | HOLDING:
        return Outcome(Verdict.DUPLICATE, case)
    cancelled = _moved(referral, Status.CANCELLED, now)
    step = _desk_step(case.urgency, NextAction.ASSIGN, now)
    held = referral.status in HOLDING
    at_desk = replace(
        case,
        holder=DESK if held else case.holder,
        handoff=case.handoff + held,
        next_step=step,
        changed_at=now,
    )
    return Outcome(
        Verdict.APPLIED,
        at_desk,
        (cancelled,),
        (announce.status_changed(at_desk, cancelled, now),),
        (announce.withdrawn_item(cancelled, now),),
    )


def _opened(case: Case | None, event: CaseAssigned, now: datetime) -> Case:
    situation = event.situation.model_dump_json(exclude_none=True)
    if case is None:
        return Case(
            case_id=event.case_id,
            report_id=event.report_id,
            holder=DESK,
            handoff=0,
            decision_id=event.decision_id,
            decision_number=event.number,
            attempts=0,
            returns=0,
            returned_by=(),
            desk_reason=None,
            next_step=None,
            open=True,
            kind=event.kind_at_primary,
            urgency=event.urgency,
            situation=situation,
            content=event.content,
            first_received_at=event.received_at,
            opened_at=now,
            changed_at=now,
        )
    return replace(
        case,
        decision_id=event.decision_id,
        decision_number=event.number,
        kind=event.kind_at_primary,
        urgency=event.urgency,
        situation=situation,
        content=event.content,
        changed_at=now,
    )


def _decided(case: Case, event: CaseAssigned, offering: Offering, now: datetime) -> Outcome:
    match event.mode:
        case Mode.SHOW:
            return _at_desk(case, DeskReason.SHOWN_ONLY, now)
        case Mode.DESK:
            return _at_desk(case, _desk_reason(case), now)
        case Mode.REFER | Mode.SIGNAL:
            if event.organisation == DESK or event.organisation in case.returned_by:
                # Routing would send the case in a circle; people decide.
                return _at_desk(case, _desk_reason(case), now)
            if offering.channel is None:
                return _at_desk(case, DeskReason.NO_CHANNEL, now)
            return _offered(case, event, offering.channel, offering.referral_id, now)


def _desk_reason(case: Case) -> DeskReason:
    repeated = case.returns >= RETURNS_MAX
    return DeskReason.SECOND_RETURN if repeated else DeskReason.NO_COMPETENT_PARTY


def _offered(
    case: Case, event: CaseAssigned, channel: Channel, referral_id: UUID, now: datetime
) -> Outcome:
    limits = event.limits
    referral = Referral(
        referral_id=referral_id,
        case_id=case.case_id,
        attempt=case.attempts + 1,
        organisation=event.organisation,
        loket=event.loket,
        decision_id=event.decision_id,
        signal=event.mode is Mode.SIGNAL,
        status=Status.REQUESTED,
        offered_at=now,
        received_by=now + timedelta(minutes=limits.received_within_minutes),
        accepted_by=now + timedelta(minutes=limits.accepted_within_minutes),
    )
    follow: tuple[Event, ...] = ()
    if referral.signal:
        # Delivered is not picked up (P4): whoever reports nothing back is never the next actor.
        rest = _at_desk(case, DeskReason.NO_FEEDBACK_PARTY, now)
        case, follow = replace(rest.case, attempts=referral.attempt), rest.events
    else:
        step = NextStep(
            actor=referral.organisation, action=NextAction.ACKNOWLEDGE, due_at=referral.received_by
        )
        case = replace(case, attempts=referral.attempt, desk_reason=None, next_step=step)
    offered = announce.offered(case, referral, channel, now)
    return Outcome(
        Verdict.APPLIED,
        case,
        (referral,),
        (offered, *follow),
        (announce.offer_item(referral, event),),
    )


def _received(case: Case, referral: Referral, now: datetime) -> Outcome:
    received = _moved(referral, Status.RECEIVED, now)
    if not referral.signal:
        step = NextStep(
            actor=referral.organisation, action=NextAction.DECIDE, due_at=referral.accepted_by
        )
        case = replace(case, next_step=step, changed_at=now)
    return Outcome(
        Verdict.APPLIED, case, (received,), (announce.status_changed(case, received, now),)
    )


def _accepted(case: Case, referral: Referral, now: datetime) -> Outcome:
    accepted = _moved(referral, Status.ACCEPTED, now)
    due_at = now + timedelta(minutes=_HANDLE_MINUTES[case.urgency])
    step = NextStep(actor=referral.organisation, action=NextAction.HANDLE, due_at=due_at)
    held = replace(
        case,
        holder=referral.organisation,
        handoff=case.handoff + 1,
        desk_reason=None,
        next_step=step,
        changed_at=now,
    )
    return Outcome(
        Verdict.APPLIED, held, (accepted,), (announce.status_changed(held, accepted, now),)
    )


def _declined(case: Case, referral: Referral, event: ReferralAnswered, now: datetime) -> Outcome:
    rejected = replace(
        _moved(referral, Status.REJECTED, now, business=BusinessStatus.RETURNED),
        reason=event.reason,
        suggested_organisation=event.suggested_organisation,
    )
    return _returned(case, rejected, event.reason.value if event.reason else "", now)


def _returned(case: Case, referral: Referral, why: str, now: datetime) -> Outcome:
    """First return: routing decides again. Second: the desk, because a circle helps nobody."""
    case = replace(
        case, returns=case.returns + 1, returned_by=(*case.returned_by, referral.organisation)
    )
    if case.returns >= RETURNS_MAX:
        expired = referral.status is Status.FAILED
        reason = DeskReason.TERM_EXPIRED if expired else DeskReason.SECOND_RETURN
        rest = _at_desk(case, reason, now)
        case, follow = rest.case, rest.events
    else:
        due_at = now + timedelta(minutes=_REDECIDE_MINUTES)
        step = NextStep(actor=DESK, action=NextAction.ASSIGN, due_at=due_at)
        case = replace(case, desk_reason=None, next_step=step, changed_at=now)
        follow = (announce.redecision(case, why, now),)
    changed = announce.status_changed(case, referral, now)
    return Outcome(Verdict.APPLIED, case, (referral,), (changed, *follow))


def _at_desk(case: Case, reason: DeskReason, now: datetime) -> Outcome:
    asks = reason in {DeskReason.SHOWN_ONLY, DeskReason.NO_FEEDBACK_PARTY}
    action = NextAction.ASK_REPORTER if asks else NextAction.FIND_PARTY
    step = _desk_step(case.urgency, action, now)
    case = replace(case, desk_reason=reason, next_step=step, changed_at=now)
    return Outcome(Verdict.APPLIED, case, events=(announce.at_desk(case, reason, now),))


def _desk_step(urgency: Urgency, action: NextAction, now: datetime) -> NextStep:
    asks = action is NextAction.ASK_REPORTER
    minutes = (_ASK_REPORTER_MINUTES if asks else _FIND_PARTY_MINUTES)[urgency]
    return NextStep(actor=DESK, action=action, due_at=now + timedelta(minutes=minutes))


def _moved(
    referral: Referral, status: Status, now: datetime, *, business: BusinessStatus | None = None
) -> Referral:
    """The referral in its next status, with the moments that this proves."""
    if status not in TRANSITIONS[referral.status]:
        raise IllegalTransition(f"{referral.status.value} to {status.value}")
    answered = status in {Status.RECEIVED, Status.ACCEPTED, Status.REJECTED}
    return replace(
        referral,
        status=status,
        business_status=business,
        received_at=referral.received_at or (now if answered else None),
        accepted_at=now if status is Status.ACCEPTED else referral.accepted_at,
        closed_at=now if not TRANSITIONS[status] else None,
    )
