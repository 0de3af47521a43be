"""SQL of the delivery worker. Lanes are locked before deliveries, counters of sources last."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from contracts.envelope import Envelope
from contracts.referral import DeliveryState
from services.chassis.db import Connection
from services.referral.channels.domain import (
    OF_THE_EVENT,
    Destination,
    Job,
    Lane,
    Push,
    Settled,
    TryProblem,
)


async def lanes_with_work(connection: Connection, now: datetime) -> list[tuple[str, Push, bool]]:
    """Lanes that may send now and have something due; the last says whether the lane is well."""
    rows = await connection.fetch(
        "SELECT l.organisation, l.channel, l.state = 'delivered' AND l.failures = 0 AS well"
        " FROM delivery_lane l WHERE l.enabled AND coalesce(l.paused_until <= $1, true)"
        " AND EXISTS (SELECT FROM delivery d WHERE d.organisation = l.organisation"
        "   AND d.channel = l.channel AND d.state = 'waiting' AND d.next_try_at <= $1"
        "   AND coalesce(d.leased_until <= $1, true))"
        " ORDER BY l.organisation, l.channel",
        now,
    )
    return [(row["organisation"], Push(row["channel"]), row["well"]) for row in rows]


_LOCK = "SELECT * FROM delivery_lane WHERE organisation = $1 AND channel = $2 FOR NO KEY UPDATE"


async def lock_lane(
    connection: Connection, organisation: str, channel: Push, *, wait: bool = True
) -> Lane | None:
    """One lane under its lock; None when there is none, or when another has it and `wait` is no."""
    # Not FOR UPDATE: adding a delivery must not wait for the lane that it refers to.
    query = _LOCK if wait else f"{_LOCK} SKIP LOCKED"
    row = await connection.fetchrow(query, organisation, channel)
    return None if row is None else lane_of(row)


def lane_of(row: asyncpg.Record) -> Lane:
    """The lane of a row."""
    return Lane(
        organisation=row["organisation"],
        channel=Push(row["channel"]),
        state=DeliveryState(row["state"]),
        since=row["since"],
        enabled=row["enabled"],
        failures=row["failures"],
        paused_until=row["paused_until"],
        problem=TryProblem(row["problem"]) if row["problem"] else None,
    )


async def in_flight(connection: Connection, lane: Lane, now: datetime) -> int:
    """How many deliveries of a lane are being tried now, by any instance."""
    count = await connection.fetchval(
        "SELECT count(*) FROM delivery WHERE organisation = $1 AND channel = $2"
        " AND leased_until IS NOT NULL AND leased_until > $3",
        lane.organisation,
        lane.channel,
        now,
    )
    return int(count)


# Of one case only the oldest waiting event may go, so that its events arrive in order. Acute cases
# go first, then the oldest event. Both steps are written so that no statistics are needed for a
# good plan: a lane goes from none to thousands of waiting events in a moment. The window is for
# the same reason; more events of unfinished cases than that at the head of a lane only wait longer.
_WINDOW = 500
_CLAIM = f"""
WITH head AS MATERIALIZED (
    SELECT sequence, urgent, case_id FROM delivery
    WHERE organisation = $1 AND channel = $2 AND state = 'waiting' AND next_try_at <= $3
      AND (leased_until IS NULL OR leased_until <= $3)
    ORDER BY urgent DESC, sequence LIMIT {_WINDOW}
), chosen AS MATERIALIZED (
    SELECT sequence FROM head
    WHERE sequence = (SELECT min(d.sequence) FROM delivery d
                      WHERE d.organisation = $1 AND d.channel = $2 AND d.state = 'waiting'
                        AND d.case_id = head.case_id)
    ORDER BY urgent DESC, sequence LIMIT $4
)
UPDATE delivery d SET leased_until = $5, attempts = d.attempts + 1
FROM event e, source s
WHERE d.organisation = $1 AND d.channel = $2
  AND d.sequence = ANY(ARRAY(SELECT sequence FROM chosen))
  AND e.source_id = d.source_id AND e.sequence = d.sequence AND s.id = d.source_id
RETURNING d.attempts, d.urgent, s.urn, e.*
"""  # noqa: S608 - a constant of this module


async def claim(
    connection: Connection, lane: Lane, now: datetime, limit: int, leased_until: datetime
) -> list[Job]:
    """Lease the next deliveries of a locked lane."""
    rows = await connection.fetch(_CLAIM, lane.organisation, lane.channel, now, limit, leased_until)
    rows.sort(key=lambda row: (not row["urgent"], row["sequence"]))
    return [Job(lane.organisation, lane.channel, row["attempts"], envelope_of(row)) for row in rows]


def envelope_of(row: asyncpg.Record) -> Envelope:
    """The event of a row that has the columns of `event` and the URN of its source."""
    return Envelope(
        id=str(row["id"]),
        source=row["urn"],
        type=row["type"],
        time=row["time"],
        subject=str(row["key"]),
        sequence=row["sequence"],
        data=row["data"],
        dataschema=row["dataschema"],
        dataref=row["dataref"],
        traceparent=row["traceparent"],
    )


async def destination(
    connection: Connection, organisation: str, channel: Push
) -> Destination | None:
    """Where a lane leads now; None when the partner has taken that address back."""
    row = await connection.fetchrow(
        "SELECT url, email, sealed_keys FROM endpoint WHERE organisation = $1", organisation
    )
    address = None if row is None else row["url" if channel is Push.WEBHOOK else "email"]
    return Destination(organisation, address, row["sealed_keys"]) if row and address else None


# ANY, because the planner would read all deliveries that wait, or all of the partner. For the same
# reason what waits is said to be in neither of the other two states.
_SETTLE = """
UPDATE delivery d SET state = t.state, next_try_at = t.next_try_at, leased_until = NULL,
    last_problem = t.problem,
    delivered_at = CASE WHEN t.state = 'delivered' THEN $7::timestamptz END,
    escalate_at = CASE WHEN t.state = 'failed' THEN $7 ELSE d.escalate_at END,
    escalated_at = CASE WHEN t.state = 'failed' THEN NULL ELSE d.escalated_at END
FROM unnest($3::integer[], $4::integer[], $5::text[], $6::timestamptz[], $8::text[])
     AS t(sequence, attempts, state, next_try_at, problem)
WHERE d.organisation = $1 AND d.channel = $2 AND d.sequence = t.sequence
  AND d.sequence = ANY($3::integer[]) AND d.attempts = t.attempts
  AND d.state NOT IN ('delivered', 'failed')
"""


async def settle(
    connection: Connection, lane: Lane, settled: Sequence[tuple[Job, Settled]], now: datetime
) -> None:
    """Write what came of tries; one whose lease was lost to a later try changes nothing."""
    await connection.execute(
        _SETTLE,
        lane.organisation,
        lane.channel,
        [job.event.sequence for job, _ in settled],
        [job.attempts for job, _ in settled],
        [item.status for _, item in settled],
        [item.next_try_at for _, item in settled],
        now,
        [item.problem for _, item in settled],
    )


async def release(connection: Connection, jobs: Sequence[Job]) -> None:
    """Give back what a stopping instance has claimed, so that another need not wait for it."""
    await connection.execute(
        "UPDATE delivery d SET leased_until = NULL"
        " FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[])"
        "   AS t(organisation, channel, sequence, attempts)"
        " WHERE d.organisation = t.organisation AND d.channel = t.channel"
        " AND d.sequence = t.sequence AND d.attempts = t.attempts",
        [job.organisation for job in jobs],
        [job.channel for job in jobs],
        [job.event.sequence for job in jobs],
        [job.attempts for job in jobs],
    )


async def save_lane(connection: Connection, lane: Lane) -> None:
    """Write a locked lane."""
    await connection.execute(
        "UPDATE delivery_lane SET state = $3, since = $4, enabled = $5, failures = $6,"
        " paused_until = $7, problem = $8 WHERE organisation = $1 AND channel = $2",
        lane.organisation,
        lane.channel,
        lane.state,
        lane.since,
        lane.enabled,
        lane.failures,
        lane.paused_until,
        lane.problem,
    )


async def wake(connection: Connection, lane: Lane, now: datetime) -> None:
    """Make due what only waited for the endpoint to come back."""
    await connection.execute(
        "UPDATE delivery SET next_try_at = $3 WHERE organisation = $1 AND channel = $2"
        " AND state = 'waiting' AND next_try_at > $3 AND NOT last_problem = ANY($4::text[])",
        lane.organisation,
        lane.channel,
        now,
        list(OF_THE_EVENT),
    )


async def revive(connection: Connection, lane: Lane, now: datetime) -> None:
    """Bring again what was given up while the endpoint was away; the worker keeps its pace.

    What the other side refused for itself, or told to stop with 410, waits for a replay.
    """
    await connection.execute(
        "UPDATE delivery SET state = 'waiting', attempts = 0, queued_at = $3, next_try_at = $3,"
        " escalate_at = NULL WHERE organisation = $1 AND channel = $2 AND state = 'failed'"
        " AND NOT last_problem = ANY($4::text[])",
        lane.organisation,
        lane.channel,
        now,
        [*OF_THE_EVENT, TryProblem.GONE],
    )


async def fail_waiting(connection: Connection, lane: Lane, now: datetime) -> None:
    """End all that waits in a lane that was switched off; the sweep brings it elsewhere."""
    await connection.execute(
        "UPDATE delivery SET state = 'failed', leased_until = NULL, last_problem = $4,"
        " escalate_at = $3, escalated_at = NULL"
        " WHERE organisation = $1 AND channel = $2 AND state = 'waiting'",
        lane.organisation,
        lane.channel,
        now,
        lane.problem or TryProblem.GONE,
    )


async def waiting(connection: Connection, lane: Lane) -> int:
    """How many events a lane has still to deliver."""
    count = await connection.fetchval(
        "SELECT count(*) FROM delivery WHERE organisation = $1 AND channel = $2"
        " AND state = 'waiting'",
        lane.organisation,
        lane.channel,
    )
    return int(count)
