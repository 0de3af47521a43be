"""What the API reads and shows; names in JSON are camelCase by the NL API Design Rules."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.intake import ContentField
from contracts.reference import case_reference
from contracts.referral import (
    Answer,
    BusinessStatus,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    DeskReason,
    HandOverBy,
    NextAction,
    Rung,
    Status,
)
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency
from services.referral.domain import (
    HOLDING,
    OPEN,
    REASON_TEXT_CHARACTERS_MAX,
    Case,
    Channel,
    LegalTerm,
    Referral,
    WhoMustAct,
)
from services.referral.records import Consultation, HandOver

TEXT_CHARACTERS_MAX = 4000


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class _Strict(_Model):
    model_config = ConfigDict(extra="forbid")


class NextStepView(_Model):
    """Who acts next, on what, by when."""

    actor: OrganisationId
    action: NextAction
    due_at: datetime


class ReferralView(_Model):
    """A referral as its organisation sees it; the content comes from intake with a capability.

    `situation` is absent once the referral has ended: the case may have changed since.
    """

    referral_id: UUID
    case_id: UUID
    reference: str
    attempt: int
    organisation: OrganisationId
    loket: LoketId | None
    signal: bool
    status: Status
    business_status: BusinessStatus | None
    reason: DeclineReason | None
    kind: Kind
    urgency: Urgency
    situation: Situation | None
    content: tuple[ContentField, ...]
    first_received_at: datetime
    offered_at: datetime
    received_by: datetime
    accepted_by: datetime
    received_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    until: datetime | None
    onward_to: OrganisationId | None
    outcome: CompletedAs | None
    decision: ComplaintDecision | None
    next_step: NextStepView | None
    who_must_act: WhoMustAct


class Referrals(_Model):
    """A page of referrals; ask the next with `after` set to `nextAfter`."""

    referrals: list[ReferralView]
    next_after: UUID | None


class AnswerGiven(_Model):
    """A partner's answer; a repeat with the same `answerId` is harmless.

    `received`, `accepted` and `rejected` answer an offer, the others are for the holder. `reason`
    goes with `rejected` and `returned`, `until` with `on-hold`, `outcome` with `completed` (and
    `decision` when that is `decided`), `suggestedOrganisation` with `referred-onward`.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", hide_input_in_errors=True)

    answer_id: UUID
    attempt: Annotated[int, Field(ge=1, le=1000)]
    answer: Answer
    reason: DeclineReason | None = None
    reason_text: Annotated[
        str | None, Field(min_length=1, max_length=REASON_TEXT_CHARACTERS_MAX)
    ] = None
    suggested_organisation: OrganisationId | None = None
    until: AwareDatetime | None = None
    outcome: CompletedAs | None = None
    decision: ComplaintDecision | None = None


class AnswerSettled(_Model):
    """The present state of the referral; `duplicate` when it held what was answered already."""

    duplicate: bool
    referral: ReferralView


class CapabilityView(_Model):
    """Fetch `contentUrl` with your token and, in `Content-Capability`, the capability."""

    capability: str
    expires_at: datetime
    content_url: str
    fields: list[ContentField]


class PartnerEvents(_Model):
    """Events of the caller's own feed as structured CloudEvents, oldest first."""

    events: list[dict[str, Any]]
    last_sequence: int


class ReferralRecord(_Model):
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


class LegalTermView(_Model):
    """A legal term of the case; `lastDay` still counts."""

    term: str
    organisation: OrganisationId
    last_day: date
    warned: int


class HandOverView(_Model):
    """What the desk brought by phone, letter or visit, and who wrote it down."""

    hand_over_id: UUID
    referral_id: UUID
    how: HandOverBy
    accepted: bool
    handed_at: datetime
    spoken_with: str | None
    recorded_by: str
    recorded_at: datetime


class CaseSummary(_Model):
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


class Cases(_Model):
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


class AssignmentGiven(_Strict):
    """The organisation that the desk asks by its own judgement."""

    organisation: OrganisationId
    loket: LoketId | None = None


class HandOverGiven(_Strict):
    """How the desk brought a case; `spokenWith` is a function, such as "secretariaat", no name."""

    hand_over_id: UUID
    how: HandOverBy
    accepted: bool
    handed_at: AwareDatetime
    spoken_with: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class ConsultationGiven(_Strict):
    """A question of a holder to another organisation; no names are needed to ask advice."""

    consultation_id: UUID
    organisation: OrganisationId
    question: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]


class AdviceGiven(_Strict):
    """Advice on a consultation; without `advice` the organisation cannot give it."""

    advice: Annotated[str | None, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)] = None


class ConsultationView(_Model):
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


class Consultations(_Model):
    """A page of consultations; ask the next with `after` set to `nextAfter`."""

    consultations: list[ConsultationView]
    next_after: UUID | None


class SwitchedOff(_Model):
    """What became of the cases of an organisation that was switched off."""

    organisation: OrganisationId
    moved: int


def referral_view(case: Case, referral: Referral) -> ReferralView:
    """A referral for its organisation: without the text of a decline and other referrals."""
    shown = referral.status in OPEN | HOLDING
    return ReferralView(
        referral_id=referral.referral_id,
        case_id=referral.case_id,
        reference=case_reference(referral.case_id),
        attempt=referral.attempt,
        organisation=referral.organisation,
        loket=referral.loket,
        signal=referral.signal,
        status=referral.status,
        business_status=referral.business_status,
        reason=referral.reason,
        kind=case.kind,
        urgency=case.urgency,
        situation=_situation(case) if shown else None,
        content=case.content if shown else (),
        first_received_at=case.first_received_at,
        offered_at=referral.offered_at,
        received_by=referral.received_by,
        accepted_by=referral.accepted_by,
        received_at=referral.received_at,
        accepted_at=referral.accepted_at,
        closed_at=referral.closed_at,
        until=referral.until,
        onward_to=referral.onward_to,
        outcome=referral.outcome,
        decision=referral.decision,
        next_step=_step(case) if shown else None,
        who_must_act=case.who_must_act,
    )


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
        situation=_situation(case),
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


def _step(case: Case) -> NextStepView | None:
    return NextStepView(**case.next_step.model_dump()) if case.next_step else None


def _situation(case: Case) -> Situation:
    return Situation.model_validate_json(case.situation)


def _summary(case: Case, now: datetime) -> dict[str, Any]:
    step = case.next_step
    return {
        "case_id": case.case_id,
        "reference": case_reference(case.case_id),
        "holder": case.holder,
        "handoff": case.handoff,
        "open": case.open,
        "overdue": step is not None and step.due_at <= now,
        "next_step": _step(case),
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
