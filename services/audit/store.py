"""SQL of the pictures and the bookkeeping of sources; see `log_store` for the trail.

`batch_store` writes them, and holds the lock of `log_head` (`log_store.lock_head`) while it does,
so that nothing read here under that lock can change before it is written.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.audit.domain import Picture, Progress, Standing
from services.audit.rules import FACTS
from services.audit.sequences import BLOCK, FULL
from services.chassis.db import Connection

PARKED_SHOWN_MAX = 100


# What a picture is searched by is a column; the rest is one document, which is written several
# times for each report and read by its case alone: forty columns cost ten times as much.
_COLUMNS = "case_id, reference, picture"
_LOAD = f"SELECT {_COLUMNS} FROM case_picture WHERE case_id = ANY($1::uuid[])"  # noqa: S608
_IN_DOCUMENT = [(name, Picture._field_defaults[name]) for name in Picture._fields[2:]]
_PLACES = {name: place for place, (name, _) in enumerate(_IN_DOCUMENT, start=2)}
_BLANK = tuple(blank for _, blank in _IN_DOCUMENT)
# What JSON has as text and a picture does not.
_READ: dict[str, Callable[[str], Any]] = {
    "report_id": UUID,
    **{name: datetime.fromisoformat for name in _PLACES if name.endswith("_at")},
}


async def pictures(connection: Connection, case_ids: Iterable[UUID]) -> dict[UUID, Picture]:
    """Pictures of these cases, those that exist."""
    rows = await connection.fetch(_LOAD, list(case_ids))
    return {row["case_id"]: _picture(row) for row in rows}


def document(picture: Picture) -> str:
    """What is not as in a blank picture, as JSON."""
    values = zip(_IN_DOCUMENT, picture[2:], strict=True)
    found = {name: value for (name, blank), value in values if value != blank}
    return orjson.dumps(found).decode()


def _picture(row: Any) -> Picture:
    """A picture from its row; a field that a newer release wrote is left out."""
    values = [row["case_id"], row["reference"], *_BLANK]
    for name, value in orjson.loads(row["picture"]).items():
        place = _PLACES.get(name)
        if place is not None:
            read = _READ.get(name)
            values[place] = value if read is None else read(value)
    return Picture._make(values)


async def counters(connection: Connection) -> dict[str, int]:
    """All counters by name; a fact that never occurred is 0."""
    rows = await connection.fetch("SELECT name, value FROM counter")
    return {str(name): 0 for name in FACTS} | {row["name"]: row["value"] for row in rows}


async def count_overdue(connection: Connection, now: datetime) -> tuple[int, int]:
    """Cases whose next step is late: those that nobody picked up, and those with a holder."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE standing <> 'picked-up') AS nobody,"
        " count(*) FILTER (WHERE standing = 'picked-up') AS holder FROM case_picture"
        " WHERE standing IN ('at-desk', 'waiting', 'picked-up') AND due_at < $1",
        now,
    )
    assert row is not None
    return int(row["nobody"]), int(row["holder"])


async def progress(connection: Connection, sources: Iterable[str]) -> dict[str, Progress]:
    """Progress of these sources; one that was never seen begins at 0."""
    wanted = list(sources)
    rows = await connection.fetch(
        "SELECT source, highest, seen, tallied, reused FROM source_progress"
        " WHERE source = ANY($1::text[])",
        wanted,
    )
    known = {row["source"]: Progress(*row) for row in rows}
    return {source: known.get(source) or Progress(source) for source in wanted}


async def every_progress(connection: Connection) -> list[Progress]:
    """Progress of all sources, by name."""
    rows = await connection.fetch(
        "SELECT source, highest, seen, tallied, reused FROM source_progress ORDER BY source"
    )
    return [Progress(*row) for row in rows]


async def blocks(
    connection: Connection, wanted: Sequence[tuple[str, int]]
) -> dict[str, dict[int, int]]:
    """Bits of these blocks by source and number; a block that was never written is left out."""
    rows = await connection.fetch(
        "SELECT source, block, bits FROM sequence_block JOIN"
        " unnest($1::text[], $2::integer[]) AS wanted(source, block) USING (source, block)",
        [source for source, _ in wanted],
        [block for _, block in wanted],
    )
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        bits = int.from_bytes(row["bits"], "little")
        found.setdefault(row["source"], {})[row["block"]] = bits
    return found


async def every_block(connection: Connection, source: str) -> list[tuple[int, int]]:
    """All blocks of a source with their bits, in order; 1 row per 1024 events."""
    rows = await connection.fetch(
        "SELECT block, CASE WHEN bits = $2 THEN NULL ELSE bits END AS bits FROM sequence_block"
        " WHERE source = $1 ORDER BY block",
        source,
        FULL.to_bytes(BLOCK // 8, "little"),
    )
    return [(row[0], FULL if row[1] is None else int.from_bytes(row[1], "little")) for row in rows]


async def write_parked(connection: Connection, events: Sequence[tuple[Any, ...]]) -> None:
    """Note parkings and re-drives, in any order.

    Each is parked id, consumer, case id, reason, moment of parking, moment of the re-drive.
    """
    await connection.executemany(
        "INSERT INTO parked_event (parked_id, consumer, case_id, reason, parked_at, redriven_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (parked_id) DO UPDATE SET"
        " reason = coalesce(parked_event.reason, excluded.reason),"
        " parked_at = coalesce(parked_event.parked_at, excluded.parked_at),"
        " redriven_at = coalesce(parked_event.redriven_at, excluded.redriven_at)",
        events,
    )


async def count_parked(connection: Connection) -> int:
    """Events that some service put aside and has not handled since."""
    found = await connection.fetchval(
        "SELECT count(*) FROM parked_event WHERE redriven_at IS NULL AND parked_at IS NOT NULL"
    )
    return int(found)


async def parked_without_case(connection: Connection) -> list[Any]:
    """Open parked events that belong to no case that can be told: the oldest hundred."""
    return list(
        await connection.fetch(
            "SELECT parked_id, consumer, reason, parked_at FROM parked_event"
            " WHERE redriven_at IS NULL AND parked_at IS NOT NULL AND case_id IS NULL"
            " ORDER BY parked_at LIMIT $1",
            PARKED_SHOWN_MAX,
        )
    )


async def picture(connection: Connection, case_id: UUID) -> Picture | None:
    """Picture of one case."""
    return (await pictures(connection, [case_id])).get(case_id)


async def case_of_report(connection: Connection, report_id: UUID) -> UUID | None:
    """Case of a report; None when no such report was seen."""
    found: UUID | None = await connection.fetchval(
        "SELECT case_id FROM report WHERE report_id = $1", report_id
    )
    return found


async def cases(
    connection: Connection,
    after: UUID,
    limit: int,
    *,
    standings: Sequence[Standing] = (),
    late: bool | None = None,
    reference: str | None = None,
    now: datetime,
) -> list[Picture]:
    """Cases in the order of their ids, after one of them.

    `late` asks for those whose next step is overdue (True) or not (False) at `now`.
    """
    conditions = ["case_id > $1"]
    arguments: list[Any] = [after, limit]

    def given(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    if standings:
        # Literals of our own enumeration, so that the planner can use the partial index.
        names = ", ".join(f"'{item.value}'" for item in standings)
        conditions.append(f"standing IN ({names})")
    if late is not None:
        conditions.append(f"(due_at IS NOT NULL AND due_at < {given(now)}) IS {late}")
    if reference is not None:
        conditions.append(f"reference = {given(reference)}")
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM case_picture WHERE {' AND '.join(conditions)}"  # noqa: S608
        " ORDER BY case_id LIMIT $2",
        *arguments,
    )
    return [_picture(row) for row in rows]


_UNPICKED = f"""
SELECT {_COLUMNS} FROM case_picture
WHERE case_id > $1 AND standing NOT IN ('picked-up', 'closed')
  AND (standing IN ('incomplete', 'parked')
       OR (standing IN ('at-desk', 'waiting') AND due_at < $3))
ORDER BY case_id LIMIT $2
"""  # noqa: S608  # our own column names


async def unpicked(connection: Connection, after: UUID, limit: int, now: datetime) -> list[Picture]:
    """Cases that nobody picked up and that do not simply wait within their time."""
    return [_picture(row) for row in await connection.fetch(_UNPICKED, after, limit, now)]
