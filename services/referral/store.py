"""SQL of referral. Every function takes the caller's connection; locks always go case first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from contracts.referral import ReferralAnswered, Status
from services.chassis.db import Connection
from services.chassis.errors import Unavailable
from services.referral import rows
from services.referral.domain import HOLDING, Case, Channel, Partner, Referral
from services.referral.rows import case_of, referral_of

_CURRENT = "('requested', 'received', 'accepted', 'in-progress', 'on-hold')"


class AppliedAnswer(NamedTuple):
    """An answer that had an effect, kept to know a repeat."""

    organisation: str
    event: ReferralAnswered
    reason_text: str | None = None


async def lock_cases(connection: Connection, case_ids: Iterable[UUID]) -> dict[UUID, Case]:
    """Lock the cases that exist, in the order of their ids, until the transaction ends."""
    found = await connection.fetch(
        "SELECT * FROM case_holder WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE",
        list(set(case_ids)),
    )
    return {row["case_id"]: case_of(row) for row in found}


async def lock_cases_of(
    connection: Connection, referral_ids: Iterable[UUID]
) -> tuple[dict[UUID, Case], dict[UUID, Referral]]:
    """Lock the cases of these referrals, then read these and the live ones under the lock."""
    ids = list(set(referral_ids))
    found = await connection.fetch(
        "SELECT * FROM case_holder WHERE case_id IN"
        " (SELECT case_id FROM referral WHERE referral_id = ANY($1::uuid[]))"
        " ORDER BY case_id FOR UPDATE",
        ids,
    )
    cases = {row["case_id"]: case_of(row) for row in found}
    found = await connection.fetch(
        "SELECT * FROM referral WHERE referral_id = ANY($1::uuid[])"  # noqa: S608
        f" OR (case_id = ANY($2::uuid[]) AND status IN {_CURRENT})",
        ids,
        list(cases),
    )
    return cases, {row["referral_id"]: referral_of(row) for row in found}


async def lock_due(
    connection: Connection, now: datetime, limit: int
) -> tuple[dict[UUID, Case], list[Referral]]:
    """Claim cases with an expired offer that no other transaction works on, earliest first.

    Gives the cases and all their live referrals; which of these are due is for the rules.
    """
    found = await connection.fetch(
        "SELECT c.* FROM referral r JOIN case_holder c USING (case_id)"
        " WHERE r.due_at <= $1 ORDER BY r.due_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED",
        now,
        limit,
    )
    return await _with_live(connection, {row["case_id"]: case_of(row) for row in found})


async def lock_timers(
    connection: Connection, now: datetime, limit: int
) -> tuple[dict[UUID, Case], list[Referral]]:
    """Claim cases whose timer went off, earliest first, with their live referrals."""
    found = await connection.fetch(
        "SELECT * FROM case_holder WHERE timer_at <= $1"
        " ORDER BY timer_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        now,
        limit,
    )
    return await _with_live(connection, {row["case_id"]: case_of(row) for row in found})


async def _with_live(
    connection: Connection, cases: dict[UUID, Case]
) -> tuple[dict[UUID, Case], list[Referral]]:
    # Read under the lock: an answer may have come in between.
    return cases, await live_referrals(connection, cases) if cases else []


async def live_referrals(connection: Connection, case_ids: Iterable[UUID]) -> list[Referral]:
    """The open request and the holding referral of each case; lock the cases first."""
    found = await connection.fetch(
        f"SELECT * FROM referral WHERE case_id = ANY($1::uuid[]) AND status IN {_CURRENT}"  # noqa: S608
        " ORDER BY attempt",
        list(case_ids),
    )
    return [referral_of(row) for row in found]


async def referrals_of(connection: Connection, case_id: UUID) -> list[tuple[Referral, str | None]]:
    """All referrals of a case with the text of a decline, for the desk."""
    found = await connection.fetch(
        "SELECT * FROM referral WHERE case_id = $1 ORDER BY attempt", case_id
    )
    return [(referral_of(row), row["reason_text"]) for row in found]


async def find(
    connection: Connection, referral_id: UUID, organisation: str | None = None
) -> tuple[Case, Referral] | None:
    """A referral with its case, for its organisation only when one is named; takes no lock."""
    row = await connection.fetchrow(
        "SELECT * FROM referral WHERE referral_id = $1 AND ($2::text IS NULL OR organisation = $2)",
        referral_id,
        organisation,
    )
    if row is None:
        return None
    case = await find_case(connection, row["case_id"])
    return None if case is None else (case, referral_of(row))


async def find_case(connection: Connection, case_id: UUID) -> Case | None:
    """One case without a lock."""
    row = await connection.fetchrow("SELECT * FROM case_holder WHERE case_id = $1", case_id)
    return None if row is None else case_of(row)


async def list_referrals(
    connection: Connection,
    organisation: str,
    status: Status | None,
    after: UUID | None,
    limit: int,
) -> list[tuple[Case, Referral]]:
    """An organisation's referrals in the order of their ids, which is that of the offers."""
    found = await connection.fetch(
        "SELECT * FROM referral WHERE organisation = $1 AND ($2::text IS NULL OR status = $2)"
        " AND ($3::uuid IS NULL OR referral_id > $3) ORDER BY referral_id LIMIT $4",
        organisation,
        status,
        after,
        limit,
    )
    referrals = [referral_of(row) for row in found]
    held = await connection.fetch(
        "SELECT * FROM case_holder WHERE case_id = ANY($1::uuid[])",
        list({item.case_id for item in referrals}),
    )
    cases = {row["case_id"]: case_of(row) for row in held}
    return [(cases[item.case_id], item) for item in referrals]


async def list_cases(
    connection: Connection,
    holder: str | None,
    actor: str | None,
    overdue_at: datetime | None,
    after: UUID | None,
    limit: int,
) -> list[Case]:
    """Open cases, first due first: of one holder, of who acts next, of what is due before."""
    found = await connection.fetch(
        "SELECT * FROM case_holder WHERE open AND ($1::text IS NULL OR holder = $1)"
        " AND ($5::text IS NULL OR next_actor = $5)"
        " AND ($2::timestamptz IS NULL OR next_due_at <= $2)"
        " AND ($3::uuid IS NULL OR (next_due_at, case_id) >"
        "      (SELECT next_due_at, case_id FROM case_holder WHERE case_id = $3))"
        " ORDER BY next_due_at, case_id LIMIT $4",
        holder,
        overdue_at,
        after,
        limit,
        actor,
    )
    return [case_of(row) for row in found]


async def applied_answers(
    connection: Connection, keys: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], tuple[UUID, str]]:
    """Which of these (organisation, answer id) had an effect: referral, and what was said."""
    found = await connection.fetch(
        "SELECT a.* FROM answer a JOIN unnest($1::text[], $2::uuid[]) AS k(organisation, answer_id)"
        " USING (organisation, answer_id)",
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {
        (row["organisation"], row["answer_id"]): (
            row["referral_id"],
            # Answers of before the closed loop have no more than these two.
            row["digest"] or said_before(row["answer"], row["reason"]),
        )
        for row in found
    }


async def save(
    connection: Connection,
    *,
    opened: Sequence[Case],
    changed: Sequence[tuple[Case, Case]],
    offered: Sequence[Referral],
    moved: Sequence[Sequence[Referral]],
    known: Mapping[UUID, Referral],
) -> None:
    """Write new and changed rows, few statements for each kind and wave of moves.

    `changed` are cases as they were and as they are, `known` the referrals as they were: of what
    is locked only what differs is written. A referral that gives way is moved before the next one
    is offered, because a case has one open request. Raises Unavailable when another instance opened
    one of the cases at this moment.
    """
    if opened:
        status = await connection.execute(rows.OPEN_CASES, *rows.opened_columns(opened))
        if int(status.split()[-1]) != len(opened):
            raise Unavailable("another instance opened one of these cases; read the batch again")
    if changed:
        await _change(connection, changed)
    for wave in moved:
        await _move(connection, wave, known)
        # Of what is moved once more, an earlier wave may have written any column.
        known = {}
    if offered:
        await connection.execute(rows.OFFER_REFERRALS, *rows.offered_columns(offered))


async def _change(connection: Connection, changed: Sequence[tuple[Case, Case]]) -> None:
    stepped: list[Case] = []
    more: list[Case] = []
    for before, after in changed:
        (stepped if rows.is_stepped(before, after) else more).append(after)
    if stepped:
        await connection.execute(rows.STEP_CASES, *rows.stepped_columns(stepped))
    if more:
        await connection.execute(rows.CHANGE_CASES, *rows.changed_columns(more))


async def _move(
    connection: Connection, wave: Sequence[Referral], known: Mapping[UUID, Referral]
) -> None:
    taken: list[Referral] = []
    holding: list[Referral] = []
    leaving: list[Referral] = []
    for item in wave:
        before = known.get(item.referral_id)
        if before is not None and rows.is_taken(before, item):
            taken.append(item)
        else:
            (holding if item.status in HOLDING else leaving).append(item)
    # Who leaves goes first, and is never among those taken: a case has one holding referral at any
    # moment.
    if leaving:
        await connection.execute(rows.MOVE_REFERRALS, *rows.moved_columns(leaving))
    if taken:
        await connection.execute(rows.TAKE_REFERRALS, *rows.taken_columns(taken))
    if holding:
        await connection.execute(rows.MOVE_REFERRALS, *rows.moved_columns(holding))


def said(event: ReferralAnswered) -> str:
    """What an answer says, as one text to compare a repeat with."""
    more = (event.suggested_organisation, event.until, event.outcome, event.decision)
    if not any(more):
        return said_before(event.answer.value, event.reason)
    until = event.until.astimezone(UTC).isoformat() if event.until else None
    parts = (event.suggested_organisation, until, event.outcome, event.decision)
    return said_before(event.answer.value, event.reason) + "|" + "|".join(p or "" for p in parts)


def said_before(answer: str, reason: str | None) -> str:
    """The short form: an answer and its reason."""
    return f"{answer}|{reason or ''}"


async def save_answers(
    connection: Connection, answers: Sequence[AppliedAnswer], now: datetime
) -> None:
    """Remember answers that had an effect, and the texts of declines."""
    events = [item.event for item in answers]
    await connection.execute(
        "INSERT INTO answer (organisation, answer_id, referral_id, attempt, answer, reason,"
        " answered_at, digest, applied_at) SELECT *, $9 FROM unnest($1::text[], $2::uuid[],"
        " $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])",
        [item.organisation for item in answers],
        [event.answer_id for event in events],
        [event.referral_id for event in events],
        [event.attempt for event in events],
        [event.answer for event in events],
        [event.reason for event in events],
        [event.at for event in events],
        [said(event) for event in events],
        now,
    )
    for item in answers:
        if item.reason_text is not None:
            await connection.execute(
                "UPDATE referral SET reason_text = $2 WHERE referral_id = $1",
                item.event.referral_id,
                item.reason_text,
            )


async def partners(connection: Connection) -> dict[str, Partner]:
    """How each partner is reached, also those that are switched off."""
    found = await connection.fetch("SELECT organisation, channel, fallback, active FROM partner")
    return {
        row["organisation"]: Partner(
            Channel(row["channel"]),
            Channel(row["fallback"]) if row["fallback"] else None,
            row["active"],
        )
        for row in found
    }


async def seed_partners(
    connection: Connection, partners: Mapping[str, tuple[str, Channel, Channel | None]]
) -> None:
    """Add the partners that are not there yet; what was changed afterwards stays."""
    await connection.execute(
        "INSERT INTO partner (organisation, name, channel, fallback) SELECT *"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING",
        list(partners),
        [name for name, _, _ in partners.values()],
        [channel for _, channel, _ in partners.values()],
        [fallback for _, _, fallback in partners.values()],
    )
