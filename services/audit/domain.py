"""What audit knows of a case, of a source and of its own log.

What is made for every event is a named tuple, because a frozen data class costs five times as much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Standing(StrEnum):
    """Where a case stands, whatever the clock says; the first that fits, in this order."""

    PARKED = "parked"
    INCOMPLETE = "incomplete"
    CLOSED = "closed"
    PICKED_UP = "picked-up"
    AT_DESK = "at-desk"
    WAITING = "waiting"


class State(StrEnum):
    """Where a case stands at a moment: a standing, or that its next step is late.

    `overdue` is a case that nobody picked up in time, `holder-overdue` one whose holder accepted
    it and then let the time of its next step go by.
    """

    CLOSED = "closed"
    PICKED_UP = "picked-up"
    HOLDER_OVERDUE = "holder-overdue"
    AT_DESK = "at-desk"
    WAITING = "waiting"
    OVERDUE = "overdue"
    INCOMPLETE = "incomplete"
    PARKED = "parked"


class Picture(NamedTuple):
    """What the events seen so far say of one case, in whatever order they came.

    Every field merges by minimum, maximum, sum or union, so that order does not matter. The
    `*_seen` fields are sets of small numbers as bits: bit n is set when number n was seen.
    `*_sequence` fields hold the sequence in referral's source that their neighbours came from;
    0 stands for none. `parked_open` is negative while a re-drive has overtaken its parking.
    `closed_*` tell of the last closing: a later event with a next step has opened the case again.
    """

    case_id: UUID
    reference: str
    entries: int = 0
    report_id: UUID | None = None
    received_at: datetime | None = None
    kind: str | None = None
    first_channel: str | None = None
    decisions_seen: int = 0
    assigned_at: datetime | None = None
    organisation: str | None = None
    mode: str | None = None
    offered_at: datetime | None = None
    offer_sequence: int = 0
    referral_received_at: datetime | None = None
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    accept_handoff: int = -1
    holder: str | None = None
    handoff: int = -1
    holder_sequence: int = 0
    handoffs_seen: int = 0
    next_actor: str | None = None
    next_action: str | None = None
    next_due_at: datetime | None = None
    holder_at: datetime | None = None
    at_desk_reason: str | None = None
    desk_sequence: int = 0
    returns: int = 0
    parked_open: int = 0
    last_event_at: datetime | None = None
    closed_at: datetime | None = None
    closed_because: str | None = None
    closed_outcome: str | None = None
    closed_sequence: int = 0
    withdrawn_at: datetime | None = None
    reminders: int = 0
    escalations: int = 0

    @property
    def decisions(self) -> int:
        """How many decisions of routing were seen."""
        return self.decisions_seen.bit_count()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on a case at a moment; `missing` names the events that must exist but were
    not seen, `explanation` is one Dutch sentence for a reader.
    """

    state: State
    explanation: str
    actor: str | None
    action: str | None
    due_at: datetime | None
    missing: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One event in the log: metadata and a digest, no content.

    `entry` counts the events of a case from 1; without a case both are None. `digest` is the
    SHA-256 of the event's data. Moments have microseconds. `facts` is what figures count besides,
    as JSON with sorted keys, so that all of them can be recomputed from the log alone.
    """

    case_id: UUID | None
    entry: int | None
    source: str
    sequence: int
    event_id: str
    type: str
    time: datetime
    at: datetime
    holder: str | None
    handoff: int | None
    organisation: str | None
    referral: str | None
    attempt: int | None
    status: str | None
    reason: str | None
    next_actor: str | None
    next_action: str | None
    next_due_at: datetime | None
    digest: bytes
    facts: str | None = None


class Logged(NamedTuple):
    """An entry at its place in the log: index from 0, leaf hash, and the chain up to here.

    `written` is the metadata as JSON, byte for byte what the leaf commits to.
    """

    log_index: int
    entry: Entry
    written: str
    leaf: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """What is needed to check one entry, also for somebody who has no database."""

    log_index: int
    metadata: Mapping[str, str | int]
    digest: bytes
    leaf: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The log as a whole: number of entries and the chain after the last of them."""

    size: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whether an organisation gets what is sent to it over a channel; `since` the state began.

    `sequence` is the one in referral's source that tells it; the highest counts.
    """

    organisation: str
    channel: str
    state: str
    waiting: int
    since: datetime
    at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Figure:
    """How often something happened; `organisation` is the one that it is told of."""

    organisation: str
    fact: str
    number: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a finding stands by the event with the highest `sequence` in referral's source.

    `reply_days` counts the days from the finding to the board's first reply.
    """

    finding_id: UUID
    case_id: UUID
    regime: str | None
    state: str
    sequence: int
    reply_days: int | None = None
    settlement: str | None = None


@dataclass(frozen=True, slots=True)
class FindingFigure:
    """How many findings of one regime are in one state, or ended in one way; 50 % of the boards
    that replied did so within `median_days`.
    """

    regime: str | None
    state: str
    settlement: str | None
    number: int
    replied: int
    median_days: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source has come: the highest sequence that must exist, how many different ones
    were seen up to there, and the sequence that its last tally vouches for.

    `reused` events came under a sequence that another event had: the source was set back to an
    earlier moment, and a hole can hide behind the number that was given twice.
    """

    source: str
    highest: int = 0
    seen: int = 0
    tallied: int = 0
    reused: int = 0

    @property
    def missing(self) -> int:
        """How many events exist, or are said to, that were not seen."""
        return self.highest - self.seen

    @property
    def tally_lags(self) -> bool:
        """Whether events came after the last tally: their successors could be lost unnoticed."""
        return self.tallied + 1 < self.highest
