"""The outbox: events written in the transaction of their cause, numbered without holes."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.envelope import Envelope
from contracts.event import Event
from services.chassis.db import Connection
from services.chassis.ids import new_id


class Outgoing(NamedTuple):
    """An event to publish. `topic` None keeps it for the inbox API only; `source` is a URN."""

    event: Event
    key: UUID
    topic: str | None
    source: str
    traceparent: str | None = None
    dataref: str | None = None


async def append(connection: Connection, outgoing: Sequence[Outgoing], now: datetime) -> None:
    """Write events and their outbox pointers; call it last in the transaction.

    The row locks on the counters are held until the commit, so sequences become visible in order
    and a rollback gives its numbers back. Counters are locked in the order of their names: two
    transactions with the same sources cannot deadlock.
    """
    if not outgoing:
        return
    counts: dict[str, int] = {}
    for item in outgoing:
        counts[item.source] = counts.get(item.source, 0) + 1
    counters = await _reserve(connection, counts)
    sent = []
    for item in outgoing:
        source_id, last = counters[item.source]
        counters[item.source] = (source_id, last + 1)
        event = item.event
        sent.append(
            (
                source_id,
                last + 1,
                new_id(),
                event.event_type(),
                item.topic,
                item.key,
                event.schema_urn(),
                item.dataref,
                item.traceparent,
                event.encode(),
            )
        )
    await connection.execute(_INSERT, sent, now)


_INSERT = """
WITH sent AS (
    SELECT * FROM unnest($1::sent_event[]) WITH ORDINALITY
         AS t(source_id, sequence, id, type, topic, key, dataschema, dataref, traceparent, data,
              position)
), written AS (
    INSERT INTO event (source_id, sequence, id, type, topic, key, time, dataschema, dataref,
                       traceparent, data)
    SELECT source_id, sequence, id, type, topic, key, $2, dataschema, dataref, traceparent, data
    FROM sent
)
INSERT INTO outbox (source_id, sequence)
SELECT source_id, sequence FROM sent WHERE topic IS NOT NULL ORDER BY position
"""

# One statement for all sources: the inner select takes the locks, in the order of the names.
_RESERVE = """
WITH asked AS (SELECT urn, n FROM unnest($1::text[], $2::integer[]) AS t(urn, n)),
locked AS (
    SELECT s.id, a.n FROM source s JOIN asked a USING (urn) ORDER BY s.urn FOR UPDATE OF s
)
UPDATE source s SET last_sequence = s.last_sequence + locked.n
FROM locked WHERE s.id = locked.id
RETURNING s.urn, s.id, s.last_sequence - locked.n AS last
"""


async def _reserve(connection: Connection, counts: dict[str, int]) -> dict[str, tuple[int, int]]:
    urns = sorted(counts)
    for _ in range(2):
        rows = await connection.fetch(_RESERVE, urns, [counts[urn] for urn in urns])
        if len(rows) == len(urns):
            return {row["urn"]: (row["id"], row["last"]) for row in rows}
        known = {row["urn"]: row["last"] for row in rows}
        # Seldom: a source that has never published. Give the numbers just taken back.
        await connection.execute(
            "UPDATE source s SET last_sequence = k.last"
            " FROM unnest($1::text[], $2::integer[]) AS k(urn, last) WHERE s.urn = k.urn",
            list(known),
            list(known.values()),
        )
        await connection.execute(
            "INSERT INTO source (urn) SELECT urn FROM unnest($1::text[]) AS t(urn)"
            " ORDER BY urn ON CONFLICT DO NOTHING",
            urns,
        )
    raise RuntimeError("a source has no counter")


_FEED = """
SELECT s.urn, e.sequence, e.id, e.type, e.time, e.key, e.data, e.dataschema, e.dataref,
       e.traceparent
FROM event e JOIN source s ON s.id = e.source_id
WHERE s.urn = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $3
"""


async def read_feed(connection: Connection, source: str, after: int, limit: int) -> list[Envelope]:
    """Events of one source after a sequence, oldest first.

    Safe although it reads by `sequence >`: the counter's row lock is held until the commit, so no
    lower sequence can become visible later.
    """
    rows = await connection.fetch(_FEED, source, after, limit)
    return [
        Envelope(
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
        for row in rows
    ]


async def last_sequence(connection: Connection, source: str) -> int:
    """Sequence of the last committed event of a source, 0 when there is none."""
    return await connection.fetchval("SELECT last_sequence FROM source WHERE urn = $1", source) or 0


async def pending(connection: Connection) -> int:
    """Number of events that still have to reach Kafka."""
    return await connection.fetchval("SELECT count(*) FROM outbox") or 0


async def republish_everything(connection: Connection) -> int:
    """Queue every event that belongs to a topic once more, in order; gives their number.

    For a Kafka that was wiped: consumers skip by their inbox what they had handled before.
    """
    await connection.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
    await connection.execute("DELETE FROM outbox")
    status = await connection.execute(
        "INSERT INTO outbox (source_id, sequence) SELECT source_id, sequence FROM event"
        " WHERE topic IS NOT NULL ORDER BY source_id, sequence",
        timeout=600,
    )
    return int(status.split()[-1])
