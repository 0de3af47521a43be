"""SQL of whoever returns with a code: the status, and what the reporter does.

Every function works in the caller's transaction; none commits.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.finding import FindingState
from contracts.referral import CompletedAs, NextAction, Status
from contracts.situation import Kind
from services.chassis.db import Connection
from services.intake.domain import (
    CaseStanding,
    IdentityState,
    ReportFound,
    Stage,
    TermEnds,
)

_BY_CODE = """
SELECT r.report_id, r.case_id, r.kind, r.received_at, r.committed_at, r.withdrawn_at,
       r.not_helped_at, s.stage, s.holder, s.next_actor, s.next_by, s.next_action, s.until,
       s.onward_to, s.outcome, s.finding, s.updated_at,
       c.identity IS NOT NULL AS has_identity, c.identity_hidden_at,
       (SELECT e.time FROM outbox o JOIN event e USING (source_id, sequence)
        ORDER BY o.position LIMIT 1) AS oldest_pending_at
FROM report r JOIN content c USING (case_id, report_id) LEFT JOIN case_status s USING (case_id)
WHERE r.code_mac = $1
"""


async def find_by_code(connection: Connection, code_mac: bytes) -> ReportFound | None:
    """The report of a code and how its case stands."""
    row = await connection.fetchrow(_BY_CODE, code_mac)
    if row is None:
        return None
    return ReportFound(
        row["case_id"],
        Kind(row["kind"]),
        row["received_at"],
        row["committed_at"],
        _standing(row) if row["stage"] is not None else CaseStanding(),
        row["oldest_pending_at"],
        row["report_id"],
        row["updated_at"],
        row["withdrawn_at"],
        row["not_helped_at"],
        _identity(row),
    )


def _standing(row: Any) -> CaseStanding:
    return CaseStanding(
        Stage(row["stage"]),
        row["holder"],
        row["next_actor"],
        row["next_by"],
        NextAction(row["next_action"]) if row["next_action"] else None,
        row["until"],
        row["onward_to"],
        CompletedAs(row["outcome"]) if row["outcome"] else None,
        FindingState(row["finding"]) if row["finding"] else None,
    )


def _identity(row: Any) -> IdentityState:
    if not row["has_identity"]:
        return IdentityState.NONE
    hidden = row["identity_hidden_at"] is not None
    return IdentityState.HIDDEN if hidden else IdentityState.AVAILABLE


async def withdraw_report(connection: Connection, report_id: UUID, now: datetime) -> bool:
    """Mark a report as taken back; gives whether it was not before."""
    return _one_changed(
        await connection.execute(
            "UPDATE report SET withdrawn_at = $2 WHERE report_id = $1 AND withdrawn_at IS NULL",
            report_id,
            now,
        )
    )


async def close_referrals(connection: Connection, case_id: UUID, live: Collection[Status]) -> None:
    """Give nobody content any more who has it now; waits for disclosures that are under way.

    Referral cancels these referrals as well, once it hears of it: a broker that is away must not
    keep content open meanwhile. What the desk offers afterwards has a right of its own.
    """
    await connection.execute(
        "UPDATE referral r SET status = $3 FROM (SELECT referral_id FROM referral"
        " WHERE case_id = $1 AND status = ANY($2) ORDER BY referral_id FOR UPDATE) AS l"
        " WHERE r.referral_id = l.referral_id",
        case_id,
        [status.value for status in live],
        Status.CANCELLED.value,
    )


async def mark_not_helped(
    connection: Connection, report_id: UUID, before: datetime | None, now: datetime
) -> bool:
    """Note that no help came, unless somebody did since `before`, the last time that was seen."""
    return _one_changed(
        await connection.execute(
            "UPDATE report SET not_helped_at = $3"
            " WHERE report_id = $1 AND not_helped_at IS NOT DISTINCT FROM $2",
            report_id,
            before,
            now,
        )
    )


async def hide_identity(connection: Connection, report: ReportFound, now: datetime) -> bool:
    """Give the identity to nobody from now on; waits for disclosures that are under way.

    Gives whether there was an identity to hide.
    """
    return _one_changed(
        await connection.execute(
            "UPDATE content SET identity_hidden_at = $3 WHERE case_id = $1 AND report_id = $2"
            " AND identity IS NOT NULL AND identity_hidden_at IS NULL",
            report.case_id,
            report.report_id,
            now,
        )
    )


def _one_changed(status: str) -> bool:
    return status == "UPDATE 1"


async def term_warnings(connection: Connection, case_id: UUID) -> list[TermEnds]:
    """What was warned of in a case, also terms that have ended by now."""
    rows = await connection.fetch(
        "SELECT term, organisation, last_day FROM term_warning WHERE case_id = $1", case_id
    )
    return [TermEnds(row["term"], row["organisation"], row["last_day"]) for row in rows]
