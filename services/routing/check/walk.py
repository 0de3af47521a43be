"""The walk over all plausible situations: what is proved of each decision, and what is counted."""

import gc
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from contracts.routing import Mode
from contracts.situation import Situation
from services.routing.check.classes import Case, Space
from services.routing.check.entries import Entries
from services.routing.check.space import Base
from services.routing.domain import Decision, Register
from services.routing.rules import CompiledRegister, compile_register, decide

CHUNK = 250
# Longer than any list of parties: a chain that is not at the desk by then never gets there.
CHAIN_MAX = 90
DIGEST_RANGE = 1 << 64


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that must hold and does not, with the situation that shows it."""

    code: str
    case: Case
    party: str
    detail: str
    excluded: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, tuple[int, int]]:
        """The smallest counterexample is the one with the fewest exclusions, facts and steps."""
        return len(self.excluded), self.case.size


@dataclass(slots=True)
class Tally:
    """What a walk found; tallies of parts add up."""

    situations: int = 0
    classes: int = 0
    decisions: int = 0
    failures: dict[str, tuple[Failure, int]] = field(default_factory=dict)
    competent: Counter[tuple[Base, int]] = field(default_factory=Counter)
    together: Counter[frozenset[str]] = field(default_factory=Counter)
    desk: Counter[tuple[Base, str]] = field(default_factory=Counter)
    next_is_desk: Counter[tuple[str, str]] = field(default_factory=Counter)
    primary: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    after_exclusion: Counter[str] = field(default_factory=Counter)
    held: Counter[int] = field(default_factory=Counter)
    beside: set[tuple[str, str]] = field(default_factory=set)
    longest_chain: int = 0
    digest: int = 0

    def fail(self, failure: Failure, weight: int) -> None:
        """Keeps the smallest counterexample per kind of failure, and counts the rest."""
        known = self.failures.get(failure.code)
        if known is None:
            self.failures[failure.code] = (failure, weight)
        else:
            smallest = failure if failure.size < known[0].size else known[0]
            self.failures[failure.code] = (smallest, known[1] + weight)

    def add(self, other: "Tally") -> None:
        """Takes over what another part found."""
        self.situations += other.situations
        self.classes += other.classes
        self.decisions += other.decisions
        for failure, weight in other.failures.values():
            self.fail(failure, weight)
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.beside |= other.beside
        self.longest_chain = max(self.longest_chain, other.longest_chain)
        self.digest = (self.digest + other.digest) % DIGEST_RANGE


_COUNTERS = (
    "competent",
    "together",
    "desk",
    "next_is_desk",
    "primary",
    "decided",
    "after_exclusion",
    "held",
)


class Walker:
    """Decides and proves the situations of one register."""

    def __init__(self, register: Register, *, chains: bool = True) -> None:
        self._register = register
        self._compiled: CompiledRegister = compile_register(register)
        self._space = Space(register)
        self._entries = Entries(register)
        self._last_rule = register.routing_rules[-1].id
        self._chains = chains
        # Cases that agree in all that `decide` reads have one decision and one chain.
        self._known: dict[object, Decision] = {}

    def walk(self, bases: Iterable[Base]) -> Tally:
        """Everything that is plausible with these answers."""
        tally = Tally()
        for base in bases:
            self._entries.ask(base, self._space.kind(base))
            cases = self._space.of(base)
            tally.classes += len(cases)
            parties: Counter[tuple[str, tuple[str, ...]]] = Counter()
            for case in cases:
                parties[self._one(case, tally)] += case.weight
            tally.digest = (tally.digest + digest_of(base, parties)) % DIGEST_RANGE
        return tally

    def _one(self, case: Case, tally: Tally) -> tuple[str, tuple[str, ...]]:
        """Proves and counts one class; gives who gets the case, and who stands next to it."""
        key = self._entries.profile(case, self._space)
        known = self._known.get(key)
        decision = known or self._decide(case.situation, frozenset(), tally)
        weight = case.weight
        tally.situations += weight
        competent = self._entries.competent(case)
        tally.competent[case.base, len(competent)] += weight
        tally.together[competent] += weight
        tally.primary[decision.primary] += weight
        tally.decided[decision.rule] += weight
        for index in case.held:
            tally.held[index] += weight
        if decision.mode is Mode.DESK:
            tally.desk[case.base, decision.rule] += weight
            if decision.rule == self._last_rule:
                tally.fail(Failure("gap", case, decision.primary, "no rule has a party"), weight)
        for failure in self._faults(case, decision, ()):
            tally.fail(failure, weight)
        if known is None:
            self._known[key] = decision
            self._beside(decision, tally)
            if self._chains:
                self._chain(case, decision, tally)
        return decision.party, decision.also

    @staticmethod
    def _beside(decision: Decision, tally: Tally) -> None:
        for party in (*decision.also, *decision.shown):
            tally.beside.add((decision.rule, party.partition("/")[0]))

    def _decide(self, situation: Situation, excluded: frozenset[str], tally: Tally) -> Decision:
        tally.decisions += 1
        return decide(self._compiled, situation, excluded, weigh=False)

    def _faults(
        self, case: Case, decision: Decision, excluded: tuple[str, ...]
    ) -> Iterator[Failure]:
        party = decision.party
        if decision.primary != self._register.desk:
            for detail in self._entries.faults(party, case, decision.kind_at_primary):
                yield Failure("primary-not-competent", case, party, detail, excluded)
        accused = self._register.accused_parties.get(case.base.accused, ())
        for name in (party, *decision.also):
            if name in accused or name.partition("/")[0] in accused:
                yield Failure("accused-is-recipient", case, name, "it is the accused", excluded)
        shown = self._entries.by_id[decision.primary].referral_mode == "show_only"
        if shown != (decision.mode is Mode.SHOW):
            yield Failure("queue-on-show-only", case, party, "a help line has a queue", excluded)
        for name in decision.also:
            if self._entries.by_id[name.partition("/")[0]].referral_mode == "show_only":
                yield Failure("queue-on-show-only", case, name, "a help line has a queue", excluded)

    def _chain(self, case: Case, first: Decision, tally: Tally) -> None:
        """Each party declines in turn: always a next one, never the same, the desk at the end.

        To exclude another party than the primary changes nothing, as `decide` takes the first open
        one in an order that exclusion does not touch; the second method checks that on samples.
        """
        excluded: tuple[str, ...] = ()
        situation = case.situation
        decision = first
        while decision.mode is not Mode.DESK:
            if decision.party in excluded or len(excluded) > CHAIN_MAX:
                tally.fail(Failure("loop", case, decision.party, "it is asked again", excluded), 1)
                return
            excluded = (*excluded, decision.party)
            decision = self._decide(situation, frozenset(excluded), tally)
            tally.after_exclusion[decision.rule] += 1
            if len(excluded) == 1 and decision.mode is Mode.DESK:
                tally.next_is_desk[first.rule, first.party] += 1
            self._beside(decision, tally)
            for failure in self._faults(case, decision, excluded):
                tally.fail(failure, 1)
        tally.longest_chain = max(tally.longest_chain, len(excluded))


def digest_of(base: Base, parties: Counter[tuple[str, tuple[str, ...]]]) -> int:
    """A number for who gets the cases with these answers; it changes when one of them changes."""
    lines = sorted(f"{party} {also} {weight}" for (party, also), weight in parties.items())
    text = "\n".join((*map(str, base), *lines))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


_walker: Walker | None = None


def _start(register: Register) -> None:
    global _walker  # noqa: PLW0603  # a worker process keeps its compiled register between chunks
    _walker = Walker(register)
    # What a worker keeps, it keeps to its end: looking for garbage costs a tenth of the time.
    gc.disable()


def _work(bases: Sequence[Base]) -> Tally:
    assert _walker is not None
    return _walker.walk(bases)


def walk_all(
    register: Register,
    bases: Sequence[Base],
    processes: int,
    progress: Callable[[int, int], None],
) -> Tally:
    """Walks all bases over this many processes; `progress` hears how many of how many are done."""
    # Sectors that hardly differ stay together, so that a worker sees what it has seen before.
    ordered = sorted(bases, key=lambda b: (b.reporter, b.kind, b.accused, b.subject, b.sector))
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    total = Tally()
    if processes == 1:
        walker = Walker(register)
        results: Iterable[Tally] = map(walker.walk, chunks)
        return _gather(results, total, chunks, progress)
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(register,)
    ) as pool:
        return _gather(pool.map(_work, chunks), total, chunks, progress)


def _gather(
    results: Iterable[Tally],
    total: Tally,
    chunks: Sequence[Sequence[Base]],
    progress: Callable[[int, int], None],
) -> Tally:
    done = 0
    every = sum(map(len, chunks))
    for tally, chunk in zip(results, chunks, strict=True):
        total.add(tally)
        done += len(chunk)
        progress(done, every)
    return total


def group(counter: Counter[tuple[Base, int]], name: str) -> dict[str, Counter[int]]:
    """Situations by one of the five answers and the number of competent parties."""
    rows: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for (base, number), weight in counter.items():
        rows[str(getattr(base, name))][number] += weight
    return dict(rows)
