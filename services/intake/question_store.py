"""SQL of questions to the reporter and of the answers. Both texts are sealed.

Every function works in the caller's transaction; none commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.referral import Status
from contracts.situation import Urgency
from services.chassis.db import Connection
from services.intake.domain import CaseAsked, QuestionAnswers, QuestionKnown, QuestionOpen

_ASKED = """
SELECT k.wrapped_key, s.urgency,
       EXISTS (SELECT FROM report r WHERE r.case_id = k.case_id AND r.withdrawn_at IS NOT NULL)
           AS withdrawn,
       (SELECT count(*) FROM question q WHERE q.case_id = k.case_id) AS questions,
       (SELECT count(*) FROM question q JOIN referral f USING (referral_id)
        WHERE q.case_id = k.case_id AND q.answered_at IS NULL AND f.status = ANY($2)) AS open
FROM case_key k LEFT JOIN case_status s USING (case_id) WHERE k.case_id = $1
"""


async def case_asked(
    connection: Connection, case_id: UUID, holding: Sequence[Status]
) -> CaseAsked | None:
    """What decides whether a question may be asked; None for an unknown case."""
    row = await connection.fetchrow(_ASKED, case_id, [status.value for status in holding])
    if row is None:
        return None
    urgency = Urgency(row["urgency"]) if row["urgency"] else Urgency.NORMAAL
    return CaseAsked(row["wrapped_key"], urgency, row["withdrawn"], row["questions"], row["open"])


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A new question; `text` is sealed."""

    case_id: UUID
    question_id: UUID
    referral_id: UUID
    organisation: str
    text: bytes
    text_mac: bytes
    asked_at: datetime
    answer_by: datetime


async def insert_question(connection: Connection, row: QuestionRow) -> bool:
    """Store a question; gives whether its id was new in the case."""
    status: str = await connection.execute(
        "INSERT INTO question (case_id, question_id, referral_id, organisation, text, text_mac,"
        " asked_at, answer_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (case_id, question_id) DO NOTHING",
        row.case_id,
        row.question_id,
        row.referral_id,
        row.organisation,
        row.text,
        row.text_mac,
        row.asked_at,
        row.answer_by,
    )
    return status == "INSERT 0 1"


_KNOWN = """
SELECT q.text_mac, q.answer_by, q.answer_mac, f.status
FROM question q LEFT JOIN referral f USING (referral_id)
WHERE q.case_id = $1 AND q.question_id = $2 FOR UPDATE OF q
"""


async def lock_question(
    connection: Connection, case_id: UUID, question_id: UUID
) -> QuestionKnown | None:
    """A question of this case; nobody else answers it until the transaction ends."""
    row = await connection.fetchrow(_KNOWN, case_id, question_id)
    if row is None:
        return None
    status = Status(row["status"]) if row["status"] else None
    return QuestionKnown(row["text_mac"], row["answer_by"], row["answer_mac"], status)


async def insert_answer(
    connection: Connection,
    case_id: UUID,
    question_id: UUID,
    answer: bytes,
    answer_mac: bytes,
    now: datetime,
) -> None:
    """Store the sealed answer to a question that `lock_question` gave."""
    await connection.execute(
        "UPDATE question SET answer = $3, answer_mac = $4, answered_at = $5"
        " WHERE case_id = $1 AND question_id = $2",
        case_id,
        question_id,
        answer,
        answer_mac,
        now,
    )


async def case_key(connection: Connection, case_id: UUID) -> bytes | None:
    """The wrapped key of a case; None after erasure. It stays until the transaction ends."""
    found: bytes | None = await connection.fetchval(
        "SELECT wrapped_key FROM case_key WHERE case_id = $1 FOR SHARE", case_id
    )
    return found


_OPEN = """
SELECT q.question_id, q.organisation, q.text, q.asked_at, q.answer_by
FROM question q JOIN referral f USING (referral_id)
WHERE q.case_id = $1 AND q.answered_at IS NULL AND f.status = ANY($2)
ORDER BY q.asked_at, q.question_id
"""


async def open_questions(
    connection: Connection, case_id: UUID, holding: Sequence[Status]
) -> list[QuestionOpen]:
    """Questions of whoever has the case now that the reporter has not answered; sealed."""
    rows = await connection.fetch(_OPEN, case_id, [status.value for status in holding])
    return [QuestionOpen(**row) for row in rows]


async def answers(connection: Connection, case_id: UUID) -> list[QuestionAnswers]:
    """All answered questions of a case, sealed, also those of an earlier holder."""
    rows = await connection.fetch(
        "SELECT question_id, organisation, text, answer, answered_at FROM question"
        " WHERE case_id = $1 AND answered_at IS NOT NULL ORDER BY answered_at, question_id",
        case_id,
    )
    return [QuestionAnswers(**row) for row in rows]
