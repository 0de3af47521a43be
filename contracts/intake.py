"""Events that intake publishes on `meldpunt.intake`."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from contracts.event import Event, OpenEnumeration
from contracts.situation import OrganisationId, Situation


class IntakeChannel(StrEnum):
    """How the report came in."""

    WEB = "web"
    PHONE = "phone"
    PARTNER = "partner"


class ContentField(OpenEnumeration):
    """What the vault can hold of a case; a partner gets only the fields it may have."""

    NARRATIVE = "narrative"
    IDENTITY = "identity"
    ANSWERS = "answers"


class KnownDate(BaseModel):
    """A day on which a term starts to run, as the reporter knows it.

    `starts` is a start event of the register: `decision`, `event`, `application`, `finding` ...
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    starts: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,31}$")]
    day: date


class ReportReceived(Event):
    """A report was stored durably and its receipt given.

    `received_at` is the first receipt: it travels along with every referral and is never reset
    (the model of WHW 7.59a and Awb 6:15). `commitment` is the SHA-256 of a random salt and the
    sealed content, so that the content can be proved later without being shown.
    """

    event_name: ClassVar[str] = "report-received"

    report_id: UUID
    case_id: UUID
    channel: IntakeChannel
    situation: Situation
    received_at: AwareDatetime
    content: tuple[ContentField, ...]
    commitment: str
    known_dates: tuple[KnownDate, ...] = ()


class ReportWithdrawn(Event):
    """The reporter takes the report back, with the receipt code."""

    event_name: ClassVar[str] = "report-withdrawn"

    report_id: UUID
    case_id: UUID
    withdrawn_at: AwareDatetime


class QuestionAsked(Event):
    """The holder asks the reporter something; the words are sealed at intake."""

    event_name: ClassVar[str] = "question-asked"

    question_id: UUID
    case_id: UUID
    referral_id: UUID
    organisation: OrganisationId
    answer_by: AwareDatetime
    asked_at: AwareDatetime


class QuestionAnswered(Event):
    """The reporter answered with the receipt code; the holder fetches the words."""

    event_name: ClassVar[str] = "question-answered"

    question_id: UUID
    case_id: UUID
    answered_at: AwareDatetime


class NotHelped(Event):
    """The reporter says, with the receipt code, that no help came; the desk takes it up."""

    event_name: ClassVar[str] = "not-helped"

    report_id: UUID
    case_id: UUID
    at: AwareDatetime


class IdentityHidden(Event):
    """The reporter no longer wants the identity to be given; what was given stays known there."""

    event_name: ClassVar[str] = "identity-hidden"

    report_id: UUID
    case_id: UUID
    hidden_at: AwareDatetime


class ContentDisclosed(Event):
    """A partner fetched content with a capability; which fields, never what they said."""

    event_name: ClassVar[str] = "content-disclosed"

    case_id: UUID
    referral_id: UUID
    attempt: int
    organisation: OrganisationId
    fields: tuple[ContentField, ...]
    disclosed_at: AwareDatetime


EVENTS: tuple[type[Event], ...] = (
    ReportReceived,
    ContentDisclosed,
    ReportWithdrawn,
    QuestionAsked,
    QuestionAnswered,
    IdentityHidden,
    NotHelped,
)
