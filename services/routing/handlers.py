"""Events in, decisions out: one transaction per batch, made by the chassis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from uuid import UUID

import orjson

from contracts import topics
from contracts.calendar import SchoolRegion
from contracts.intake import KnownDate, ReportReceived
from contracts.referral import DESK, RedecisionRequested
from contracts.routing import CaseAssigned, HandlingLimits, OnwardRefused
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
from services.routing.domain import Decision
from services.routing.engine import engine_version
from services.routing.rules import CompiledRegister, Proposed
from services.routing.store import CaseRow, DecisionRow
from services.routing.terms import dated_terms, known_starts

ANSWERS_MAX = 20_000
Deciding = Callable[[Situation, frozenset[str], Proposed | None], Answer]
Regions = Callable[[str | None], SchoolRegion | None]
"""Region of the school holidays of a school, by its BRIN; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A case to decide on, its situation, who may not get it because of what went before,
    why it is decided on again, if it is, and the party that somebody named then.
    """

    case: CaseRow
    situation: Situation
    excluded: frozenset[str]
    reason: str | None = None
    proposed: Proposed | None = None


@dataclass(slots=True)
class _Made:
    """What a batch leads to, to be saved at once."""

    changed: dict[UUID, CaseRow] = field(default_factory=dict)
    decisions: list[DecisionRow] = field(default_factory=list)
    documents: dict[bytes, str] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)

    async def save(self, connection: Connection, now: datetime) -> None:
        if self.decisions:
            await store.save_cases(connection, list(self.changed.values()))
            await store.save_explanations(connection, self.documents)
            await store.insert_decisions(connection, self.decisions)
        if self.outgoing:
            await journal.append(connection, self.outgoing, now)


class Handler:
    """Decides on new reports, and again on cases that came back or are to go onward."""

    def __init__(
        self, registers: Registers, source: str, clock: Clock, regions: Regions = lambda _: None
    ) -> None:
        self._registers = registers
        self._regions = regions
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
        made = _Made()
        for item in received:
            asked = _asked(item.event, cases)
            if asked is None:
                continue
            excluded = asked.excluded | in_force.closed
            found = decide(deciding(asked.situation), excluded, asked.proposed)
            case_id = asked.case.case_id
            if refused := _refused(asked, found, now):
                # Nothing was decided: the case, its number and who is excluded stay as they were.
                event: CaseAssigned | OnwardRefused = refused
            else:
                cases[case_id] = made.changed[case_id] = asked.case
                event = self._assigned(in_force.register, asked, found, now)
                made.decisions.append(self._row(event, asked, found, in_force.closed))
                made.documents[found.digest] = found.document
            made.outgoing.append(
                Outgoing(event, case_id, topics.ROUTING, self._source, item.traceparent)
            )
        await made.save(connection, now)

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
            proposed=asked.proposed and asked.proposed.organisation,
            onward=asked.proposed is not None and asked.proposed.onward,
        )

    def _assigned(
        self, register: CompiledRegister, asked: Asked, found: Answer, now: datetime
    ) -> CaseAssigned:
        case, decision = asked.case, found.decision
        starts = known_starts(case.known_dates)
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
            terms=dated_terms(register, decision, case.received_at, starts),
            limits=self._limits(register, asked.situation, decision),
            other_lokets=decision.other_lokets,
            never=decision.never,
            proposal=decision.proposal,
            onward=asked.proposed is not None and asked.proposed.onward,
            situation=asked.situation,
            content=orjson.loads(case.content),
            received_at=case.received_at,
            decided_at=now,
            register_version=decision.register_version,
            register_hash=decision.register_hash,
        )

    def _limits(
        self, register: CompiledRegister, situation: Situation, decision: Decision
    ) -> HandlingLimits:
        limits = decision.limits
        if limits.accepted_within_working_days is None:
            return limits
        if not register.by_id[decision.primary].school_days:
            return limits
        region = self._regions(situation.brin)
        return limits if region is None else limits.model_copy(update={"region": region})


def _refused(asked: Asked, found: Answer, now: datetime) -> OnwardRefused | None:
    """What a holder hears whose case cannot go onward to whom it named; None when it can."""
    proposal = found.decision.proposal
    if asked.proposed is None or not asked.proposed.onward or proposal is None:
        return None
    if proposal.followed or proposal.problem is None:
        return None
    return OnwardRefused(
        case_id=asked.case.case_id,
        asked_number=asked.case.decisions,
        organisation=proposal.organisation,
        problem=proposal.problem,
        why=proposal.why,
        decided_at=now,
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
    # Never a loop: who was excluded before stays so, whatever this request names, and a holder
    # that passes the case on does not get it back.
    every = frozenset(event.excluded).union(orjson.loads(known.excluded))
    proposed = None
    if event.proposed is not None:
        proposed = Proposed(event.proposed, event.onward)
        # Who holds it referral knows: the desk may have given it to another party than routing did.
        if event.onward and event.holder != DESK:
            every |= {event.holder}
    case = replace(known, decisions=known.decisions + 1, excluded=_listed(every))
    situation = Situation.model_validate_json(known.situation)
    return Asked(case, situation, every, event.reason, proposed)


def _new_case(event: ReportReceived) -> CaseRow:
    return CaseRow(
        case_id=event.case_id,
        report_id=event.report_id,
        received_at=event.received_at,
        situation=event.situation.model_dump_json(),
        content=orjson.dumps(event.content).decode(),
        decisions=1,
        excluded="[]",
        known_dates=_dates(event.known_dates) if event.known_dates else "[]",
    )


def _dates(known: Sequence[KnownDate]) -> str:
    return orjson.dumps([item.model_dump(mode="json") for item in known]).decode()


def _listed(parties: tuple[str, ...] | frozenset[str]) -> str:
    return orjson.dumps(sorted(parties)).decode() if parties else "[]"
