"""What the API reads and shows; names in JSON are camelCase by the NL API Design Rules."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.event import Moment
from contracts.intake import ContentField
from contracts.reference import case_reference
from contracts.referral import (
    Answer,
    BusinessStatus,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    NextAction,
    Status,
)
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency
from services.referral.domain import (
    HOLDING,
    OPEN,
    REASON_TEXT_CHARACTERS_MAX,
    Case,
    Referral,
    WhoMustAct,
)


class Model(BaseModel):
    """Base of what is shown."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class Strict(Model):
    """Base of what is sent to us: a field that is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class NextStepView(Model):
    """Who acts next, on what, by when."""

    actor: OrganisationId
    action: NextAction
    due_at: datetime


class ReferralView(Model):
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


class Referrals(Model):
    """A page of referrals; ask the next with `after` set to `nextAfter`."""

    referrals: list[ReferralView]
    next_after: UUID | None


class AnswerGiven(Strict):
    """A partner's answer; a repeat with the same `answerId` is harmless.

    `received`, `accepted` and `rejected` answer an offer, the others are for the holder. `reason`
    goes with `rejected` and `returned`, `until` with `on-hold`, `outcome` with `completed` (and
    `decision` when that is `decided`), `suggestedOrganisation` with `referred-onward`.
    """

    answer_id: UUID
    attempt: Annotated[int, Field(ge=1, le=1000)]
    answer: Answer
    reason: DeclineReason | None = None
    reason_text: Annotated[
        str | None, Field(min_length=1, max_length=REASON_TEXT_CHARACTERS_MAX)
    ] = None
    suggested_organisation: OrganisationId | None = None
    until: Moment | None = None
    outcome: CompletedAs | None = None
    decision: ComplaintDecision | None = None


class AnswerSettled(Model):
    """The present state of the referral; `duplicate` when it held what was answered already."""

    duplicate: bool
    referral: ReferralView


class CapabilityView(Model):
    """Fetch `contentUrl` with your token and, in `Content-Capability`, the capability."""

    capability: str
    expires_at: datetime
    content_url: str
    fields: list[ContentField]


class PartnerEvents(Model):
    """Events of the caller's own feed as structured CloudEvents, oldest first.

    `lastSequence` is the next `after`; `feedLastSequence` is the last event that your feed has. An
    `after` beyond that is a mistake of yours, or the feed was restored from an older copy.
    """

    events: list[dict[str, Any]]
    last_sequence: int
    feed_last_sequence: int


class AcknowledgementGiven(Strict):
    """All events up to and with this sequence are safely with you."""

    sequence: Annotated[int, Field(ge=0, le=2**31 - 1)]


class Acknowledged(Model):
    """What you acknowledged of your feed, and how many events you have not yet."""

    acknowledged: int
    acknowledged_at: datetime | None
    feed_last_sequence: int
    waiting: int


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
        situation=situation_of(case) if shown else None,
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
        next_step=step_of(case) if shown else None,
        who_must_act=case.who_must_act,
    )


def step_of(case: Case) -> NextStepView | None:
    return NextStepView(**case.next_step.model_dump()) if case.next_step else None


def situation_of(case: Case) -> Situation:
    return Situation.model_validate_json(case.situation)
