"""Values of intake: what a channel sends, what is stored of it, and how a case stands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from contracts.intake import ContentField, IntakeChannel
from contracts.referral import DESK, Status
from contracts.situation import Kind, Situation

NARRATIVE_CHARACTERS_MAX = 20_000


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


class NewReport(BaseModel):
    """The body of `POST /v1/reports`; `situation` has the field names of the events."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    situation: ReportedSituation
    narrative: Annotated[str, StringConstraints(max_length=NARRATIVE_CHARACTERS_MAX)] | None = None
    identity: Identity | None = None
    channel: IntakeChannel = IntakeChannel.WEB

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


@dataclass(frozen=True, slots=True)
class Sealed:
    """Sealed content of one report: compact JWEs by field and the wrapped key of their case.

    `commitment` is the SHA-256 of `salt` (32 bytes) and the JWEs.
    """

    fields: dict[ContentField, bytes]
    wrapped_key: bytes
    salt: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class StoredReport:
    """What a receipt is made of; the same for a repeat as for the first time."""

    report_id: UUID
    case_id: UUID
    received_at: datetime
    commitment: bytes


@dataclass(frozen=True, slots=True)
class FormerReport:
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
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class CaseStanding:
    """What intake knows of a case from the events of routing and referral."""

    stage: Stage = Stage.RECEIVED
    holder: str = DESK
    next_actor: str | None = None
    next_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportFound:
    """A report found by its code; `oldest_pending_at` is the time of the oldest event that still
    waits for the broker.
    """

    case_id: UUID
    kind: Kind
    received_at: datetime
    committed_at: datetime
    standing: CaseStanding
    oldest_pending_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReferralKnown:
    """A referral as far as its events have reached intake."""

    case_id: UUID
    organisation: str
    attempt: int
    status: Status


@dataclass(frozen=True, slots=True)
class SealedContent:
    """The stored content of a case; `wrapped_key` None means that the case was erased."""

    fields: dict[ContentField, bytes]
    wrapped_key: bytes | None
