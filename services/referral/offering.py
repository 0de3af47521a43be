"""Decisions of routing as they change a case, and what is asked of whom. Pure.

Every path ends in an offer that is out, or in a case at the desk that says why.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.event import Event
from contracts.limits import limits_due
from contracts.referral import (
    DESK,
    BusinessStatus,
    DeskReason,
    NextAction,
    NextStep,
    Status,
)
from contracts.routing import CaseAssigned, Mode, ProposalProblem
from contracts.situation import Situation
from services.referral import announce, holding
from services.referral.domain import (
    RETURNS_MAX,
    Case,
    Channel,
    Outcome,
    Referral,
    Standing,
    Verdict,
)
from services.referral.moves import at_desk, moved, redecide, stepped


class Offering(NamedTuple):
    """What an offer needs from outside: how the organisation is reached, and an id to give out.

    `channel` is None for an organisation that is switched off.
    """

    channel: Channel | None
    referral_id: UUID


def assign(
    standing: Standing | None, event: CaseAssigned, offering: Offering, now: datetime
) -> Outcome:
    """Apply a decision of routing.

    A decision that is not newer, or of a case that is closed or that a person at the desk has, is
    OUTDATED; one that meets an open request or a holder is BUSY, unless it is the holder that
    refers onward. Of a newer one the number is noted also when it has no effect, because routing
    has used it up. A signal gives way, because nobody answers it.
    """
    if standing is None:
        return _decided(_opened(event, now), event, offering, now)
    case, request = standing.case, standing.request
    if event.number <= case.decision_number:
        return Outcome(Verdict.OUTDATED, case)
    noted = case._replace(decision_number=event.number)
    by_people = case.desk_reason is not None and standing.request is None
    if not case.open or by_people:
        # A case that waits for routing has no such reason. What people judge, follow or look for
        # themselves, no decision from before overrules.
        return Outcome(Verdict.OUTDATED, noted)
    if event.onward:
        return _onward(standing, event, offering, now)
    if standing.holding is not None or (request is not None and not request.signal):
        return _overtaken(standing._replace(case=noted), now)
    withdrawn = () if request is None else (moved(request, Status.CANCELLED, now),)
    decided = _decided(_renewed(case, event, now), event, offering, now)
    before = [announce.status_changed(decided.case, item, now) for item in withdrawn]
    return decided._replace(
        referrals=(*withdrawn, *decided.referrals),
        events=(*before, *decided.events),
        feed=(*(announce.withdrawn_item(item, now) for item in withdrawn), *decided.feed),
    )


def _opened(event: CaseAssigned, now: datetime) -> Case:
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
        situation=event.situation.model_dump_json(exclude_none=True),
        content=event.content,
        first_received_at=event.received_at,
        opened_at=now,
        changed_at=now,
        limits=event.limits,
        other_lokets=event.other_lokets,
        never=event.never,
    )


def _renewed(case: Case, event: CaseAssigned, now: datetime) -> Case:
    return case._replace(
        decision_id=event.decision_id,
        decision_number=event.number,
        kind=event.kind_at_primary,
        urgency=event.urgency,
        situation=event.situation.model_dump_json(exclude_none=True),
        # What the reporter has hidden since stays hidden, whatever an older event says.
        content=tuple(item for item in event.content if item in case.content),
        changed_at=now,
        limits=event.limits,
        other_lokets=event.other_lokets,
        never=event.never,
    )


def _decided(case: Case, event: CaseAssigned, offering: Offering, now: datetime) -> Outcome:
    match event.mode:
        case Mode.SHOW:
            return at_desk(case, DeskReason.SHOWN_ONLY, now)
        case Mode.DESK:
            return at_desk(case, _desk_reason(case), now)
        case Mode.REFER | Mode.SIGNAL:
            barred = event.organisation in case.returned_by or case.refuses(
                event.organisation, event.loket
            )
            if event.organisation == DESK or barred:
                # Routing would send the case in a circle, or to whom it is about; people decide.
                return at_desk(case, _desk_reason(case), now)
            if offering.channel is None:
                return at_desk(case, DeskReason.NO_CHANNEL, now)
            signal = event.mode is Mode.SIGNAL
            return offered(
                case,
                event.organisation,
                event.loket,
                offering,
                now,
                signal=signal,
                situation=event.situation,
            )


def _desk_reason(case: Case) -> DeskReason:
    repeated = case.returns >= RETURNS_MAX
    return DeskReason.SECOND_RETURN if repeated else DeskReason.NO_COMPETENT_PARTY


def _onward(standing: Standing, event: CaseAssigned, offering: Offering, now: datetime) -> Outcome:
    """Routing agrees with the holder's proposal: it is offered, and the holder stays holder."""
    held = standing.holding
    if held is None or held.onward_to != event.organisation or standing.request is not None:
        noted = standing.case._replace(decision_number=event.number)
        return _overtaken(standing._replace(case=noted), now)
    case = _renewed(standing.case, event, now)
    kept = standing._replace(case=case)
    if case.refuses(event.organisation, event.loket):
        return holding.onward_refused(kept, ProposalProblem.ACCUSED_PARTY.value, now)
    if offering.channel is None:
        return holding.onward_refused(kept, "switched-off", now)
    outcome = offered(
        case, event.organisation, event.loket, offering, now, onward_of=held.referral_id
    )
    news = announce.onward_news(held, event.organisation, now)
    return outcome._replace(feed=(*outcome.feed, news))


def _overtaken(standing: Standing, now: datetime) -> Outcome:
    """A decision that nobody waits for any more; what is still waited for is asked again.

    The question that is out bears the number that this decision has used up: routing drops it.
    """
    case, held = standing.case, standing.holding
    why = BusinessStatus.REFERRED_ONWARD.value
    if held is not None and held.onward_to is not None and standing.request is None:
        return redecide(case, why, now, proposed=held.onward_to, onward=True)
    step = case.next_step
    waits = step is not None and step.action is NextAction.ASSIGN and case.desk_reason is None
    if held is not None or not waits:
        return Outcome(Verdict.BUSY, case)
    return redecide(case, why, now)


def offered(
    case: Case,
    organisation: str,
    loket: str | None,
    offering: Offering,
    now: datetime,
    *,
    signal: bool = False,
    onward_of: UUID | None = None,
    situation: Situation | None = None,
) -> Outcome:
    """Ask an organisation; `offering.channel` must be known.

    `situation` is that of the case, where it is at hand: else it is read from the case's text.
    """
    channel = offering.channel or Channel.DESK
    received_by, accepted_by = limits_due(case.limits, now)
    referral = Referral(
        referral_id=offering.referral_id,
        case_id=case.case_id,
        attempt=case.attempts + 1,
        organisation=organisation,
        loket=loket,
        decision_id=case.decision_id,
        signal=signal,
        status=Status.REQUESTED,
        offered_at=now,
        received_by=received_by,
        accepted_by=accepted_by,
        channel=channel,
        onward_of=onward_of,
    )
    case = case._replace(attempts=referral.attempt)
    follow: tuple[Event, ...] = ()
    if signal and channel is not Channel.DESK:
        # Delivered is not picked up (P4): whoever reports nothing back is never the next actor.
        rest = at_desk(case, DeskReason.NO_FEEDBACK_PARTY, now)
        case, follow = rest.case, rest.events
    else:
        case = stepped(case, asking_step(referral), now, desk_reason=None)
    return Outcome(
        Verdict.APPLIED,
        case,
        (referral,),
        (announce.offered(case, referral, now), *follow),
        () if channel is Channel.DESK else (announce.offer_item(case, referral, situation),),
    )


def asking_step(referral: Referral) -> NextStep:
    """Who acts on an offer that is out: the organisation, or the desk that has to bring it."""
    if referral.status is Status.RECEIVED:
        return NextStep(
            actor=referral.organisation, action=NextAction.DECIDE, due_at=referral.accepted_by
        )
    by_desk = referral.channel is Channel.DESK
    return NextStep(
        actor=DESK if by_desk else referral.organisation,
        action=NextAction.HAND_OVER if by_desk else NextAction.ACKNOWLEDGE,
        due_at=referral.received_by,
    )
