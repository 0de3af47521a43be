"""Events that intake publishes on `meldpunt.intake`."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from contracts.event import Event
from contracts.situation import OrganisationId, Situation


class IntakeChannel(StrEnum):
    """How the report came in."""

    WEB = "web"
    PHONE = "phone"
    PARTNER = "partner"


class ContentField(StrEnum):
    """What the vault can hold of a case; a partner gets only the fields it may have."""

    NARRATIVE = "narrative"
    IDENTITY = "identity"


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


class ContentDisclosed(Event):
    """A partner fetched content with a capability; which fields, never what they said."""

    event_name: ClassVar[str] = "content-disclosed"

    case_id: UUID
    referral_id: UUID
    attempt: int
    organisation: OrganisationId
    fields: tuple[ContentField, ...]
    disclosed_at: AwareDatetime


EVENTS: tuple[type[Event], ...] = (ReportReceived, ContentDisclosed)
