"""SQL that turns what is new on the feeds into deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.envelope import feed_source
from contracts.referral import DeliveryState
from contracts.situation import Urgency
from services.chassis.db import Connection
from services.referral.channels.domain import Push, TryProblem

FEED_PREFIX = feed_source("")
_PARTNERS_AT_ONCE_MAX = 100

# A cursor over `sequence` is safe here, though such cursors lose rows elsewhere: a sequence is
# given out under the lock of its source, which is kept until the commit, so no lower sequence can
# become visible after a higher one. `taken` moves in the transaction that writes the deliveries.
# A partner that should be told over a channel for which it has no address is left alone: its
# cursor waits for the address, so that nothing is passed over, and the sweep asks a person for it.
# One that is switched off gets no new offers, and must hear that its cases were taken away.
_BEHIND = """
SELECT e.organisation, e.taken, s.id AS source_id, p.channel, l.state, l.enabled
FROM endpoint e JOIN partner p USING (organisation)
JOIN source s ON s.urn = $1 || e.organisation
LEFT JOIN delivery_lane l ON l.organisation = e.organisation AND l.channel = p.channel
WHERE s.last_sequence > e.taken
  AND (l.channel IS NOT NULL OR p.channel NOT IN ('webhook', 'email'))
ORDER BY e.organisation LIMIT $2 FOR UPDATE OF e SKIP LOCKED
"""
_FRESH = """
SELECT b.organisation, ev.source_id, ev.sequence, ev.key, c.urgency
FROM unnest($1::text[], $2::smallint[], $3::integer[]) AS b(organisation, source_id, taken)
CROSS JOIN LATERAL (
    SELECT source_id, sequence, key FROM event
    WHERE event.source_id = b.source_id AND event.sequence > b.taken ORDER BY sequence LIMIT $4
) ev LEFT JOIN case_holder c ON c.case_id = ev.key
ORDER BY b.organisation, ev.sequence
"""
_ADD = """
INSERT INTO delivery (organisation, channel, source_id, sequence, case_id, urgent, state, attempts,
                      queued_at, next_try_at, escalate_at, last_problem)
SELECT organisation, channel, source_id, sequence, case_id, urgent,
       CASE WHEN problem IS NULL THEN 'waiting' ELSE 'failed' END, 0, $9, $9, escalate_at, problem
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::integer[], $5::uuid[], $6::boolean[],
            $7::timestamptz[], $8::text[])
     AS t(organisation, channel, source_id, sequence, case_id, urgent, escalate_at, problem)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Behind:
    """A partner whose feed has moved on; `push` None is for one who polls or reads a topic."""

    organisation: str
    source_id: int
    taken: int
    push: Push | None
    failed: bool
    enabled: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """An event of a feed, with the urgency of its case."""

    organisation: str
    source_id: int
    sequence: int
    case_id: UUID
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A row to add; with a problem it has failed before its first try."""

    organisation: str
    channel: str
    source_id: int
    sequence: int
    case_id: UUID
    urgent: bool
    escalate_at: datetime | None
    problem: TryProblem | None = None


async def lock_behind(connection: Connection) -> list[Behind]:
    """Lock the endpoints whose feed has moved on, leaving those of another instance."""
    rows = await connection.fetch(_BEHIND, FEED_PREFIX, _PARTNERS_AT_ONCE_MAX)
    return [
        Behind(
            organisation=row["organisation"],
            source_id=row["source_id"],
            taken=row["taken"],
            push=None if row["state"] is None else Push(row["channel"]),
            failed=row["state"] == DeliveryState.FAILED,
            enabled=bool(row["enabled"]),
        )
        for row in rows
    ]


async def fresh(connection: Connection, behind: Sequence[Behind], limit: int) -> list[Fresh]:
    """The next events of each of these partners, at most `limit` for each, oldest first."""
    rows = await connection.fetch(
        _FRESH,
        [item.organisation for item in behind],
        [item.source_id for item in behind],
        [item.taken for item in behind],
        limit,
    )
    return [
        Fresh(
            organisation=row["organisation"],
            source_id=row["source_id"],
            sequence=row["sequence"],
            case_id=row["key"],
            urgency=Urgency(row["urgency"] or Urgency.NORMAAL),
        )
        for row in rows
    ]


async def add(connection: Connection, deliveries: Sequence[NewDelivery], now: datetime) -> None:
    """Write deliveries; one that exists already stays as it is."""
    if not deliveries:
        return
    await connection.execute(
        _ADD,
        [item.organisation for item in deliveries],
        [item.channel for item in deliveries],
        [item.source_id for item in deliveries],
        [item.sequence for item in deliveries],
        [item.case_id for item in deliveries],
        [item.urgent for item in deliveries],
        [item.escalate_at for item in deliveries],
        [item.problem for item in deliveries],
        now,
    )


async def move_cursors(connection: Connection, taken: dict[str, int]) -> None:
    """Remember how far each feed has become deliveries; the endpoints are locked."""
    await connection.execute(
        "UPDATE endpoint e SET taken = t.taken FROM unnest($1::text[], $2::integer[])"
        " AS t(organisation, taken) WHERE e.organisation = t.organisation",
        list(taken),
        list(taken.values()),
    )
