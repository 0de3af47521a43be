"""Events in, decisions out: one transaction per batch, made by the chassis."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import UUID

import orjson

from contracts import topics
from contracts.intake import ReportReceived
from contracts.referral import RedecisionRequested
from contracts.routing import CaseAssigned
from contracts.situation import Situation
from services.chassis import journal
from services.chassis.consumer import Received
from services.chassis.db import Connection
from services.chassis.errors import Rejected
from services.chassis.ids import Clock, new_id
from services.chassis.journal import Outgoing
from services.routing import store
from services.routing.domain import Decision
from services.routing.explain import explain_citizen, explanation_document
from services.routing.rules import CompiledRegister, decide
from services.routing.store import CaseRow, DecisionRow

ANSWERS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision with what is said of it; `document` is the whole explanation as JSON."""

    decision: Decision
    why: str
    document: str
    digest: bytes


class Handler:
    """Decides on new reports, and again on cases that came back."""

    def __init__(self, register: CompiledRegister, source: str, clock: Clock) -> None:
        # Deciding is pure: what is alike in all that decides gets the same answer, found once.
        self._answer = lru_cache(ANSWERS_MAX)(
            lambda situation, excluded: answer(register, situation, excluded)
        )
        self._source = source
        self._clock = clock

    async def __call__(self, connection: Connection, received: Sequence[Received]) -> None:
        """Decide on each event of the batch in order; raises Rejected for an unknown case."""
        cases = await store.lock_cases(connection, _known_before(received))
        changed: dict[UUID, CaseRow] = {}
        decisions: list[DecisionRow] = []
        documents: dict[bytes, str] = {}
        outgoing: list[Outgoing] = []
        for item in received:
            asked = _asked(item.event, cases)
            if asked is None:
                continue
            case, excluded = asked
            cases[case.case_id] = changed[case.case_id] = case
            situation = Situation.model_validate_json(case.situation)
            found: Answer = self._answer(_deciding(situation), frozenset(excluded))
            row, event = self._decide(case, situation, tuple(sorted(excluded)), found)
            decisions.append(row)
            documents[found.digest] = found.document
            outgoing.append(
                Outgoing(event, case.case_id, topics.ROUTING, self._source, item.traceparent)
            )
        if decisions:
            await store.save_cases(connection, list(changed.values()))
            await store.save_explanations(connection, documents)
            await store.insert_decisions(connection, decisions)
            await journal.append(connection, outgoing, self._clock())

    def _decide(
        self, case: CaseRow, situation: Situation, excluded: tuple[str, ...], found: Answer
    ) -> tuple[DecisionRow, CaseAssigned]:
        decision = found.decision
        now = self._clock()
        event = CaseAssigned(
            decision_id=new_id(),
            case_id=case.case_id,
            report_id=case.report_id,
            number=case.decisions,
            mode=decision.mode,
            organisation=decision.primary,
            loket=decision.loket,
            also=decision.also,
            shown=decision.shown,
            excluded=excluded,
            urgency=decision.urgency,
            kind_at_primary=decision.kind_at_primary,
            rule=decision.rule,
            why=found.why,
            terms=decision.terms,
            limits=decision.limits,
            situation=situation,
            content=orjson.loads(case.content),
            received_at=case.received_at,
            decided_at=now,
            register_version=decision.register_version,
            register_hash=decision.register_hash,
        )
        row = DecisionRow(
            case_id=case.case_id,
            number=case.decisions,
            decision_id=event.decision_id,
            organisation=decision.primary,
            excluded=orjson.dumps(excluded).decode(),
            explanation=found.digest,
            register_hash=decision.register_hash,
            decided_at=now,
        )
        return row, event


def answer(register: CompiledRegister, situation: Situation, excluded: frozenset[str]) -> Answer:
    """Decide, and put the explanation in words and in JSON."""
    decision = decide(register, situation, excluded)
    document = explanation_document(decision)
    digest = hashlib.sha256(document.encode()).digest()
    return Answer(decision, explain_citizen(decision), document, digest)


def _deciding(situation: Situation) -> Situation:
    """The situation without what no rule looks at."""
    return situation.model_copy(update={"brin": None}) if situation.brin else situation


def _known_before(received: Sequence[Received]) -> list[UUID]:
    found = {
        item.event.case_id
        for item in received
        if isinstance(item.event, ReportReceived | RedecisionRequested)
    }
    return sorted(found)


def _asked(event: object, cases: dict[UUID, CaseRow]) -> tuple[CaseRow, tuple[str, ...]] | None:
    """The case to decide on and who is excluded; None when there is nothing to decide."""
    match event:
        case ReportReceived():
            if event.case_id in cases:
                # A second report that was linked to the case: the case has its decision.
                return None
            return _new_case(event), ()
        case RedecisionRequested():
            known = cases.get(event.case_id)
            if known is None:
                raise Rejected(
                    "case_id: a new decision was asked for a case that is not known here"
                )
            if known.decisions + 1 != event.decision_number:
                # It asks to replace a decision that was replaced since: the newer one stands.
                return None
            return replace(known, decisions=known.decisions + 1), event.excluded
        case _:
            return None


def _new_case(event: ReportReceived) -> CaseRow:
    return CaseRow(
        case_id=event.case_id,
        report_id=event.report_id,
        received_at=event.received_at,
        situation=event.situation.model_dump_json(),
        content=orjson.dumps(event.content).decode(),
        decisions=1,
    )
