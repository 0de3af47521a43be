"""What a holder says: progress, a pause, no contact, the end, a return, a referral onward. Pure."""

from datetime import datetime

from contracts.referral import (
    Answer,
    BusinessStatus,
    ClosedBecause,
    CompletedAs,
    DeskReason,
    News,
    NextAction,
    NextStep,
    ReferralAnswered,
    Status,
)
from contracts.situation import Kind
from services.referral import announce
from services.referral.domain import Case, Outcome, Referral, Standing, Verdict
from services.referral.findings.rules import asks_reply
from services.referral.moves import (
    at_desk,
    closed,
    desk_step,
    handled_by,
    joined,
    left_out,
    moved,
    redecide,
    returned,
    stepped,
    to_desk,
)

_UNSOLVED = {
    CompletedAs.NO_CONTACT: DeskReason.NO_CONTACT,
    CompletedAs.NOT_HELPED: DeskReason.NOT_HELPED,
}


def said(standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime) -> Outcome:
    """Apply an answer of the holder that was judged fit."""
    match event.answer:
        case Answer.IN_PROGRESS:
            return _in_progress(standing, referral, now)
        case Answer.ON_HOLD:
            return _on_hold(standing.case, referral, event, now)
        case Answer.NO_CONTACT:
            return _no_contact(standing.case, referral, now)
        case Answer.COMPLETED:
            return _completed(standing, referral, event, now)
        case Answer.RETURNED:
            return _given_back(standing, referral, event, now)
        case Answer.REFERRED_ONWARD:
            return _refers_onward(standing.case, referral, event, now)
        case _:
            error = moved(referral, Status.ENTERED_IN_ERROR, now)
            return taken_back(standing, (error,), DeskReason.ENTERED_IN_ERROR, now)


def _in_progress(standing: Standing, referral: Referral, now: datetime) -> Outcome:
    """A sign of life: the time to handle begins anew.

    Of a referral onward that routing left without an answer it is the end: the holder goes on.
    """
    case = standing.case
    again = referral.status is Status.IN_PROGRESS
    working = referral if again else moved(referral, Status.IN_PROGRESS, now)
    sought = referral.onward_to is not None and case.seeks(now)
    if standing.request is None and not sought:
        working = working._replace(onward_to=None)
    working = working._replace(business_status=_passing_on(working), until=None)
    # While a next party is sought, the desk still has to see that one is found.
    case = case._replace(changed_at=now) if sought else handled_by(case, working.organisation, now)
    return _told(case, working, now)


def _on_hold(case: Case, referral: Referral, event: ReferralAnswered, now: datetime) -> Outcome:
    again = referral.status is Status.ON_HOLD
    waiting = referral if again else moved(referral, Status.ON_HOLD, now)
    waiting = waiting._replace(business_status=_passing_on(referral), until=event.until)
    assert event.until is not None
    step = NextStep(actor=referral.organisation, action=NextAction.HANDLE, due_at=event.until)
    return _told(stepped(case, step, now), waiting, now)


def _passing_on(referral: Referral) -> BusinessStatus | None:
    """A referral onward goes on, whatever the holder says of its work meanwhile."""
    return None if referral.onward_to is None else BusinessStatus.REFERRED_ONWARD


def _no_contact(case: Case, referral: Referral, now: datetime) -> Outcome:
    """The holder cannot reach the reporter: the desk tries, the holder stays holder."""
    again = referral.status is Status.ON_HOLD
    waiting = referral if again else moved(referral, Status.ON_HOLD, now)
    waiting = waiting._replace(business_status=BusinessStatus.NO_CONTACT, until=None)
    step = desk_step(case.urgency, NextAction.ASK_REPORTER, now)
    return _told(stepped(case, step, now), waiting, now)


def _completed(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime
) -> Outcome:
    """The end, if somebody was helped: what is unsolved goes to the desk, never into a drawer."""
    done = moved(referral, Status.COMPLETED, now)._replace(
        outcome=event.outcome, decision=event.decision
    )
    case, outcome = standing.case, event.outcome
    assert outcome is not None
    reason = _UNSOLVED.get(outcome)
    decided = outcome is CompletedAs.DECIDED and case.kind is Kind.KLACHT
    if decided and event.decision is not None and asks_reply(event.decision):
        # The finding asks others to reply; until that is settled the desk follows it.
        reason = DeskReason.FINDING
    if reason is None:
        rest = closed(case, ClosedBecause.COMPLETED, now, outcome)
    else:
        rest = at_desk(to_desk(case, referral), reason, now)
    return joined(_without_request(standing, now), _with(rest, done, now))


def _given_back(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime
) -> Outcome:
    back = moved(referral, Status.FAILED, now, business=BusinessStatus.RETURNED)._replace(
        reason=event.reason,
        suggested_organisation=event.suggested_organisation,
    )
    why = event.reason.value if event.reason else ""
    rest = returned(to_desk(standing.case, referral), back, why, now)
    return joined(_without_request(standing, now), rest)


def _refers_onward(
    case: Case, referral: Referral, event: ReferralAnswered, now: datetime
) -> Outcome:
    """The holder names the next party: routing checks it, the holder stays until it accepts."""
    target = event.suggested_organisation
    waiting = referral._replace(business_status=BusinessStatus.REFERRED_ONWARD, onward_to=target)
    rest = redecide(case, BusinessStatus.REFERRED_ONWARD.value, now, proposed=target, onward=True)
    changed = announce.status_changed(rest.case, waiting, now, again=True)
    return rest._replace(referrals=(waiting,), events=(changed, *rest.events))


def onward_refused(standing: Standing, problem: str, now: datetime) -> Outcome:
    """The register disagrees with a referral onward: the holder keeps the case and is told."""
    held = standing.holding
    if held is None or held.onward_to is None or standing.request is not None:
        return Outcome(Verdict.OUTDATED, standing.case)
    target = held.onward_to
    kept = _kept(held)
    case = handled_by(standing.case, held.organisation, now)
    told = _told(case, kept, now, again=True)
    item = announce.news(kept, News.ONWARD_REFUSED, now, other=target, problem=problem)
    return told._replace(feed=(item,))


def onward_ended(standing: Standing, request: Referral, now: datetime) -> Outcome:
    """The party that a holder referred to did not take the case: it stays with the holder."""
    held = standing.holding
    assert held is not None
    kept = _kept(held)
    case = handled_by(left_out(standing.case, request.organisation), held.organisation, now)
    why = request.reason.value if request.reason else request.status.value
    item = announce.news(kept, News.ONWARD_DECLINED, now, other=request.organisation, problem=why)
    withdrawn = (
        () if request.status is Status.REJECTED else (announce.withdrawn_item(request, now),)
    )
    return Outcome(
        Verdict.APPLIED,
        case,
        (request, kept),
        (
            announce.status_changed(case, request, now),
            announce.status_changed(case, kept, now, again=True),
        ),
        (*withdrawn, item),
    )


def _kept(held: Referral) -> Referral:
    """The holder's referral without the one onward, as it was before it."""
    # A pause without a date is one for want of contact, and it still is.
    undated = held.status is Status.ON_HOLD and held.until is None
    status = BusinessStatus.NO_CONTACT if undated else None
    return held._replace(business_status=status, onward_to=None)


def taken_back(
    standing: Standing, ended: tuple[Referral, ...], reason: DeskReason, now: datetime
) -> Outcome:
    """Referrals have ended by no answer of their own; the desk holds the case."""
    held = standing.holding
    case = (
        to_desk(standing.case, held)
        if held is not None and _among(held, ended)
        else (standing.case)
    )
    gone = [
        moved(item, Status.CANCELLED, now)
        for item in (standing.request,)
        if item is not None and not _among(item, ended)
    ]
    rest = at_desk(case, reason, now)
    every = (*ended, *gone)
    return rest._replace(
        referrals=every,
        events=(*(announce.status_changed(rest.case, item, now) for item in every), *rest.events),
        feed=tuple(announce.withdrawn_item(item, now) for item in every),
    )


def _without_request(standing: Standing, now: datetime) -> Outcome:
    """Take back what the holder had asked of another, because the holder itself is done."""
    request = standing.request
    if request is None:
        return Outcome(Verdict.APPLIED, standing.case)
    cancelled = moved(request, Status.CANCELLED, now)
    return Outcome(
        Verdict.APPLIED,
        standing.case,
        (cancelled,),
        (announce.status_changed(standing.case, cancelled, now),),
        (announce.withdrawn_item(cancelled, now),),
    )


def _told(case: Case, referral: Referral, now: datetime, *, again: bool = False) -> Outcome:
    changed = announce.status_changed(case, referral, now, again=again)
    return Outcome(Verdict.APPLIED, case, (referral,), (changed,))


def _with(rest: Outcome, referral: Referral, now: datetime) -> Outcome:
    changed = announce.status_changed(rest.case, referral, now)
    return rest._replace(referrals=(referral,), events=(changed, *rest.events))


def _among(referral: Referral, others: tuple[Referral, ...]) -> bool:
    return any(item.referral_id == referral.referral_id for item in others)
