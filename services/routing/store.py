"""SQL of cases and decisions; every function works in the caller's transaction."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.chassis.db import Connection, read_as


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as routing remembers it; its texts are JSON documents.

    `received_at` is the first receipt, `situation` and `known_dates` are those of the report: none
    of them ever changes. `excluded` only grows.
    """

    case_id: UUID
    report_id: UUID
    received_at: datetime
    situation: str
    content: str
    decisions: int
    excluded: str
    known_dates: str = "[]"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision; `excluded` and `closed` are JSON documents, `explanation` the SHA-256 of one.

    `engine` is None where the decision is older than the note of what code decided; `situation`
    where it was made on the facts of the report. `reason` is the code of why the decision before it
    was replaced, `proposed` an organisation that was named then, by the holder if `onward`.
    """

    case_id: UUID
    number: int
    decision_id: UUID
    organisation: str
    excluded: str
    explanation: bytes
    register_hash: str
    decided_at: datetime
    closed: str
    engine: str | None
    reason: str | None
    situation: str | None = None
    proposed: str | None = None
    onward: bool = False


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision with what it was made of and what was said of it, as JSON documents.

    `received_at` is the first receipt of the case.
    """

    row: DecisionRow
    received_at: datetime
    situation: str
    explanation: str
    known_dates: str


@dataclass(frozen=True, slots=True)
class PastDecisions:
    """Decisions that are alike: made on one situation and with one explanation.

    `examples` are at most three of their cases.
    """

    situation: str
    explanation: bytes
    decisions: int
    examples: tuple[UUID, ...]


async def lock_cases(connection: Connection, case_ids: Sequence[UUID]) -> dict[UUID, CaseRow]:
    """The known ones of these cases, locked in the order of their ids."""
    rows = await connection.fetch(
        "SELECT * FROM routed_case WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE",
        list(case_ids),
    )
    return {row["case_id"]: _case(row) for row in rows}


async def save_cases(connection: Connection, cases: Sequence[CaseRow]) -> None:
    """Insert new cases; known ones only count on and exclude more."""
    await connection.execute(
        """
        INSERT INTO routed_case (case_id, report_id, received_at, situation, content, decisions,
                                 excluded, known_dates)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[],
                             $6::integer[], $7::text[], $8::text[])
        ON CONFLICT (case_id) DO UPDATE
        SET decisions = EXCLUDED.decisions, excluded = EXCLUDED.excluded
        """,
        [c.case_id for c in cases],
        [c.report_id for c in cases],
        [c.received_at for c in cases],
        [c.situation for c in cases],
        [c.content for c in cases],
        [c.decisions for c in cases],
        [c.excluded for c in cases],
        [c.known_dates for c in cases],
    )


async def insert_decisions(connection: Connection, decisions: Sequence[DecisionRow]) -> None:
    """Write decisions; a number can be given once per case."""
    await connection.execute(
        """
        INSERT INTO decision (case_id, number, decision_id, organisation, excluded, explanation,
                              register_hash, decided_at, closed, engine, situation,
                              reason, proposed, onward)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[],
                             $6::bytea[], $7::text[], $8::timestamptz[], $9::text[], $10::text[],
                             $11::text[], $12::text[], $13::text[], $14::boolean[])
        """,
        [d.case_id for d in decisions],
        [d.number for d in decisions],
        [d.decision_id for d in decisions],
        [d.organisation for d in decisions],
        [d.excluded for d in decisions],
        [d.explanation for d in decisions],
        [d.register_hash for d in decisions],
        [d.decided_at for d in decisions],
        [d.closed for d in decisions],
        [d.engine for d in decisions],
        [d.situation for d in decisions],
        [d.reason for d in decisions],
        [d.proposed for d in decisions],
        [d.onward for d in decisions],
    )


async def save_explanations(connection: Connection, documents: Mapping[bytes, str]) -> None:
    """Keep explanations by their SHA-256; known ones stay as they are."""
    await connection.execute(
        "INSERT INTO explanation (sha256, document)"
        " SELECT sha256, document FROM unnest($1::bytea[], $2::text[]) AS t(sha256, document)"
        " ORDER BY sha256 ON CONFLICT DO NOTHING",
        list(documents),
        list(documents.values()),
    )


async def decisions_of(connection: Connection, case_id: UUID) -> list[MadeDecision]:
    """All decisions of a case, first one first; empty for a case that is not known."""
    rows = await connection.fetch(
        """
        SELECT d.case_id, d.number, d.decision_id, d.organisation, d.excluded, d.explanation,
               d.register_hash, d.decided_at, d.closed, d.engine, d.situation, d.reason,
               d.proposed, d.onward, c.received_at, c.known_dates,
               coalesce(d.situation, c.situation) AS decided_on, e.document
        FROM decision d JOIN explanation e ON e.sha256 = d.explanation
        JOIN routed_case c USING (case_id)
        WHERE d.case_id = $1 ORDER BY number
        """,
        case_id,
    )
    return [_made(row) for row in rows]


async def limit_statements(connection: Connection, seconds_max: float) -> None:
    """Let the server end any statement of this transaction that takes longer."""
    await connection.execute(
        "SELECT set_config('statement_timeout', $1, true)", str(max(1, int(seconds_max * 1000)))
    )


async def past_decisions(
    connection: Connection, since: datetime, chunk: int
) -> AsyncIterator[PastDecisions]:
    """Decisions since a moment, alike ones together; read in chunks, in a transaction.

    A school's number decides nothing and would keep alike situations apart.
    """
    cursor = connection.cursor(
        """
        SELECT regexp_replace(coalesce(d.situation, c.situation),
                              '"brin":"[^"]*"', '"brin":null') AS situation,
               d.explanation, count(*) AS decisions, (array_agg(d.case_id))[1:3] AS examples
        FROM decision d JOIN routed_case c USING (case_id)
        WHERE d.decided_at >= $1 GROUP BY 1, 2
        """,
        since,
        prefetch=chunk,
    )
    async for row in cursor:
        yield PastDecisions(
            row["situation"], row["explanation"], row["decisions"], tuple(row["examples"])
        )


async def explanations(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, str]:
    """Explanations as JSON by their SHA-256."""
    rows = await connection.fetch(
        "SELECT sha256, document FROM explanation WHERE sha256 = ANY($1::bytea[])", digests
    )
    return {row["sha256"]: row["document"] for row in rows}


def _made(row: asyncpg.Record) -> MadeDecision:
    values = dict(row)
    received_at = values.pop("received_at")
    situation, explanation = values.pop("decided_on"), values.pop("document")
    known_dates = values.pop("known_dates")
    return MadeDecision(DecisionRow(**values), received_at, situation, explanation, known_dates)


def _case(row: asyncpg.Record) -> CaseRow:
    return read_as(CaseRow, row)
