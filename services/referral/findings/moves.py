"""The small steps of which every rule of a finding is made. Pure.

Every change of state goes through `moved`, which knows the table of transitions.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.finding import BoardReply, FindingAction, FindingState, NoticeRole, Settlement
from contracts.referral import DESK
from services.referral.domain import IllegalTransition
from services.referral.findings import announce, times
from services.referral.findings.domain import (
    ENDED,
    TRANSITIONS,
    Finding,
    Held,
    InForce,
    Outcome,
    Step,
    Verdict,
)

DEVIATES = frozenset({BoardReply.PARTLY, BoardReply.DOES_NOT_FOLLOW})
"""Replies that deviate from the finding itself, wholly or in part."""


def next_rung(finding: Finding) -> str | None:
    """Who has to be told next, by the regime; None when everybody was, or nobody has to be."""
    if finding.regime is None:
        return None
    regime = finding.regime.regime
    deviates = finding.reply in DEVIATES
    ladder = regime.after_deviation if deviates else regime.after_silence
    return next((rung for rung in ladder if rung not in finding.told), None)


def begun(finding: Finding, in_force: InForce | None, held: Held, now: datetime) -> Outcome:
    if in_force is None:
        due_at = times.in_working_days(now, times.REGIME_WORKING_DAYS)
        step = Step(DESK, FindingAction.FIND_REGIME, due_at)
        waiting = replace(
            finding, state=FindingState.ISSUED, regime=None, reply_due_at=None, step=step,
            fires_at=due_at, changed_at=now,
        )  # fmt: skip
        return Outcome(Verdict.APPLIED, waiting, (announce.issued(waiting, held, now),))
    reply_due_at = times.reply_due(finding.issued_on, in_force.regime.board_response_weeks)
    due_at = times.silence_at(reply_due_at, now)
    begun = replace(
        finding,
        state=FindingState.REPLY_DUE,
        regime=in_force,
        reply_due_at=reply_due_at,
        step=Step(finding.board, FindingAction.REPLY, due_at),
        fires_at=times.reminder_at(due_at, now),
        reminders=0,
        changed_at=now,
    )
    return Outcome(
        Verdict.APPLIED,
        begun,
        (announce.issued(begun, held, now),),
        (announce.notice(begun, begun.board, NoticeRole.BOARD, now),),
    )


def moved(
    finding: Finding, state: FindingState, step: Step | None, fires_at: datetime | None,
    now: datetime, **changes: Any,
) -> Finding:  # fmt: skip
    """The finding in its next state, with the step that belongs to it."""
    if state not in TRANSITIONS[finding.state]:
        raise IllegalTransition(f"{finding.state.value} to {state.value}")
    return replace(
        finding, state=state, step=step, fires_at=fires_at, reminders=0, changed_at=now, **changes
    )


def ended_as(
    finding: Finding, state: FindingState, settlement: Settlement, now: datetime
) -> Finding:
    assert state in ENDED
    return moved(finding, state, None, None, now, settlement=settlement, settled_at=now)
