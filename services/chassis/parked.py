"""Events that could not be handled: kept with the reason, counted, re-driven by command.

A parked event holds back the later events of its key, because a case whose second event is
handled before its first is worse than a case that waits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from contracts.envelope import Header
from contracts.operations import ParkReason
from services.chassis.db import Connection
from services.chassis.ids import new_id

PROBLEM_CHARACTERS_MAX = 300


class Record(NamedTuple):
    """A Kafka record as it was read."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: tuple[Header, ...]
    value: bytes | None

    @property
    def place(self) -> tuple[str, str] | None:
        """Topic and key, within which order matters; None without a key."""
        return None if self.key is None else (self.topic, self.key)

    def fingerprint(self) -> bytes:
        """Tells a record that comes again from another one, also after topics were rebuilt."""
        digest = hashlib.sha256(repr((self.topic, self.key, self.headers)).encode())
        digest.update(self.value or b"")
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked record with why it is here; `problem` names fields, never values."""

    id: UUID
    record: Record
    reason: ParkReason
    problem: str
    parked_at: datetime


async def blocked(
    connection: Connection, places: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Which of these (topic, key) pairs have an open parked event.

    Not the key alone: what a partner writes on its own topic must not hold back our events.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT p.topic, p.key FROM parked p
        JOIN unnest($1::text[], $2::text[]) AS asked(topic, key) USING (topic, key)
        WHERE p.redriven_at IS NULL
        """,
        [topic for topic, _ in places],
        [key for _, key in places],
    )
    return {(row["topic"], row["key"]) for row in rows}


async def park(
    connection: Connection, record: Record, reason: ParkReason, problem: str, now: datetime
) -> UUID | None:
    """Put a record aside; gives its new id, or None when the same record lies there already."""
    headers = [[name, value.hex()] for name, value in record.headers]
    parked_id: UUID | None = await connection.fetchval(
        """
        INSERT INTO parked (id, fingerprint, reason, problem, topic, partition, kafka_offset, key,
                            headers, value, parked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (fingerprint) DO NOTHING RETURNING id
        """,
        new_id(),
        record.fingerprint(),
        reason.value,
        problem[:PROBLEM_CHARACTERS_MAX],
        record.topic,
        record.partition,
        record.offset,
        record.key,
        orjson.dumps(headers),
        record.value,
        now,
    )
    return parked_id


async def listing(connection: Connection, limit: int) -> list[Parked]:
    """Open parked events, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM parked WHERE redriven_at IS NULL ORDER BY position LIMIT $1", limit
    )
    return [_parked(row) for row in rows]


async def next_of(connection: Connection, parked_id: UUID) -> list[Parked]:
    """The parked event and all open ones of the same topic and key, in order, locked."""
    rows = await connection.fetch(
        """
        SELECT p.* FROM parked p JOIN parked asked ON asked.id = $1
        WHERE p.redriven_at IS NULL
          AND (p.id = asked.id OR (p.topic, p.key) = (asked.topic, asked.key))
        ORDER BY p.position FOR UPDATE OF p
        """,
        parked_id,
    )
    return [_parked(row) for row in rows]


async def mark_redriven(connection: Connection, parked_id: UUID, now: datetime) -> None:
    """Close a parked event."""
    await connection.execute("UPDATE parked SET redriven_at = $2 WHERE id = $1", parked_id, now)


async def count_open(connection: Connection) -> int:
    """Number of open parked events."""
    return await connection.fetchval("SELECT count(*) FROM parked WHERE redriven_at IS NULL") or 0


def _parked(row: asyncpg.Record) -> Parked:
    headers = tuple((name, bytes.fromhex(value)) for name, value in orjson.loads(row["headers"]))
    place = (row["topic"], row["partition"], row["kafka_offset"])
    record = Record(*place, row["key"], headers, row["value"])
    return Parked(row["id"], record, ParkReason(row["reason"]), row["problem"], row["parked_at"])
