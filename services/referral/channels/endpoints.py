"""SQL and steps of setting an endpoint, testing it and replaying a feed; for the API."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.envelope import Envelope, feed_source, service_source, type_of
from contracts.referral import DeliveryState, delivery_key
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.ids import new_id
from services.referral.channels import escalation, rules, store
from services.referral.channels.domain import DeliveryStatus, Lane, Push
from services.referral.channels.truth import Telling, change_lane

REPLAY_MAX = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Where a partner wants to be told; `url` and `email` may both be set."""

    organisation: str
    url: str | None
    email: str | None
    sealed_keys: bytes | None
    taken: int = 0

    def address(self, channel: Push) -> str | None:
        """The address of one channel."""
        return self.url if channel is Push.WEBHOOK else self.email


async def lock_partner(connection: Connection, organisation: str) -> asyncpg.Record | None:
    """A partner's channel and fallback under its lock; None when it is no partner."""
    return await connection.fetchrow(
        "SELECT organisation, channel, fallback, active FROM partner WHERE organisation = $1"
        " FOR NO KEY UPDATE",
        organisation,
    )


async def read_partner(connection: Connection, organisation: str) -> asyncpg.Record | None:
    """A partner's channel and fallback without a lock; None when it is no partner."""
    return await connection.fetchrow(
        "SELECT channel, fallback FROM partner WHERE organisation = $1", organisation
    )


async def find(connection: Connection, organisation: str) -> Endpoint | None:
    """The endpoint of a partner."""
    row = await connection.fetchrow(
        "SELECT organisation, url, email, sealed_keys, taken FROM endpoint WHERE organisation = $1",
        organisation,
    )
    return None if row is None else Endpoint(*row.values())


async def save(connection: Connection, endpoint: Endpoint, now: datetime) -> Endpoint:
    """Write an endpoint; a new one begins after the last event of its feed.

    What the feed held before was to be polled; `replay` brings it besides.
    """
    last = await journal.last_sequence(connection, feed_source(endpoint.organisation))
    row = await connection.fetchrow(
        "INSERT INTO endpoint (organisation, url, email, sealed_keys, taken, changed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organisation) DO UPDATE"
        " SET url = EXCLUDED.url, email = EXCLUDED.email, sealed_keys = EXCLUDED.sealed_keys,"
        "     changed_at = EXCLUDED.changed_at"
        " RETURNING organisation, url, email, sealed_keys, taken",
        endpoint.organisation,
        endpoint.url,
        endpoint.email,
        endpoint.sealed_keys,
        last,
        now,
    )
    assert row is not None
    return Endpoint(*row.values())


async def set_channels(
    connection: Connection, organisation: str, channel: str, fallback: str | None
) -> None:
    """Choose how a partner is reached; the partner is locked."""
    await connection.execute(
        "UPDATE partner SET channel = $2, fallback = $3 WHERE organisation = $1",
        organisation,
        channel,
        fallback,
    )


async def set_lanes(
    connection: Connection,
    telling: Telling,
    before: Endpoint | None,
    after: Endpoint,
    now: datetime,
) -> None:
    """Open the lanes that an endpoint has, freshly where the address is new; close the others."""
    for channel in Push:
        address = after.address(channel)
        if address is not None:
            await connection.execute(
                "INSERT INTO delivery_lane (organisation, channel, state, since, enabled, failures)"
                " VALUES ($1, $2, $3, $4, true, 0) ON CONFLICT DO NOTHING",
                after.organisation,
                channel,
                DeliveryState.DELIVERED,
                now,
            )
        lane = await store.lock_lane(connection, after.organisation, channel)
        if lane is None:
            continue
        same = before is not None and before.address(channel) == address and lane.enabled
        if address is None:
            await change_lane(connection, telling, lane, rules.switched_off(lane, now), now)
        elif not same:
            await change_lane(connection, telling, lane, rules.working(lane, now), now)
            # Also of a lane that is new, of which there is no change to tell.
            await escalation.close_tasks(connection, lane, now)


async def set_keys(connection: Connection, organisation: str, sealed_keys: bytes) -> None:
    """Write rotated keys."""
    await connection.execute(
        "UPDATE endpoint SET sealed_keys = $2 WHERE organisation = $1", organisation, sealed_keys
    )


async def lanes(connection: Connection, organisation: str) -> list[tuple[Lane, int]]:
    """The lanes of a partner with the number of events that wait in each."""
    rows = await connection.fetch(
        "SELECT * FROM delivery_lane WHERE organisation = $1 ORDER BY channel DESC", organisation
    )
    found = [store.lane_of(row) for row in rows]
    return [(lane, await store.waiting(connection, lane)) for lane in found]


def greeting(organisation: str, now: datetime) -> Envelope:
    """A signed greeting: about no case, in no feed, without a sequence."""
    return Envelope(
        id=str(new_id()),
        source=service_source("referral"),
        type=type_of("endpoint-test", 1),
        time=now,
        subject=str(delivery_key(organisation)),
        sequence=0,
        data=b'{"organisation":"%s"}' % organisation.encode(),
    )


_REPLAY = """
INSERT INTO delivery (organisation, channel, source_id, sequence, case_id, urgent, state, attempts,
                      queued_at, next_try_at)
SELECT $1, $2, e.source_id, e.sequence, e.key, coalesce(c.urgency = 'acuut', false), 'waiting', 0,
       $6, $6
FROM source s JOIN event e ON e.source_id = s.id LEFT JOIN case_holder c ON c.case_id = e.key
WHERE s.urn = $3 AND e.sequence BETWEEN $4 AND $5 ORDER BY e.sequence LIMIT $7
ON CONFLICT (organisation, channel, sequence) DO UPDATE
    SET state = 'waiting', attempts = 0, queued_at = $6, next_try_at = $6,
        leased_until = NULL, delivered_at = NULL, escalate_at = NULL, escalated_at = NULL
    -- Asked again and again, it rewrites nothing that is due already.
    WHERE delivery.state <> 'waiting' OR delivery.attempts > 0 OR delivery.next_try_at > $6
"""


async def replay(connection: Connection, lane: Lane, first: int, last: int, now: datetime) -> int:
    """Queue these events of the partner's feed once more, with a new table of tries.

    Gives how many, without those that are due already. The lane is locked.
    """
    status = await connection.execute(
        _REPLAY,
        lane.organisation,
        lane.channel,
        feed_source(lane.organisation),
        first,
        last,
        now,
        REPLAY_MAX,
    )
    return int(status.split()[-1])


async def list_deliveries(
    connection: Connection,
    organisation: str,
    state: DeliveryStatus | None,
    after: tuple[int, str],
    limit: int,
) -> list[asyncpg.Record]:
    """Deliveries with id and type of their events, oldest first, after (sequence, channel)."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT d.*, e.id AS event_id, e.type FROM delivery d JOIN event e"
        " USING (source_id, sequence) WHERE d.organisation = $1"
        " AND ($2::text IS NULL OR d.state = $2) AND (d.sequence, d.channel) > ($3, $4)"
        " ORDER BY d.sequence, d.channel LIMIT $5",
        organisation,
        state,
        *after,
        limit,
    )
    return rows


async def open_tasks(connection: Connection, limit: int) -> list[asyncpg.Record]:
    """What the desk must do by hand, the oldest first."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT t.*, p.name, (SELECT count(*) FROM delivery d WHERE d.organisation = t.organisation"
        "   AND d.channel = t.channel AND d.state <> 'delivered') AS undelivered"
        " FROM delivery_task t JOIN partner p USING (organisation)"
        " WHERE t.closed_at IS NULL ORDER BY t.opened_at LIMIT $1",
        limit,
    )
    return rows


async def close_task(connection: Connection, task_id: UUID, who: str, now: datetime) -> bool:
    """Close a task; gives whether it was open."""
    status: str = await connection.execute(
        "UPDATE delivery_task SET closed_at = $3, closed_by = $2"
        " WHERE task_id = $1 AND closed_at IS NULL",
        task_id,
        who,
        now,
    )
    return status.endswith(" 1")
