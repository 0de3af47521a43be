"""SQL of routing; every function works in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.chassis.db import Connection


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as routing remembers it; `situation` and `content` are JSON documents."""

    case_id: UUID
    report_id: UUID
    received_at: datetime
    situation: str
    content: str
    decisions: int


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision; `excluded` is a JSON document, `explanation` the SHA-256 of one."""

    case_id: UUID
    number: int
    decision_id: UUID
    organisation: str
    excluded: str
    explanation: bytes
    register_hash: str
    decided_at: datetime


async def remember_register(
    connection: Connection, sha256: str, version: str, document: str, now: datetime
) -> None:
    """Keep the register document of a version that decides from now on."""
    await connection.execute(
        "INSERT INTO register_version (sha256, version, document, loaded_at)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        sha256,
        version,
        document,
        now,
    )


async def lock_cases(connection: Connection, case_ids: Sequence[UUID]) -> dict[UUID, CaseRow]:
    """The known ones of these cases, locked in the order of their ids."""
    rows = await connection.fetch(
        "SELECT * FROM routed_case WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE",
        list(case_ids),
    )
    return {row["case_id"]: _case(row) for row in rows}


async def save_cases(connection: Connection, cases: Sequence[CaseRow]) -> None:
    """Insert new cases; of known ones only the number of decisions changes."""
    await connection.execute(
        """
        INSERT INTO routed_case (case_id, report_id, received_at, situation, content, decisions)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[],
                             $6::integer[])
        ON CONFLICT (case_id) DO UPDATE SET decisions = EXCLUDED.decisions
        """,
        [c.case_id for c in cases],
        [c.report_id for c in cases],
        [c.received_at for c in cases],
        [c.situation for c in cases],
        [c.content for c in cases],
        [c.decisions for c in cases],
    )


async def insert_decisions(connection: Connection, decisions: Sequence[DecisionRow]) -> None:
    """Write decisions; a number can be given once per case."""
    await connection.execute(
        """
        INSERT INTO decision (case_id, number, decision_id, organisation, excluded, explanation,
                              register_hash, decided_at)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[],
                             $6::bytea[], $7::text[], $8::timestamptz[])
        """,
        [d.case_id for d in decisions],
        [d.number for d in decisions],
        [d.decision_id for d in decisions],
        [d.organisation for d in decisions],
        [d.excluded for d in decisions],
        [d.explanation for d in decisions],
        [d.register_hash for d in decisions],
        [d.decided_at for d in decisions],
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


async def decisions_of(connection: Connection, case_id: UUID) -> list[tuple[DecisionRow, str]]:
    """All decisions of a case with their explanation as JSON, first one first."""
    rows = await connection.fetch(
        "SELECT d.*, e.document FROM decision d JOIN explanation e ON e.sha256 = d.explanation"
        " WHERE case_id = $1 ORDER BY number",
        case_id,
    )
    return [(_decision(row), row["document"]) for row in rows]


async def register_document(connection: Connection, sha256: str) -> str | None:
    """The register of a hash as it was when it decided."""
    document: str | None = await connection.fetchval(
        "SELECT document FROM register_version WHERE sha256 = $1", sha256
    )
    return document


def _decision(row: asyncpg.Record) -> DecisionRow:
    values = dict(row)
    del values["document"]
    return DecisionRow(**values)


def _case(row: asyncpg.Record) -> CaseRow:
    return CaseRow(
        row["case_id"],
        row["report_id"],
        row["received_at"],
        row["situation"],
        row["content"],
        row["decisions"],
    )
