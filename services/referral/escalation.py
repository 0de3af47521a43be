"""What time does: silence is escalated step by step and never closes a case (P3). Pure.

An offer that nobody acknowledged goes to another loket, then over another channel; after that, and
when it was acknowledged but not decided, to the next organisation; after the second return to
the desk. A holder that keeps silent stays the holder, and the desk calls.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.limits import limits_due
from contracts.referral import (
    DESK,
    REPORTER,
    BusinessStatus,
    NextAction,
    ReferralReminder,
    Rung,
    Status,
)
from services.referral import announce, holding
from services.referral.domain import (
    RETURNS_MAX,
    Case,
    Channel,
    FeedItem,
    Outcome,
    Referral,
    Standing,
    Verdict,
)
from services.referral.moves import desk_step, handled_by, joined, moved, returned, stepped
from services.referral.offering import Offering, asking_step, offered
from services.referral.reminding import next_timer, reminder_moments, reminders_passed


@dataclass(frozen=True, slots=True)
class Reach:
    """How else a silent organisation can be reached, and an id for one more attempt."""

    fallback: Channel | None
    referral_id: UUID


def expire(standing: Standing, referral: Referral, reach: Reach, now: datetime) -> Outcome:
    """Silence beyond the due time of an offer: the next rung, in the order of Rung."""
    case = standing.case
    if referral.due_at is None or referral.due_at > now:
        return Outcome(Verdict.ILLEGAL, case)
    if referral.status is Status.REQUESTED and referral.onward_of is None:
        # A loket that the case is about is passed over, as everywhere.
        lokets = [x for x in case.other_lokets if not case.refuses(referral.organisation, x)]
        if lokets:
            case = case._replace(other_lokets=tuple(lokets))
            return _other_loket(case, referral, reach, now)
        if reach.fallback is not None and _is_new(reach.fallback, referral):
            return _other_channel(case, referral, reach.fallback, now)
    failed = moved(referral, Status.FAILED, now, business=BusinessStatus.TERM_EXPIRED)
    if referral.onward_of is not None and standing.holding is not None:
        return holding.onward_ended(standing, failed, now)
    outcome = returned(case, failed, BusinessStatus.TERM_EXPIRED.value, now)
    rung = Rung.DESK if outcome.case.returns >= RETURNS_MAX else Rung.NEXT_ORGANISATION
    return outcome._replace(
        events=(*outcome.events, announce.escalated(outcome.case, failed, rung, now)),
        feed=(announce.withdrawn_item(failed, now),),
    )


def _other_loket(case: Case, referral: Referral, reach: Reach, now: datetime) -> Outcome:
    """The same organisation at another desk: a new attempt, and no return."""
    failed = moved(referral, Status.FAILED, now, business=BusinessStatus.TERM_EXPIRED)
    loket, *others = case.other_lokets
    case = case._replace(other_lokets=tuple(others))
    again = offered(
        case,
        referral.organisation,
        loket,
        Offering(referral.channel, reach.referral_id),
        now,
        signal=referral.signal,
    )
    gone = Outcome(
        Verdict.APPLIED,
        again.case,
        (failed,),
        (
            announce.status_changed(again.case, failed, now),
            announce.escalated(again.case, failed, Rung.OTHER_LOKET, now),
        ),
        (announce.withdrawn_item(failed, now),),
    )
    return joined(gone, again)


def _is_new(fallback: Channel, referral: Referral) -> bool:
    return referral.rung is not Rung.OTHER_CHANNEL and fallback is not referral.channel


def _other_channel(case: Case, referral: Referral, fallback: Channel, now: datetime) -> Outcome:
    """The same attempt over another channel, with the same time once more."""
    received_by, accepted_by = limits_due(case.limits, now)
    again = referral._replace(
        channel=fallback,
        rung=Rung.OTHER_CHANNEL,
        received_by=received_by,
        accepted_by=accepted_by,
    )
    case = stepped(case, asking_step(again), now)
    offer = announce.offer_item(case, again)
    return Outcome(
        Verdict.APPLIED,
        case,
        (again,),
        (announce.escalated(case, again, Rung.OTHER_CHANNEL, now),),
        () if fallback is Channel.DESK else (offer._replace(via=fallback),),
    )


def tick(standing: Standing, now: datetime) -> Outcome:
    """The timer of a case went off: remind whoever must act, or end what has taken too long.

    After a standstill one reminder stands for all that were missed.
    """
    case = standing.case
    step = case.next_step
    if step is None or case.timer_at is None or case.timer_at > now:
        return Outcome(Verdict.ILLEGAL, case)
    if case.reminders < len(reminder_moments(case)):
        return _reminded(standing, now)
    if step.actor == REPORTER:
        return _unanswered(standing, now)
    return _holder_silent(standing, now)


def _reminded(standing: Standing, now: datetime) -> Outcome:
    case = standing.case
    step = case.next_step
    assert step is not None
    number = max(reminders_passed(case, now), case.reminders + 1)
    case = case._replace(reminders=number, changed_at=now)
    case = case._replace(timer_at=next_timer(case))
    about = _whose_turn(standing, step.actor)
    by_phone = step.actor != DESK and about is not None and about.channel is Channel.DESK
    told: tuple[FeedItem, ...] = ()
    if step.actor != DESK and about is not None and not by_phone:
        told = (_reminder(about, step.action, number, step.due_at, now),)
    # Nobody reads a feed there: it is the desk that is reminded, to call.
    event = announce.reminded(case, about, number, now, by_phone=by_phone)
    return Outcome(Verdict.APPLIED, case, events=(event,), feed=told)


def _whose_turn(standing: Standing, actor: str) -> Referral | None:
    """The referral that a reminder is about; beside an open request it may be the holder's."""
    live = [item for item in (standing.request, standing.holding) if item is not None]
    own = [item for item in live if item.organisation == actor]
    return next(iter(own or live), None)


def _reminder(
    referral: Referral, action: NextAction, number: int, due_at: datetime, now: datetime
) -> FeedItem:
    event = ReferralReminder(
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        case_id=referral.case_id,
        organisation=referral.organisation,
        action=action,
        number=number,
        due_at=due_at,
        at=now,
    )
    return FeedItem(referral.organisation, event)


def _holder_silent(standing: Standing, now: datetime) -> Outcome:
    """The desk asks the holder what happens; the case stays with it until somebody else accepts."""
    held = standing.holding
    if held is None:
        return _timeless(standing.case)
    step = desk_step(standing.case.urgency, NextAction.CALL_HOLDER, now)
    case = stepped(standing.case, step, now)
    return Outcome(Verdict.APPLIED, case, events=(announce.escalated(case, held, Rung.DESK, now),))


def _unanswered(standing: Standing, now: datetime) -> Outcome:
    """The reporter gave no answer: the holder goes on without it."""
    held = standing.holding
    if held is None:
        return _timeless(standing.case)
    case = handled_by(standing.case, held.organisation, now)
    return Outcome(
        Verdict.APPLIED, case, (held,), (announce.status_changed(case, held, now, again=True),)
    )


def _timeless(case: Case) -> Outcome:
    """A timer that means nothing: it is put out, or it would go off again and again."""
    return Outcome(Verdict.APPLIED, case._replace(timer_at=None))
