"""SQL of the inbox: how far each feed goes, and what of it the partner says that it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import feed_source
from services.chassis.db import Connection


@dataclass(frozen=True, slots=True)
class InboxState:
    """Sequences of one feed: the last event, and the last that the partner acknowledged."""

    last: int = 0
    acknowledged: int = 0
    acknowledged_at: datetime | None = None


_STATES = """
SELECT t.organisation, coalesce(s.last_sequence, 0) AS last,
       coalesce(c.acknowledged, 0) AS acknowledged, c.acknowledged_at
FROM unnest($1::text[], $2::text[]) AS t(organisation, urn)
LEFT JOIN source s USING (urn) LEFT JOIN inbox_cursor c USING (organisation)
"""


async def states(connection: Connection, organisations: list[str]) -> Mapping[str, InboxState]:
    """How far each of these partners is."""
    urns = [feed_source(organisation) for organisation in organisations]
    found = await connection.fetch(_STATES, organisations, urns)
    return {
        row["organisation"]: InboxState(row["last"], row["acknowledged"], row["acknowledged_at"])
        for row in found
    }


async def state(connection: Connection, organisation: str) -> InboxState:
    """How far one partner is."""
    return (await states(connection, [organisation]))[organisation]


async def acknowledge(
    connection: Connection, organisation: str, sequence: int, now: datetime
) -> None:
    """The partner has all up to this sequence; an earlier one than before changes nothing."""
    await connection.execute(
        "INSERT INTO inbox_cursor AS c (organisation, acknowledged, acknowledged_at)"
        " VALUES ($1, $2, $3) ON CONFLICT (organisation) DO UPDATE"
        " SET acknowledged = excluded.acknowledged, acknowledged_at = excluded.acknowledged_at"
        " WHERE c.acknowledged < excluded.acknowledged",
        organisation,
        sequence,
        now,
    )
