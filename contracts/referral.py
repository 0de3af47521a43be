"""Events of referral, on `meldpunt.referral` and partner feeds, and the answers it reads.

Every event of the main topic says who holds the case after it and who acts next by when (P2, P3).
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.event import Event, Moment, OpenEnumeration
from contracts.intake import ContentField
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency

DESK = "vangnet"
REPORTER = "reporter"
"""The actor of a next step that waits for the reporter; no organisation has this id."""


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


class CompletedAs(OpenEnumeration):
    """What came of a referral, as its organisation says; `decided` is a decision on a complaint."""

    HELPED = "helped"
    ADVISED = "advised"
    MEDIATED = "mediated"
    INFORMED = "informed"
    DECIDED = "decided"
    NOT_HELPED = "not-helped"
    NO_CONTACT = "no-contact"
    WITHDRAWN = "withdrawn"


class ComplaintDecision(StrEnum):
    """Decision on a complaint, required with the outcome `decided`."""

    UPHELD = "upheld"
    PARTLY_UPHELD = "partly-upheld"
    NOT_UPHELD = "not-upheld"
    WITHDRAWN = "withdrawn"
    INADMISSIBLE = "inadmissible"


class Rung(OpenEnumeration):
    """A step that is taken when an organisation keeps silent, in this order."""

    OTHER_LOKET = "other-loket"
    OTHER_CHANNEL = "other-channel"
    NEXT_ORGANISATION = "next-organisation"
    DESK = "desk"


class ClosedBecause(OpenEnumeration):
    """Why a case was closed; silence is no reason (P3)."""

    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered-in-error"


class HandOverBy(StrEnum):
    """How the desk handed a case over to an organisation that has no channel."""

    PHONE = "phone"
    LETTER = "letter"
    VISIT = "visit"


class DeskReason(OpenEnumeration):
    """Why a case rests at the meldpunt's own desk."""

    NO_COMPETENT_PARTY = "no-competent-party"
    SHOWN_ONLY = "shown-only"
    NO_FEEDBACK_PARTY = "no-feedback-party"
    SECOND_RETURN = "second-return"
    NO_CHANNEL = "no-channel"
    TERM_EXPIRED = "term-expired"
    TAKEN_BACK = "taken-back"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered-in-error"
    NO_CONTACT = "no-contact"
    NOT_HELPED = "not-helped"
    FINDING = "finding"


class NextAction(OpenEnumeration):
    """What the next actor has to do."""

    ACKNOWLEDGE = "acknowledge"
    DECIDE = "decide"
    HANDLE = "handle"
    ASSIGN = "assign"
    ASK_REPORTER = "ask-reporter"
    FIND_PARTY = "find-party"
    HAND_OVER = "hand-over"
    CALL_HOLDER = "call-holder"
    ANSWER_QUESTION = "answer-question"
    JUDGE_WITHDRAWAL = "judge-withdrawal"
    REPLY_TO_FINDING = "reply-to-finding"
    CHECK_FINDING = "check-finding"


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
    """A referral entered a state; `holder` and `handoff` tell whether the case changed hands.

    `until` is the date of an `on-hold`, `onward_to` the organisation that a holder refers to,
    `handed_over_by` how the desk brought it when no system of the organisation was involved. With
    `again` the state is what it was, and only who acts next has changed: it counts as no answer.
    """

    event_name: ClassVar[str] = "referral-status-changed"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    organisation: OrganisationId
    status: Status
    business_status: BusinessStatus | None = None
    reason: DeclineReason | None = None
    outcome: CompletedAs | None = None
    decision: ComplaintDecision | None = None
    until: AwareDatetime | None = None
    onward_to: OrganisationId | None = None
    handed_over_by: HandOverBy | None = None
    again: bool = False


class CaseAtDesk(_CaseEvent):
    """The desk holds the case and must act; a named safety-net case, never a dead end."""

    event_name: ClassVar[str] = "case-at-desk"

    reason: DeskReason


class RedecisionRequested(_CaseEvent):
    """Routing is asked to decide again without those excluded; the first receipt keeps counting.

    `decision_number` is the number of the decision asked for: one more than the last one of the
    case. `reason` is a code of DeclineReason, `term-expired`, or `referred-onward`.

    `proposed` is the organisation that the last one names as a better party. With `onward` a
    holder asks: routing assigns exactly the proposed organisation, or answers `onward-refused`
    and decides nothing, because the holder keeps the case.
    """

    event_name: ClassVar[str] = "redecision-requested"

    excluded: tuple[str, ...]
    decision_number: Annotated[int, Field(ge=1)]
    reason: str
    proposed: OrganisationId | None = None
    onward: bool = False


class CaseClosed(_CaseEvent):
    """Nobody has to act any more; `holder` is who had the case last."""

    event_name: ClassVar[str] = "case-closed"

    because: ClosedBecause
    outcome: CompletedAs | None = None


class ReferralReminded(_CaseEvent):
    """Somebody who must act was reminded; `number` counts from 1 per step, `action` says of what.

    `actor` is the organisation that was reminded, or the desk.
    """

    event_name: ClassVar[str] = "referral-reminded"

    referral_id: UUID | None = None
    actor: OrganisationId
    action: NextAction
    number: Annotated[int, Field(ge=1)]


class ReferralEscalated(_CaseEvent):
    """An organisation kept silent; `rung` is the step taken because of it."""

    event_name: ClassVar[str] = "referral-escalated"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    organisation: OrganisationId
    rung: Rung


class TermWarned(_CaseEvent):
    """A legal term ends soon; the holder and the reporter were told. `last_day` still counts."""

    event_name: ClassVar[str] = "term-warned"

    term: str
    organisation: OrganisationId
    last_day: date


class DeliveryState(OpenEnumeration):
    """What is known of bringing a feed to an organisation; `failed` stops nothing silently."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    FAILED = "failed"


class DeliveryChanged(Event):
    """Whether an organisation gets what is sent to it, per channel; about no single case.

    Key and subject are `delivery_key(organisation)`. `since` is when the present state began.
    """

    event_name: ClassVar[str] = "delivery-changed"

    organisation: OrganisationId
    channel: str
    state: DeliveryState
    waiting: Annotated[int, Field(ge=0)]
    since: AwareDatetime
    at: AwareDatetime


def delivery_key(organisation: str) -> UUID:
    """Key of what is told of delivery to an organisation: the same for ever, never a case id."""
    return uuid5(NAMESPACE_URL, f"urn:meldpunt:delivery:{organisation}")


class ConsultationAsked(_CaseEvent):
    """The holder asks another organisation for advice; the case does not change hands."""

    event_name: ClassVar[str] = "consultation-asked"

    consultation_id: UUID
    organisation: OrganisationId


class ConsultationAnswered(_CaseEvent):
    """The organisation that was consulted gave its advice, or said that it cannot."""

    event_name: ClassVar[str] = "consultation-answered"

    consultation_id: UUID
    organisation: OrganisationId
    advised: bool


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


class ReferralReminder(Event):
    """The organisation has to act before `due_at`; `action` says what, `number` counts from 1."""

    event_name: ClassVar[str] = "referral-reminder"

    referral_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    case_id: UUID
    organisation: OrganisationId
    action: NextAction
    number: Annotated[int, Field(ge=1)]
    due_at: AwareDatetime
    at: AwareDatetime


class News(OpenEnumeration):
    """What happened in a case that its holder wants to know."""

    QUESTION_ANSWERED = "question-answered"
    CONSULTATION_ANSWERED = "consultation-answered"
    CONSULTATION_UNANSWERED = "consultation-unanswered"
    IDENTITY_HIDDEN = "identity-hidden"
    REPORT_ADDED = "report-added"
    ONWARD_OFFERED = "onward-offered"
    ONWARD_DECLINED = "onward-declined"
    ONWARD_REFUSED = "onward-refused"
    TERM_ENDS = "term-ends"


class CaseNews(Event):
    """News of a case for the organisation that has it; what was said is fetched, not sent.

    `organisation` is the receiver, `other` the organisation that the news is about. `reference_id`
    is the question or consultation. `problem` tells in a code why an onward referral is refused.
    """

    event_name: ClassVar[str] = "case-news"

    referral_id: UUID
    case_id: UUID
    organisation: OrganisationId
    news: News
    other: OrganisationId | None = None
    reference_id: UUID | None = None
    problem: str | None = None
    term: str | None = None
    last_day: date | None = None
    at: AwareDatetime


class ConsultationRequest(Event):
    """A holder asks this organisation for advice; question and situation are fetched over HTTP."""

    event_name: ClassVar[str] = "consultation-request"

    consultation_id: UUID
    case_id: UUID
    reference: str
    organisation: OrganisationId
    asked_by: OrganisationId
    situation: Situation
    answer_by: AwareDatetime
    at: AwareDatetime


class ConsultationEnded(Event):
    """Advice is asked no more: who asked it no longer has the case, or the case was closed."""

    event_name: ClassVar[str] = "consultation-ended"

    consultation_id: UUID
    case_id: UUID
    reference: str
    organisation: OrganisationId
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
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    NO_CONTACT = "no-contact"
    COMPLETED = "completed"
    RETURNED = "returned"
    REFERRED_ONWARD = "referred-onward"
    ENTERED_IN_ERROR = "entered-in-error"


class ReferralAnswered(Event):
    """A partner's answer, on its `.in` topic or over the API; `answer_id` makes a repeat harmless.

    `attempt` must be the one of the offer: it fences off an answer to a referral that has expired.
    The first three answer an offer; the others are for the holder. Required: `reason` with
    `rejected` and `returned`, `until` with `on-hold`, `outcome` with `completed` (and `decision`
    when that is `decided`), `suggested_organisation` with `referred-onward`.
    """

    event_name: ClassVar[str] = "referral-answered"

    answer_id: UUID
    referral_id: UUID
    case_id: UUID
    attempt: Annotated[int, Field(ge=1)]
    answer: Answer
    reason: DeclineReason | None = None
    suggested_organisation: OrganisationId | None = None
    until: Moment | None = None
    outcome: CompletedAs | None = None
    decision: ComplaintDecision | None = None
    at: Moment


EVENTS: tuple[type[Event], ...] = (
    ReferralOffered,
    ReferralStatusChanged,
    CaseAtDesk,
    RedecisionRequested,
    CaseClosed,
    ReferralReminded,
    ReferralEscalated,
    TermWarned,
    DeliveryChanged,
    ConsultationAsked,
    ConsultationAnswered,
)
FEED_EVENTS: tuple[type[Event], ...] = (
    ReferralOffer,
    ReferralWithdrawn,
    AnswerRefused,
    ReferralReminder,
    CaseNews,
    ConsultationRequest,
    ConsultationEnded,
)
PARTNER_EVENTS: tuple[type[Event], ...] = (ReferralAnswered,)
