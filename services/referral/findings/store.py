"""SQL of findings. Every function takes the caller's connection; lock the case first."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from contracts.routing import RegisterActivated
from services.chassis.db import Connection
from services.referral.findings import rows
from services.referral.findings.domain import Evidence, Finding, InForce, Reply


async def case_of(connection: Connection, finding_id: UUID) -> UUID | None:
    """The case of a finding, to lock it."""
    case_id: UUID | None = await connection.fetchval(
        "SELECT case_id FROM finding WHERE finding_id = $1", finding_id
    )
    return case_id


async def lock_due(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """Claim the cases of findings for which time has run out, earliest first.

    What another transaction works on is skipped.
    """
    found = await connection.fetch(
        "SELECT c.case_id FROM finding f JOIN case_holder c USING (case_id)"
        " WHERE f.fires_at <= $1 ORDER BY f.fires_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED",
        now,
        limit,
    )
    return [row["case_id"] for row in found]


async def due_of_cases(
    connection: Connection, case_ids: Sequence[UUID], now: datetime
) -> list[Finding]:
    """The due findings of locked cases: a reply may have come in before the lock."""
    found = await connection.fetch(
        f"{rows.SELECT} WHERE f.case_id = ANY($1::uuid[]) AND f.fires_at <= $2"
        " ORDER BY f.fires_at, f.finding_id",
        case_ids,
        now,
    )
    return [rows.finding_of(row) for row in found]


async def find(connection: Connection, finding_id: UUID) -> Finding | None:
    """One finding without a lock."""
    row = await connection.fetchrow(f"{rows.SELECT} WHERE f.finding_id = $1", finding_id)
    return None if row is None else rows.finding_of(row)


async def of_case(connection: Connection, case_id: UUID) -> Finding | None:
    """The finding of a case, of which there is at most one; errors of entry are none."""
    row = await connection.fetchrow(
        f"{rows.SELECT} WHERE f.case_id = $1 AND f.settlement IS DISTINCT FROM 'entered-in-error'",
        case_id,
    )
    return None if row is None else rows.finding_of(row)


async def list_open(
    connection: Connection, overdue_at: datetime | None, after: UUID | None, limit: int
) -> list[Finding]:
    """Open findings, the one that is due first in front; `overdue_at` keeps those due before it."""
    found = await connection.fetch(
        f"{rows.SELECT} WHERE f.next_due_at IS NOT NULL"  # noqa: S608 - a constant, no input.
        " AND ($1::timestamptz IS NULL OR f.next_due_at <= $1)"
        " AND ($2::uuid IS NULL OR (f.next_due_at, f.finding_id) >"
        "      (SELECT next_due_at, finding_id FROM finding WHERE finding_id = $2))"
        " ORDER BY f.next_due_at, f.finding_id LIMIT $3",
        overdue_at,
        after,
        limit,
    )
    return [rows.finding_of(row) for row in found]


async def insert(connection: Connection, findings: Sequence[Finding]) -> None:
    """Write new findings."""
    await connection.executemany(rows.INSERT, [rows.values_of(finding) for finding in findings])


async def update(connection: Connection, findings: Sequence[Finding]) -> None:
    """Write changed findings."""
    await connection.executemany(rows.UPDATE, [rows.values_of(finding) for finding in findings])


async def decided_by(
    connection: Connection, case_id: UUID, committee: str
) -> tuple[UUID, bool] | None:
    """The committee's last referral of the case, and whether it ended with a decision."""
    row = await connection.fetchrow(
        "SELECT referral_id, status = 'completed' AND outcome = 'decided' AS decided FROM referral"
        " WHERE case_id = $1 AND organisation = $2 AND NOT signal ORDER BY attempt DESC LIMIT 1",
        case_id,
        committee,
    )
    return None if row is None else (row["referral_id"], bool(row["decided"]))


async def add_reply(connection: Connection, finding_id: UUID, reply: Reply, now: datetime) -> None:
    """Keep a reply with its reasons."""
    await connection.execute(
        "INSERT INTO finding_reply (finding_id, reply_id, reply, replied_on, brought_by, reasons,"
        " new_date, measures_by, digest, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        finding_id,
        reply.reply_id,
        reply.reply.value,
        reply.replied_on,
        reply.by,
        reply.reasons,
        reply.new_date,
        reply.measures_by,
        reply.digest,
        now,
    )


async def replies(connection: Connection, finding_id: UUID) -> list[Reply]:
    """Everything that the board said of a finding, oldest first."""
    found = await connection.fetch(
        "SELECT * FROM finding_reply WHERE finding_id = $1 ORDER BY at, reply_id", finding_id
    )
    return [rows.reply_of(row) for row in found]


async def add_evidence(
    connection: Connection, finding_id: UUID, shown: Evidence, now: datetime
) -> None:
    """Keep an entry of evidence."""
    await connection.execute(
        "INSERT INTO finding_evidence (finding_id, evidence_id, kind, day, brought_by, digest,"
        " text, confirms, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        finding_id,
        shown.evidence_id,
        shown.kind.value,
        shown.day,
        shown.by,
        shown.digest,
        shown.text,
        shown.confirms,
        now,
    )


async def evidence(connection: Connection, finding_id: UUID) -> list[Evidence]:
    """All evidence of a finding, oldest first."""
    found = await connection.fetch(
        "SELECT * FROM finding_evidence WHERE finding_id = $1 ORDER BY at, evidence_id", finding_id
    )
    return [rows.evidence_of(row) for row in found]


async def save_regimes(connection: Connection, event: RegisterActivated) -> None:
    """Keep the regimes of a register version; a repeat changes nothing."""
    await connection.execute(
        "INSERT INTO finding_register (register_version, valid_from, activated_at)"
        " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        event.version,
        event.valid_from,
        event.activated_at,
    )
    await connection.executemany(
        "INSERT INTO finding_regime (register_version, regime, position, valid_from, valid_to,"
        " kind, board_response_weeks, after_silence, after_deviation, source, to_verify)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        [
            (
                event.version,
                regime.id,
                position,
                regime.valid_from,
                regime.valid_to,
                regime.finding,
                regime.board_response_weeks,
                " ".join(regime.after_silence),
                " ".join(regime.after_deviation),
                regime.source,
                regime.to_verify,
            )
            for position, regime in enumerate(event.regimes)
        ],
    )


async def wake_waiting(connection: Connection, now: datetime) -> None:
    """Let the findings without a regime look again, at once."""
    await connection.execute(
        "UPDATE finding SET fires_at = $1 WHERE state = 'issued' AND fires_at > $1", now
    )


async def in_force(connection: Connection, day: date, now: datetime) -> InForce | None:
    """The regime of a day, from the register that decides at this moment.

    Of regimes that overlap the one that began last counts, as the newer law does.
    """
    row = await connection.fetchrow(
        "SELECT * FROM finding_regime WHERE register_version ="
        " (SELECT register_version FROM finding_register r WHERE r.valid_from <= $2 AND EXISTS"
        "  (SELECT FROM finding_regime g WHERE g.register_version = r.register_version)"
        "  ORDER BY r.valid_from DESC, r.activated_at DESC LIMIT 1)"
        " AND valid_from <= $1 AND (valid_to IS NULL OR $1 <= valid_to)"
        " ORDER BY valid_from DESC, position DESC LIMIT 1",
        day,
        now,
    )
    return None if row is None else rows.in_force_of(row)


async def figures(connection: Connection) -> list[dict[str, Any]]:
    """Counts and medians per regime and year of the finding; errors of entry do not count."""
    return [dict(row) for row in await connection.fetch(rows.FIGURES)]
