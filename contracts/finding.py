"""Events of a committee's finding and the board's reply to it, on `meldpunt.referral` and feeds.

A finding on a complaint binds or advises a board, as the dated legal regime says. Every event says
of which finding, under which regime and of which day it is, so that findings can be counted from
the events alone; and, as every event of the topic, who holds the case and who acts next by when.
The reasons of a board and what a piece of evidence says are in no event.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Event, OpenEnumeration
from contracts.referral import ComplaintDecision, NextStep
from contracts.situation import OrganisationId

BOARD = "bevoegd_gezag"
"""The organisation that a finding on a complaint is addressed to: the board of the school."""

FindingKind = Literal["advice", "comply-or-report", "binding"]


class FindingState(OpenEnumeration):
    """Where a finding stands; `followed` and `closed` are ends.

    `issued` is a finding for whose day no legal regime is known yet.
    """

    ISSUED = "issued"
    REPLY_DUE = "reply-due"
    DEVIATION_ANNOUNCED = "deviation-announced"
    REPLIED_FOLLOWING = "replied-following"
    PARTLY = "partly"
    NOT_FOLLOWED = "not-followed"
    SILENT = "silent"
    WITH_SUPERVISOR = "with-supervisor"
    FOLLOWED = "followed"
    CLOSED = "closed"


class BoardReply(StrEnum):
    """What a board says of a finding.

    `deviates-from-term` is the motivated notice with a new date that WPO 14 lid 7 knows. The two
    that deviate from the finding itself have no statutory form and are recorded as facts.
    """

    FOLLOWS = "follows"
    PARTLY = "partly"
    DOES_NOT_FOLLOW = "does-not-follow"
    DEVIATES_FROM_TERM = "deviates-from-term"


class FindingAction(OpenEnumeration):
    """What the next actor of a finding has to do."""

    REPLY = "reply"
    REPORT_DEVIATION = "report-deviation"
    CHECK_REPLY = "check-reply"
    SHOW_MEASURES = "show-measures"
    CHECK_MEASURES = "check-measures"
    FOLLOW_SUPERVISOR = "follow-supervisor"
    FIND_REGIME = "find-regime"


class EscalatedBecause(OpenEnumeration):
    """Why a finding went a step up its ladder."""

    SILENCE = "silence"
    NO_EVIDENCE = "no-evidence"
    DEVIATION = "deviation"


class ToldBy(StrEnum):
    """How an organisation hears of a step: on its own feed, or from the desk when it has none."""

    FEED = "feed"
    DESK = "desk"


class EvidenceKind(StrEnum):
    """What shows whether a finding was followed."""

    DOCUMENT = "document"
    INSPECTION = "inspection"
    STATEMENT = "statement"


class Settlement(StrEnum):
    """What came of a finding in the end; silence is never an end by itself (P3)."""

    FOLLOWED = "followed"
    PARTLY_FOLLOWED = "partly-followed"
    NOT_FOLLOWED = "not-followed"
    NO_REPLY = "no-reply"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered-in-error"


class _FindingEvent(Event):
    finding_id: UUID
    case_id: UUID
    holder: OrganisationId
    handoff: Annotated[int, Field(ge=0)]
    next_step: NextStep | None = None
    state: FindingState
    issued_on: date
    regime: str | None = None
    at: AwareDatetime


class FindingIssued(_FindingEvent):
    """A committee's finding was recorded; again when the regime of its day became known.

    `reply_due_at` is the end of the last day of the board's term. `register_version` is the
    register whose regime of the day of the finding decides; `kind` is that of the regime.
    """

    event_name: ClassVar[str] = "finding-issued"

    committee: OrganisationId
    board: OrganisationId
    decision: ComplaintDecision
    advice: bool
    kind: FindingKind | None = None
    register_version: str | None = None
    reply_due_at: AwareDatetime | None = None


class FindingReplied(_FindingEvent):
    """The board replied, itself or through the desk (`on_behalf`).

    `late` says that the term, or the date of the deviation, had passed on the day of the reply;
    `reply_days` counts calendar days from the finding. `new_date` belongs to a deviation from the
    term, `measures_by` to a board that follows.
    """

    event_name: ClassVar[str] = "finding-replied"

    reply_id: UUID
    reply: BoardReply
    replied_on: date
    reply_days: Annotated[int, Field(ge=0)]
    late: bool
    on_behalf: bool
    new_date: date | None = None
    measures_by: date | None = None


class FindingReminded(_FindingEvent):
    """Somebody who must act on a finding was reminded; `number` counts from 1 per step."""

    event_name: ClassVar[str] = "finding-reminded"

    actor: OrganisationId
    action: FindingAction
    number: Annotated[int, Field(ge=1)]


class FindingEscalated(_FindingEvent):
    """A finding went a step up. Rung 0 is the desk, which asks before anybody is told.

    From rung 1 on `organisation` is the one that the regime names in that place; it was told, which
    does not claim that it acts.
    """

    event_name: ClassVar[str] = "finding-escalated"

    because: EscalatedBecause
    rung: Annotated[int, Field(ge=0)]
    organisation: OrganisationId
    told_by: ToldBy


class FindingSettled(_FindingEvent):
    """Nothing has to be done with the finding any more; `evidence` counts the entries for it."""

    event_name: ClassVar[str] = "finding-settled"

    settlement: Settlement
    settled_by: OrganisationId
    evidence: Annotated[int, Field(ge=0)]
    settle_days: Annotated[int, Field(ge=0)]


class NoticeRole(StrEnum):
    """As what an organisation hears of a finding."""

    BOARD = "board"
    COMMITTEE = "committee"
    SUPERVISOR = "supervisor"


class FindingNotice(Event):
    """News of a finding for the board, the committee, or one that the regime has told; no content.

    `organisation` is the receiver. The finding itself comes from the committee, and what was said
    of it over HTTP. `reply_due_at` is when the board's reply must be there.
    """

    event_name: ClassVar[str] = "finding-notice"

    finding_id: UUID
    case_id: UUID
    reference: str
    organisation: OrganisationId
    role: NoticeRole
    committee: OrganisationId
    decision: ComplaintDecision
    issued_on: date
    state: FindingState
    reply: BoardReply | None = None
    reply_due_at: AwareDatetime | None = None
    new_date: date | None = None
    because: EscalatedBecause | None = None
    at: AwareDatetime


EVENTS: tuple[type[Event], ...] = (
    FindingIssued,
    FindingReplied,
    FindingReminded,
    FindingEscalated,
    FindingSettled,
)
FEED_EVENTS: tuple[type[Event], ...] = (FindingNotice,)
