"""What did not arrive in time takes the next way: the fallback channel, then a person.

Runs as a sweep over due rows, so that nothing is lost when a process ends in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.chassis.db import Connection
from services.chassis.ids import new_id
from services.referral.channels import taking
from services.referral.channels.domain import Lane, Push, TryProblem
from services.referral.channels.schedule import FALLBACK_DELIVERED_WITHIN, GIVE_UP_AFTER

_BATCH_MAX = 500

_DUE = """
SELECT d.organisation, d.channel, d.source_id, d.sequence, d.case_id, d.urgent, d.state,
       d.last_problem, p.channel AS primary_channel, p.fallback, f.channel AS fallback_lane
FROM delivery d JOIN partner p USING (organisation)
LEFT JOIN delivery_lane f
    ON f.organisation = d.organisation AND f.channel = p.fallback AND f.enabled
WHERE d.escalated_at IS NULL AND d.escalate_at <= $1 AND d.state <> 'delivered'
ORDER BY d.escalate_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED
"""
_GIVE_UP = """
UPDATE delivery SET state = 'failed', leased_until = NULL, escalate_at = $4, escalated_at = NULL,
    last_problem = coalesce(last_problem, $5)
WHERE organisation = $1 AND channel = $2 AND state = 'waiting' AND queued_at <= $3
  AND coalesce(leased_until <= $4, true)
"""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that the desk must do by hand for one partner."""

    organisation: str
    channel: str
    problem: str


async def lanes_to_give_up(connection: Connection, now: datetime) -> list[tuple[str, Push]]:
    """Lanes with an event that has waited longer than the whole span."""
    rows = await connection.fetch(
        "SELECT DISTINCT organisation, channel FROM (SELECT organisation, channel FROM delivery"
        " WHERE state = 'waiting' AND queued_at <= $1 AND coalesce(leased_until <= $2, true)"
        " ORDER BY queued_at LIMIT $3) AS old",
        now - GIVE_UP_AFTER,
        now,
        _BATCH_MAX,
    )
    return [(row["organisation"], Push(row["channel"])) for row in rows]


async def give_up(connection: Connection, lane: Lane, now: datetime) -> None:
    """Fail what has waited too long in a locked lane."""
    await connection.execute(
        _GIVE_UP,
        lane.organisation,
        lane.channel,
        now - GIVE_UP_AFTER,
        now,
        TryProblem.SLOW.value,
    )


async def escalate(connection: Connection, now: datetime) -> int:
    """Queue what is due on the fallback channel, or open a task; gives how many were due.

    A delivery that has failed opens a task besides, because a partner that cannot be reached for
    days has to be called. One that is only slow keeps being tried.
    """
    rows = await connection.fetch(_DUE, now, _BATCH_MAX)
    if not rows:
        return 0
    by_fallback = [row for row in rows if _has_fallback(row)]
    await taking.add(connection, [_fallback(row, now) for row in by_fallback], now)
    by_hand = [row for row in rows if row["state"] == "failed" or not _has_fallback(row)]
    await open_tasks(
        connection,
        [
            Task(row["organisation"], row["channel"], row["last_problem"] or TryProblem.SLOW.value)
            for row in by_hand
        ],
        now,
    )
    await connection.execute(
        "UPDATE delivery d SET escalated_at = $4"
        " FROM unnest($1::text[], $2::text[], $3::integer[]) AS t(organisation, channel, sequence)"
        " WHERE d.organisation = t.organisation AND d.channel = t.channel"
        " AND d.sequence = t.sequence",
        [row["organisation"] for row in rows],
        [row["channel"] for row in rows],
        [row["sequence"] for row in rows],
        now,
    )
    return len(rows)


def _has_fallback(row: asyncpg.Record) -> bool:
    return row["channel"] == row["primary_channel"] and row["fallback_lane"] is not None


def _fallback(row: asyncpg.Record, now: datetime) -> taking.NewDelivery:
    return taking.NewDelivery(
        organisation=row["organisation"],
        channel=row["fallback"],
        source_id=row["source_id"],
        sequence=row["sequence"],
        case_id=row["case_id"],
        urgent=row["urgent"],
        escalate_at=now + FALLBACK_DELIVERED_WITHIN if row["urgent"] else None,
    )


async def open_tasks(connection: Connection, tasks: Sequence[Task], now: datetime) -> None:
    """Open a task per partner and channel; one that is open already stays."""
    for task in sorted(set(tasks), key=lambda item: (item.organisation, item.channel)):
        await connection.execute(
            "INSERT INTO delivery_task (task_id, organisation, channel, problem, opened_at)"
            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            new_id(),
            task.organisation,
            task.channel,
            task.problem,
            now,
        )


async def ask_for_addresses(connection: Connection, now: datetime) -> None:
    """Open a task for each partner that should be told but has no address for its channel."""
    rows = await connection.fetch(
        "SELECT p.organisation, p.channel FROM partner p JOIN source s"
        " ON s.urn = $1 || p.organisation LEFT JOIN endpoint e USING (organisation)"
        " WHERE p.active AND p.channel IN ('webhook', 'email')"
        " AND CASE p.channel WHEN 'webhook' THEN e.url ELSE e.email END IS NULL",
        taking.FEED_PREFIX,
    )
    problem = TryProblem.NO_ADDRESS.value
    tasks = [Task(row["organisation"], row["channel"], problem) for row in rows]
    await open_tasks(connection, tasks, now)


async def close_tasks(connection: Connection, lane: Lane, now: datetime) -> None:
    """Close the task of a lane that works again."""
    await connection.execute(
        "UPDATE delivery_task SET closed_at = $3, closed_by = 'meldpunt'"
        " WHERE organisation = $1 AND channel = $2 AND closed_at IS NULL",
        lane.organisation,
        lane.channel,
        now,
    )


async def ask_for_fallback(
    connection: Connection, organisation: str, channel: Push, now: datetime
) -> None:
    """Open a task when the channel that a silent organisation must be told over leads nowhere.

    Call it before the counters of sources are locked: a task can wait for another transaction.
    """
    there = await connection.fetchval(
        "SELECT true FROM delivery_lane WHERE organisation = $1 AND channel = $2 AND enabled",
        organisation,
        channel,
    )
    if not there:
        await open_tasks(
            connection, [Task(organisation, channel, TryProblem.NO_ADDRESS.value)], now
        )


async def queue_on_fallback(
    connection: Connection, organisation: str, case_id: UUID, now: datetime, *, urgent: bool
) -> Push | None:
    """Tell an organisation of a case over its fallback channel, because it keeps silent.

    The last event of the case on its feed is queued. Gives the channel, or None when there is no
    fallback that pushes: then a person has to call.
    """
    row = await connection.fetchrow(
        "SELECT l.channel, e.source_id, e.sequence FROM partner p"
        " JOIN delivery_lane l ON l.organisation = p.organisation AND l.channel = p.fallback"
        "   AND l.enabled"
        " JOIN source s ON s.urn = $3 || p.organisation"
        " JOIN event e ON e.source_id = s.id AND e.key = $2"
        " WHERE p.organisation = $1 AND p.active ORDER BY e.sequence DESC LIMIT 1",
        organisation,
        case_id,
        taking.FEED_PREFIX,
    )
    if row is None:
        return None
    due = now + FALLBACK_DELIVERED_WITHIN if urgent else None
    item = taking.NewDelivery(
        organisation, row["channel"], row["source_id"], row["sequence"], case_id, urgent, due
    )
    await taking.add(connection, [item], now)
    return Push(row["channel"])
