"""Values of intake: what a channel sends, what is stored of it, and how a case stands."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, NamedTuple, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from contracts.finding import FindingState
from contracts.intake import ContentField, IntakeChannel, KnownDate
from contracts.referral import DESK, CompletedAs, NextAction, Status
from contracts.situation import Kind, Situation, Urgency

NARRATIVE_CHARACTERS_MAX = 20_000
QUESTION_CHARACTERS_MAX = 2_000
ANSWER_CHARACTERS_MAX = 10_000
KNOWN_DATES_MAX = 10
FIRST_DAY = date(1900, 1, 1)


class Identity(BaseModel):
    """Contact data that the reporter chose to give; at least one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    email: (
        Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
        | None
    ) = None
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ()\-]{6,30}$")] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.name is None and self.email is None and self.phone is None:
            raise PydanticCustomError("identity_empty", "It holds no name, email or phone")
        return self


class ReportedSituation(Situation):
    """The situation of a report: a misspelt field is told to the channel, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ReportedDate(BaseModel):
    """A start event of a term and its day, as `KnownDate` publishes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    starts: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,31}$")]
    # Strict: in JSON a number would else be read as seconds since 1970.
    day: Annotated[date, Field(strict=True, ge=FIRST_DAY)]


class NewReport(BaseModel):
    """The body of `POST /v1/reports`; `situation` has the field names of the events.

    `knownDates` tells when terms began to run: a decision, an event, an absence. A day that lies
    in the future is refused by `rules.future_dates`, because only that knows the clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    situation: ReportedSituation
    narrative: Annotated[str, StringConstraints(max_length=NARRATIVE_CHARACTERS_MAX)] | None = None
    identity: Identity | None = None
    channel: IntakeChannel = IntakeChannel.WEB
    # The NL API Design Rules want a format of every name with a date; of a list it says nothing.
    known_dates: Annotated[
        tuple[ReportedDate, ...],
        Field(
            alias="knownDates",
            max_length=KNOWN_DATES_MAX,
            json_schema_extra={"format": "date"},
        ),
    ] = ()

    @field_validator("known_dates")
    @classmethod
    def _starts_once(cls, dates: tuple[ReportedDate, ...]) -> tuple[ReportedDate, ...]:
        if len({item.starts for item in dates}) < len(dates):
            raise PydanticCustomError("starts_repeated", "It has a start event twice")
        return dates

    def published_dates(self) -> tuple[KnownDate, ...]:
        """The known dates as the event has them."""
        return tuple(KnownDate(starts=item.starts, day=item.day) for item in self.known_dates)

    def content(self) -> dict[ContentField, bytes]:
        """What has to be sealed, by field; the identity as JSON."""
        found = {}
        if self.narrative:
            found[ContentField.NARRATIVE] = self.narrative.encode()
        if self.identity is not None:
            found[ContentField.IDENTITY] = self.identity.model_dump_json(exclude_none=True).encode()
        return found

    def canonical(self) -> bytes:
        """The same bytes for the same report, however the JSON was written."""
        # Without defaults, so that a field added later does not make a repeat look different.
        return self.model_dump_json(exclude_defaults=True).encode()


class Sealed(NamedTuple):
    """Sealed content of one report: compact JWEs by field and the wrapped key of their case.

    `commitment` is the SHA-256 of `salt` (32 bytes) and the JWEs.
    """

    fields: dict[ContentField, bytes]
    wrapped_key: bytes
    salt: bytes
    commitment: bytes


class StoredReport(NamedTuple):
    """What a receipt is made of; the same for a repeat as for the first time."""

    report_id: UUID
    case_id: UUID
    received_at: datetime
    commitment: bytes


class FormerReport(NamedTuple):
    """A report that was stored under the same client and key before; `body_mac` tells whether
    it had the same body.
    """

    report: StoredReport
    client: str
    idempotency_key: str
    body_mac: bytes


class Stage(StrEnum):
    """How far a case is, as the reporter sees it; offered, seen and picked up are never mixed."""

    RECEIVED = "received"
    ASSIGNED = "assigned"
    OFFERED = "offered"
    SIGNALLED = "signalled"
    SEEN = "seen"
    PICKED_UP = "picked-up"
    SEARCHING = "searching"
    AT_DESK = "at-desk"
    QUESTION = "question-open"
    ON_HOLD = "on-hold"
    NO_CONTACT = "no-contact"
    ONWARD = "referred-onward"
    FINDING = "finding"
    NOT_HELPED = "not-helped"
    WITHDRAWN = "withdrawn"
    FINISHED = "finished"
    CLOSED = "closed"


CLOSED_STAGES = frozenset({Stage.WITHDRAWN, Stage.FINISHED, Stage.CLOSED})
"""Stages of referral's events after which nobody has to act."""


class CaseStanding(NamedTuple):
    """What intake knows of a case from the events of routing and referral.

    `until` is the date of an on-hold, `onward_to` the organisation that the holder refers to,
    `outcome` what came of it as the organisation says, `finding` how far a committee's finding is.
    """

    stage: Stage = Stage.RECEIVED
    holder: str = DESK
    next_actor: str | None = None
    next_by: datetime | None = None
    next_action: NextAction | None = None
    until: datetime | None = None
    onward_to: str | None = None
    outcome: CompletedAs | None = None
    finding: FindingState | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody has to act any more."""
        return self.stage in CLOSED_STAGES and self.next_actor is None


class IdentityState(StrEnum):
    """Whether the reporter's identity is given to organisations that handle the case."""

    NONE = "none"
    AVAILABLE = "available"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class ReportFound:
    """A report found by its code; `oldest_pending_at` is the time of the oldest event that still
    waits for the broker, `standing_at` when the standing was taken over.
    """

    case_id: UUID
    kind: Kind
    received_at: datetime
    committed_at: datetime
    standing: CaseStanding
    oldest_pending_at: datetime | None
    report_id: UUID
    standing_at: datetime | None = None
    withdrawn_at: datetime | None = None
    not_helped_at: datetime | None = None
    identity: IdentityState = IdentityState.NONE


@dataclass(frozen=True, slots=True)
class TermEnds:
    """A legal term that ends soon; the last day still counts."""

    term: str
    organisation: str
    last_day: date


@dataclass(frozen=True, slots=True)
class QuestionOpen:
    """A question that waits for the reporter; `text` is sealed as long as the shell has it."""

    question_id: UUID
    organisation: str
    text: bytes
    asked_at: datetime
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class QuestionKnown:
    """What decides whether an answer fits; `status` is of the referral that the asker held."""

    text_mac: bytes
    answer_by: datetime
    answer_mac: bytes | None
    status: Status | None


@dataclass(frozen=True, slots=True)
class QuestionAnswers:
    """A question with its answer, both sealed."""

    question_id: UUID
    organisation: str
    text: bytes
    answer: bytes
    answered_at: datetime


class ReferralKnown(NamedTuple):
    """A referral as far as its events have reached intake; a consultation counts as one, which
    lives until its answer.
    """

    case_id: UUID
    organisation: str
    attempt: int
    status: Status
    consulted: bool = False


@dataclass(frozen=True, slots=True)
class CaseAsked:
    """What decides whether a question may be asked in a case."""

    wrapped_key: bytes | None
    urgency: Urgency
    withdrawn: bool
    questions: int
    questions_open: int


@dataclass(frozen=True, slots=True)
class SealedContent:
    """The stored content of a case; `wrapped_key` None means that the case was erased.

    An identity that the reporter hid is not among the fields.
    """

    fields: dict[ContentField, bytes]
    wrapped_key: bytes | None
