"""SQL of the append-only log: `trail` and its head."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.audit.domain import Entry, Head, Logged
from services.chassis.db import Connection

# A case with more events than this is a fault in itself; the listing stays bounded.
CASE_ENTRIES_MAX = 1000

_COLUMNS = ("log_index", *Entry._fields, "leaf", "chain")
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
        records=[(index, *entry, leaf, chain) for index, entry, leaf, chain in logged],
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
        f"{_SELECT} WHERE case_id = $1 ORDER BY at, source, sequence, entry LIMIT $2",
        case_id,
        CASE_ENTRIES_MAX,
    )
    return [_logged(row) for row in rows]


def _head(row: Any) -> Head:
    return Head(row["size"], row["chain"])


def _logged(row: Any) -> Logged:
    values = tuple(row)
    return Logged(values[0], Entry(*values[1:-2]), values[-2], values[-1])
