"""SQL of what stands beside cases and referrals: notices, legal terms, hand-overs, consultations.

Every function takes the caller's connection; lock the case before writing about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.chassis.db import Connection, read_as
from services.referral.domain import Channel, Consultation, LegalTerm, Partner


@dataclass(frozen=True, slots=True)
class HandOver:
    """What the desk brought: how, to whom by function, what was said, and who wrote it down."""

    hand_over_id: UUID
    referral_id: UUID
    how: str
    accepted: bool
    declined: str | None
    handed_at: datetime
    spoken_with: str | None
    recorded_by: str
    recorded_at: datetime


async def save_notices(
    connection: Connection, notices: Sequence[tuple[UUID, str]], now: datetime
) -> None:
    """Keep what the reporter did in cases that are not known here yet."""
    await connection.execute(
        "INSERT INTO case_notice (case_id, kind, at) SELECT *, $3"
        " FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING",
        [case_id for case_id, _ in notices],
        [kind for _, kind in notices],
        now,
    )


async def take_notices(connection: Connection, limit: int) -> list[tuple[UUID, str]]:
    """Notices whose case is known by now, locked with their cases; they are taken away."""
    # LATERAL, because the planner would begin with all cases, and notices are few.
    found = await connection.fetch(
        "WITH due AS (SELECT n.case_id, n.kind FROM case_notice n, LATERAL"
        " (SELECT FROM case_holder c WHERE c.case_id = n.case_id FOR UPDATE SKIP LOCKED) AS known"
        " ORDER BY n.case_id LIMIT $1)"
        " DELETE FROM case_notice n USING due"
        " WHERE (n.case_id, n.kind) = (due.case_id, due.kind) RETURNING n.case_id, n.kind",
        limit,
    )
    return sorted((row["case_id"], row["kind"]) for row in found)


async def put_terms(connection: Connection, terms: Sequence[LegalTerm]) -> None:
    """Keep the terms of a decision; a term whose last day has changed is warned of anew."""
    await connection.execute(
        "INSERT INTO legal_term (case_id, term, organisation, last_day, warn_at)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::timestamptz[])"
        " ON CONFLICT (case_id, term) DO UPDATE SET organisation = excluded.organisation,"
        " last_day = excluded.last_day, warned = 0, warn_at = excluded.warn_at"
        " WHERE legal_term.last_day <> excluded.last_day",
        [item.case_id for item in terms],
        [item.term for item in terms],
        [item.organisation for item in terms],
        [item.last_day for item in terms],
        [item.warn_at for item in terms],
    )


async def lock_terms(connection: Connection, now: datetime, limit: int) -> list[LegalTerm]:
    """Claim terms of which must be warned now, with their cases, earliest first."""
    found = await connection.fetch(
        "SELECT t.* FROM legal_term t JOIN case_holder c USING (case_id)"
        " WHERE t.warn_at <= $1 ORDER BY t.warn_at LIMIT $2 FOR UPDATE OF t, c SKIP LOCKED",
        now,
        limit,
    )
    return [read_as(LegalTerm, row) for row in found]


async def terms_of(connection: Connection, case_id: UUID) -> list[LegalTerm]:
    """The terms of a case whose last day is known, the first to lapse in front."""
    found = await connection.fetch(
        "SELECT * FROM legal_term WHERE case_id = $1 ORDER BY last_day, term", case_id
    )
    return [read_as(LegalTerm, row) for row in found]


async def warned_terms(
    connection: Connection, case_ids: Sequence[UUID], today: date
) -> list[LegalTerm]:
    """Terms of these cases that were warned of and are not over."""
    found = await connection.fetch(
        "SELECT * FROM legal_term WHERE case_id = ANY($1::uuid[]) AND warned > 0"
        " AND last_day >= $2 ORDER BY case_id, last_day, term",
        case_ids,
        today,
    )
    return [read_as(LegalTerm, row) for row in found]


async def warned(
    connection: Connection, terms: Sequence[LegalTerm], next_at: Sequence[datetime | None]
) -> None:
    """Warnings were given; of each term the next comes at its `next_at`, or none any more."""
    await connection.execute(
        "UPDATE legal_term l SET warned = l.warned + 1, warn_at = t.next_at"
        " FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS t(case_id, term, next_at)"
        " WHERE (l.case_id, l.term) = (t.case_id, t.term)",
        [item.case_id for item in terms],
        [item.term for item in terms],
        list(next_at),
    )


async def save_hand_over(connection: Connection, item: HandOver) -> bool:
    """Write a hand-over down; False when this id was written before."""
    status = await connection.execute(
        "INSERT INTO hand_over (hand_over_id, referral_id, how, accepted, declined, handed_at,"
        " spoken_with, recorded_by, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " ON CONFLICT DO NOTHING",
        item.hand_over_id,
        item.referral_id,
        item.how,
        item.accepted,
        item.declined,
        item.handed_at,
        item.spoken_with,
        item.recorded_by,
        item.recorded_at,
    )
    return str(status).endswith(" 1")


async def hand_overs_of(connection: Connection, case_id: UUID) -> list[HandOver]:
    """What the desk brought in a case, oldest first."""
    found = await connection.fetch(
        "SELECT h.* FROM hand_over h JOIN referral r USING (referral_id) WHERE r.case_id = $1"
        " ORDER BY h.recorded_at, h.hand_over_id",
        case_id,
    )
    return [read_as(HandOver, row) for row in found]


async def save_consultation(connection: Connection, item: Consultation) -> bool:
    """Keep a question; False when this id was used before, also for a referral.

    Intake keeps rights to read under either id, so one id must never mean both.
    """
    status = await connection.execute(
        "INSERT INTO consultation (consultation_id, case_id, referral_id, asked_by, organisation,"
        " question, asked_at, answer_by) SELECT $1, $2, $3, $4, $5, $6, $7, $8"
        " WHERE NOT EXISTS (SELECT FROM referral WHERE referral_id = $1)"
        " ON CONFLICT DO NOTHING",
        item.consultation_id,
        item.case_id,
        item.referral_id,
        item.asked_by,
        item.organisation,
        item.question,
        item.asked_at,
        item.answer_by,
    )
    return str(status).endswith(" 1")


async def find_consultation(
    connection: Connection, consultation_id: UUID, *, lock: bool = False
) -> Consultation | None:
    """One consultation, locked when asked for."""
    row = await connection.fetchrow(
        f"SELECT * FROM consultation WHERE consultation_id = $1{' FOR UPDATE' if lock else ''}",  # noqa: S608
        consultation_id,
    )
    return None if row is None else read_as(Consultation, row)


async def consultations_of(
    connection: Connection, organisation: str, after: UUID | None, limit: int
) -> list[Consultation]:
    """What an organisation asked or was asked, in the order of the ids."""
    found = await connection.fetch(
        "SELECT * FROM consultation WHERE (organisation = $1 OR asked_by = $1)"
        " AND ($2::uuid IS NULL OR consultation_id > $2) ORDER BY consultation_id LIMIT $3",
        organisation,
        after,
        limit,
    )
    return [read_as(Consultation, row) for row in found]


async def count_consultations(connection: Connection, case_id: UUID) -> tuple[int, int]:
    """How many consultations of a case have no answer yet, and how many there were in all."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE answered_at IS NULL) AS open, count(*) AS all"
        " FROM consultation WHERE case_id = $1",
        case_id,
    )
    assert row is not None
    return row["open"], row["all"]


async def drop_consultations(
    connection: Connection, holders: Mapping[UUID, str | None], now: datetime
) -> list[Consultation]:
    """End what former holders asked, of cases with their present holder; None when closed."""
    # `advised` and `answered_at` are empty together; by the latter the planner would read every
    # question that is open, and not those of these cases.
    found = await connection.fetch(
        "UPDATE consultation c SET advised = false, answered_at = $3"
        " FROM unnest($1::uuid[], $2::text[]) AS t(case_id, holder)"
        " WHERE c.case_id = t.case_id AND c.advised IS NULL"
        " AND c.asked_by IS DISTINCT FROM t.holder RETURNING c.*",
        list(holders),
        list(holders.values()),
        now,
    )
    return [read_as(Consultation, row) for row in found]


async def answer_consultation(
    connection: Connection, consultation_id: UUID, advice: str | None, now: datetime
) -> None:
    """Keep the advice; without one the organisation could not give it."""
    await connection.execute(
        "UPDATE consultation SET advice = $2, advised = $3, answered_at = $4"
        " WHERE consultation_id = $1 AND answered_at IS NULL",
        consultation_id,
        advice,
        advice is not None,
        now,
    )


async def named_partners(connection: Connection) -> list[tuple[str, str, Partner]]:
    """Every partner with its name."""
    found = await connection.fetch("SELECT * FROM partner ORDER BY organisation")
    return [
        (
            row["organisation"],
            row["name"],
            Partner(
                Channel(row["channel"]),
                Channel(row["fallback"]) if row["fallback"] else None,
                row["active"],
            ),
        )
        for row in found
    ]


async def put_partner(
    connection: Connection,
    organisation: str,
    name: str,
    channel: Channel,
    fallback: Channel | None,
) -> None:
    """Add a partner or change how it is reached; it takes cases from now on."""
    await connection.execute(
        "INSERT INTO partner (organisation, name, channel, fallback) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (organisation) DO UPDATE SET name = excluded.name,"
        " channel = excluded.channel, fallback = excluded.fallback, active = true",
        organisation,
        name,
        channel,
        fallback,
    )


async def switch(connection: Connection, organisation: str, active: bool) -> bool:
    """Switch a partner on or off; False when there is no such partner."""
    status = await connection.execute(
        "UPDATE partner SET active = $2 WHERE organisation = $1", organisation, active
    )
    return str(status).endswith(" 1")


async def live_cases_of(
    connection: Connection, organisation: str, limit: int
) -> Mapping[UUID, UUID]:
    """Cases that an organisation was asked for or holds, with the referral: at most `limit`."""
    found = await connection.fetch(
        "SELECT case_id, referral_id FROM referral WHERE organisation = $1 AND status IN"
        " ('requested', 'received', 'accepted', 'in-progress', 'on-hold')"
        " ORDER BY referral_id LIMIT $2",
        organisation,
        limit,
    )
    return {row["case_id"]: row["referral_id"] for row in found}
