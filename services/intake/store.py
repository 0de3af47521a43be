"""SQL of intake. Every function works in the caller's transaction; none commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.intake import ContentField, IntakeChannel
from contracts.referral import Status
from contracts.situation import Kind
from services.chassis.db import Connection
from services.intake.domain import (
    CaseStanding,
    FormerReport,
    ReferralKnown,
    ReportFound,
    Sealed,
    SealedContent,
    Stage,
    StoredReport,
)


@dataclass(frozen=True, slots=True)
class ReportRow:
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
# wait for one another instead of deadlocking.
_INSERT_REPORTS = """
WITH sent AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[],
                         $7::text[], $8::bytea[], $9::bytea[], $10::timestamptz[], $11::bytea[],
                         $12::bytea[], $13::bytea[], $14::bytea[])
         AS t(report_id, case_id, client, idempotency_key, body_mac, channel, kind, code_mac,
              commitment, received_at, wrapped_key, salt, narrative, identity)
), fresh AS (
    INSERT INTO report (report_id, case_id, client, idempotency_key, body_mac, channel, kind,
                        code_mac, commitment, received_at, committed_at)
    SELECT report_id, case_id, client, idempotency_key, body_mac, channel, kind, code_mac,
           commitment, received_at, $15
    FROM sent ORDER BY client, idempotency_key
    ON CONFLICT (client, idempotency_key) DO NOTHING
    RETURNING report_id
), keyed AS (
    INSERT INTO case_key (case_id, wrapped_key)
    SELECT case_id, wrapped_key FROM sent JOIN fresh USING (report_id)
), kept AS (
    INSERT INTO content (case_id, report_id, salt, narrative, identity)
    SELECT case_id, report_id, salt, narrative, identity FROM sent JOIN fresh USING (report_id)
)
SELECT report_id FROM fresh
"""


async def insert_reports(
    connection: Connection, rows: Sequence[ReportRow], now: datetime
) -> set[UUID]:
    """Store reports with key and content; gives the report ids stored now.

    A row is not stored when its client and key were used before.
    """
    sealed = [row.sealed for row in rows]
    found = await connection.fetch(
        _INSERT_REPORTS,
        [row.report.report_id for row in rows],
        [row.report.case_id for row in rows],
        [row.client for row in rows],
        [row.idempotency_key for row in rows],
        [row.body_mac for row in rows],
        [row.channel.value for row in rows],
        [row.kind.value for row in rows],
        [row.code_mac for row in rows],
        [row.report.commitment for row in rows],
        [row.report.received_at for row in rows],
        [item.wrapped_key for item in sealed],
        [item.salt for item in sealed],
        [item.fields.get(ContentField.NARRATIVE) for item in sealed],
        [item.fields.get(ContentField.IDENTITY) for item in sealed],
        now,
    )
    return {row["report_id"] for row in found}


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


_BY_CODE = """
SELECT r.case_id, r.kind, r.received_at, r.committed_at, s.stage, s.holder, s.next_actor, s.next_by,
       (SELECT e.time FROM outbox o JOIN event e USING (source_id, sequence)
        ORDER BY o.position LIMIT 1) AS oldest_pending_at
FROM report r LEFT JOIN case_status s USING (case_id) WHERE r.code_mac = $1
"""


async def find_by_code(connection: Connection, code_mac: bytes) -> ReportFound | None:
    """The report of a code and how its case stands."""
    row = await connection.fetchrow(_BY_CODE, code_mac)
    if row is None:
        return None
    standing = CaseStanding()
    if row["stage"] is not None:
        stage = Stage(row["stage"])
        standing = CaseStanding(stage, row["holder"], row["next_actor"], row["next_by"])
    return ReportFound(
        row["case_id"],
        Kind(row["kind"]),
        row["received_at"],
        row["committed_at"],
        standing,
        row["oldest_pending_at"],
    )


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision of routing; `number` counts the decisions of the case."""

    case_id: UUID
    number: int
    standing: CaseStanding


# Referral speaks later and knows more: once it has, a decision no longer changes the standing.
_UPSERT_DECISIONS = """
INSERT INTO case_status (case_id, decision_number, stage, holder, next_actor, next_by, updated_at)
SELECT case_id, number, stage, holder, next_actor, next_by, $7
FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
     AS t(case_id, number, stage, holder, next_actor, next_by)
ORDER BY case_id
ON CONFLICT (case_id) DO UPDATE
SET decision_number = excluded.decision_number, stage = excluded.stage, holder = excluded.holder,
    next_actor = excluded.next_actor, next_by = excluded.next_by, updated_at = excluded.updated_at
WHERE case_status.referral_sequence = 0
      AND case_status.decision_number < excluded.decision_number
"""


async def put_decisions(connection: Connection, rows: Sequence[DecisionRow], now: datetime) -> None:
    """Take over decisions, one per case; older ones than already known change nothing."""
    await connection.execute(
        _UPSERT_DECISIONS,
        [row.case_id for row in rows],
        [row.number for row in rows],
        [row.standing.stage.value for row in rows],
        [row.standing.holder for row in rows],
        [row.standing.next_actor for row in rows],
        [row.standing.next_by for row in rows],
        now,
    )


@dataclass(frozen=True, slots=True)
class StandingRow:
    """An event of referral on a case; `sequence` is the one of its source."""

    case_id: UUID
    handoff: int
    sequence: int
    standing: CaseStanding


# Ordered by handoff and by the sequence of the source: clocks of two instances may differ.
_UPSERT_STANDINGS = """
INSERT INTO case_status (case_id, handoff, referral_sequence, stage, holder, next_actor, next_by,
                         updated_at)
SELECT case_id, handoff, sequence, stage, holder, next_actor, next_by, $8
FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[])
     AS t(case_id, handoff, sequence, stage, holder, next_actor, next_by)
ORDER BY case_id
ON CONFLICT (case_id) DO UPDATE
SET handoff = excluded.handoff, referral_sequence = excluded.referral_sequence,
    stage = excluded.stage, holder = excluded.holder, next_actor = excluded.next_actor,
    next_by = excluded.next_by, updated_at = excluded.updated_at
WHERE (case_status.handoff, case_status.referral_sequence)
      < (excluded.handoff, excluded.referral_sequence)
"""


async def put_standings(connection: Connection, rows: Sequence[StandingRow], now: datetime) -> None:
    """Take over how cases stand, one row per case; an older event changes nothing."""
    await connection.execute(
        _UPSERT_STANDINGS,
        [row.case_id for row in rows],
        [row.handoff for row in rows],
        [row.sequence for row in rows],
        [row.standing.stage.value for row in rows],
        [row.standing.holder for row in rows],
        [row.standing.next_actor for row in rows],
        [row.standing.next_by for row in rows],
        now,
    )


@dataclass(frozen=True, slots=True)
class ReferralRow:
    """The state of one referral after an event."""

    referral_id: UUID
    known: ReferralKnown
    sequence: int


_UPSERT_REFERRALS = """
INSERT INTO referral (referral_id, case_id, organisation, attempt, status, sequence)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::integer[])
     AS t(referral_id, case_id, organisation, attempt, status, sequence)
ORDER BY referral_id
ON CONFLICT (referral_id) DO UPDATE
SET attempt = excluded.attempt, status = excluded.status, sequence = excluded.sequence
WHERE referral.sequence < excluded.sequence
"""


async def put_referrals(connection: Connection, rows: Sequence[ReferralRow]) -> None:
    """Take over the state of referrals, one row per referral."""
    await connection.execute(
        _UPSERT_REFERRALS,
        [row.referral_id for row in rows],
        [row.known.case_id for row in rows],
        [row.known.organisation for row in rows],
        [row.known.attempt for row in rows],
        [row.known.status.value for row in rows],
        [row.sequence for row in rows],
    )


async def lock_referral(connection: Connection, referral_id: UUID) -> ReferralKnown | None:
    """A referral, which no event can change until the transaction ends."""
    row = await connection.fetchrow(
        "SELECT case_id, organisation, attempt, status FROM referral WHERE referral_id = $1"
        " FOR SHARE",
        referral_id,
    )
    if row is None:
        return None
    return ReferralKnown(row["case_id"], row["organisation"], row["attempt"], Status(row["status"]))


_CONTENT = """
SELECT k.wrapped_key, c.narrative, c.identity FROM content c JOIN case_key k USING (case_id)
WHERE case_id = $1 ORDER BY c.report_id LIMIT 1
"""


async def sealed_content(connection: Connection, case_id: UUID) -> SealedContent | None:
    """The sealed content of a case's first report; None for an unknown case."""
    row = await connection.fetchrow(_CONTENT, case_id)
    if row is None:
        return None
    fields = {field: row[field.value] for field in ContentField if row[field.value] is not None}
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
