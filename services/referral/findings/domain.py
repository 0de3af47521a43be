"""A finding, its states, and the one table of transitions that code and database both follow."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from contracts.event import Event
from contracts.finding import (
    BOARD,
    BoardReply,
    EvidenceKind,
    FindingAction,
    FindingNotice,
    FindingState,
    Settlement,
)
from contracts.referral import ComplaintDecision, NextAction, NextStep
from contracts.routing import Regime

_REPLIED = frozenset(
    {FindingState.REPLIED_FOLLOWING, FindingState.PARTLY, FindingState.NOT_FOLLOWED}
)

TRANSITIONS: dict[FindingState, frozenset[FindingState]] = {
    FindingState.ISSUED: frozenset({FindingState.REPLY_DUE, FindingState.CLOSED}),
    FindingState.REPLY_DUE: _REPLIED
    | {FindingState.DEVIATION_ANNOUNCED, FindingState.SILENT, FindingState.CLOSED},
    FindingState.DEVIATION_ANNOUNCED: _REPLIED | {FindingState.SILENT, FindingState.CLOSED},
    FindingState.REPLIED_FOLLOWING: frozenset(
        {
            FindingState.FOLLOWED,
            FindingState.PARTLY,
            FindingState.NOT_FOLLOWED,
            FindingState.SILENT,
            FindingState.CLOSED,
        }
    ),
    FindingState.PARTLY: frozenset(
        {
            FindingState.FOLLOWED,
            FindingState.REPLIED_FOLLOWING,
            FindingState.NOT_FOLLOWED,
            FindingState.WITH_SUPERVISOR,
            FindingState.CLOSED,
        }
    ),
    FindingState.NOT_FOLLOWED: frozenset(
        {
            FindingState.REPLIED_FOLLOWING,
            FindingState.PARTLY,
            FindingState.WITH_SUPERVISOR,
            FindingState.CLOSED,
        }
    ),
    FindingState.SILENT: _REPLIED
    | {
        FindingState.DEVIATION_ANNOUNCED,
        FindingState.FOLLOWED,
        FindingState.WITH_SUPERVISOR,
        FindingState.CLOSED,
    },
    FindingState.WITH_SUPERVISOR: _REPLIED | {FindingState.FOLLOWED, FindingState.CLOSED},
    FindingState.FOLLOWED: frozenset(),
    FindingState.CLOSED: frozenset(),
}

ENDED = frozenset({FindingState.FOLLOWED, FindingState.CLOSED})
AWAITS_REPLY = frozenset({FindingState.REPLY_DUE, FindingState.DEVIATION_ANNOUNCED})
STARTS = frozenset({FindingState.ISSUED, FindingState.REPLY_DUE})

ON_THE_MERITS = frozenset(
    {
        ComplaintDecision.UPHELD,
        ComplaintDecision.PARTLY_UPHELD,
        ComplaintDecision.NOT_UPHELD,
    }
)
"""Decisions that say whether a complaint is right: only these ask for a reply (WPO 14 lid 7)."""


class Verdict(StrEnum):
    """What became of a command; everything but APPLIED leaves the finding as it was."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    ID_REUSED = "id-reused"
    ILLEGAL = "illegal"
    ENDED = "finding-ended"
    NOT_DUE = "not-due"
    DEVIATION_TOO_LATE = "deviation-too-late"
    DEVIATED_ALREADY = "deviated-already"
    DATE_REFUSED = "date-refused"
    REASONS_MISSING = "reasons-missing"
    EVIDENCE_MISSING = "evidence-missing"
    REPLY_MISSING = "reply-missing"
    LADDER_NOT_DONE = "ladder-not-done"


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds the case of a finding, as every event says; `handoff` counts the changes."""

    holder: str
    handoff: int


@dataclass(frozen=True, slots=True)
class Step:
    """Who acts next on a finding, on what, by when."""

    actor: str
    action: FindingAction
    due_at: datetime

    @property
    def of_case(self) -> NextStep:
        """The same in the words of a case."""
        asks_board = self.actor == BOARD and self.action is FindingAction.REPLY
        action = NextAction.REPLY_TO_FINDING if asks_board else NextAction.CHECK_FINDING
        return NextStep(actor=self.actor, action=action, due_at=self.due_at)


@dataclass(frozen=True, slots=True)
class InForce:
    """A regime with the version of the register that it was read from."""

    register_version: str
    regime: Regime


@dataclass(frozen=True, slots=True)
class Finding:
    """One committee's finding on one complaint, and what the board did with it.

    `regime` is the one in force on the day of the finding and never changes afterwards.
    `reply_due_at` is the legal end of the board's term (or of its announced deviation), `step` what
    has to happen now, `fires_at` the next moment at which silence has a consequence. `reply` is the
    board's last word on the finding itself, `told` the supervisors that were told, in order.
    """

    finding_id: UUID
    case_id: UUID
    referral_id: UUID | None
    committee: str
    board: str
    decision: ComplaintDecision
    advice: bool
    issued_on: date
    regime: InForce | None
    state: FindingState
    step: Step | None
    fires_at: datetime | None
    opened_at: datetime
    changed_at: datetime
    reply_due_at: datetime | None = None
    reply: BoardReply | None = None
    first_replied_on: date | None = None
    deviated_to: date | None = None
    measures_by: date | None = None
    silent_at: datetime | None = None
    told: tuple[str, ...] = ()
    reminders: int = 0
    evidence: int = 0
    settlement: Settlement | None = None
    settled_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether somebody still has to act."""
        return self.state not in ENDED


@dataclass(frozen=True, slots=True)
class Reply:
    """A board's reply; `by` is who brought it: the board itself, or the desk on its behalf.

    `digest` is the SHA-256 (hex) of the letter that the desk saw.
    """

    reply_id: UUID
    reply: BoardReply
    replied_on: date
    by: str
    reasons: str | None = None
    new_date: date | None = None
    measures_by: date | None = None
    digest: str | None = None

    @property
    def entry_id(self) -> UUID:
        """What tells a repeat."""
        return self.reply_id


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows whether a finding was followed; `digest` is the SHA-256 (hex) of the document.

    `confirms` says that with it the finding has been followed: only the committee and the desk (for
    itself or for the complainant) can say so.
    """

    evidence_id: UUID
    kind: EvidenceKind
    day: date
    by: str
    digest: str
    text: str | None = None
    confirms: bool = False

    @property
    def entry_id(self) -> UUID:
        """What tells a repeat."""
        return self.evidence_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """The finding after a command, what is published of it and who is told on their own feed."""

    verdict: Verdict
    finding: Finding
    events: tuple[Event, ...] = ()
    notices: tuple[FindingNotice, ...] = ()


def diagram() -> str:
    """The transition table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {_name(state)}" for state in FindingState if state in STARTS]
    for source in FindingState:
        targets = sorted(TRANSITIONS[source])
        lines += [f"    {_name(source)} --> {_name(target)}" for target in targets]
        if not targets:
            lines.append(f"    {_name(source)} --> [*]")
    return "\n".join(lines)


def _name(state: FindingState) -> str:
    # Mermaid takes a hyphen in a name for part of an arrow.
    return state.value.replace("-", "_")
