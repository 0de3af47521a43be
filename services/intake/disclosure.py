"""Hands content over to the organisation that a live referral names, and records that it did."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.intake import ContentDisclosed, ContentField
from services.chassis import journal
from services.chassis.db import Connection, Database
from services.chassis.journal import Outgoing
from services.chassis.problem import Problem
from services.intake import question_store, store
from services.intake.capability import CapabilityReader
from services.intake.domain import QuestionAnswers
from services.intake.problems import denied, refused
from services.intake.rules import (
    Capability,
    Denied,
    capability_refusal,
    fields_allowed,
    referral_refusal,
)
from services.intake.vault import Vault, answer_label, question_label


@dataclass(frozen=True, slots=True)
class Answered:
    """A question of a holder and what the reporter answered."""

    question_id: UUID
    organisation: str
    question: bytes
    answer: bytes
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What an organisation gets to read, opened."""

    fields: dict[ContentField, bytes]
    answers: tuple[Answered, ...]


class Discloser:
    """Checks capability and referral, opens the seals, journals, then gives the content."""

    def __init__(
        self, database: Database, reader: CapabilityReader, vault: Vault, *, source: str, topic: str
    ) -> None:
        self._database = database
        self._reader = reader
        self._vault = vault
        self._source = source
        self._topic = topic

    async def disclose(
        self, organisation: str | None, case_id: UUID, capability_text: str | None, now: datetime
    ) -> Disclosed:
        """The allowed fields, opened; their disclosure is committed when this returns.

        Raises Problem: 400 and 403 for the capability, 404 for the case, 503 to try again.
        """
        capability, asked = await self._reader.read(capability_text)
        refused(capability_refusal(capability, organisation, case_id, now))
        async with self._database.transaction() as connection:
            known = await store.lock_referral(connection, capability.referral_id)
            refused(referral_refusal(capability, known))
            assert known is not None
            opened = await self._opened(connection, case_id, fields_allowed(known, asked))
            event = _event(capability, opened, now)
            outgoing = Outgoing(event, case_id, self._topic, self._source)
            await journal.append(connection, [outgoing], now)
        return opened

    async def _opened(
        self, connection: Connection, case_id: UUID, allowed: frozenset[ContentField]
    ) -> Disclosed:
        content = await store.sealed_content(connection, case_id)
        if content is None:
            raise Problem(404, "case-unknown", "Intake holds no case with this id.")
        wrapped_key = content.wrapped_key
        if wrapped_key is None:
            raise denied(Denied.CONTENT_ERASED)
        fields = {
            field: self._vault.open(case_id, wrapped_key, field, sealed)
            for field, sealed in content.fields.items()
            if field in allowed
        }
        answers: list[QuestionAnswers] = []
        if ContentField.ANSWERS in allowed:
            answers = await question_store.answers(connection, case_id)
        return Disclosed(
            fields, tuple(self._answered(case_id, wrapped_key, item) for item in answers)
        )

    def _answered(self, case_id: UUID, wrapped_key: bytes, item: QuestionAnswers) -> Answered:
        question, answer = question_label(item.question_id), answer_label(item.question_id)
        return Answered(
            item.question_id,
            item.organisation,
            self._vault.open(case_id, wrapped_key, question, item.text),
            self._vault.open(case_id, wrapped_key, answer, item.answer),
            item.answered_at,
        )


def _event(capability: Capability, opened: Disclosed, now: datetime) -> ContentDisclosed:
    answers = (ContentField.ANSWERS,) if opened.answers else ()
    return ContentDisclosed(
        case_id=capability.case_id,
        referral_id=capability.referral_id,
        attempt=capability.attempt,
        organisation=capability.organisation,
        fields=(*opened.fields, *answers),
        disclosed_at=now,
    )
