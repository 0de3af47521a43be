"""Cases, referrals and the one table of transitions that code and database both follow."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from contracts.event import Event
from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    REPORTER,
    BusinessStatus,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    DeskReason,
    HandOverBy,
    NextAction,
    NextStep,
    Rung,
    Status,
)
from contracts.routing import HandlingLimits
from contracts.situation import Kind, Urgency

REASON_TEXT_CHARACTERS_MAX = 500

# A case goes back to routing once; the second return is for people (P7: no loop).
RETURNS_MAX = 2
REMINDERS_MAX = 2

_ENDS = {Status.FAILED, Status.CANCELLED, Status.ENTERED_IN_ERROR}

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset(
        {Status.RECEIVED, Status.ACCEPTED, Status.REJECTED} | _ENDS,
    ),
    Status.RECEIVED: frozenset({Status.ACCEPTED, Status.REJECTED} | _ENDS),
    Status.ACCEPTED: frozenset({Status.IN_PROGRESS, Status.ON_HOLD, Status.COMPLETED} | _ENDS),
    Status.IN_PROGRESS: frozenset({Status.ON_HOLD, Status.COMPLETED} | _ENDS),
    Status.ON_HOLD: frozenset({Status.IN_PROGRESS, Status.COMPLETED} | _ENDS),
    Status.REJECTED: frozenset(),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.ENTERED_IN_ERROR: frozenset(),
}

OPEN = frozenset({Status.REQUESTED, Status.RECEIVED})
"""The organisation has not decided yet; at most one such referral per case."""

HOLDING = frozenset({Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD})
"""The organisation holds the case; at most one such referral per case."""


class IllegalTransition(Exception):
    """A rule tried a transition that is not in the table: a defect, never an input error."""


class Channel(StrEnum):
    """How an organisation gets what is sent to it; DESK is a person who calls or writes."""

    KAFKA = "kafka"
    INBOX = "inbox"
    WEBHOOK = "webhook"
    EMAIL = "email"
    DESK = "desk"


class Verdict(StrEnum):
    """What became of an event; everything but APPLIED leaves the state as it was."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    HELD_BY_OTHER = "held-by-other"
    ILLEGAL = "illegal"
    WRONG_ATTEMPT = "wrong-attempt"
    REASON_MISSING = "reason-missing"
    TEXT_MISSING = "text-missing"
    UNTIL_MISSING = "until-missing"
    UNTIL_UNFIT = "until-unfit"
    OUTCOME_MISSING = "outcome-missing"
    DECISION_MISSING = "decision-missing"
    TARGET_MISSING = "target-missing"
    LOOP = "loop"
    NEVER = "never"
    UNKNOWN_REFERRAL = "unknown-referral"
    WRONG_SOURCE = "wrong-source"
    ANSWER_ID_REUSED = "answer-id-reused"
    OUTDATED = "outdated"
    BUSY = "busy"


class WhoMustAct(StrEnum):
    """On whom the case waits, as told to a partner whose answer was refused."""

    PARTNER = "partner"
    MELDPUNT = "meldpunt"
    REPORTER = "reporter"


class Case(NamedTuple):
    """One case: exactly one holder, and while it is open one next step.

    `handoff` counts changes of holder, `attempts` the referrals made, `returns` those that were
    declined or expired; `returned_by` are the organisations that had it and do not get it again.
    `first_received_at` is the reporter's first receipt, which no referral resets. `never` are
    parties that may never get it, because it is about them. `step_since` is when the next step
    began, `reminders` how often was reminded of it, `timer_at` when time alone changes the case.
    """

    case_id: UUID
    report_id: UUID
    holder: str
    handoff: int
    decision_id: UUID
    decision_number: int
    attempts: int
    returns: int
    returned_by: tuple[str, ...]
    desk_reason: DeskReason | None
    next_step: NextStep | None
    open: bool
    kind: Kind
    urgency: Urgency
    situation: str
    content: tuple[ContentField, ...]
    first_received_at: datetime
    opened_at: datetime
    changed_at: datetime
    limits: HandlingLimits
    other_lokets: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    step_since: datetime | None = None
    reminders: int = 0
    timer_at: datetime | None = None

    @property
    def who_must_act(self) -> WhoMustAct:
        """Who acts next, without naming an organisation."""
        step = self.next_step
        if step is not None and (step.actor == REPORTER or step.action is NextAction.ASK_REPORTER):
            return WhoMustAct.REPORTER
        if step is None or step.actor == DESK:
            return WhoMustAct.MELDPUNT
        return WhoMustAct.PARTNER

    def seeks(self, now: datetime) -> bool:
        """Whether a next party is being sought, and there is time left for it."""
        step = self.next_step
        return step is not None and step.action is NextAction.ASSIGN and now < step.due_at

    def refuses(self, organisation: str, loket: str | None = None) -> bool:
        """Whether the case is about this organisation, or this loket of it."""
        return organisation in self.never or f"{organisation}/{loket}" in self.never


class Referral(NamedTuple):
    """One attempt at one organisation; `attempt` fences answers to earlier ones off.

    A signal goes to a party that reports nothing back: it does not expire, since silence is what
    was expected of it. `onward_of` is the holder's referral from which this one is asked for;
    `onward_to` the organisation that a holder refers to. `until` is the date of an on-hold.
    """

    referral_id: UUID
    case_id: UUID
    attempt: int
    organisation: str
    loket: str | None
    decision_id: UUID
    signal: bool
    status: Status
    offered_at: datetime
    received_by: datetime
    accepted_by: datetime
    channel: Channel
    business_status: BusinessStatus | None = None
    reason: DeclineReason | None = None
    suggested_organisation: str | None = None
    received_at: datetime | None = None
    accepted_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: CompletedAs | None = None
    decision: ComplaintDecision | None = None
    until: datetime | None = None
    onward_of: UUID | None = None
    onward_to: str | None = None
    handed_over_by: HandOverBy | None = None
    rung: Rung | None = None

    @property
    def due_at(self) -> datetime | None:
        """When silence makes this referral expire; None when nothing is awaited.

        What the desk still has to hand over waits for the desk, not for the organisation.
        """
        if self.signal:
            return None
        if self.status is Status.REQUESTED:
            by_desk = self.channel is Channel.DESK
            return None if by_desk else min(self.received_by, self.accepted_by)
        return self.accepted_by if self.status is Status.RECEIVED else None


@dataclass(frozen=True, slots=True)
class Partner:
    """How an organisation is reached; `fallback` is tried when it keeps silent on its channel."""

    channel: Channel
    fallback: Channel | None = None
    active: bool = True


class FeedItem(NamedTuple):
    """An event for one partner's own feed; `via` is the channel when it is not the usual one."""

    organisation: str
    event: Event
    via: Channel | None = None


class Outcome(NamedTuple):
    """The state after an event and what has to be published because of it."""

    verdict: Verdict
    case: Case
    referrals: tuple[Referral, ...] = ()
    events: tuple[Event, ...] = ()
    feed: tuple[FeedItem, ...] = ()


class Standing(NamedTuple):
    """A case with its live referrals: the open request and the one that holds it, if any."""

    case: Case
    request: Referral | None = None
    holding: Referral | None = None


@dataclass(frozen=True, slots=True)
class LegalTerm:
    """A legal term of a case; `last_day` still counts, `warned` counts the warnings given."""

    case_id: UUID
    term: str
    organisation: str
    last_day: date
    warned: int = 0
    warn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consultation:
    """A question of a holder to another organisation, and the advice."""

    consultation_id: UUID
    case_id: UUID
    referral_id: UUID
    asked_by: str
    organisation: str
    question: str
    asked_at: datetime
    answer_by: datetime
    advice: str | None = None
    advised: bool | None = None
    answered_at: datetime | None = None


def diagram() -> str:
    """The transition table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {_name(Status.REQUESTED)}"]
    for source in Status:
        targets = sorted(TRANSITIONS[source])
        lines += [f"    {_name(source)} --> {_name(target)}" for target in targets]
        if not targets:
            lines.append(f"    {_name(source)} --> [*]")
    return "\n".join(lines)


def _name(status: Status) -> str:
    # Mermaid takes a hyphen in a name for part of an arrow.
    return status.value.replace("-", "_")
