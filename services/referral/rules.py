"""Who holds a case and who acts next: pure functions from a state and an event to an Outcome.

Nothing here reads a clock or makes an id. Every path ends in a case with one holder and, while it
is open, a next step. What routing decides is in `offering`, what a holder says in `holding`, what
time does in `escalation`, what the reporter does in `reporter`, what the desk does in `by_desk`.
"""

from datetime import datetime

from contracts.event import Event
from contracts.limits import limits_due
from contracts.referral import (
    Answer,
    BusinessStatus,
    DeclineReason,
    DeskReason,
    NextAction,
    ReferralAnswered,
    Status,
)
from services.referral import announce, holding, verdicts
from services.referral.domain import (
    OPEN,
    Channel,
    Outcome,
    Referral,
    Standing,
    Verdict,
)
from services.referral.moves import at_desk, handled_by, left_out, moved, returned, stepped
from services.referral.offering import Offering, asking_step, assign, offered

__all__ = [
    "Offering",
    "accepted",
    "answer",
    "asking_step",
    "assign",
    "declined",
    "offered",
    "received",
    "withdraw",
]


def answer(
    standing: Standing,
    referral: Referral,
    event: ReferralAnswered,
    now: datetime,
    *,
    text_given: bool = False,
) -> Outcome:
    """Apply a partner's answer, or tell by the verdict why it has no effect.

    The state decides, not the clock: until `expire` has come, an answer counts. DUPLICATE says
    that the state already holds what was answered. `text_given` tells whether the answer came
    with a text, which only the API takes.
    """
    verdict = verdicts.judged(standing, referral, event, now, text_given=text_given)
    if verdict is not Verdict.APPLIED:
        return Outcome(verdict, standing.case)
    match event.answer:
        case Answer.RECEIVED:
            return received(standing, referral, now)
        case Answer.ACCEPTED:
            return accepted(standing, referral, now)
        case Answer.REJECTED:
            assert event.reason is not None
            return declined(standing, referral, event.reason, event.suggested_organisation, now)
        case _:
            return holding.said(standing, referral, event, now)


def received(standing: Standing, referral: Referral, now: datetime) -> Outcome:
    """The organisation knows of the case; that is no acceptance (P4)."""
    case, found = standing.case, moved(referral, Status.RECEIVED, now)
    if referral.channel is Channel.DESK:
        # However long the desk took to bring it: the time to decide begins with the receipt.
        found = found._replace(accepted_by=limits_due(case.limits, now)[1])
    told: tuple[Event, ...] = ()
    if not referral.signal:
        case = stepped(case, asking_step(found), now)
    elif case.next_step is not None and case.next_step.action is NextAction.HAND_OVER:
        # Who reports nothing back is never the next actor.
        rest = at_desk(case, DeskReason.NO_FEEDBACK_PARTY, now)
        case, told = rest.case, rest.events
    changed = announce.status_changed(case, found, now)
    return Outcome(Verdict.APPLIED, case, (found,), (changed, *told))


def accepted(standing: Standing, referral: Referral, now: datetime) -> Outcome:
    """The organisation holds the case from now on; a holder that referred onward is done."""
    case, before = standing.case, standing.holding
    taken = moved(referral, Status.ACCEPTED, now)
    passed_on = before is not None and referral.onward_of == before.referral_id
    case = handled_by(
        case,
        referral.organisation,
        now,
        holder=referral.organisation,
        handoff=case.handoff + 1,
        desk_reason=None,
        other_lokets=(),
    )
    if before is not None and passed_on:
        case = left_out(case, before.organisation)
    changed = announce.status_changed(case, taken, now)
    if before is None or not passed_on:
        return Outcome(Verdict.APPLIED, case, (taken,), (changed,))
    done = moved(before, Status.COMPLETED, now, business=BusinessStatus.REFERRED_ONWARD)
    return Outcome(
        Verdict.APPLIED,
        case,
        # Who leaves comes first: a case has one holding referral at any moment.
        (done, taken),
        (announce.status_changed(case, done, now), changed),
        (announce.withdrawn_item(done, now),),
    )


def declined(
    standing: Standing,
    referral: Referral,
    reason: DeclineReason,
    better: str | None,
    now: datetime,
) -> Outcome:
    """The organisation gives the case back with a reason, and may name a better party."""
    rejected = moved(referral, Status.REJECTED, now, business=BusinessStatus.RETURNED)._replace(
        reason=reason,
        suggested_organisation=better,
    )
    if referral.onward_of is not None:
        return holding.onward_ended(standing, rejected, now)
    return returned(standing.case, rejected, reason.value, now)


def withdraw(standing: Standing, referral: Referral, now: datetime) -> Outcome:
    """The meldpunt takes a referral back; the desk holds the case and must assign it.

    Taking back an offer that a holder asked for leaves the case with that holder.
    """
    live = {item.referral_id for item in (standing.request, standing.holding) if item is not None}
    if referral.referral_id not in live:
        return Outcome(Verdict.DUPLICATE, standing.case)
    cancelled = moved(referral, Status.CANCELLED, now)
    if referral.onward_of is not None and standing.holding is not None and referral.status in OPEN:
        return holding.onward_ended(standing, cancelled, now)
    return holding.taken_back(standing, (cancelled,), DeskReason.TAKEN_BACK, now)
