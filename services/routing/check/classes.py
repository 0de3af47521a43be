"""Situations that cannot be told apart by anything that `decide` reads, taken together and counted.

The collapse is sound because it only merges what differs in an answer that is read nowhere: a flag
that no condition reads which can still hold, a tried party that nothing names, an affiliation where
no committee is competent. `test_check_space` compares it with the situations one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from contracts.situation import UNKNOWN, Flag, Kind, Reporter, Situation
from services.routing.check.space import Base, all_flag_sets
from services.routing.domain import (
    AFFILIATION,
    NO_AFFILIATION,
    Match,
    Organisation,
    Register,
    Rule,
)

AGE_OF_AN_OLDER_PUPIL = 12
LADDER_FLAGS = frozenset({Flag.SCHOOL_TRIED, Flag.BOARD_TRIED})


class Step(NamedTuple):
    """What somebody tried before: the words of it, and what follows from them."""

    steps: tuple[str, ...]
    said: frozenset[Flag]
    implied: frozenset[Flag]


NOTHING_TRIED = Step((), frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Case:
    """One situation that stands for `weight` plausible ones."""

    base: Base
    flags: frozenset[Flag]
    step: Step
    affiliation: str
    weight: int

    @property
    def situation(self) -> Situation:
        """The situation as `decide` takes it; built without validation, as every value is known."""
        older = self.base.reporter == Reporter.LEERLING_PO and Flag.SELF_UNDER_12 not in self.flags
        return Situation.model_construct(
            sector=self.base.sector,
            reporter=self.base.reporter,
            kind=self.base.kind,
            subject=self.base.subject,
            accused=self.base.accused,
            flags=tuple(sorted(self.flags | self.step.said)),
            steps_tried=self.step.steps,
            age=AGE_OF_AN_OLDER_PUPIL if older else None,
            affiliation=self.affiliation,
            brin=None,
        )

    @property
    def size(self) -> tuple[int, int, bool]:
        """How much must be told to explain it; the smallest is the best counterexample."""
        return (
            len(self.flags) + len(self.step.said) + len(self.step.steps),
            len(self.step.implied),
            self.affiliation != UNKNOWN,
        )


@dataclass(frozen=True)
class Space:
    """The plausible situations that a register can meet, as classes."""

    register: Register

    @cached_property
    def committees(self) -> tuple[Organisation, ...]:
        """The committees of which a board can be a member."""
        return tuple(o for o in self.register.organisations if o.requires_affiliation)

    @cached_property
    def _by_id(self) -> dict[str, Organisation]:
        return {o.id: o for o in self.register.organisations}

    @cached_property
    def _converted(self) -> dict[tuple[Reporter, Kind], Kind]:
        return {(r, s.from_): s.to for s in self.register.standing for r in s.reporters}

    def of(self, base: Base) -> list[Case]:
        """All classes with these answers."""
        kind = self._converted.get((base.reporter, base.kind), base.kind)
        rules = [r for r in self.register.routing_rules if _can_hold(r.match, base, kind)]
        read = self._flags_read(rules, base, kind)
        named = self._named(rules)
        affiliations = self._affiliations(base, kind)
        apart = self._affiliation_matters(base, kind, rules)
        merged: defaultdict[tuple[frozenset[Flag], frozenset[str], str, bool], list[Case]]
        merged = defaultdict(list)
        for flags in all_flag_sets(base):
            for step in self._steps(base, flags):
                for affiliation in _with(flags, affiliations):
                    case = Case(base, flags, step, affiliation, 1)
                    effect = (flags | step.said | step.implied) & read
                    tried = frozenset(p for p in _parties(step.steps) if p in named)
                    where = affiliation if apart else ""
                    young = _young(base, flags)
                    merged[effect, tried, where, young].append(case)
        return [_representative(cases) for cases in merged.values()]

    def _flags_read(self, rules: list[Rule], base: Base, kind: Kind) -> frozenset[Flag]:
        """Flags that some condition reads which can hold with these answers."""
        flags = {flag for rule in rules for flag in (*rule.match.flags, *rule.match.not_flags)}
        for organisation in self.register.organisations:
            flags |= set(organisation.requires_flags)
            for line in organisation.loket_order:
                flags |= {*line.match.flags, *line.match.not_flags}
        for derived in self.register.derived_flags:
            if derived.flag in flags and _can_hold(derived.match, base, kind):
                flags |= {*derived.match.flags, *derived.match.not_flags}
        return frozenset(flags)

    def _named(self, rules: list[Rule]) -> frozenset[str]:
        """Parties that can be chosen, organisations and each of their loketten."""
        names: set[str] = set()
        for rule in rules:
            for party in (rule.primary, *rule.also):
                names |= self._expand(party)
        for rule in rules:
            for organisation in self._expand(rule.primary):
                entry = self._by_id.get(organisation)
                for party in entry.escalates_to if entry else ():
                    names |= self._expand(party)
        return frozenset(names)

    def _expand(self, party: str) -> set[str]:
        if party == AFFILIATION:
            return {o.id for o in self.committees}
        organisation = party.partition("/")[0]
        lokets = {f"{organisation}/{loket.id}" for loket in self._by_id[organisation].loketten}
        return {organisation, *lokets}

    def _affiliations(self, base: Base, kind: Kind) -> tuple[str, ...]:
        """Asked only about a klacht, of who can lodge one, in sectors that have a committee."""
        if kind != Kind.KLACHT:
            return (UNKNOWN,)
        able = [
            o.id for o in self.committees if base.sector in o.sectors and base.reporter in o.reporters
        ]
        return (UNKNOWN, NO_AFFILIATION, *able) if able else (UNKNOWN,)

    def _affiliation_matters(self, base: Base, kind: Kind, rules: list[Rule]) -> bool:
        return any(rule.match.affiliation for rule in rules) or any(
            entry_takes(o, base, kind) for o in self.committees
        )

    def _steps(self, base: Base, flags: frozenset[Flag]) -> Iterable[Step]:
        if Flag.DANGER_NOW in flags:
            return (NOTHING_TRIED,)
        steps = self._ladder(base)
        if flags & {Flag.FINDING_OVERDUE, Flag.NO_LAWFUL_COMMITTEE}:
            # Nobody comes to a committee, or misses one, before the board had its turn.
            steps = [s for s in steps if Flag.BOARD_TRIED in s.said | s.implied]
        elif base.reporter == Reporter.LEERLING_PO or Flag.SELF_UNDER_12 in flags:
            # A child does not write to a board.
            steps = [s for s in steps if Flag.BOARD_TRIED not in s.said | s.implied]
        return steps

    def _ladder(self, base: Base) -> list[Step]:
        """Nothing, each loket of the school, the lowest ones together, and whoever implies more."""
        said = [frozenset({Flag.SCHOOL_TRIED}), LADDER_FLAGS]
        steps = [NOTHING_TRIED, *(Step((), flags, frozenset()) for flags in said)]
        for organisation in self.register.organisations:
            if not _may_turn_to(organisation, base):
                continue
            if organisation.implies_flags:
                implied = frozenset(organisation.implies_flags)
                steps.append(Step((organisation.id,), frozenset(), implied))
            if organisation.loket_order:
                steps += _loket_steps(organisation, base)
        return steps


def _loket_steps(organisation: Organisation, base: Base) -> Iterator[Step]:
    lower: list[str] = []
    for loket in organisation.loketten:
        if base.accused in loket.accused_when:
            continue
        if not all(
            listed is None or answer in listed
            for listed, answer in (
                (loket.sectors, base.sector),
                (loket.reporters, base.reporter),
                (loket.subjects, base.subject),
            )
        ):
            continue
        name = f"{organisation.id}/{loket.id}"
        yield Step((name,), frozenset(), frozenset(loket.implies_flags))
        if not loket.implies_flags:
            lower.append(name)
    if len(lower) > 1:
        yield Step(tuple(lower), frozenset(), frozenset())


def _may_turn_to(organisation: Organisation, base: Base) -> bool:
    return (
        base.sector in organisation.sectors
        and base.reporter in organisation.reporters
        and base.accused not in organisation.accused_when
    )


def entry_takes(organisation: Organisation, base: Base, kind: Kind) -> bool:
    """Whether an entry takes these answers, read from the register as a person would."""
    for more in (None, *organisation.also_competent):
        kinds = organisation.kinds if more is None or more.kinds is None else more.kinds
        kinds_taken = {*kinds, *(c.from_ for c in organisation.converts if c.to in kinds)}
        taken = kind in kinds_taken
        for field, answer in (
            ("sectors", base.sector),
            ("reporters", base.reporter),
            ("subjects", base.subject),
            ("accused", base.accused),
        ):
            listed = getattr(more, field) if more is not None else None
            listed = getattr(organisation, field) if listed is None else listed
            taken = taken and (listed is None or answer in listed)
        if taken:
            return True
    return False


def _can_hold(match: Match, base: Base, kind: Kind) -> bool:
    """Whether the condition can hold with these answers, whatever the facts are."""
    return all(
        not listed or answer in listed
        for listed, answer in (
            (match.sector, base.sector),
            (match.reporter, base.reporter),
            (match.kind, kind),
            (match.subject, base.subject),
            (match.accused, base.accused),
        )
    )


def _with(flags: frozenset[Flag], affiliations: tuple[str, ...]) -> tuple[str, ...]:
    """A board of which a finding is overdue has a committee; one without a lawful one has none."""
    if Flag.NO_LAWFUL_COMMITTEE in flags:
        return tuple(a for a in affiliations if a in (UNKNOWN, NO_AFFILIATION))
    if Flag.FINDING_OVERDUE in flags:
        return tuple(a for a in affiliations if a != NO_AFFILIATION)
    if Flag.DANGER_NOW in flags:
        return (UNKNOWN,)
    return affiliations


def _young(base: Base, flags: frozenset[Flag]) -> bool:
    """Whether age makes a difference: it is read for a primary pupil only."""
    return base.reporter == Reporter.LEERLING_PO and Flag.SELF_UNDER_12 in flags


def _parties(steps: tuple[str, ...]) -> set[str]:
    return set(steps)


def _representative(cases: list[Case]) -> Case:
    smallest = min(cases, key=lambda case: case.size)
    return Case(
        smallest.base, smallest.flags, smallest.step, smallest.affiliation, len(cases)
    )
