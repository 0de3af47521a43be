"""Deliveries, lanes and what can come of a try; pure values.

A lane is one channel to one partner. Trouble of a lane stays in the lane.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.envelope import Envelope
from contracts.referral import DeliveryState


class Push(StrEnum):
    """The channels over which meldpunt itself brings an event."""

    WEBHOOK = "webhook"
    EMAIL = "email"


class DeliveryStatus(StrEnum):
    """State of one event for one recipient."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class TryProblem(StrEnum):
    """Why a try failed: a code for rows, metrics and API, never a text of the other side."""

    NAME_UNKNOWN = "name-unknown"
    ADDRESS_REFUSED = "address-refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "broken-answer"
    REDIRECT = "redirect"
    BUSY = "busy"
    SERVER_ERROR = "server-error"
    REFUSED = "refused"
    REJECTED = "rejected"
    GONE = "gone"
    MAIL_SERVER = "mail-server-away"
    MAILBOX = "mailbox-refused"
    KEYS = "keys-unreadable"
    SLOW = "not-delivered-in-time"
    NO_ADDRESS = "no-address"
    DEFECT = "defect"


# About this one event: others may well be taken.
OF_THE_EVENT = frozenset({TryProblem.REJECTED, TryProblem.DEFECT})
OURS = frozenset({TryProblem.MAIL_SERVER, TryProblem.KEYS, TryProblem.DEFECT})
"""What meldpunt itself must solve; everything else is for the partner."""


@dataclass(frozen=True, slots=True)
class Try:
    """What came of one try; without a problem it was delivered."""

    problem: TryProblem | None = None
    retry_after_seconds: int | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed delivery; `attempts` counts this try too and fences off an older claim."""

    organisation: str
    channel: Push
    attempts: int
    event: Envelope

    @property
    def event_id(self) -> UUID:
        """The same over all tries and channels."""
        return UUID(self.event.id)


@dataclass(frozen=True, slots=True)
class Settled:
    """The row of a delivery after a try."""

    status: DeliveryStatus
    next_try_at: datetime
    problem: TryProblem | None


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel to one partner, as known at `since`; off (`enabled` false) after a 410."""

    organisation: str
    channel: Push
    state: DeliveryState
    since: datetime
    enabled: bool = True
    failures: int = 0
    paused_until: datetime | None = None
    problem: TryProblem | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """Where a lane leads; no representation, because an address may be a person's."""

    organisation: str
    address: str
    sealed_keys: bytes | None = None
