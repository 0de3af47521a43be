"""SQL that writes what a batch changes, besides the log's entries, in one statement.

A statement costs client and server a switch each, whatever it carries: six instead of one were a
third of what a small batch costs. The tables are read in `store` and `figure_store`. The writer
holds the lock of `log_head` (`log_store.lock_head`), so that nothing it has read can change.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.audit.domain import Figure, Head, Picture, Progress, Standing
from services.audit.rules import FACTS, due_at
from services.audit.sequences import BLOCK
from services.audit.store import document
from services.chassis.db import Connection


class Changes(NamedTuple):
    """What a batch changes.

    `judged` are pictures with their standing, `reports` are report id, case id and moment of
    receipt, `counts` are added to the counters in the order of `rules.FACTS`, `figures` to the
    figures. `blocks` are bits by source and block number.
    """

    head: Head
    judged: Sequence[tuple[Picture, Standing]]
    reports: Sequence[tuple[UUID, UUID, datetime]]
    counts: Sequence[int]
    figures: Sequence[Figure]
    progress: Sequence[Progress]
    blocks: Mapping[str, Mapping[int, int]]


_WRITE = """
WITH pictures AS (
    INSERT INTO case_picture (case_id, reference, standing, due_at, picture)
    SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
    ON CONFLICT (case_id) DO UPDATE
    SET standing = excluded.standing, due_at = excluded.due_at, picture = excluded.picture
), reports AS (
    INSERT INTO report (report_id, case_id, received_at)
    SELECT * FROM unnest($8::uuid[], $9::uuid[], $10::timestamptz[])
    ON CONFLICT DO NOTHING
), counters AS (
    INSERT INTO counter (name, value)
    SELECT * FROM unnest($11::text[], $12::bigint[])
    ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value
), figures AS (
    INSERT INTO figure (organisation, fact, number)
    SELECT * FROM unnest($13::text[], $14::text[], $15::bigint[])
    ON CONFLICT (organisation, fact) DO UPDATE SET number = figure.number + excluded.number
), progress AS (
    INSERT INTO source_progress (source, highest, seen, tallied, reused)
    SELECT * FROM unnest($16::text[], $17::integer[], $18::integer[], $19::integer[],
                         $20::integer[])
    ON CONFLICT (source) DO UPDATE
    SET highest = excluded.highest, seen = excluded.seen, tallied = excluded.tallied,
        reused = excluded.reused
), blocks AS (
    INSERT INTO sequence_block (source, block, bits)
    SELECT * FROM unnest($21::text[], $22::integer[], $23::bytea[])
    ON CONFLICT (source, block) DO UPDATE SET bits = excluded.bits
)
UPDATE log_head SET size = $1, chain = $2
"""


async def write(connection: Connection, changes: Changes) -> None:
    """Write all of it."""
    pictures = [
        (picture.case_id, picture.reference, own.value, due_at(picture), document(picture))
        for picture, own in changes.judged
    ]
    counts = [(str(fact), n) for fact, n in zip(FACTS, changes.counts, strict=True) if n]
    figures = [(figure.organisation, figure.fact, figure.number) for figure in changes.figures]
    progress = [(p.source, p.highest, p.seen, p.tallied, p.reused) for p in changes.progress]
    blocks = [
        (source, number, bits.to_bytes(BLOCK // 8, "little"))
        for source, by_number in changes.blocks.items()
        for number, bits in by_number.items()
    ]
    await connection.execute(
        _WRITE,
        changes.head.size,
        changes.head.chain,
        *_columns(pictures, 5),
        *_columns(changes.reports, 3),
        *_columns(counts, 2),
        *_columns(figures, 3),
        *_columns(progress, 5),
        *_columns(blocks, 3),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Rows as that many columns, also when there are none."""
    return list(zip(*rows, strict=True)) or [()] * width
