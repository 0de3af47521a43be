"""SQL of intake. Every function works in the caller's transaction; none commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.intake import ContentField, IntakeChannel
from contracts.referral import Status
from contracts.situation import Kind
from services.chassis.db import Connection
from services.intake.domain import (
    FormerReport,
    ReferralKnown,
    Sealed,
    SealedContent,
    StoredReport,
)


class ReportRow(NamedTuple):
    """A report ready to be stored."""

    report: StoredReport
    client: str
    idempotency_key: str
    body_mac: bytes
    channel: IntakeChannel
    kind: Kind
    code_mac: bytes
    sealed: Sealed


# One statement for all rows and tables. Sorted, so that two instances that insert the same keys
# wait for one another instead of deadlocking. What is fresh is looked up in an array: without hash
# joins, which our sessions switch off, a join would go through all of it again for each row.
_INSERT_REPORTS = """
WITH sent AS (
    SELECT * FROM unnest($1::sent_report[])
), fresh AS (
    INSERT INTO report (report_id, case_id, client, idempotency_key, body_mac, channel, kind,
                        code_mac, commitment, received_at, committed_at)
    SELECT report_id, case_id, client, idempotency_key, body_mac, channel, kind, code_mac,
           commitment, received_at, $2
    FROM sent ORDER BY client, idempotency_key
    ON CONFLICT (client, idempotency_key) DO NOTHING
    RETURNING report_id
), keyed AS (
    INSERT INTO case_key (case_id, wrapped_key)
    SELECT case_id, wrapped_key FROM sent
    WHERE report_id = ANY (ARRAY(SELECT report_id FROM fresh))
), kept AS (
    INSERT INTO content (case_id, report_id, salt, narrative, identity)
    SELECT case_id, report_id, salt, narrative, identity FROM sent
    WHERE report_id = ANY (ARRAY(SELECT report_id FROM fresh))
)
SELECT report_id FROM fresh
"""


async def insert_reports(
    connection: Connection, rows: Sequence[ReportRow], now: datetime
) -> set[UUID]:
    """Store reports with key and content; gives the report ids stored now.

    A row is not stored when its client and key were used before.
    """
    found = await connection.fetch(_INSERT_REPORTS, [_sent(row) for row in rows], now)
    return {row["report_id"] for row in found}


def _sent(row: ReportRow) -> tuple[object, ...]:
    """A row as the type `sent_report` of the database."""
    report, sealed = row.report, row.sealed
    return (
        report.report_id,
        report.case_id,
        row.client,
        row.idempotency_key,
        row.body_mac,
        row.channel,
        row.kind,
        row.code_mac,
        report.commitment,
        report.received_at,
        sealed.wrapped_key,
        sealed.salt,
        sealed.fields.get(ContentField.NARRATIVE),
        sealed.fields.get(ContentField.IDENTITY),
    )


_FORMER = """
SELECT client, idempotency_key, body_mac, report_id, case_id, received_at, commitment
FROM report JOIN unnest($1::text[], $2::text[]) AS t(client, idempotency_key)
     USING (client, idempotency_key)
"""


async def former_reports(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> list[FormerReport]:
    """Reports that were stored before under these clients and keys."""
    rows = await connection.fetch(_FORMER, [k[0] for k in keys], [k[1] for k in keys])
    return [
        FormerReport(
            StoredReport(row["report_id"], row["case_id"], row["received_at"], row["commitment"]),
            row["client"],
            row["idempotency_key"],
            row["body_mac"],
        )
        for row in rows
    ]


_REFERRAL = (
    "SELECT case_id, organisation, attempt, status, consulted FROM referral WHERE referral_id = $1"
)


async def lock_referral(
    connection: Connection, referral_id: UUID, *, alone: bool = False
) -> ReferralKnown | None:
    """A referral, which no event can change until the transaction ends.

    With `alone` nobody else has this lock at the same time.
    """
    lock = " FOR UPDATE" if alone else " FOR SHARE"
    row = await connection.fetchrow(_REFERRAL + lock, referral_id)
    if row is None:
        return None
    status = Status(row["status"])
    return ReferralKnown(
        row["case_id"], row["organisation"], row["attempt"], status, row["consulted"]
    )


# Locked, so that after the answer to whoever hides an identity no disclosure is still under way.
_CONTENT = """
SELECT k.wrapped_key, c.narrative,
       CASE WHEN c.identity_hidden_at IS NULL THEN c.identity END AS identity
FROM content c JOIN case_key k USING (case_id)
WHERE case_id = $1 ORDER BY c.report_id LIMIT 1 FOR SHARE OF c
"""
_STORED_FIELDS = (ContentField.NARRATIVE, ContentField.IDENTITY)


async def sealed_content(connection: Connection, case_id: UUID) -> SealedContent | None:
    """The sealed content of a case's first report; None for an unknown case."""
    row = await connection.fetchrow(_CONTENT, case_id)
    if row is None:
        return None
    fields = {field: row[field.value] for field in _STORED_FIELDS if row[field.value] is not None}
    return SealedContent(fields, row["wrapped_key"])


async def erase_case(connection: Connection, case_id: UUID, now: datetime) -> bool:
    """Destroy the key of a case, so that its content can never be opened again.

    Gives whether there was a key.
    """
    status: str = await connection.execute(
        "UPDATE case_key SET wrapped_key = NULL, erased_at = $2"
        " WHERE case_id = $1 AND wrapped_key IS NOT NULL",
        case_id,
        now,
    )
    return status == "UPDATE 1"
