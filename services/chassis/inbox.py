"""The inbox: an event has its effect once, however often Kafka brings it."""

from collections.abc import Sequence

from services.chassis.db import Connection

# The last row tells whether anything lies parked, which saves a round trip for each batch.
_CLAIM = """
WITH claimed AS (
    INSERT INTO inbox (source, id)
    SELECT source, id FROM unnest($1::text[], $2::text[]) AS t(source, id)
    ON CONFLICT DO NOTHING RETURNING source, id
)
SELECT source, id FROM claimed
UNION ALL
SELECT NULL, NULL WHERE EXISTS (SELECT FROM parked WHERE redriven_at IS NULL)
"""


async def claim(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> tuple[set[tuple[str, str]], bool]:
    """Claim events by (source, id) in the caller's transaction.

    Gives those claimed now, and whether any event lies parked. A key that another running
    transaction is claiming waits for that one: if it commits, the key is not given here, if it
    rolls back, it is.
    """
    # Sorted, so that two transactions that claim the same keys cannot deadlock.
    unique = sorted(set(keys))
    rows = await connection.fetch(_CLAIM, [k[0] for k in unique], [k[1] for k in unique])
    claimed = {(row[0], row[1]) for row in rows}
    any_parked = (None, None) in claimed
    claimed.discard((None, None))
    return claimed, any_parked
