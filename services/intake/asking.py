"""Questions of the holder to the reporter: sealed, published without a word of them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.intake import QuestionAsked
from contracts.situation import Urgency
from services.chassis import journal
from services.chassis.db import Connection, Database
from services.chassis.journal import Outgoing
from services.intake import question_store, store
from services.intake.capability import CapabilityReader
from services.intake.codes import Codes
from services.intake.domain import QuestionKnown, ReferralKnown
from services.intake.problems import denied, refused
from services.intake.question_store import QuestionRow
from services.intake.rules import (
    ANSWER_WITHIN,
    HOLDING,
    Denied,
    capability_refusal,
    question_denied,
    referral_refusal,
)
from services.intake.vault import Vault, question_label


@dataclass(frozen=True, slots=True)
class Asked:
    """A stored question, and whether it had been asked before."""

    answer_by: datetime
    replayed: bool


class Asker:
    """Lets the organisation that has a case ask its reporter something."""

    def __init__(
        self,
        database: Database,
        reader: CapabilityReader,
        codes: Codes,
        vault: Vault,
        *,
        source: str,
        topic: str,
    ) -> None:
        self._database = database
        self._reader = reader
        self._codes = codes
        self._vault = vault
        self._source = source
        self._topic = topic

    async def ask(
        self,
        organisation: str | None,
        case_id: UUID,
        capability_text: str | None,
        question_id: UUID,
        text: str,
        now: datetime,
    ) -> Asked:
        """Store and publish a question; the same one again gives what the first one gave.

        Raises Problem: 400 and 403 for the capability, 409 when it cannot be asked.
        """
        capability, _ = await self._reader.read(capability_text)
        refused(capability_refusal(capability, organisation, case_id, now))
        mac = self._codes.text_mac(question_id, text)
        async with self._database.transaction() as connection:
            # Alone: of two questions at once the second one counts the first.
            known = await store.lock_referral(connection, capability.referral_id, alone=True)
            refused(referral_refusal(capability, known))
            assert known is not None
            former = await question_store.lock_question(connection, case_id, question_id)
            if former is not None:
                return _repeated(former, mac)
            wrapped_key, urgency = await self._allowed(connection, known)
            label = question_label(question_id)
            row = QuestionRow(
                case_id=case_id,
                question_id=question_id,
                referral_id=capability.referral_id,
                organisation=capability.organisation,
                text=self._vault.seal_more(case_id, wrapped_key, label, text.encode()),
                text_mac=mac,
                asked_at=now,
                answer_by=(now + ANSWER_WITHIN[urgency]).replace(microsecond=0),
            )
            await self._store(connection, row)
        return Asked(row.answer_by, replayed=False)

    async def _allowed(self, connection: Connection, known: ReferralKnown) -> tuple[bytes, Urgency]:
        """The wrapped key and the urgency of a case in which a question may be asked."""
        case = await question_store.case_asked(connection, known.case_id, tuple(HOLDING))
        reason = question_denied(known, case)
        if reason is not None or case is None or case.wrapped_key is None:
            raise denied(reason or Denied.CONTENT_ERASED)
        return case.wrapped_key, case.urgency

    async def _store(self, connection: Connection, row: QuestionRow) -> None:
        if not await question_store.insert_question(connection, row):
            raise denied(Denied.QUESTION_ID_REUSED)
        event = QuestionAsked(
            question_id=row.question_id,
            case_id=row.case_id,
            referral_id=row.referral_id,
            organisation=row.organisation,
            answer_by=row.answer_by,
            asked_at=row.asked_at,
        )
        outgoing = Outgoing(event, row.case_id, self._topic, self._source)
        await journal.append(connection, [outgoing], row.asked_at)


def _repeated(former: QuestionKnown, mac: bytes) -> Asked:
    if former.text_mac != mac:
        raise denied(Denied.QUESTION_ID_REUSED)
    return Asked(former.answer_by, replayed=True)
