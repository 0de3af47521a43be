"""The events that tell what happened; each of the main topic with the holder and the next step."""

from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.event import Event
from contracts.reference import case_reference
from contracts.referral import (
    DESK,
    AnswerRefused,
    CaseAtDesk,
    CaseClosed,
    CaseNews,
    ClosedBecause,
    CompletedAs,
    DeskReason,
    News,
    NextAction,
    RedecisionRequested,
    ReferralAnswered,
    ReferralEscalated,
    ReferralOffer,
    ReferralOffered,
    ReferralReminded,
    ReferralStatusChanged,
    ReferralWithdrawn,
    Rung,
    Status,
)
from contracts.situation import Situation
from services.referral.domain import Case, FeedItem, Referral, Verdict, WhoMustAct


def offered(case: Case, referral: Referral, now: datetime) -> ReferralOffered:
    """An organisation was asked."""
    return ReferralOffered(
        **standing(case, now),
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        organisation=referral.organisation,
        loket=referral.loket,
        channel=referral.channel.value,
        decision_id=referral.decision_id,
        signal=referral.signal,
    )


def offer_item(case: Case, referral: Referral, situation: Situation | None = None) -> FeedItem:
    """The offer itself, for the feed of who is asked; `situation` is the case's, if at hand."""
    offer = ReferralOffer(
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        case_id=referral.case_id,
        reference=case_reference(referral.case_id),
        organisation=referral.organisation,
        loket=referral.loket,
        kind=case.kind,
        urgency=case.urgency,
        situation=situation or Situation.model_validate_json(case.situation),
        content=case.content,
        first_received_at=case.first_received_at,
        received_by=referral.received_by,
        accepted_by=referral.accepted_by,
        signal=referral.signal,
    )
    return FeedItem(referral.organisation, offer)


def status_changed(
    case: Case, referral: Referral, now: datetime, *, again: bool = False
) -> ReferralStatusChanged:
    """A referral entered the state that it has now; with `again` it was in it already."""
    return ReferralStatusChanged(
        **standing(case, now),
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        organisation=referral.organisation,
        status=referral.status,
        business_status=referral.business_status,
        reason=referral.reason,
        outcome=referral.outcome,
        decision=referral.decision,
        until=referral.until,
        onward_to=referral.onward_to,
        handed_over_by=referral.handed_over_by,
        again=again,
    )


def at_desk(case: Case, reason: DeskReason, now: datetime) -> CaseAtDesk:
    """The desk holds the case and must act."""
    return CaseAtDesk(**standing(case, now), reason=reason)


def redecision(
    case: Case, why: str, now: datetime, *, proposed: str | None = None, onward: bool = False
) -> RedecisionRequested:
    """Routing must decide again without those who had the case."""
    return RedecisionRequested(
        **standing(case, now),
        excluded=case.returned_by,
        decision_number=case.decision_number + 1,
        reason=why,
        proposed=proposed,
        onward=onward,
    )


def case_closed(
    case: Case, because: ClosedBecause, outcome: CompletedAs | None, now: datetime
) -> CaseClosed:
    """Nobody has to act any more."""
    return CaseClosed(**standing(case, now), because=because, outcome=outcome)


def reminded(
    case: Case, referral: Referral | None, number: int, now: datetime, *, by_phone: bool = False
) -> ReferralReminded:
    """Whoever must act was told so once more; who is reached by phone only, through the desk."""
    step = case.next_step
    assert step is not None
    return ReferralReminded(
        **standing(case, now),
        referral_id=referral.referral_id if referral is not None else None,
        actor=DESK if by_phone else step.actor,
        action=NextAction.CALL_HOLDER if by_phone else step.action,
        number=number,
    )


def escalated(case: Case, referral: Referral, rung: Rung, now: datetime) -> ReferralEscalated:
    """An organisation kept silent, and this is what was done."""
    return ReferralEscalated(
        **standing(case, now),
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        organisation=referral.organisation,
        rung=rung,
    )


def news(
    referral: Referral,
    what: News,
    now: datetime,
    *,
    other: str | None = None,
    reference_id: UUID | None = None,
    problem: str | None = None,
) -> FeedItem:
    """News of a case for the organisation that has it."""
    event = CaseNews(
        referral_id=referral.referral_id,
        case_id=referral.case_id,
        organisation=referral.organisation,
        news=what,
        other=other,
        reference_id=reference_id,
        problem=problem,
        at=now,
    )
    return FeedItem(referral.organisation, event)


def onward_news(referral: Referral, target: str, now: datetime) -> FeedItem:
    """Routing agreed: the holder's proposal was offered."""
    return news(referral, News.ONWARD_OFFERED, now, other=target)


def withdrawn_item(referral: Referral, now: datetime) -> FeedItem:
    """The referral is no longer the organisation's, for its feed."""
    event = ReferralWithdrawn(
        referral_id=referral.referral_id,
        attempt=referral.attempt,
        case_id=referral.case_id,
        organisation=referral.organisation,
        status=referral.status,
        business_status=referral.business_status,
        at=now,
    )
    return FeedItem(referral.organisation, event)


def refusal(
    event: ReferralAnswered, verdict: Verdict, case: Case | None, referral: Referral | None,
    now: datetime,
) -> AnswerRefused:  # fmt: skip
    """What the sender is told of an answer without effect.

    Of a referral that is not the sender's nothing is told but that it is unknown.
    """
    known = case is not None and referral is not None
    return AnswerRefused(
        referral_id=event.referral_id,
        case_id=event.case_id,
        answer_id=event.answer_id,
        answer=event.answer.value,
        status=referral.status if referral is not None else Status.ENTERED_IN_ERROR,
        business_status=referral.business_status if referral is not None else None,
        problem=verdict.value,
        who_must_act=(case.who_must_act if known and case else WhoMustAct.PARTNER).value,
        at=now,
    )


def of_case(case: Case, event: Event) -> Event:
    """The same event, telling of the case as it is in the end."""
    told = {"holder": case.holder, "handoff": case.handoff, "next_step": case.next_step}
    return event.model_copy(update=told)


def standing(case: Case, now: datetime) -> dict[str, Any]:
    """What every event of the main topic tells of its case."""
    return {
        "case_id": case.case_id,
        "holder": case.holder,
        "handoff": case.handoff,
        "next_step": case.next_step,
        "at": now,
    }
