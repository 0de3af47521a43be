"""When time alone does something to a case: reminders, few and each naming what to do. Pure.

An organisation is reminded at half of its time and shortly before the end; of a term under an
hour once. The desk is reminded when its time is over and twice more. Moments are functions of
the step alone, so a restart forgets none and repeats none.
"""

from datetime import datetime, timedelta

from contracts.referral import DESK, REPORTER, NextAction, NextStep

DESK_REMINDERS_MAX = 3
_SHORT = timedelta(hours=1)
_PARTS = (0.5, 0.85)
_REMINDED = {NextAction.ACKNOWLEDGE, NextAction.DECIDE, NextAction.HANDLE}


def reminder_moments(step: NextStep, since: datetime) -> tuple[datetime, ...]:
    """The moments at which the actor of a step is reminded, in their order."""
    length = max(step.due_at - since, timedelta(seconds=1))
    if step.actor == DESK:
        return tuple(step.due_at + n * length for n in range(DESK_REMINDERS_MAX))
    if step.action not in _REMINDED:
        return ()
    parts = _PARTS[:1] if length < _SHORT else _PARTS
    return tuple(since + part * length for part in parts)


def ends_by_time(step: NextStep) -> bool:
    """Whether the end of the step's time itself changes the case.

    Of an offer the referral's own due time does that; a finding has its own.
    """
    return step.action is NextAction.HANDLE or step.actor == REPORTER


def timer_after(step: NextStep | None, since: datetime, reminders: int) -> datetime | None:
    """When time changes the case next, after so many reminders of this step."""
    if step is None:
        return None
    moments = reminder_moments(step, since)
    if reminders < len(moments):
        return moments[reminders]
    return step.due_at if ends_by_time(step) else None


def first_timer(step: NextStep | None, now: datetime) -> datetime | None:
    """When time changes the case first, for a step that begins now."""
    return timer_after(step, now, 0)


def reminders_passed(step: NextStep, since: datetime, now: datetime) -> int:
    """How many moments have passed: after a standstill one reminder stands for all of them."""
    return sum(moment <= now for moment in reminder_moments(step, since))
