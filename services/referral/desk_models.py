"""What the desk and operators read and send, and consultations between organisations."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.reference import case_reference
from contracts.referral import (
    BusinessStatus,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    DeskReason,
    HandOverBy,
    Rung,
    Status,
)
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency
from services.referral.domain import (
    Case,
    Channel,
    Consultation,
    LegalTerm,
    Referral,
    WhoMustAct,
)
from services.referral.models import Model, NextStepView, Strict, situation_of, step_of
from services.referral.records import HandOver

TEXT_CHARACTERS_MAX = 4000


class ReferralRecord(Model):
    """A referral as the desk sees it, with the text of a decline."""

    referral_id: UUID
    attempt: int
    organisation: OrganisationId
    loket: LoketId | None
    signal: bool
    status: Status
    business_status: BusinessStatus | None
    reason: DeclineReason | None
    reason_text: str | None
    suggested_organisation: OrganisationId | None
    offered_at: datetime
    received_by: datetime
    accepted_by: datetime
    received_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    channel: Channel
    until: datetime | None
    onward_to: OrganisationId | None
    outcome: CompletedAs | None
    decision: ComplaintDecision | None
    handed_over_by: HandOverBy | None
    rung: Rung | None


class LegalTermView(Model):
    """A legal term of the case; `lastDay` still counts."""

    term: str
    organisation: OrganisationId
    last_day: date
    warned: int


class HandOverView(Model):
    """What the desk brought by phone, letter or visit, and who wrote it down."""

    hand_over_id: UUID
    referral_id: UUID
    how: HandOverBy
    accepted: bool
    declined: DeclineReason | None
    handed_at: datetime
    spoken_with: str | None
    recorded_by: str
    recorded_at: datetime


class CaseSummary(Model):
    """One case in a list of the desk."""

    case_id: UUID
    reference: str
    holder: OrganisationId
    handoff: int
    open: bool
    overdue: bool
    next_step: NextStepView | None
    who_must_act: WhoMustAct
    desk_reason: DeskReason | None
    returns: int
    kind: Kind
    urgency: Urgency
    first_received_at: datetime


class Cases(Model):
    """A page of open cases, first due first; ask the next with `after` set to `nextAfter`."""

    cases: list[CaseSummary]
    next_after: UUID | None


class CaseView(CaseSummary):
    """One case with its attempts."""

    situation: Situation
    reminders: int
    referrals: list[ReferralRecord]
    terms: list[LegalTermView]
    hand_overs: list[HandOverView]


class AssignmentGiven(Strict):
    """The organisation that the desk asks by its own judgement."""

    organisation: OrganisationId
    loket: LoketId | None = None


class HandOverGiven(Strict):
    """How the desk brought a case, and what was said: accepted, declined with a reason, or nothing.

    `spokenWith` is a function, such as "secretariaat", and no name.
    """

    hand_over_id: UUID
    how: HandOverBy
    accepted: bool = False
    declined: DeclineReason | None = None
    handed_at: AwareDatetime
    spoken_with: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class EndGiven(Strict):
    """What came of a case that the desk ends; helping nobody is no end."""

    outcome: CompletedAs


class ConsultationGiven(Strict):
    """A question of a holder to another organisation; no names are needed to ask advice."""

    consultation_id: UUID
    organisation: OrganisationId
    question: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]


class AdviceGiven(Strict):
    """Advice on a consultation; without `advice` the organisation cannot give it."""

    advice: Annotated[str | None, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)] = None


class ConsultationView(Model):
    """A consultation as both organisations see it."""

    consultation_id: UUID
    case_id: UUID
    reference: str
    asked_by: OrganisationId
    organisation: OrganisationId
    question: str
    asked_at: datetime
    answer_by: datetime
    advised: bool | None
    advice: str | None
    answered_at: datetime | None


class Consultations(Model):
    """A page of consultations; ask the next with `after` set to `nextAfter`."""

    consultations: list[ConsultationView]
    next_after: UUID | None


class PartnerGiven(Strict):
    """How a partner is reached; `fallback` is tried when it keeps silent on its channel."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    channel: Channel
    fallback: Channel | None = None


class FeedView(Model):
    """How far a partner's feed goes, and what it acknowledged over the inbox, if it does that."""

    last_sequence: int
    acknowledged: int
    acknowledged_at: datetime | None


class PartnerView(Model):
    """A partner; one that is not active gets no cases."""

    organisation: OrganisationId
    name: str
    channel: Channel
    fallback: Channel | None
    active: bool
    feed: FeedView


class Partners(Model):
    """All partners."""

    partners: list[PartnerView]


class SwitchedOff(Model):
    """What became of the cases of an organisation that was switched off."""

    organisation: OrganisationId
    moved: int


def case_summary(case: Case, now: datetime) -> CaseSummary:
    """A case for a list."""
    return CaseSummary(**_summary(case, now))


def case_view(
    case: Case,
    referrals: list[tuple[Referral, str | None]],
    terms: list[LegalTerm],
    hand_overs: list[HandOver],
    now: datetime,
) -> CaseView:
    """A case with its referrals, the texts of declines, its terms and what the desk brought."""
    return CaseView(
        **_summary(case, now),
        situation=situation_of(case),
        reminders=case.reminders,
        referrals=[_record(item, text) for item, text in referrals],
        terms=[
            LegalTermView(
                term=item.term,
                organisation=item.organisation,
                last_day=item.last_day,
                warned=item.warned,
            )
            for item in terms
        ],
        hand_overs=[HandOverView.model_validate(asdict(item)) for item in hand_overs],
    )


def consultation_view(item: Consultation) -> ConsultationView:
    """A consultation for the two organisations."""
    known = asdict(item)
    del known["referral_id"]
    return ConsultationView(**known, reference=case_reference(item.case_id))


def _summary(case: Case, now: datetime) -> dict[str, Any]:
    step = case.next_step
    return {
        "case_id": case.case_id,
        "reference": case_reference(case.case_id),
        "holder": case.holder,
        "handoff": case.handoff,
        "open": case.open,
        "overdue": step is not None and step.due_at <= now,
        "next_step": step_of(case),
        "who_must_act": case.who_must_act,
        "desk_reason": case.desk_reason,
        "returns": case.returns,
        "kind": case.kind,
        "urgency": case.urgency,
        "first_received_at": case.first_received_at,
    }


def _record(referral: Referral, reason_text: str | None) -> ReferralRecord:
    values = {
        name: getattr(referral, name, None)
        for name in ReferralRecord.model_fields
        if name != "reason_text"
    }
    return ReferralRecord(**values, reason_text=reason_text)
