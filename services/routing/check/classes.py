"""Situations that cannot be told apart by anything that `decide` reads, taken together and counted.

The collapse is sound because it merges only what differs in an answer that is read nowhere: facts
that change no condition which holds, a tried party that no holding rule names, an affiliation where
no committee is competent. The tests compare it with the situations one by one.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from contracts.situation import UNKNOWN, Accused, Flag, Kind, Reporter, Situation
from services.routing.check.space import Base, all_flag_sets
from services.routing.domain import AFFILIATION, NO_AFFILIATION, Match, Organisation, Register, Rule

AGE_OF_AN_OLDER_PUPIL = 12
BIT = {flag: 1 << index for index, flag in enumerate(Flag)}
SCHOOL, BOARD = BIT[Flag.SCHOOL_TRIED], BIT[Flag.BOARD_TRIED]
DANGER, YOUNG = BIT[Flag.DANGER_NOW], BIT[Flag.SELF_UNDER_12]
FINDING, NO_COMMITTEE = BIT[Flag.FINDING_OVERDUE], BIT[Flag.NO_LAWFUL_COMMITTEE]


def bits_of(flags: Iterable[Flag]) -> int:
    """Facts as one number."""
    bits = 0
    for flag in flags:
        bits |= BIT[flag]
    return bits


class Step(NamedTuple):
    """What somebody tried before: the steps named, the facts said, the facts that follow."""

    steps: tuple[str, ...]
    said: int
    implied: int


NOTHING_TRIED = Step((), 0, 0)


class Case(NamedTuple):
    """One situation that stands for `weight` plausible ones."""

    base: Base
    flags: int
    step: Step
    affiliation: str
    weight: int
    facts: int
    held: tuple[int, ...]
    tried: frozenset[str]

    @property
    def situation(self) -> Situation:
        """The situation as `decide` takes it; built without validation, as every value is known."""
        older = self.base.reporter == Reporter.LEERLING_PO and not self.flags & YOUNG
        told = self.flags | self.step.said
        return Situation.model_construct(
            sector=self.base.sector,
            reporter=self.base.reporter,
            kind=self.base.kind,
            subject=self.base.subject,
            accused=self.base.accused,
            flags=tuple(flag for flag in Flag if told & BIT[flag]),
            steps_tried=self.step.steps,
            age=AGE_OF_AN_OLDER_PUPIL if older else None,
            affiliation=self.affiliation,
            brin=None,
        )

    @property
    def size(self) -> tuple[int, int]:
        """How much must be told to explain it; the smallest is the best counterexample."""
        told = (self.flags | self.step.said).bit_count() + len(self.step.steps)
        return told + (self.affiliation != UNKNOWN), self.step.implied.bit_count()


class _Line(NamedTuple):
    """A rule that can hold with the five answers: what it still asks, and whom it names."""

    at: int
    needs: int
    forbids: int
    affiliation: tuple[str, ...]
    parties: frozenset[str]


class Space:
    """The plausible situations that a register can meet, as classes."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._by_id = {o.id: o for o in register.organisations}
        self.committees = tuple(o for o in register.organisations if o.requires_affiliation)
        self._named: dict[tuple[int, ...], frozenset[str]] = {}
        self._converted = {(r, s.from_): s.to for s in register.standing for r in s.reporters}
        self._required = bits_of({f for o in register.organisations for f in o.requires_flags})
        self.loket_flags = bits_of(
            {
                flag
                for o in register.organisations
                for line in o.loket_order
                for flag in (*line.match.flags, *line.match.not_flags)
            }
        )
        self._rules = [
            (rule, self._line(index, rule)) for index, rule in enumerate(register.routing_rules)
        ]

    def kind(self, base: Base) -> Kind:
        """The kind after standing: who cannot lodge a klacht anywhere does not."""
        return self._converted.get((base.reporter, base.kind), base.kind)

    def of(self, base: Base) -> list[Case]:
        """All classes with these answers."""
        kind = self.kind(base)
        lines = [line for rule, line in self._rules if can_hold(rule.match, base, kind)]
        apart = any(line.affiliation for line in lines) or any(
            entry_takes(o, base, kind) for o in self.committees
        )
        derived = [
            (bits_of(d.match.flags), bits_of(d.match.not_flags), BIT[d.flag])
            for d in self._register.derived_flags
            if d.max_age_years is None and can_hold(d.match, base, kind)
        ]
        merged: dict[object, Case] = {}
        for asked, step, possible in self.tellings(base):
            facts = _closed(asked | step.said | step.implied, derived)
            held = [line for line in lines if not (line.needs & ~facts or line.forbids & facts)]
            named = frozenset[str]().union(*(line.parties for line in held))
            tried = frozenset(named.intersection(step.steps))
            kept = facts & (self._required | self.loket_flags)
            indices = tuple(line.at for line in held)
            for affiliation in possible:
                where = affiliation if apart else ""
                case = Case(base, asked, step, affiliation, 1, kept, indices, tried)
                _merge(merged, (indices, tried, kept, where), case)
        return list(merged.values())

    def tellings(self, base: Base) -> Iterator[tuple[int, Step, tuple[str, ...]]]:
        """Every plausible set of facts with every step, and the affiliations that go with them."""
        ladder = self._ladder(base)
        affiliations = self._affiliations(base, self.kind(base))
        for flags in all_flag_sets(base):
            asked = bits_of(flags)
            possible = _with(asked, affiliations)
            for step in _plausible_steps(ladder, base, asked):
                yield asked, step, possible

    def until_the_desk(self, held: tuple[int, ...]) -> tuple[int, ...]:
        """The rules up to the first that names the desk: it is always open, so none comes after."""
        desk = self._register.desk
        for place, index in enumerate(held):
            if self._rules[index][0].primary == desk:
                return held[: place + 1]
        return held

    def named(self, held: tuple[int, ...]) -> frozenset[str]:
        """Every party that these rules can lead to, organisations and their loketten."""
        if held not in self._named:
            parties = (self._rules[index][1].parties for index in held)
            self._named[held] = frozenset[str]().union(*parties)
        return self._named[held]

    def _line(self, index: int, rule: Rule) -> _Line:
        match = rule.match
        parties = set[str]()
        for party in (rule.primary, *rule.also):
            parties |= self._expand(party)
        for party in self._expand(rule.primary):
            entry = self._by_id.get(party)
            for next_party in entry.escalates_to if entry else ():
                parties |= self._expand(next_party)
        needs, forbids = bits_of(match.flags), bits_of(match.not_flags)
        return _Line(index, needs, forbids, match.affiliation, frozenset(parties))

    def _expand(self, party: str) -> set[str]:
        """The organisation and its loketten, or every committee."""
        if party == AFFILIATION:
            return {o.id for o in self.committees}
        organisation = party.partition("/")[0]
        lokets = (f"{organisation}/{loket.id}" for loket in self._by_id[organisation].loketten)
        return {organisation, *lokets}

    def _affiliations(self, base: Base, kind: Kind) -> tuple[str, ...]:
        """Asked only about a klacht, of who can lodge one, in sectors that have a committee."""
        able = [
            o.id
            for o in self.committees
            if kind == Kind.KLACHT and base.sector in o.sectors and base.reporter in o.reporters
        ]
        return (UNKNOWN, NO_AFFILIATION, *able) if able else (UNKNOWN,)

    @cached_property
    def _first_lines(self) -> tuple[Organisation, ...]:
        return tuple(o for o in self._register.organisations if o.implies_flags or o.loket_order)

    def _ladder(self, base: Base) -> list[Step]:
        """Nothing, each loket of the school, the lowest ones together, and whoever implies more."""
        steps = [NOTHING_TRIED, Step((), SCHOOL, 0), Step((), SCHOOL | BOARD, 0)]
        for organisation in self._first_lines:
            if not _may_turn_to(organisation, base):
                continue
            steps.append(Step((organisation.id,), 0, bits_of(organisation.implies_flags)))
            if organisation.loket_order:
                steps += _loket_steps(organisation, base)
        return steps


def _merge(merged: dict[object, Case], key: object, case: Case) -> None:
    known = merged.get(key)
    if known is None:
        merged[key] = case
    else:
        smallest = case if case.size < known.size else known
        merged[key] = smallest._replace(weight=known.weight + 1)


def _closed(facts: int, derived: list[tuple[int, int, int]]) -> int:
    """The facts with what follows from them, in the order of the register."""
    for needs, forbids, flag in derived:
        if not (needs & ~facts or forbids & facts):
            facts |= flag
    return facts


def _plausible_steps(ladder: list[Step], base: Base, flags: int) -> list[Step]:
    if flags & DANGER:
        return [NOTHING_TRIED]
    if flags & (FINDING | NO_COMMITTEE):
        # Nobody comes to a committee, or misses one, before the board had its turn.
        return [step for step in ladder if (step.said | step.implied) & BOARD]
    if base.reporter == Reporter.LEERLING_PO or flags & YOUNG:
        # A child does not write to a board.
        return [step for step in ladder if not (step.said | step.implied) & BOARD]
    return ladder


def _loket_steps(organisation: Organisation, base: Base) -> Iterator[Step]:
    lower: list[str] = []
    for loket in organisation.loketten:
        limits = (
            (loket.sectors, base.sector),
            (loket.reporters, base.reporter),
            (loket.subjects, base.subject),
        )
        if base.accused in loket.accused_when or any(
            listed is not None and answer not in listed for listed, answer in limits
        ):
            continue
        name = f"{organisation.id}/{loket.id}"
        yield Step((name,), 0, bits_of(loket.implies_flags))
        if not loket.implies_flags:
            lower.append(name)
    if len(lower) > 1:
        yield Step(tuple(lower), 0, 0)


def _may_turn_to(organisation: Organisation, base: Base) -> bool:
    return (
        base.sector in organisation.sectors
        and base.reporter in organisation.reporters
        and base.accused not in organisation.accused_when
    )


def entry_takes(organisation: Organisation, base: Base, kind: Kind) -> bool:
    """Whether an entry takes these answers, read from the register as a person would."""
    return any(
        _row_takes(organisation, more, base, kind) for more in (None, *organisation.also_competent)
    )


def _row_takes(organisation: Organisation, more: object, base: Base, kind: Kind) -> bool:
    def listed(field: str) -> tuple[str, ...] | None:
        narrowed = None if more is None else getattr(more, field)
        own: tuple[str, ...] | None = getattr(organisation, field)
        return own if narrowed is None else narrowed

    kinds = listed("kinds") or ()
    if kind not in kinds and not any(
        c.from_ == kind and c.to in kinds for c in organisation.converts
    ):
        return False
    accused: Accused | str = base.accused
    answers = (
        ("sectors", base.sector),
        ("reporters", base.reporter),
        ("subjects", base.subject),
        ("accused", accused),
    )
    for field, answer in answers:
        values = listed(field)
        if values is not None and answer not in values:
            return False
    return True


def can_hold(match: Match, base: Base, kind: Kind) -> bool:
    """Whether the condition can hold with these answers, whatever the facts are."""
    return not (
        (match.subject and base.subject not in match.subject)
        or (match.accused and base.accused not in match.accused)
        or (match.reporter and base.reporter not in match.reporter)
        or (match.sector and base.sector not in match.sector)
        or (match.kind and kind not in match.kind)
    )


def _with(flags: int, affiliations: tuple[str, ...]) -> tuple[str, ...]:
    """A board of which a finding is overdue has a committee; one without a lawful one has none."""
    if flags & DANGER:
        return (UNKNOWN,)
    if flags & NO_COMMITTEE:
        return tuple(a for a in affiliations if a in (UNKNOWN, NO_AFFILIATION))
    if flags & FINDING:
        return tuple(a for a in affiliations if a != NO_AFFILIATION)
    return affiliations
