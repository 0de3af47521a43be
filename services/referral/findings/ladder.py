"""What time does to a finding: reminder, silence, and the ladder of its regime. Pure.

No organisation of a ladder is named here: the dated regime says who is told, in which order.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from contracts.finding import (
    EscalatedBecause,
    FindingAction,
    FindingState,
    NoticeRole,
    ToldBy,
)
from contracts.referral import DESK
from services.referral.findings import announce, times
from services.referral.findings.domain import Finding, Held, InForce, Outcome, Step, Verdict
from services.referral.findings.moves import DEVIATES, begun, moved, next_rung


def fire(
    finding: Finding,
    reachable: Collection[str],
    held: Held,
    now: datetime,
    in_force: InForce | None = None,
) -> Outcome:
    """What the passing of time does: a reminder, silence, or the next step of the ladder.

    `reachable` are the organisations with a feed; the others hear it from the desk. `in_force` is
    the regime for a finding that has none yet.
    """
    if finding.step is None or finding.fires_at is None or finding.fires_at > now:
        return Outcome(Verdict.NOT_DUE, finding)
    if finding.state is FindingState.ISSUED:
        if in_force is not None:
            return begun(finding, in_force, held, now)
        return _desk_reminded(
            finding, FindingAction.FIND_REGIME, times.REGIME_WORKING_DAYS, held, now
        )
    if finding.step.due_at > now:
        return _reminded(finding, finding.step, finding.step.due_at, held, now)
    match finding.state:
        case FindingState.REPLY_DUE | FindingState.DEVIATION_ANNOUNCED:
            return _silent(finding, EscalatedBecause.SILENCE, held, now)
        case FindingState.REPLIED_FOLLOWING:
            if finding.step.actor == DESK:
                return _silent(finding, EscalatedBecause.NO_EVIDENCE, held, now)
            return _desk_reminded(
                finding, FindingAction.CHECK_MEASURES, times.CHECK_WORKING_DAYS, held, now
            )
        case _:
            return _next_rung(finding, reachable, held, now)


def _silent(finding: Finding, because: EscalatedBecause, held: Held, now: datetime) -> Outcome:
    """The board answers complainant and committee, not us: the desk asks before others are told."""
    due_at = times.in_working_days(now, times.ASK_WORKING_DAYS)
    step = Step(DESK, FindingAction.CHECK_REPLY, due_at)
    marked = replace(finding, silent_at=now) if because is EscalatedBecause.SILENCE else finding
    silent = moved(marked, FindingState.SILENT, step, due_at, now)
    return Outcome(
        Verdict.APPLIED,
        silent,
        (announce.escalated(silent, DESK, because, ToldBy.DESK, held, now),),
        (announce.notice(silent, silent.committee, NoticeRole.COMMITTEE, now, because),),
    )


def _next_rung(
    finding: Finding, reachable: Collection[str], held: Held, now: datetime
) -> Outcome:  # fmt: skip
    organisation = next_rung(finding)
    if organisation is None:
        assert finding.step is not None
        return _desk_reminded(
            finding, finding.step.action, times.FOLLOW_WORKING_DAYS, held, now
        )  # fmt: skip
    # Told is not acting (P4): the desk stays the next actor and follows what comes of it.
    due_at = times.in_working_days(now, times.FOLLOW_WORKING_DAYS)
    step = Step(DESK, FindingAction.FOLLOW_SUPERVISOR, due_at)
    told = replace(finding, told=(*finding.told, organisation))
    if told.state is FindingState.WITH_SUPERVISOR:
        after = replace(told, step=step, fires_at=due_at, reminders=0, changed_at=now)
    else:
        after = moved(told, FindingState.WITH_SUPERVISOR, step, due_at, now)
    because = _because(finding)
    on_feed = organisation in reachable
    told_by = ToldBy.FEED if on_feed else ToldBy.DESK
    notice = announce.notice(after, organisation, NoticeRole.SUPERVISOR, now, because)
    return Outcome(
        Verdict.APPLIED,
        after,
        (announce.escalated(after, organisation, because, told_by, held, now),),
        (notice,) if on_feed else (),
    )


def _because(finding: Finding) -> EscalatedBecause:
    if finding.reply in DEVIATES:
        return EscalatedBecause.DEVIATION
    said = finding.reply is not None
    return EscalatedBecause.NO_EVIDENCE if said else EscalatedBecause.SILENCE


def _desk_reminded(
    finding: Finding, action: FindingAction, working_days: int, held: Held, now: datetime
) -> Outcome:
    due_at = times.in_working_days(now, working_days)
    return _reminded(finding, Step(DESK, action, due_at), due_at, held, now)


def _reminded(
    finding: Finding, step: Step, fires_at: datetime, held: Held, now: datetime
) -> Outcome:
    reminded = replace(
        finding, step=step, fires_at=fires_at, reminders=finding.reminders + 1, changed_at=now
    )
    to_board = step.actor == finding.board
    notice = announce.notice(reminded, reminded.board, NoticeRole.BOARD, now)
    return Outcome(
        Verdict.APPLIED,
        reminded,
        (announce.reminded(reminded, held, now),),
        (notice,) if to_board else (),
    )
