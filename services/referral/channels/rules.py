"""What a try means for its event and for its lane; pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from contracts.referral import DeliveryState
from services.referral.channels.domain import (
    OF_THE_EVENT,
    DeliveryStatus,
    Job,
    Lane,
    Settled,
    Try,
    TryProblem,
)
from services.referral.channels.schedule import lane_pause, next_try_at

# So many refused events in a row say more of the endpoint than of the events.
REJECTED_IN_A_ROW_MAX = 5


def settle(job: Job, tried: Try, now: datetime) -> Settled:
    """The delivery after a try; a 410 or the last failure of the table ends it."""
    if tried.problem is None:
        return Settled(DeliveryStatus.DELIVERED, now, None)
    again = next_try_at(job.event_id, job.attempts, now, tried.retry_after_seconds)
    if again is None or tried.problem is TryProblem.GONE:
        return Settled(DeliveryStatus.FAILED, now, tried.problem)
    return Settled(DeliveryStatus.WAITING, again, tried.problem)


def lane_after(lane: Lane, tries: Sequence[tuple[Job, Try]], now: datetime) -> Lane:
    """The lane after the tries of one round.

    One success shows that the endpoint works, whatever became of the others. Without one, a problem
    of the endpoint pauses the whole lane; a problem of single events does so after several,
    or when the lane was in trouble already.
    """
    if not lane.enabled:
        # A try that was under way when the lane was switched off does not switch it on again.
        return lane
    problems = [(job, tried) for job, tried in tries if tried.problem is not None]
    if any(tried.problem is TryProblem.GONE for _, tried in problems):
        return switched_off(lane, now)
    if len(problems) < len(tries):
        return working(lane, now)
    of_endpoint = [item for item in problems if item[1].problem not in OF_THE_EVENT]
    failures = lane.failures + (1 if of_endpoint else len(problems))
    job, tried = (of_endpoint or problems)[0]
    lane = replace(lane, failures=failures, problem=tried.problem)
    well = lane.state is DeliveryState.DELIVERED
    if well and not of_endpoint and failures < REJECTED_IN_A_ROW_MAX:
        return lane
    ended = any(settle(*item, now).status is DeliveryStatus.FAILED for item in of_endpoint)
    state = DeliveryState.FAILED if ended else DeliveryState.RETRYING
    if lane.state is not DeliveryState.FAILED:
        lane = _in(lane, state, now)
    pause = lane_pause(failures, job.event_id, tried.retry_after_seconds)
    return replace(lane, paused_until=now + pause)


def working(lane: Lane, now: datetime) -> Lane:
    """The lane after a success: on, without a pause."""
    lane = _in(lane, DeliveryState.DELIVERED, now)
    return replace(lane, enabled=True, failures=0, paused_until=None, problem=None)


def switched_off(lane: Lane, now: datetime) -> Lane:
    """The lane after a 410: nothing is sent until its owner sets or tests the endpoint."""
    lane = _in(lane, DeliveryState.FAILED, now)
    return replace(lane, enabled=False, paused_until=None, problem=TryProblem.GONE)


def given_up(lane: Lane, now: datetime) -> Lane:
    """The lane after an event that was not delivered within the whole span."""
    return _in(lane, DeliveryState.FAILED, now) if lane.failures else lane


def in_flight_max(lane: Lane, healthy_max: int) -> int:
    """How many requests may be open: a lane that fails gets one, which asks whether it is back."""
    return healthy_max if lane.failures == 0 and lane.state is DeliveryState.DELIVERED else 1


def _in(lane: Lane, state: DeliveryState, now: datetime) -> Lane:
    return lane if lane.state is state else replace(lane, state=state, since=now)
