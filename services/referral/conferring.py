"""The events of conferring; texts are in none of them. Pure."""

from datetime import datetime

from contracts.reference import case_reference
from contracts.referral import (
    CaseNews,
    ConsultationAnswered,
    ConsultationAsked,
    ConsultationEnded,
    ConsultationRequest,
    News,
)
from contracts.situation import Situation
from services.referral import announce
from services.referral.domain import Case, Consultation


def asked(case: Case, item: Consultation, now: datetime) -> ConsultationAsked:
    """The holder asks for advice."""
    return ConsultationAsked(
        **announce.standing(case, now),
        consultation_id=item.consultation_id,
        organisation=item.organisation,
    )


def answered(case: Case, item: Consultation, now: datetime) -> ConsultationAnswered:
    """The advice is there, or it will not come."""
    return ConsultationAnswered(
        **announce.standing(case, now),
        consultation_id=item.consultation_id,
        organisation=item.organisation,
        advised=bool(item.advised),
    )


def request(case: Case, item: Consultation, now: datetime) -> ConsultationRequest:
    """For the feed of who is asked."""
    return ConsultationRequest(
        consultation_id=item.consultation_id,
        case_id=case.case_id,
        reference=case_reference(case.case_id),
        organisation=item.organisation,
        asked_by=item.asked_by,
        situation=Situation.model_validate_json(case.situation),
        answer_by=item.answer_by,
        at=now,
    )


def ended(item: Consultation, now: datetime) -> ConsultationEnded:
    """For the feed of who is asked: it need not answer any more."""
    return ConsultationEnded(
        consultation_id=item.consultation_id,
        case_id=item.case_id,
        reference=case_reference(item.case_id),
        organisation=item.organisation,
        at=now,
    )


def news(item: Consultation, now: datetime, what: News = News.CONSULTATION_ANSWERED) -> CaseNews:
    """For the feed of who asked."""
    return CaseNews(
        referral_id=item.referral_id,
        case_id=item.case_id,
        organisation=item.asked_by,
        news=what,
        other=item.organisation,
        reference_id=item.consultation_id,
        at=now,
    )
