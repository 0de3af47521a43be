"""The inbox: an event has its effect once, however often Kafka brings it."""

import hashlib
from collections.abc import Sequence

from services.chassis.db import Connection

_DIGEST_BYTES = 16
_MOMENT_BYTES = 6

# The last row tells whether anything lies parked, which saves a round trip for each batch.
_CLAIM = """
WITH claimed AS (
    INSERT INTO inbox (key) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING RETURNING key
)
SELECT key FROM claimed
UNION ALL
SELECT NULL WHERE EXISTS (SELECT FROM parked WHERE redriven_at IS NULL)
"""


def key_of(source: str, event_id: str) -> bytes:
    """What stands for an event in the inbox: 22 bytes, a quarter of its source and id.

    First the 48 bits of time with which a UUID of version 7 begins, so that new keys come at the
    end of the index and not all over it; then 128 bits of SHA-256 over source and id, so that
    nobody can make an event that passes for another one. An id of another form begins with more of
    the digest.
    """
    digest = hashlib.sha256(f"{source}\0{event_id}".encode()).digest()
    try:
        moment = bytes.fromhex(event_id[:8] + event_id[9:13])
    except ValueError:
        moment = b""
    if len(moment) != _MOMENT_BYTES:
        moment = digest[_DIGEST_BYTES : _DIGEST_BYTES + _MOMENT_BYTES]
    return moment + digest[:_DIGEST_BYTES]


async def claim(connection: Connection, keys: Sequence[bytes]) -> tuple[set[bytes], bool]:
    """Claim events by `key_of` in the caller's transaction.

    Gives those claimed now, and whether any event lies parked. A key that another running
    transaction is claiming waits for that one: if it commits, the key is not given here, if it
    rolls back, it is.
    """
    # Sorted, so that two transactions that claim the same keys cannot deadlock.
    rows = await connection.fetch(_CLAIM, sorted(set(keys)))
    claimed = {row[0] for row in rows}
    any_parked = None in claimed
    claimed.discard(None)
    return claimed, any_parked
