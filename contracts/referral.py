"""Events of referral, on `meldpunt.referral` and partner feeds, and the answers it reads.

Every event of the main topic says who holds the case after it and who acts next by when (P2, P3).
"""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.intake import ContentField
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency

DESK = "vangnet"


class Status(StrEnum):
    """FHIR Task codes."""

    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"


class BusinessStatus(StrEnum):
    """Why a referral is in its state, where the FHIR code does not say it."""

    REFERRED_ONWARD = "referred-onward"
    RETURNED = "returned"
    NO_CONTACT = "no-contact"
    TERM_EXPIRED = "term-expired"


class DeclineReason(StrEnum):
    """Coded reasons of a decline; `other` needs a text, which travels over the API only."""

    NOT_COMPETENT = "not-competent"
    NOT_ELIGIBLE = "not-eligible"
    CAPACITY = "capacity"
    WRONG_REGION = "wrong-region"
    ALREADY_HANDLED = "already-handled"
    REPORTER_CHOICE = "reporter-choice"
    NO_CONTACT = "no-contact"
    CONFLICT_OF_INTEREST = "conflict-of-interest"
    OTHER = "other"


class DeskReason(StrEnum):
    """Why a case rests at the meldpunt's own desk."""

    NO_COMPETENT_PARTY = "no-competent-party"
    SHOWN_ONLY = "shown-only"
    NO_FEEDBACK_PARTY = "no-feedback-party"
    SECOND_RETURN = "second-return"
    NO_CHANNEL = "no-channel"
    TERM_EXPIRED = "term-expired"


class NextAction(StrEnum):
    """What the next actor has to do."""

    ACKNOWLEDGE = "acknowledge"
    DECIDE = "decide"
    HANDLE = "handle"
    ASSIGN = "assign"
    ASK_REPORTER = "ask-reporter"
    FIND_PARTY = "find-party"


class NextStep(BaseModel):
    """Who acts next, on what, by when; every open case has one (P3)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    actor: OrganisationId
    action: NextAction
    due_at: AwareDatetime


class _CaseEvent(Event):
    case_id: UUID
    holder: OrganisationId
    handoff: Annotated[int, Field(ge=0)]
    next_step: NextStep | None = None
    at: AwareDatetime


class ReferralOffered(_CaseEvent):
    """An organisation was asked to take the case; `attempt` is the fencing token."""

    event_name: ClassVar[str] = "referral-offered"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    organisation: OrganisationId
    loket: LoketId | None = None
    channel: str
    decision_id: UUID
    signal: bool = False


class ReferralStatusChanged(_CaseEvent):
    """A referral entered a state; `holder` and `handoff` tell whether the case changed hands."""

    event_name: ClassVar[str] = "referral-status-changed"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    organisation: OrganisationId
    status: Status
    business_status: BusinessStatus | None = None
    reason: DeclineReason | None = None


class CaseAtDesk(_CaseEvent):
    """The desk holds the case and must act; a named safety-net case, never a dead end."""

    event_name: ClassVar[str] = "case-at-desk"

    reason: DeskReason


class RedecisionRequested(_CaseEvent):
    """Routing is asked to decide again without those excluded; the first receipt keeps counting.

    `decision_number` is the number of the decision asked for: one more than the last one of the
    case. `reason` is a code of DeclineReason, or `term-expired`.
    """

    event_name: ClassVar[str] = "redecision-requested"

    excluded: tuple[str, ...]
    decision_number: Annotated[int, Field(ge=1)]
    reason: str


class ReferralOffer(Event):
    """What a partner gets on its feed: the situation and a reference to the content, no content.

    Answer within `received_by` and `accepted_by`. Fetch the content with the capability that
    `POST /v1/referrals/{referralId}/content-capabilities` gives to the organisation of the offer.
    """

    event_name: ClassVar[str] = "referral-offer"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    case_id: UUID
    reference: str
    organisation: OrganisationId
    loket: LoketId | None = None
    kind: Kind
    urgency: Urgency
    situation: Situation
    content: tuple[ContentField, ...]
    first_received_at: AwareDatetime
    received_by: AwareDatetime
    accepted_by: AwareDatetime
    signal: bool = False


class ReferralWithdrawn(Event):
    """The referral is no longer the partner's: expired, cancelled, or another party holds it."""

    event_name: ClassVar[str] = "referral-withdrawn"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    case_id: UUID
    organisation: OrganisationId
    status: Status
    business_status: BusinessStatus | None = None
    at: AwareDatetime


class AnswerRefused(Event):
    """An answer came too late, twice or out of order; it holds the true present state."""

    event_name: ClassVar[str] = "answer-refused"

    referral_id: UUID
    case_id: UUID
    answer_id: UUID
    answer: str
    status: Status
    business_status: BusinessStatus | None = None
    problem: str
    who_must_act: str
    at: AwareDatetime


class Answer(StrEnum):
    """What a partner can say of a referral."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ReferralAnswered(Event):
    """A partner's answer, on its `.in` topic or over the API; `answer_id` makes a repeat harmless.

    `attempt` must be the one of the offer: it fences off an answer to a referral that has expired.
    `reason` is required with `rejected`.
    """

    event_name: ClassVar[str] = "referral-answered"

    answer_id: UUID
    referral_id: UUID
    case_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    answer: Answer
    reason: DeclineReason | None = None
    suggested_organisation: OrganisationId | None = None
    at: AwareDatetime


EVENTS: tuple[type[Event], ...] = (
    ReferralOffered,
    ReferralStatusChanged,
    CaseAtDesk,
    RedecisionRequested,
)
FEED_EVENTS: tuple[type[Event], ...] = (ReferralOffer, ReferralWithdrawn, AnswerRefused)
PARTNER_EVENTS: tuple[type[Event], ...] = (ReferralAnswered,)
