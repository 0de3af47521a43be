"""What the API of findings reads and shows; names in JSON are camelCase."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.finding import (
    BoardReply,
    EvidenceKind,
    FindingAction,
    FindingKind,
    FindingState,
    Settlement,
)
from contracts.reference import case_reference
from contracts.referral import DESK, ComplaintDecision
from contracts.situation import OrganisationId
from services.referral.domain import WhoMustAct
from services.referral.findings.domain import Evidence, Finding, Reply
from services.referral.findings.figures import Figures, percent
from services.referral.models import Model

TEXT_CHARACTERS_MAX = 2000
_Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the document")]


class _Given(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", hide_input_in_errors=True)


class FindingGiven(_Given):
    """A committee's finding; a repeat with the same `findingId` is harmless.

    `committee` is needed from the desk only. `issuedOn` is the day of the finding, from which the
    board's term runs.
    """

    finding_id: UUID
    committee: OrganisationId | None = None
    decision: ComplaintDecision
    advice: bool
    issued_on: date


class ReplyGiven(_Given):
    """A board's reply; a repeat with the same `replyId` is harmless.

    `reasons` are needed unless the board follows, `until` (the new date) with a deviation from the
    term. From the desk also the `digest` of the letter that it saw, and the day of it.
    """

    reply_id: UUID
    reply: BoardReply
    reasons: _Text | None = None
    until: date | None = None
    measures_by: date | None = None
    replied_on: date | None = None
    digest: _Digest | None = None


class EvidenceGiven(_Given):
    """What shows whether a finding was followed; a repeat with the same `evidenceId` is harmless.

    `confirms` says that it was; committee and desk (also for the complainant) can say so.
    """

    evidence_id: UUID
    kind: EvidenceKind
    day: date
    digest: _Digest
    text: _Text | None = None
    confirms: bool = False


class SettlementGiven(_Given):
    """How the desk ends a finding that was not wholly followed."""

    settlement: Settlement


class FindingStepView(Model):
    """Who acts next on a finding, on what, by when."""

    actor: OrganisationId
    action: FindingAction
    due_at: datetime


class RegimeView(Model):
    """The legal regime that decides; `toVerify` says that nobody has checked it with the law."""

    id: str
    kind: FindingKind
    register_version: str
    board_response_weeks: int
    after_silence: tuple[OrganisationId, ...]
    after_deviation: tuple[OrganisationId, ...]
    source: str
    to_verify: bool


class FindingSummary(Model):
    """One finding in a list."""

    finding_id: UUID
    case_id: UUID
    reference: str
    committee: OrganisationId
    board: OrganisationId
    decision: ComplaintDecision
    advice: bool
    issued_on: date
    state: FindingState
    reply: BoardReply | None
    reply_due_at: datetime | None
    deviated_to: date | None
    measures_by: date | None
    told: tuple[OrganisationId, ...]
    settlement: Settlement | None
    settled_at: datetime | None
    overdue: bool
    next_step: FindingStepView | None
    who_must_act: WhoMustAct | None


class Findings(Model):
    """A page of open findings, first due first; ask the next with `after` set to `nextAfter`."""

    findings: list[FindingSummary]
    next_after: UUID | None


class ReplyView(Model):
    """What the board said; `reasons` only for desk, committee and supervisor."""

    reply_id: UUID
    reply: BoardReply
    replied_on: date
    on_behalf: bool
    reasons: str | None
    until: date | None
    measures_by: date | None
    digest: str | None


class EvidenceView(Model):
    """An entry of evidence; `text` only for desk, committee and supervisor."""

    evidence_id: UUID
    kind: EvidenceKind
    day: date
    by: OrganisationId
    digest: str
    text: str | None
    confirms: bool


class FindingView(FindingSummary):
    """One finding with its regime, replies and evidence."""

    regime: RegimeView | None
    replies: list[ReplyView]
    evidence: list[EvidenceView]


class FindingSettled(Model):
    """The finding after a command; `duplicate` when it had been recorded already."""

    duplicate: bool
    finding: FindingSummary


class Share(Model):
    """A percentage with the numbers that it is made of."""

    part: int
    whole: int
    percent: float


class FiguresRow(Model):
    """Findings of one regime and year; null where a number is too small for a public figure.

    Every finding is in exactly one of `followed`, `partly`, `notFollowed`, `noReply`, `withdrawn`,
    `open`. `silent`, `deviated`, `deviatedFromTerm`, `replied` and `settled` count across these.
    """

    regime: str | None
    year: int
    findings: int | None
    followed: int | None
    partly: int | None
    not_followed: int | None
    no_reply: int | None
    withdrawn: int | None
    open: int | None
    silent: int | None
    deviated: int | None
    deviated_from_term: int | None
    replied: int | None
    settled: int | None
    median_reply_days: float | None
    median_settle_days: float | None
    suppressed: bool
    followed_of_settled: Share | None


class FindingFigures(Model):
    """Figures per regime and year; `smallBelow` is where public figures begin to hide."""

    public: bool
    small_below: int
    rows: list[FiguresRow]


def summary_of(finding: Finding, now: datetime) -> FindingSummary:
    """A finding for a list."""
    return FindingSummary.model_validate(_summary(finding, now))


def view_of(
    finding: Finding,
    replies: list[Reply],
    evidence: list[Evidence],
    now: datetime,
    *,
    texts: bool,
) -> FindingView:
    """A finding with what was said and shown; the words only with `texts`."""
    return FindingView.model_validate(
        {
            **_summary(finding, now),
            "regime": _regime(finding),
            "replies": [
                {**asdict(item), "on_behalf": item.by == DESK, "until": item.new_date}
                | ({} if texts else {"reasons": None})
                for item in replies
            ],
            "evidence": [asdict(item) | ({} if texts else {"text": None}) for item in evidence],
        }
    )


def row_of(figures: Figures) -> FiguresRow:
    """Figures with the one share that follows from them."""
    part, whole = figures.followed, figures.settled
    share = percent(part, whole)
    shown = None
    if part is not None and whole is not None and share is not None:
        shown = Share(part=part, whole=whole, percent=share)
    return FiguresRow(**asdict(figures), followed_of_settled=shown)


def who_must_act(finding: Finding) -> WhoMustAct | None:
    """On whom the finding waits."""
    if finding.step is None:
        return None
    return WhoMustAct.MELDPUNT if finding.step.actor == DESK else WhoMustAct.PARTNER


def _summary(finding: Finding, now: datetime) -> dict[str, object]:
    step = finding.step
    own = {
        name: getattr(finding, name)
        for name in FindingSummary.model_fields
        if hasattr(finding, name)
    }
    return own | {
        "reference": case_reference(finding.case_id),
        "overdue": step is not None and step.due_at <= now,
        "next_step": asdict(step) if step else None,
        "who_must_act": who_must_act(finding),
    }


def _regime(finding: Finding) -> dict[str, object] | None:
    if finding.regime is None:
        return None
    regime = finding.regime.regime
    return regime.model_dump() | {
        "kind": regime.finding,
        "register_version": finding.regime.register_version,
    }
