"""The inbox: an event has its effect once, however often Kafka brings it."""

from collections.abc import Sequence

from services.chassis.db import Connection

_CLAIM = """
INSERT INTO inbox (source, id)
SELECT source, id FROM unnest($1::text[], $2::text[]) AS t(source, id)
ON CONFLICT DO NOTHING RETURNING source, id
"""


async def claim(connection: Connection, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Claim events by (source, id) in the caller's transaction; gives those claimed now.

    A key that another running transaction is claiming waits for that one: if it commits, the key
    is not given here, if it rolls back, it is.
    """
    if not keys:
        return set()
    # Sorted, so that two transactions that claim the same keys cannot deadlock.
    unique = sorted(set(keys))
    rows = await connection.fetch(_CLAIM, [k[0] for k in unique], [k[1] for k in unique])
    return {(row["source"], row["id"]) for row in rows}
