"""Hands content over to the organisation that a live referral names, and records that it did."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.intake import ContentDisclosed, ContentField
from services.chassis import journal
from services.chassis.db import Database
from services.chassis.journal import Outgoing
from services.chassis.problem import Problem
from services.intake import store
from services.intake.capability import CapabilityReader
from services.intake.domain import SealedContent
from services.intake.rules import Capability, Refusal, capability_refusal, referral_refusal
from services.intake.vault import Vault

_RETRY_SECONDS = 1
_DETAILS = {
    Refusal.EXPIRED: "The capability has expired; ask referral for a new one.",
    Refusal.LIFE_TOO_LONG: "The capability lives longer than five minutes; meldpunt must act.",
    Refusal.OTHER_ORGANISATION: "The capability is of another organisation than your token.",
    Refusal.OTHER_CASE: "The capability is for another case; ask referral for one of this case.",
    Refusal.CLOSED: "Your referral was closed: it expired, was withdrawn or another organisation"
    " has the case. You need not act.",
    Refusal.SUPERSEDED: "A later attempt has replaced this referral; use the offer of that one.",
}


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
    ) -> dict[ContentField, bytes]:
        """The allowed fields, opened; their disclosure is committed when this returns.

        Raises Problem: 400 and 403 for the capability, 404 for the case, 503 to try again.
        """
        capability, allowed = await self._reader.read(capability_text)
        _refuse(capability_refusal(capability, organisation, case_id, now))
        async with self._database.transaction() as connection:
            known = await store.lock_referral(connection, capability.referral_id)
            _refuse(referral_refusal(capability, known))
            content = await store.sealed_content(connection, case_id)
            opened = self._opened(case_id, content, allowed)
            event = _event(capability, tuple(opened), now)
            outgoing = Outgoing(event, case_id, self._topic, self._source)
            await journal.append(connection, [outgoing], now)
        return opened

    def _opened(
        self, case_id: UUID, content: SealedContent | None, allowed: Sequence[ContentField]
    ) -> dict[ContentField, bytes]:
        if content is None:
            raise Problem(404, "case-unknown", "Intake holds no case with this id.")
        if content.wrapped_key is None:
            raise Problem(404, "content-erased", "The content of this case was erased for good.")
        return {
            field: self._vault.open(case_id, content.wrapped_key, field, sealed)
            for field, sealed in content.fields.items()
            if field in allowed
        }


def _event(
    capability: Capability, fields: tuple[ContentField, ...], now: datetime
) -> ContentDisclosed:
    return ContentDisclosed(
        case_id=capability.case_id,
        referral_id=capability.referral_id,
        attempt=capability.attempt,
        organisation=capability.organisation,
        fields=fields,
        disclosed_at=now,
    )


def _refuse(refusal: Refusal | None) -> None:
    if refusal is None:
        return
    if refusal is Refusal.NOT_KNOWN_YET:
        detail = "Your referral has not reached intake yet; try again in a moment."
        raise Problem(503, refusal.value, detail, retry_after_seconds=_RETRY_SECONDS)
    raise Problem(403, refusal.value, _DETAILS[refusal])
