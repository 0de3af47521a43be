"""Events that every service publishes about its own work, on its own topic.

With them audit can count from the topics alone what waits, what was parked and what is missing.
"""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Event


class ParkReason(StrEnum):
    """Why an event could not be handled."""

    UNREADABLE = "unreadable"
    UNKNOWN_VERSION = "unknown-version"
    CONTRACT_BROKEN = "contract-broken"
    REFUSED = "refused"
    DEFECT = "defect"
    BEHIND_PARKED = "behind-parked"


class EventParked(Event):
    """A consumer put an event aside; it counts as an open case until it is re-driven.

    `case_id` and `failed_*` are absent where the record is too broken, or has no known form: what a
    stranger wrote is not repeated.
    """

    event_name: ClassVar[str] = "event-parked"

    parked_id: UUID
    consumer: str
    reason: ParkReason
    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    failed_source: Annotated[str | None, Field(max_length=160)] = None
    failed_id: UUID | None = None
    failed_type: Annotated[str | None, Field(max_length=120)] = None
    case_id: UUID | None = None
    at: AwareDatetime


class EventRedriven(Event):
    """A parked event was handled after all."""

    event_name: ClassVar[str] = "event-redriven"

    parked_id: UUID
    consumer: str
    case_id: UUID | None = None
    at: AwareDatetime


class TallyPublished(Event):
    """How many events the source had published before this one.

    So a missing last event shows too. `through_sequence` is the sequence just before its own.
    """

    event_name: ClassVar[str] = "tally-published"

    tallied_source: str
    through_sequence: int
    at: AwareDatetime


EVENTS: tuple[type[Event], ...] = (EventParked, EventRedriven, TallyPublished)
