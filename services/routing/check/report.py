"""The outcome of a check: every failure, every figure, as one value for text, JSON and pictures."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from contracts.situation import Flag
from services.routing.check import second, standing
from services.routing.check.classes import Space, can_hold
from services.routing.check.space import (
    BASES_LEFT_OUT,
    CONFLICTS,
    FLAGS_LEFT_OUT,
    Base,
    iterate_left_out,
    plausible_bases,
    plausible_flags,
)
from services.routing.check.standing import Finding
from services.routing.check.walk import Tally, group, walk_all
from services.routing.check.words import failure_words
from services.routing.domain import AFFILIATION, Register, RegisterTerm, register_hash
from services.routing.rules import compile_register

DESK_SHARE_MAX = 0.05
PAIRS_SHOWN = 25
SAMPLE = 20_000
SEED = 20261125


@dataclass(frozen=True, slots=True)
class Row:
    """Situations with one answer: with 0, 1, 2, 3 or more parties, and first at the desk."""

    answer: str
    situations: int
    none: int
    one: int
    two: int
    more: int
    desk: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where the two methods were compared, and what differed."""

    situations: int
    competent_alike: bool
    decisions_compared: int
    gaps: int
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a check found."""

    register: Register
    hash: str
    tally: Tally
    findings: tuple[Finding, ...]
    agreement: Agreement | None
    left_out: tuple[tuple[str, str, int], ...]

    @property
    def faults(self) -> list[str]:
        """What forbids the register to be used, each as a sentence; empty when it may."""
        words = [
            f"{failure_words(failure)} ({weight} situaties)"
            for failure, weight in self.tally.failures.values()
        ]
        words += [finding.words for finding in self.findings if not finding.warning]
        if self.desk_share > DESK_SHARE_MAX:
            words.append(
                f"{self.desk_share:.1%} van de situaties komt eerst bij het vangnet; hoogstens"
                f" {DESK_SHARE_MAX:.0%} mag dat."
            )
        if self.agreement is not None:
            words += [f"De tweede methode beslist anders: {d}" for d in self.agreement.differences]
            if not self.agreement.competent_alike:
                words.append("De tweede methode telt andere bevoegde partijen.")
        return words

    @property
    def warnings(self) -> list[str]:
        """What somebody should look at, and what forbids nothing."""
        return [finding.words for finding in self.findings if finding.warning]

    @property
    def desk_share(self) -> float:
        """The part of the situations that comes to the desk first."""
        return sum(self.tally.desk.values()) / max(1, self.tally.situations)

    def rows(self, name: str) -> list[Row]:
        """The figures per answer to one of `sector`, `reporter`, `kind`, `subject`, `accused`."""
        desk: Counter[str] = Counter()
        for (base, _), weight in self.tally.desk.items():
            desk[str(getattr(base, name))] += weight
        return [
            Row(
                answer,
                numbers.total(),
                numbers[0],
                numbers[1],
                numbers[2],
                numbers.total() - numbers[0] - numbers[1] - numbers[2],
                desk[answer],
            )
            for answer, numbers in group(self.tally.competent, name).items()
        ]

    def cells(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Per sector and subject: mean number of competent parties, and the share of the desk."""
        total: Counter[tuple[str, str]] = Counter()
        parties: Counter[tuple[str, str]] = Counter()
        desk: Counter[tuple[str, str]] = Counter()
        for (base, number), weight in self.tally.competent.items():
            cell = (str(base.sector), str(base.subject))
            total[cell] += weight
            parties[cell] += weight * number
        for (base, _), weight in self.tally.desk.items():
            desk[str(base.sector), str(base.subject)] += weight
        return {cell: (parties[cell] / n, desk[cell] / n) for cell, n in total.items()}

    def pairs(self) -> list[tuple[str, str, int]]:
        """Pairs of parties by the number of situations in which both are competent."""
        return pairs_of(self.tally.together)[:PAIRS_SHOWN]

    def desk_reasons(self) -> list[tuple[str, int, str]]:
        """Per rule that leads to the desk: how many situations, and why."""
        why = {rule.id: rule.why for rule in self.register.routing_rules}
        counted: Counter[str] = Counter()
        for (_, rule), weight in self.tally.desk.items():
            counted[rule] += weight
        return [(rule, weight, why[rule]) for rule, weight in counted.most_common()]


def pairs_of(together: Counter[frozenset[str]]) -> list[tuple[str, str, int]]:
    """All pairs, most frequent first."""
    counted: Counter[tuple[str, ...]] = Counter()
    for parties, weight in together.items():
        for pair in combinations(sorted(parties), 2):
            counted[pair] += weight
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(first, other, weight) for (first, other), weight in ranked]


def check(
    register: Register,
    *,
    processes: int = 1,
    bases: Sequence[Base] | None = None,
    progress: Callable[[str], None] = lambda _: None,
    compare: bool = True,
    full: bool = False,
) -> Outcome:
    """Proves the register over all plausible situations, or over these `bases` only.

    Rules that never decide are looked for only on the whole space. With `full` the second method
    decides every situation as well, instead of a sample.
    """
    every, left = plausible_bases()
    walked = every if bases is None else bases
    tally = walk_all(register, walked, processes, lambda n, of: progress(f"{n} of {of} answers"))
    found = standing.findings(register)
    if bases is None:
        found += dead(register, tally, every)
    agreement = None
    if compare:
        progress("comparing with the second method")
        agreement = _agreement(register, walked, tally, processes, whole=bases is None, full=full)
    return Outcome(
        register, register_hash(register), tally, tuple(found), agreement, _left(every, left)
    )


def _agreement(
    register: Register,
    bases: Sequence[Base],
    tally: Tally,
    processes: int,
    *,
    whole: bool,
    full: bool,
) -> Agreement:
    number = SAMPLE if whole else SAMPLE // 20
    if full:
        decided = second.decide_all(register, bases, processes)
    else:
        compiled = compile_register(register)
        decided = second.compare_decisions(register, compiled, bases, number, SEED)
    counted = second.count_all(register, bases, processes)
    return Agreement(
        counted.situations,
        counted.together == tally.together and counted.situations == tally.situations,
        decided.decided,
        decided.gaps,
        tuple(decided.differences[:5]),
    )


def _left(bases: list[Base], left: Counter[str]) -> tuple[tuple[str, str, int], ...]:
    rows = [(rule.id, rule.why, left[rule.id]) for rule in BASES_LEFT_OUT]
    rows += [(f"flag {flag}", why, number) for flag, why, number in iterate_left_out(bases)]
    rows += [
        (f"flag {flag} with {', '.join(sorted(others))}", why, 0) for flag, others, why in CONFLICTS
    ]
    return tuple(rows)


def dead(register: Register, tally: Tally, bases: Sequence[Base]) -> Iterable[Finding]:
    """Rules that never decide, and parties next to a rule that can never stand there.

    The last rule is left out: it is for answers that nobody knows, and for who excluded everybody.
    """
    rules = register.routing_rules
    for index, rule in enumerate(rules[:-1]):
        if tally.decided[rule.id]:
            continue
        if not tally.held[index]:
            text = (
                f"Regel {rule.id} geldt in geen enkele situatie: pas `match` aan of haal haar weg."
            )
        elif not tally.after_exclusion[rule.id]:
            text = (
                f"Regel {rule.id} geldt in {tally.held[index]} situaties en beslist nooit: een"
                " eerdere regel gaat altijd voor, of haar partij is er nooit bevoegd."
            )
        else:
            yield Finding(
                "rule-second-only",
                rule.id,
                f"Regel {rule.id} beslist alleen als een eerdere partij is uitgesloten.",
                warning=True,
            )
            continue
        yield Finding("dead-rule", rule.id, text)
    for rule in rules:
        for party in rule.also:
            name = party.partition("/")[0]
            if party != AFFILIATION and (rule.id, name) not in tally.beside:
                yield Finding(
                    "also-never",
                    rule.id,
                    f"{party} staat naast regel {rule.id} en is daar nooit bevoegd.",
                    warning=True,
                )
    for term in register.terms:
        if not _can_run(term, register, tally, bases):
            yield Finding(
                "term-never",
                term.id,
                f"De termijn {term.id} loopt in geen enkele situatie.",
                warning=True,
            )


def _can_run(term: RegisterTerm, register: Register, tally: Tally, bases: Sequence[Base]) -> bool:
    if term.match is None:
        involved = {name for _, name in tally.beside} | set(tally.primary)
        return not involved.isdisjoint(term.organisations) or any(
            tally.decided[rule] for rule in term.rules
        )
    asked = set(term.match.flags) - {Flag.SCHOOL_TRIED, Flag.BOARD_TRIED}
    space = Space(register)
    return any(
        can_hold(term.match, base, space.kind(base)) and asked <= plausible_flags(base)
        for base in bases
    )


__all__ = ["FLAGS_LEFT_OUT", "Agreement", "Outcome", "Row", "check", "dead", "pairs_of"]
