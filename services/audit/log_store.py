"""SQL of the append-only log: `trail` and its head."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.audit import chain
from services.audit.domain import Head, Logged
from services.chassis.db import Connection

# A case with more events than this is a fault in itself; the listing stays bounded.
CASE_ENTRIES_MAX = 1000

# What an entry is looked up by stands beside the text that its leaf commits to; to take each field
# out into a column of its own would cost more than all else that is done with the log.
_COLUMNS = ("log_index", "case_id", "entry", "metadata", "digest", "leaf", "chain")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM trail"  # noqa: S608  # names of a tuple


async def lock_head(connection: Connection) -> Head:
    """The end of the log, locked until the transaction ends: one writer at a time."""
    row = await connection.fetchrow("SELECT size, chain FROM log_head FOR UPDATE")
    return _head(row)


async def head(connection: Connection) -> Head:
    """The end of the log."""
    return _head(await connection.fetchrow("SELECT size, chain FROM log_head"))


async def append(connection: Connection, logged: Sequence[Logged]) -> None:
    """Add entries; the caller holds the lock of the head and moves it."""
    await connection.copy_records_to_table(
        "trail",
        columns=_COLUMNS,
        records=[
            (index, entry.case_id, entry.entry, text, entry.digest, leaf, reached)
            for index, entry, text, leaf, reached in logged
        ],
    )


async def page(connection: Connection, first_index: int, limit: int) -> list[Logged]:
    """Entries in the order of the log, from an index on."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE log_index >= $1 ORDER BY log_index LIMIT $2", first_index, limit
    )
    return [_logged(row) for row in rows]


async def of_case(connection: Connection, case_id: UUID) -> list[Logged]:
    """Entries of a case in the order in which things happened."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE case_id = $1 ORDER BY entry LIMIT $2", case_id, CASE_ENTRIES_MAX
    )
    return sorted(map(_logged, rows), key=_order)


def _head(row: Any) -> Head:
    return Head(row["size"], row["chain"])


def _order(item: Logged) -> tuple[Any, ...]:
    entry = item.entry
    return (entry.at, entry.source, entry.sequence, entry.entry)


def _logged(row: Any) -> Logged:
    index, case_id, number, text, digest, leaf, reached = row
    entry = chain.read(text, digest)
    if (entry.case_id, entry.entry) != (case_id, number):
        # Somebody has hidden an entry from its case. The leaf is over the text, not over the
        # columns, so here the text says what they say, and the leaf no longer fits.
        moved_to = None if case_id is None else UUID(str(case_id))
        entry = entry._replace(case_id=moved_to, entry=number)
        text = chain.written(entry)
    return Logged(index, entry, text, leaf, reached)
