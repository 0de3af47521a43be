"""SQL that puts a deadline off which met a defect; lock the case first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.chassis.db import Connection


async def offer(connection: Connection, case_id: UUID, until: datetime) -> None:
    """Claim the expired offer of a locked case no sooner than `until`."""
    await connection.execute(
        "UPDATE referral SET due_at = $2 WHERE case_id = $1 AND due_at < $2", case_id, until
    )


async def timer(connection: Connection, case_id: UUID, until: datetime) -> None:
    """Claim the timer of a locked case no sooner than `until`."""
    await connection.execute(
        "UPDATE case_holder SET timer_at = $2 WHERE case_id = $1 AND timer_at < $2", case_id, until
    )


async def warnings(
    connection: Connection, case_id: UUID, terms: Sequence[str], until: datetime
) -> None:
    """Warn of these terms of a case at `until`, because it was not done now."""
    await connection.execute(
        "UPDATE legal_term SET warned = warned - 1, warn_at = $3"
        " WHERE case_id = $1 AND term = ANY($2::text[])",
        case_id,
        terms,
        until,
    )
