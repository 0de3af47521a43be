"""One case that meets a defect when its time comes is put off; it holds up no other case.

What goes wrong in a batch is found by doing its cases one by one, each behind a savepoint. Lock
the cases first.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.db import Connection
from services.chassis.errors import is_transient
from services.chassis.telemetry import Logger

PUT_OFF = timedelta(minutes=10)
Act = Callable[[Sequence[UUID]], Awaitable[None]]
"""What time does to these cases, written in the caller's transaction."""
PutOff = Callable[[Connection, UUID, datetime], Awaitable[None]]
"""Lets a case's time come again, at that moment."""


async def each(
    connection: Connection,
    case_ids: Iterable[UUID],
    now: datetime,
    act: Act,
    put_off: PutOff,
    log: Logger | None,
) -> None:
    """Do it to all cases at once; when that meets a defect, to each by itself.

    Without a log, where nobody would see it, the defect of a case is raised.
    """
    every = sorted(set(case_ids))
    try:
        await _at_once(connection, every, act)
        return
    except Exception as error:
        if is_transient(error):
            raise
    for case_id in every:
        try:
            await _at_once(connection, [case_id], act)
        except Exception as error:
            if is_transient(error):
                raise
            if log is None:
                raise
            name = type(error).__name__
            log.error("deadline_defect", case_id=str(case_id), error=name)
            await put_off(connection, case_id, now + PUT_OFF)


async def _at_once(connection: Connection, case_ids: Sequence[UUID], act: Act) -> None:
    async with connection.transaction():
        await act(case_ids)
        # What the database checks at the commit must fail here, where it is known whose it is.
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


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


async def finding(connection: Connection, case_id: UUID, until: datetime) -> None:
    """Claim the due finding of a locked case no sooner than `until`."""
    await connection.execute(
        "UPDATE finding SET fires_at = $2 WHERE case_id = $1 AND fires_at < $2", case_id, until
    )


async def consultations(connection: Connection, case_id: UUID, until: datetime) -> None:
    """Remind of the unanswered consultations of a locked case no sooner than `until`."""
    await connection.execute(
        "UPDATE consultation SET put_off_until = $2 WHERE case_id = $1 AND answered_at IS NULL",
        case_id,
        until,
    )
