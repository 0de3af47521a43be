"""A stand-in for routing: simple decisions, real events, the real way of counting decisions."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from contracts import topics
from contracts.calendar import SchoolRegion
from contracts.envelope import service_source
from contracts.intake import ReportReceived
from contracts.referral import DESK, RedecisionRequested
from contracts.routing import CaseAssigned, HandlingLimits, Mode, OnwardRefused, ProposalProblem
from contracts.situation import Urgency
from deploy.simulate.broker import Record
from deploy.simulate.delivery import Draft
from deploy.simulate.ledger import Outgoing
from deploy.simulate.terms import some_terms
from deploy.simulate.world import LOKETS, ORGANISATIONS, World

_SOURCE = service_source("routing")
_LIMITS = {
    Urgency.ACUUT: HandlingLimits(received_within_minutes=5, accepted_within_minutes=15),
    Urgency.SPOED: HandlingLimits(received_within_minutes=60, accepted_within_minutes=480),
    Urgency.NORMAAL: HandlingLimits(
        received_within_minutes=1440,
        accepted_within_minutes=7200,
        received_within_working_days=2,
        accepted_within_working_days=5,
        region=SchoolRegion.MIDDEN,
    ),
}


@dataclass(frozen=True, slots=True)
class Routed:
    """A case as routing knows it; `order` is whom the register would ask, best first."""

    report: ReportReceived
    order: tuple[str, ...]
    never: tuple[str, ...]
    urgency: Urgency
    decisions: int
    excluded: tuple[str, ...] = ()


@dataclass(slots=True)
class RoutingDraft:
    """What a transaction of routing would change."""

    cases: dict[UUID, Routed]
    outgoing: list[Outgoing] = field(default_factory=list)
    read: list[tuple[str, UUID]] = field(default_factory=list)


class RoutingService:
    """Decides on reports, and again on what comes back, without those who are excluded."""

    name = "routing"

    def __init__(self, world: World) -> None:
        self._world = world
        self._cases: dict[UUID, Routed] = {}

    def begin(self) -> RoutingDraft:
        """Open a transaction."""
        return RoutingDraft(dict(self._cases))

    def commit(self, draft: Draft) -> None:
        """Make a transaction true."""
        assert isinstance(draft, RoutingDraft)
        self._cases = draft.cases
        ids = [self._world.new_id() for _ in draft.outgoing]
        self._world.ledgers[self.name].commit(draft.outgoing, ids, draft.read)

    def receive(self, draft: Draft, record: Record) -> None:
        """One event of a batch; a request to replace a decision that was replaced is dropped."""
        assert isinstance(draft, RoutingDraft)
        event = record.event
        if isinstance(event, ReportReceived) and event.case_id not in draft.cases:
            self._decide(draft, self._new(event), None)
        elif isinstance(event, RedecisionRequested):
            known = draft.cases[event.case_id]
            if known.decisions + 1 != event.decision_number:
                self._world.say(f"  routing drops request {event.decision_number}: not its turn")
                return
            problem = self._problem(known, event) if event.onward else None
            if problem is not None:
                self._refuse(draft, event, problem)
                return
            every = tuple(dict.fromkeys((*known.excluded, *event.excluded)))
            again = replace(known, decisions=known.decisions + 1, excluded=every)
            self._decide(draft, again, event)

    def _new(self, report: ReportReceived) -> Routed:
        rng = self._world.rng
        order = list(ORGANISATIONS)
        rng.shuffle(order)
        accused = rng.choice(ORGANISATIONS)
        never = ((), (accused,), (f"{accused}/{accused}_{rng.choice(LOKETS)}",))
        return Routed(report, tuple(order), rng.choice(never), rng.choice(list(Urgency)), 1)

    def _problem(self, known: Routed, event: RedecisionRequested) -> ProposalProblem | None:
        target = event.proposed or ""
        if target not in ORGANISATIONS:
            return ProposalProblem.UNKNOWN
        if target in known.never:
            return ProposalProblem.ACCUSED_PARTY
        if target in event.excluded or target in known.excluded:
            return ProposalProblem.EXCLUDED
        if self._world.parties[target].shown:
            return ProposalProblem.SHOWN_ONLY
        return ProposalProblem.NOT_COMPETENT if self._world.chance(0.15) else None

    def _refuse(
        self, draft: RoutingDraft, event: RedecisionRequested, problem: ProposalProblem
    ) -> None:
        refused = OnwardRefused(
            case_id=event.case_id,
            asked_number=event.decision_number,
            organisation=event.proposed or "",
            problem=problem.value,
            why="Het register wijst een andere organisatie aan.",
            decided_at=self._world.now,
        )
        draft.outgoing.append(Outgoing(topics.ROUTING, event.case_id, _SOURCE, refused))
        self._world.say(f"  routing refuses {event.proposed}: {problem.value}")

    def _decide(
        self, draft: RoutingDraft, known: Routed, event: RedecisionRequested | None
    ) -> None:
        world = self._world
        onward = event is not None and event.onward
        proposed = event.proposed if event is not None else None
        organisation, loket = self._party(known, proposed, onward=onward)
        others = [f"{organisation}_{name}" for name in LOKETS if world.chance(0.3)]
        never_here = {f"{organisation}/{name}" for name in others} & {*known.never}
        if not world.careless_routing:
            others = [name for name in others if f"{organisation}/{name}" not in never_here]
        assigned = CaseAssigned(
            decision_id=world.new_id(),
            case_id=known.report.case_id,
            report_id=known.report.report_id,
            number=known.decisions,
            mode=self._mode(organisation, onward=onward),
            organisation=organisation,
            loket=loket,
            excluded=known.excluded,
            urgency=known.urgency,
            kind_at_primary=known.report.situation.kind,
            rule="R1",
            why="Deze organisatie is aan zet.",
            terms=some_terms(world, organisation),
            limits=_LIMITS[known.urgency],
            other_lokets=tuple(name for name in others if name != loket),
            never=known.never,
            onward=onward,
            situation=known.report.situation,
            content=known.report.content,
            received_at=known.report.received_at,
            decided_at=world.now,
            register_version="1",
            register_hash="0" * 64,
        )
        draft.cases[assigned.case_id] = known
        draft.outgoing.append(Outgoing(topics.ROUTING, assigned.case_id, _SOURCE, assigned))
        world.say(f"  routing decides {assigned.number}: {assigned.mode.value} {organisation}")

    def _party(
        self, known: Routed, proposed: str | None, *, onward: bool
    ) -> tuple[str, str | None]:
        world = self._world
        if onward:
            assert proposed is not None
            return proposed, self._loket(known, proposed)
        if world.careless_routing and world.chance(0.5):
            careless = world.rng.choice(ORGANISATIONS)
            return careless, self._loket(known, careless)
        barred = {*known.excluded, *known.never}
        order = ((proposed,) if proposed is not None else ()) + known.order
        fit = next((name for name in order if name not in barred and name in ORGANISATIONS), DESK)
        return fit, None if fit == DESK else self._loket(known, fit)

    def _loket(self, known: Routed, organisation: str) -> str | None:
        """A desk of the organisation; a careful register gives none that the case is about."""
        loket = self._world.rng.choice((None, None, *LOKETS))
        if loket is None:
            return None
        loket = f"{organisation}_{loket}"
        about = f"{organisation}/{loket}" in known.never
        return None if about and not self._world.careless_routing else loket

    def _mode(self, organisation: str, *, onward: bool) -> Mode:
        if organisation == DESK or (self._world.refusing_routing and not onward):
            return Mode.DESK
        party = self._world.parties[organisation]
        if onward:
            return Mode.REFER
        if party.shown:
            return Mode.SHOW
        return Mode.SIGNAL if party.signal else Mode.REFER
