"""The board's reply: what it may say when, and what follows from it. Pure."""

from dataclasses import replace
from datetime import datetime

from contracts.calendar import end_of_day
from contracts.finding import BoardReply, FindingAction, FindingState, NoticeRole
from contracts.referral import DESK
from services.referral.findings import announce, times
from services.referral.findings.domain import (
    TRANSITIONS,
    Finding,
    Held,
    Outcome,
    Reply,
    Step,
    Verdict,
)
from services.referral.findings.moves import moved, next_rung

_REPLIED_AS = {
    BoardReply.FOLLOWS: FindingState.REPLIED_FOLLOWING,
    BoardReply.PARTLY: FindingState.PARTLY,
    BoardReply.DOES_NOT_FOLLOW: FindingState.NOT_FOLLOWED,
    BoardReply.DEVIATES_FROM_TERM: FindingState.DEVIATION_ANNOUNCED,
}


def reply(finding: Finding, said: Reply, held: Held, now: datetime) -> Outcome:
    """The board replies; a word that comes after its silence still counts, and is marked late."""
    verdict = _judged(finding, said, now)
    if verdict is not Verdict.APPLIED:
        return Outcome(verdict, finding)
    late = _late(finding, said)
    first = finding.first_replied_on or said.replied_on
    known = replace(
        finding,
        first_replied_on=first,
        # A reply that was in time, and reached only the committee, was no silence.
        silent_at=finding.silent_at if late else None,
    )
    if said.reply is BoardReply.DEVIATES_FROM_TERM:
        after = _deviated(known, said, now)
    else:
        after = _answered(replace(known, reply=said.reply), said, now)
    return Outcome(
        Verdict.APPLIED,
        after,
        (announce.replied(after, said, late=late, held=held, now=now),),
        (announce.notice(after, after.committee, NoticeRole.COMMITTEE, now),),
    )


def _judged(finding: Finding, said: Reply, now: datetime) -> Verdict:
    if not finding.open:
        return Verdict.ENDED
    if not finding.issued_on <= said.replied_on <= times.today(now):
        return Verdict.DATE_REFUSED
    if said.reply is not BoardReply.FOLLOWS and not said.reasons:
        return Verdict.REASONS_MISSING
    if said.by == DESK and not said.digest:
        return Verdict.EVIDENCE_MISSING
    if said.reply is BoardReply.DEVIATES_FROM_TERM:
        return _deviation_judged(finding, said)
    if said.measures_by and not times.within_limit(said.measures_by, said.replied_on):
        return Verdict.DATE_REFUSED
    fits = _REPLIED_AS[said.reply] in TRANSITIONS[finding.state]
    return Verdict.APPLIED if fits else Verdict.ILLEGAL


def _deviation_judged(finding: Finding, said: Reply) -> Verdict:
    if finding.deviated_to is not None:
        return Verdict.DEVIATED_ALREADY
    if finding.reply is not None or finding.reply_due_at is None:
        return Verdict.ILLEGAL
    if _late(finding, said):
        return Verdict.DEVIATION_TOO_LATE
    if FindingState.DEVIATION_ANNOUNCED not in TRANSITIONS[finding.state]:
        return Verdict.ILLEGAL
    # A new date that lies within the term itself deviates from nothing.
    later = said.new_date is not None and end_of_day(said.new_date) > finding.reply_due_at
    fits = later and said.new_date and times.within_limit(said.new_date, said.replied_on)
    return Verdict.APPLIED if fits else Verdict.DATE_REFUSED


def _late(finding: Finding, said: Reply) -> bool:
    due_at = finding.reply_due_at
    return due_at is not None and end_of_day(said.replied_on) > due_at


def _deviated(finding: Finding, said: Reply, now: datetime) -> Finding:
    assert said.new_date is not None
    due_at = end_of_day(said.new_date)
    step = Step(finding.board, FindingAction.REPLY, due_at)
    return moved(
        replace(finding, deviated_to=said.new_date, reply_due_at=due_at),
        FindingState.DEVIATION_ANNOUNCED,
        step,
        times.reminder_at(due_at, now),
        now,
    )


def _answered(finding: Finding, said: Reply, now: datetime) -> Finding:
    state = _REPLIED_AS[said.reply]
    if said.reply is BoardReply.FOLLOWS:
        due_at = times.measures_due(said.replied_on, said.measures_by)
        step = Step(finding.board, FindingAction.SHOW_MEASURES, due_at)
        return moved(replace(finding, measures_by=said.measures_by), state, step, due_at, now)
    step = _deviation_step(finding, now)
    return moved(finding, state, step, step.due_at, now)


def _deviation_step(finding: Finding, now: datetime) -> Step:
    """What a deviation from the finding asks first; each kind of regime has its own."""
    kind = finding.regime.regime.finding if finding.regime else "advice"
    if next_rung(finding) is None:
        due_at = times.in_working_days(now, times.FOLLOW_WORKING_DAYS)
        return Step(DESK, FindingAction.CHECK_REPLY, due_at)
    match kind:
        case "binding":
            # Nothing to weigh: the board has no choice, so the first rung is told at once.
            return Step(DESK, FindingAction.CHECK_REPLY, now)
        case "comply-or-report":
            due_at = times.in_working_days(now, times.REPORT_WORKING_DAYS)
            return Step(finding.board, FindingAction.REPORT_DEVIATION, due_at)
        case _:
            due_at = times.in_working_days(now, times.WEIGH_WORKING_DAYS)
            return Step(DESK, FindingAction.CHECK_REPLY, due_at)
