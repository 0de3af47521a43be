"""A consultation that nobody answers: who is asked is reminded once, then who asked is told.

Nothing is closed by it: the advice is welcome as long as the one who asked holds the case, whose
own time goes on meanwhile.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from contracts.referral import News
from services.chassis.db import Connection
from services.chassis.telemetry import Logger
from services.referral import conferring, postponing, records, store
from services.referral.effects import Effects, Publishing

BATCH_MAX = 200
REMINDER, TOLD = 1, 2

# Half of the time has gone, or all of it; what has been said is not said again. A case is open when
# somebody acts next, which the table guarantees: by `open` the planner would look for it among all
# open cases in the index of their due times, and not by its id.
_DUE = """
SELECT k.consultation_id, k.case_id, k.answer_by <= $1 AS over
FROM consultation k JOIN case_holder c USING (case_id)
WHERE k.answered_at IS NULL AND c.next_actor IS NOT NULL
  AND NOT EXISTS (SELECT FROM consultation_notice n
                  WHERE n.consultation_id = k.consultation_id
                    AND n.number >= CASE WHEN k.answer_by <= $1 THEN 2 ELSE 1 END)
  AND (k.put_off_until IS NULL OR k.put_off_until <= $1)
  AND k.asked_at + (k.answer_by - k.asked_at) / 2 <= $1
ORDER BY k.answer_by LIMIT $2 FOR UPDATE OF c, k SKIP LOCKED
"""


class Unanswered:
    """Works in the caller's transaction; several instances may do so at once."""

    def __init__(self, publishing: Publishing, log: Logger | None = None) -> None:
        self._publishing = publishing
        self._log = log

    async def fire(self, connection: Connection, now: datetime) -> int:
        """Remind and tell of one batch of consultations; gives how many were claimed."""
        due = await connection.fetch(_DUE, now, BATCH_MAX)
        of_case: dict[UUID, dict[UUID, bool]] = {}
        for row in due:
            of_case.setdefault(row["case_id"], {})[row["consultation_id"]] = row["over"]

        async def at_once(case_ids: Sequence[UUID]) -> None:
            over = {key: said for case_id in case_ids for key, said in of_case[case_id].items()}
            await self._say(connection, over, now)

        if due:
            put_off = postponing.consultations
            await postponing.each(connection, of_case, now, at_once, put_off, self._log)
        return len(due)

    async def _say(self, connection: Connection, over: Mapping[UUID, bool], now: datetime) -> None:
        """Remind who is asked, or tell who asked where the time is `over`."""
        found = [await records.find_consultation(connection, key) for key in over]
        items = [item for item in found if item is not None]
        cases = await store.lock_cases(connection, [item.case_id for item in items])
        effects = Effects(self._publishing, await store.partners(connection), cases, ())
        for item in items:
            if over[item.consultation_id]:
                news = conferring.news(item, now, News.CONSULTATION_UNANSWERED)
                effects.tell(item.asked_by, news, item.case_id, None)
            else:
                # The same request once more, with its own id: whoever knows it loses nothing.
                again = conferring.request(cases[item.case_id], item, now)
                effects.tell(item.organisation, again, item.case_id, None)
        await connection.execute(
            "INSERT INTO consultation_notice (consultation_id, number, at)"
            " SELECT *, $3 FROM unnest($1::uuid[], $2::integer[])",
            [item.consultation_id for item in items],
            [TOLD if over[item.consultation_id] else REMINDER for item in items],
            now,
        )
        await effects.write(connection, now)
