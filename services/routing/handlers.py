"""Events in, decisions out: one transaction per batch, made by the chassis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from uuid import UUID

import orjson

from contracts import topics
from contracts.intake import ReportReceived
from contracts.referral import RedecisionRequested
from contracts.routing import CaseAssigned
from contracts.situation import Situation
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.errors import Rejected
from services.chassis.ids import Clock, new_id
from services.chassis.incoming import Received
from services.chassis.journal import Outgoing
from services.routing import register_store, store
from services.routing.activation import Registers
from services.routing.answers import Answer, answer, deciding
from services.routing.engine import engine_version
from services.routing.rules import CompiledRegister
from services.routing.store import CaseRow, DecisionRow

ANSWERS_MAX = 20_000
Deciding = Callable[[Situation, frozenset[str]], Answer]


@dataclass(frozen=True, slots=True)
class Asked:
    """A case to decide on, its situation, who may not get it because of what went before,
    and why it is decided on again, if it is.
    """

    case: CaseRow
    situation: Situation
    excluded: frozenset[str]
    reason: str | None = None


class Handler:
    """Decides on new reports, and again on cases that came back."""

    def __init__(self, registers: Registers, source: str, clock: Clock) -> None:
        self._registers = registers
        self._answers: tuple[str, Deciding] | None = None
        self._source = source
        self._clock = clock
        self._engine = engine_version()

    async def __call__(self, connection: Connection, received: Sequence[Received]) -> None:
        """Decide on each event of the batch in order; raises Rejected for an unknown case."""
        await register_store.hold_register(connection)
        now = self._clock()
        in_force = await self._registers.in_force(connection, now)
        decide = self._deciding_by(in_force.register)
        cases = await store.lock_cases(connection, _known_before(received))
        changed: dict[UUID, CaseRow] = {}
        decisions: list[DecisionRow] = []
        documents: dict[bytes, str] = {}
        outgoing: list[Outgoing] = []
        for item in received:
            asked = _asked(item.event, cases)
            if asked is None:
                continue
            case = asked.case
            cases[case.case_id] = changed[case.case_id] = case
            excluded = asked.excluded | in_force.closed
            found = decide(deciding(asked.situation), excluded)
            event = _assigned(asked, found, now)
            decisions.append(self._row(event, asked, found, in_force.closed))
            documents[found.digest] = found.document
            outgoing.append(
                Outgoing(event, case.case_id, topics.ROUTING, self._source, item.traceparent)
            )
        if decisions:
            await store.save_cases(connection, list(changed.values()))
            await store.save_explanations(connection, documents)
            await store.insert_decisions(connection, decisions)
            await journal.append(connection, outgoing, now)

    def _deciding_by(self, register: CompiledRegister) -> Deciding:
        # Deciding is pure: what is alike in all that decides gets the same answer, found once.
        if self._answers is None or self._answers[0] != register.hash:
            self._answers = (register.hash, lru_cache(ANSWERS_MAX)(partial(answer, register)))
        return self._answers[1]

    def _row(
        self, event: CaseAssigned, asked: Asked, found: Answer, closed: frozenset[str]
    ) -> DecisionRow:
        return DecisionRow(
            case_id=event.case_id,
            number=event.number,
            decision_id=event.decision_id,
            organisation=event.organisation,
            excluded=_listed(event.excluded),
            explanation=found.digest,
            register_hash=event.register_hash,
            decided_at=event.decided_at,
            closed=_listed(closed - asked.excluded),
            engine=self._engine,
            reason=asked.reason,
        )


def _assigned(asked: Asked, found: Answer, now: datetime) -> CaseAssigned:
    case, decision = asked.case, found.decision
    return CaseAssigned(
        decision_id=new_id(),
        case_id=case.case_id,
        report_id=case.report_id,
        number=case.decisions,
        mode=decision.mode,
        organisation=decision.primary,
        loket=decision.loket,
        also=decision.also,
        shown=decision.shown,
        excluded=decision.excluded,
        urgency=decision.urgency,
        kind_at_primary=decision.kind_at_primary,
        rule=decision.rule,
        why=found.why,
        terms=decision.terms,
        limits=decision.limits,
        situation=asked.situation,
        content=orjson.loads(case.content),
        received_at=case.received_at,
        decided_at=now,
        register_version=decision.register_version,
        register_hash=decision.register_hash,
    )


def _known_before(received: Sequence[Received]) -> list[UUID]:
    found = {
        item.event.case_id
        for item in received
        if isinstance(item.event, ReportReceived | RedecisionRequested)
    }
    return sorted(found)


def _asked(event: object, cases: dict[UUID, CaseRow]) -> Asked | None:
    """What is to be decided; None when there is nothing."""
    match event:
        case ReportReceived():
            if event.case_id in cases:
                # A second report that was linked to the case: the case has its decision.
                return None
            return Asked(_new_case(event), event.situation, frozenset())
        case RedecisionRequested():
            known = cases.get(event.case_id)
            if known is None:
                raise Rejected(
                    "case_id: a new decision was asked for a case that is not known here"
                )
            if known.decisions + 1 != event.decision_number:
                # It asks to replace a decision that was replaced since: the newer one stands.
                return None
            return _again(known, event)
        case _:
            return None


def _again(known: CaseRow, event: RedecisionRequested) -> Asked:
    # Never a loop: who was excluded before stays so, whatever this request names.
    every = frozenset(event.excluded).union(orjson.loads(known.excluded))
    case = replace(known, decisions=known.decisions + 1, excluded=_listed(every))
    return Asked(case, Situation.model_validate_json(known.situation), every, event.reason)


def _new_case(event: ReportReceived) -> CaseRow:
    return CaseRow(
        case_id=event.case_id,
        report_id=event.report_id,
        received_at=event.received_at,
        situation=event.situation.model_dump_json(),
        content=orjson.dumps(event.content).decode(),
        decisions=1,
        excluded="[]",
    )


def _listed(parties: tuple[str, ...] | frozenset[str]) -> str:
    return orjson.dumps(sorted(parties)).decode() if parties else "[]"
