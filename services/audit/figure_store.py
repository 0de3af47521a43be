"""SQL of the figures per organisation, which `batch_store` adds to, and of how deliveries stand."""

from collections.abc import Sequence
from dataclasses import astuple

from services.audit.domain import Delivery, Figure, Finding, FindingFigure
from services.chassis.db import Connection

# An organisation has one channel or two; more rows than this would be a fault in itself.
DELIVERIES_MAX = 2_000


async def figures(connection: Connection) -> list[Figure]:
    """All figures, by organisation and fact."""
    rows = await connection.fetch(
        "SELECT organisation, fact, number FROM figure ORDER BY organisation, fact"
    )
    return [Figure(*row) for row in rows]


async def write_findings(connection: Connection, told: Sequence[Finding]) -> None:
    """Note how findings stand, an event each, in any order."""
    await connection.executemany(
        "INSERT INTO finding"
        " (finding_id, case_id, regime, state, sequence, reply_days, settlement)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (finding_id) DO UPDATE SET"
        " state = CASE WHEN finding.sequence < excluded.sequence"
        " THEN excluded.state ELSE finding.state END,"
        " regime = CASE WHEN finding.sequence < excluded.sequence"
        " THEN excluded.regime ELSE finding.regime END,"
        " sequence = greatest(finding.sequence, excluded.sequence),"
        " reply_days = least(finding.reply_days, excluded.reply_days),"
        " settlement = coalesce(finding.settlement, excluded.settlement)",
        [astuple(finding) for finding in told],
    )


async def finding_figures(connection: Connection) -> list[FindingFigure]:
    """Findings by regime, state and end."""
    rows = await connection.fetch(
        "SELECT regime, state, settlement, count(*), count(reply_days),"
        " percentile_cont(0.5) WITHIN GROUP (ORDER BY reply_days)"
        " FROM finding GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    return [FindingFigure(*row) for row in rows]


async def write_deliveries(connection: Connection, told: Sequence[Delivery]) -> None:
    """Note how deliveries stand; at most one per organisation and channel, the latest counts."""
    rows = [astuple(delivery) for delivery in told]
    await connection.execute(
        "INSERT INTO delivery (organisation, channel, state, waiting, since, at, sequence)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[],"
        " $5::timestamptz[], $6::timestamptz[], $7::integer[])"
        " ON CONFLICT (organisation, channel) DO UPDATE SET state = excluded.state,"
        " waiting = excluded.waiting, since = excluded.since, at = excluded.at,"
        " sequence = excluded.sequence WHERE delivery.sequence < excluded.sequence",
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def deliveries(connection: Connection, state: str | None) -> list[Delivery]:
    """How deliveries stand, of one state if given; what has been so for longest comes first."""
    rows = await connection.fetch(
        "SELECT organisation, channel, state, waiting, since, at, sequence FROM delivery"
        " WHERE $1::text IS NULL OR state = $1 ORDER BY since, organisation, channel LIMIT $2",
        state,
        DELIVERIES_MAX,
    )
    return [Delivery(*row) for row in rows]


async def count_failing(connection: Connection) -> int:
    """Number of channels over which an organisation does not get what is sent to it."""
    found = await connection.fetchval("SELECT count(*) FROM delivery WHERE state = 'failed'")
    return int(found)
