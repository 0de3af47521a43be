"""What people and partners record of findings, each in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol, TypeVar
from uuid import UUID

from contracts.finding import Settlement
from contracts.referral import DESK, ComplaintDecision
from services.chassis.db import Connection
from services.referral.effects import Publishing
from services.referral.findings import replying, rules, store
from services.referral.findings.domain import (
    Evidence,
    Finding,
    Outcome,
    Reply,
    Verdict,
)
from services.referral.findings.effects import FindingEffects, begin


class Refused(Exception):
    """A command for which there is no finding, or not for this caller; `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Given:
    """A finding as the committee gives it; `by` is the committee itself, or the desk for it."""

    finding_id: UUID
    case_id: UUID
    committee: str
    decision: ComplaintDecision
    advice: bool
    issued_on: date
    by: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a command, and the finding as it is now."""

    verdict: Verdict
    finding: Finding


async def issue(
    connection: Connection, publishing: Publishing, given: Given, now: datetime
) -> Settled:
    """Record a finding.

    Raises Refused: case-unknown, id-reused, not-decided, case-not-at-desk, finding-exists.
    """
    effects = await begin(connection, publishing, [given.case_id], now)
    if given.case_id not in effects.core.cases:
        raise Refused("case-unknown")
    decided = await store.decided_by(connection, given.case_id, given.committee)
    if given.by != DESK and decided is None:
        raise Refused("case-unknown")
    if (known := await store.find(connection, given.finding_id)) is not None:
        if known.case_id != given.case_id:
            # How a finding of another case stands is nothing to who only guessed its id.
            raise Refused("id-reused")
        return Settled(_same(known, given), known)
    referral_id = decided[0] if decided is not None and decided[1] else None
    if given.by != DESK and referral_id is None:
        raise Refused("not-decided")
    if await store.of_case(connection, given.case_id) is not None:
        raise Refused("finding-exists")
    return await _issued(connection, effects, given, referral_id)


async def _issued(
    connection: Connection, effects: FindingEffects, given: Given, referral_id: UUID | None
) -> Settled:
    now = effects.now
    outcome = rules.issue(
        finding_id=given.finding_id,
        case_id=given.case_id,
        referral_id=referral_id,
        committee=given.committee,
        decision=given.decision,
        advice=given.advice,
        issued_on=given.issued_on,
        in_force=await store.in_force(connection, given.issued_on, now),
        held=effects.held(given.case_id),
        now=now,
    )
    if outcome.verdict is Verdict.APPLIED:
        if not effects.take_up(given.case_id):
            raise Refused("case-not-at-desk")
        effects.add(outcome, opened=True)
        await effects.write(connection)
    return Settled(outcome.verdict, outcome.finding)


def _same(known: Finding, given: Given) -> Verdict:
    before = (known.case_id, known.committee, known.decision, known.advice, known.issued_on)
    again = (given.case_id, given.committee, given.decision, given.advice, given.issued_on)
    return Verdict.DUPLICATE if before == again else Verdict.ID_REUSED


async def reply(
    connection: Connection,
    publishing: Publishing,
    finding_id: UUID,
    said: Reply,
    now: datetime,
    *,
    day_given: bool,
) -> Settled:
    """Record a board's reply; its day is today when none was given. Raises Refused:
    finding-unknown.
    """
    effects, finding = await _locked(connection, publishing, finding_id, now)
    known = await store.replies(connection, finding_id)
    first = next((item for item in known if item.entry_id == said.entry_id), None)
    if first is not None and not day_given:
        # A repeat after midnight says the same.
        said = replace(said, replied_on=first.replied_on)
    if (verdict := _repeated(known, said)) is not None:
        return Settled(verdict, finding)
    outcome = replying.reply(finding, said, effects.held(finding.case_id), now)
    if outcome.verdict is Verdict.APPLIED:
        await store.add_reply(connection, finding_id, said, now)
    return await _written(connection, effects, outcome)


async def evidence(
    connection: Connection, publishing: Publishing, finding_id: UUID, shown: Evidence, now: datetime
) -> Settled:
    """Record evidence. Raises Refused: finding-unknown."""
    effects, finding = await _locked(connection, publishing, finding_id, now)
    known = await store.evidence(connection, finding_id)
    if (verdict := _repeated(known, shown)) is not None:
        return Settled(verdict, finding)
    outcome = rules.evidence(finding, shown, effects.held(finding.case_id), now)
    if outcome.verdict is Verdict.APPLIED:
        await store.add_evidence(connection, finding_id, shown, now)
    return await _written(connection, effects, outcome)


async def settle(
    connection: Connection,
    publishing: Publishing,
    finding_id: UUID,
    settlement: Settlement,
    now: datetime,
) -> Settled:
    """End a finding. Raises Refused: finding-unknown."""
    effects, finding = await _locked(connection, publishing, finding_id, now)
    outcome = rules.settle(finding, settlement, effects.held(finding.case_id), now)
    return await _written(connection, effects, outcome)


class _Entry(Protocol):
    @property
    def entry_id(self) -> UUID: ...


_E = TypeVar("_E", bound=_Entry)


def _repeated(known: Sequence[_E], new: _E) -> Verdict | None:
    before = next((item for item in known if item.entry_id == new.entry_id), None)
    if before is None:
        return None
    return Verdict.DUPLICATE if before == new else Verdict.ID_REUSED


async def _locked(
    connection: Connection, publishing: Publishing, finding_id: UUID, now: datetime
) -> tuple[FindingEffects, Finding]:
    case_id = await store.case_of(connection, finding_id)
    if case_id is None:
        raise Refused("finding-unknown")
    effects = await begin(connection, publishing, [case_id], now)
    # As it is under the lock of its case.
    finding = await store.find(connection, finding_id)
    assert finding is not None
    return effects, finding


async def _written(connection: Connection, effects: FindingEffects, outcome: Outcome) -> Settled:
    if outcome.verdict is Verdict.APPLIED:
        effects.add(outcome)
        await effects.write(connection)
    return Settled(outcome.verdict, outcome.finding)
