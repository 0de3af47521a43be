"""What a reporter does who returns with the code of the receipt.

Each action is one transaction with its event; a repeat changes nothing and publishes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.event import Event
from contracts.intake import IdentityHidden, NotHelped, QuestionAnswered, ReportWithdrawn
from services.chassis import journal
from services.chassis.db import Connection, Database
from services.chassis.journal import Outgoing
from services.chassis.problem import Problem
from services.intake import question_store, return_store
from services.intake.codes import Codes
from services.intake.domain import QuestionOpen, ReportFound
from services.intake.problems import denied
from services.intake.rules import (
    HOLDING,
    LIVE,
    Denied,
    answer_denied,
    not_helped_repeats,
    withdrawal_denied,
)
from services.intake.vault import Vault, answer_label, question_label
from services.intake.words import StatusWords, status_words


@dataclass(frozen=True, slots=True)
class ReportStanding:
    """A report as its reporter sees it; the questions are opened."""

    found: ReportFound
    words: StatusWords
    questions: tuple[QuestionOpen, ...]


class Returner:
    """Finds a report by its code and does what the reporter asks; raises Problem."""

    def __init__(
        self, database: Database, codes: Codes, vault: Vault, *, source: str, topic: str
    ) -> None:
        self._database = database
        self._codes = codes
        self._vault = vault
        self._source = source
        self._topic = topic

    async def standing(self, code: str, now: datetime) -> ReportStanding:
        """How the report of a code stands, with the questions that wait for the reporter."""
        async with self._database.connection() as connection:
            found = await self._found(connection, code)
            terms = await return_store.term_warnings(connection, found.case_id)
            questions = await self._questions(connection, found)
        return ReportStanding(found, status_words(found, now, questions, terms), questions)

    async def withdraw(self, code: str, now: datetime) -> None:
        """Take the report back; 409 when the case is closed already."""
        async with self._database.transaction() as connection:
            found = await self._found(connection, code)
            _refuse(withdrawal_denied(found))
            if await return_store.withdraw_report(connection, found.report_id, now):
                await return_store.close_referrals(connection, found.case_id, LIVE)
                event = ReportWithdrawn(
                    report_id=found.report_id, case_id=found.case_id, withdrawn_at=now
                )
                await self._publish(connection, found.case_id, event, now)

    async def hide_identity(self, code: str, now: datetime) -> None:
        """Give the identity to nobody any more; harmless when there is none."""
        async with self._database.transaction() as connection:
            found = await self._found(connection, code)
            if await return_store.hide_identity(connection, found, now):
                event = IdentityHidden(
                    report_id=found.report_id, case_id=found.case_id, hidden_at=now
                )
                await self._publish(connection, found.case_id, event, now)

    async def not_helped(self, code: str, now: datetime) -> None:
        """The reporter was not helped; 409 after a withdrawal."""
        async with self._database.transaction() as connection:
            found = await self._found(connection, code)
            _refuse(Denied.WITHDRAWN if found.withdrawn_at is not None else None)
            if not_helped_repeats(found, now):
                return
            if await return_store.mark_not_helped(
                connection, found.report_id, found.not_helped_at, now
            ):
                event = NotHelped(report_id=found.report_id, case_id=found.case_id, at=now)
                await self._publish(connection, found.case_id, event, now)

    async def answer(self, code: str, question_id: UUID, text: str, now: datetime) -> None:
        """Seal the answer; 404 for a question of another case, 409 when it cannot be answered."""
        mac = self._codes.text_mac(question_id, text)
        async with self._database.transaction() as connection:
            found = await self._found(connection, code)
            _refuse(Denied.WITHDRAWN if found.withdrawn_at is not None else None)
            known = await question_store.lock_question(connection, found.case_id, question_id)
            _refuse(answer_denied(known, mac))
            if known is not None and known.answer_mac is not None:
                return
            sealed = await self._sealed(connection, found.case_id, question_id, text)
            await question_store.insert_answer(
                connection, found.case_id, question_id, sealed, mac, now
            )
            event = QuestionAnswered(
                question_id=question_id, case_id=found.case_id, answered_at=now
            )
            await self._publish(connection, found.case_id, event, now)

    async def _found(self, connection: Connection, code: str) -> ReportFound:
        mac = self._codes.code_mac(code)
        found = await return_store.find_by_code(connection, mac) if mac is not None else None
        if found is None:
            raise Problem(
                404, "code-unknown", "No report has this code. Check the code on your receipt."
            )
        return found

    async def _questions(
        self, connection: Connection, found: ReportFound
    ) -> tuple[QuestionOpen, ...]:
        if found.withdrawn_at is not None:
            return ()
        sealed = await question_store.open_questions(connection, found.case_id, tuple(HOLDING))
        wrapped_key = await question_store.case_key(connection, found.case_id) if sealed else None
        return self._opened(found.case_id, wrapped_key, sealed) if wrapped_key else ()

    def _opened(
        self, case_id: UUID, wrapped_key: bytes, sealed: Sequence[QuestionOpen]
    ) -> tuple[QuestionOpen, ...]:
        return tuple(
            replace(
                item,
                text=self._vault.open(
                    case_id, wrapped_key, question_label(item.question_id), item.text
                ),
            )
            for item in sealed
        )

    async def _sealed(
        self, connection: Connection, case_id: UUID, question_id: UUID, text: str
    ) -> bytes:
        wrapped_key = await question_store.case_key(connection, case_id)
        if wrapped_key is None:
            raise denied(Denied.CONTENT_ERASED)
        return self._vault.seal_more(case_id, wrapped_key, answer_label(question_id), text.encode())

    async def _publish(
        self, connection: Connection, case_id: UUID, event: Event, now: datetime
    ) -> None:
        outgoing = Outgoing(event, case_id, self._topic, self._source)
        await journal.append(connection, [outgoing], now)


def _refuse(reason: Denied | None) -> None:
    if reason is not None:
        raise denied(reason)
