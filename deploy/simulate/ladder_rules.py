"""What must be true of a finding: nothing ends by silence, nobody is told twice or out of turn."""

from dataclasses import dataclass
from datetime import datetime

from contracts.finding import BoardReply, FindingState
from contracts.referral import DESK, DeskReason, NextAction
from deploy.simulate.past import require
from deploy.simulate.world import Book, Cause
from services.referral.domain import Case
from services.referral.findings.domain import Finding, Outcome, Verdict

_PROVED_BY = {
    FindingState.REPLIED_FOLLOWING: BoardReply.FOLLOWS,
    FindingState.PARTLY: BoardReply.PARTLY,
    FindingState.NOT_FOLLOWED: BoardReply.DOES_NOT_FOLLOW,
    FindingState.DEVIATION_ANNOUNCED: BoardReply.DEVIATES_FROM_TERM,
}
REMINDERS_AT_REST = 3


@dataclass(frozen=True, slots=True)
class AppliedFinding:
    """One call of a rule of findings with its outcome."""

    name: str
    cause: Cause
    before: Finding | None
    outcome: Outcome
    now: datetime


def check_call(applied: AppliedFinding) -> None:
    """What one call may change."""
    before, outcome = applied.before, applied.outcome
    after = outcome.finding
    if outcome.verdict is not Verdict.APPLIED:
        quiet = after == before and not outcome.events and not outcome.notices
        require(quiet, "P1", f"{outcome.verdict.value}, but the finding changed")
        return
    if before is None:
        return
    require(before.open, "P2", "a finding that had ended was changed")
    kept = before.regime is None or before.regime == after.regime
    require(kept, "P3", "a finding went over to another regime")
    if applied.cause is Cause.TIME:
        require(after.open, "P3", "silence ended a finding")
        due = before.fires_at is not None and before.fires_at <= applied.now
        require(due, "P3", "time acted on a finding before its moment")
    told = after.told[: len(before.told)] == before.told and len(after.told) <= len(before.told) + 1
    require(told and len({*after.told}) == len(after.told), "P3", "somebody was told twice")
    if after.told != before.told:
        step = after.step
        waits = step is not None and step.actor == DESK
        require(waits, "P4", "who was told is taken to act")


def check_finding(book: Book, finding: Finding) -> None:
    """What holds of a finding at rest."""
    awaited = finding.step is not None and finding.fires_at is not None
    require(awaited == finding.open, "P3", "an open finding without a next step, or an ended one")
    said = {reply for of, reply in book.said.values() if of == finding.finding_id}
    proof = _PROVED_BY.get(finding.state)
    require(proof is None or proof in said, "P4", f"{finding.state.value} without such a reply")
    if finding.state is FindingState.FOLLOWED:
        proved = finding.finding_id in book.confirmed
        require(proved, "P4", "a finding is followed and nobody showed it")
    case = book.cases[finding.case_id]
    if case.open and case.desk_reason is DeskReason.FINDING and finding.step is not None:
        step = case.next_step
        # A second decision in the case has the desk look first, before the ladder goes on.
        looks = step is not None and step.actor == DESK and step.action is NextAction.CHECK_FINDING
        same = step == finding.step.of_case or looks
        require(same, "P3", "the case does not show the next step of its finding")


def rests(finding: Finding) -> bool:
    """Whether everybody of the ladder was told, and the desk often enough."""
    step, regime = finding.step, finding.regime
    if step is None:
        return True
    if step.actor != DESK or finding.reminders < REMINDERS_AT_REST:
        return False
    if regime is None:
        return True
    deviates = finding.reply in {BoardReply.PARTLY, BoardReply.DOES_NOT_FOLLOW}
    every = regime.regime.after_deviation if deviates else regime.regime.after_silence
    return {*every} <= {*finding.told}


def awaited(book: Book, case: Case) -> bool:
    """Whether a case waits for a finding, which has times of its own."""
    if case.desk_reason is not DeskReason.FINDING:
        return False
    return any(finding.open for finding in book.findings_of(case.case_id))
