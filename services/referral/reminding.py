"""When time alone does something to a case: reminders, few and each naming what to do. Pure.

An organisation is reminded at half of its time and shortly before the end; of a term under an
hour once. The desk is reminded when its time is over and twice more. Moments are functions of
the case alone, so a restart forgets none and repeats none.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from contracts.calendar import ZONE, SchoolRegion, is_working_day, local_day, next_working_day
from contracts.referral import DESK, REPORTER, NextAction, NextStep
from contracts.situation import Urgency
from services.referral.domain import Case

DESK_REMINDERS_MAX = 3
_SHORT = timedelta(hours=1)
_SHORTEST = timedelta(seconds=1)
_PARTS = (0.5, 0.85)
_REMINDED = {NextAction.ACKNOWLEDGE, NextAction.DECIDE, NextAction.HANDLE}
_MORNING = time(9)
_HOUR_SECONDS = 3600
# The hours of some weeks ahead, in each region.
_HOURS_MAX = 4096


def reminder_moments(case: Case) -> tuple[datetime, ...]:
    """The moments at which the actor of the case's step is reminded, in their order.

    Unless the case is acute, an organisation is reminded on its working days: what would come on
    another day comes at nine in the morning of the next one, when that is before the due time.
    """
    if case.next_step is None or case.step_since is None:
        return ()
    return _moments(case, case.next_step, case.step_since)


def _moments(case: Case, step: NextStep, since: datetime) -> tuple[datetime, ...]:
    due_at = step.due_at
    length = max(due_at - since, _SHORTEST)
    if step.actor == DESK:
        return tuple(due_at + n * length for n in range(DESK_REMINDERS_MAX))
    if step.action not in _REMINDED:
        return ()
    parts = _PARTS[:1] if length < _SHORT else _PARTS
    moments = [since + part * length for part in parts]
    if case.urgency is Urgency.ACUUT:
        return tuple(moments)
    region = case.limits.region
    # One that is put off can come to lie behind the next.
    return tuple(sorted([_on_working_day(moment, due_at, region) for moment in moments]))


def _on_working_day(moment: datetime, due_at: datetime, region: SchoolRegion | None) -> datetime:
    morning = _next_morning(moment.timestamp() // _HOUR_SECONDS, region)
    return moment if morning is None or morning >= due_at else morning


@lru_cache(_HOURS_MAX)
def _next_morning(hour: float, region: SchoolRegion | None) -> datetime | None:
    """Nine in the morning of the next working day; None when the hour lies on a working day.

    Counted from 1970, an hour lies on one Dutch day as a whole: that day starts on a whole hour in
    winter and in summer. So each is looked up once, and not for every case.
    """
    day = local_day(datetime.fromtimestamp(hour * _HOUR_SECONDS, UTC))
    if is_working_day(day, region):
        return None
    opens_on = next_working_day(day, region)
    return datetime.combine(opens_on, _MORNING, ZONE).astimezone(UTC)


def ends_by_time(step: NextStep) -> bool:
    """Whether the end of the step's time itself changes the case.

    Of an offer the referral's own due time does that; a finding has its own.
    """
    return step.action is NextAction.HANDLE or step.actor == REPORTER


def next_timer(case: Case) -> datetime | None:
    """When time changes the case next, after the reminders that it has had of this step."""
    if case.next_step is None:
        return None
    return _timer(case.next_step, reminder_moments(case), case.reminders)


def first_timer(case: Case, step: NextStep, since: datetime) -> datetime | None:
    """When time changes the case next, once this step begins: as `next_timer` of it then."""
    if step.actor != DESK and step.action in _REMINDED:
        half = since + _PARTS[0] * max(step.due_at - since, _SHORTEST)
        # What is not put off comes before all others, which then need not be known.
        if _on_working_day(half, step.due_at, case.limits.region) == half:
            return half
    return _timer(step, _moments(case, step, since), 0)


def _timer(step: NextStep, moments: Sequence[datetime], had: int) -> datetime | None:
    if had < len(moments):
        return moments[had]
    return step.due_at if ends_by_time(step) else None


def reminders_passed(case: Case, now: datetime) -> int:
    """How many moments have passed: after a standstill one reminder stands for all of them."""
    return sum(moment <= now for moment in reminder_moments(case))
