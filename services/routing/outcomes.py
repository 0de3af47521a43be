"""Every outcome that the answers can still lead to: exact, and fast enough to ask of at each step.

Walking all situations would take hours. Two sets of the five main answers behave alike when the
same rules can still be reached and the same parties can take the case; of each such class only the
facts that those rules read are tried out, with the very function that decides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from contracts.situation import UNKNOWN, Accused, Flag
from services.routing.check.space import CONFLICTS, plausible_bases, plausible_flags
from services.routing.compiled import CompiledRegister, CompiledRule, Party
from services.routing.domain import AFFILIATION, NO_AFFILIATION
from services.routing.matching import FLAG_BIT, Facts, flag_bits, indices
from services.routing.rules import party_for

SCHOOL, BOARD = FLAG_BIT[Flag.SCHOOL_TRIED], FLAG_BIT[Flag.BOARD_TRIED]
FINDING, NO_COMMITTEE = FLAG_BIT[Flag.FINDING_OVERDUE], FLAG_BIT[Flag.NO_LAWFUL_COMMITTEE]
YOUNG, DANGER = FLAG_BIT[Flag.SELF_UNDER_12], FLAG_BIT[Flag.DANGER_NOW]
STEPS = (0, SCHOOL, SCHOOL | BOARD, SCHOOL | BOARD | FINDING)
STEP_BITS = SCHOOL | BOARD | FINDING
OLDER_AGE_YEARS = 12
_CONFLICTS = tuple((FLAG_BIT[flag], flag_bits(tuple(others))) for flag, others, _ in CONFLICTS)


class Facet(NamedTuple):
    """The answers beside the five: steps taken, facts, committee of the board, under twelve."""

    steps: int
    facts: int
    affiliation: str
    young: bool


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a class of situations leads to: a party for each set of further answers that matters.

    `relevant` are the facts that matter; `steps`, `affiliation` and `young` say whether those do.
    `finding` says whether there can be a committee's finding.
    """

    relevant: int
    finding: bool
    steps: bool
    affiliation: bool
    young: bool
    parties: dict[Facet, str]

    def reduced(self, facet: Facet) -> Facet:
        """The facet with a neutral value for all that does not matter here."""
        return Facet(
            facet.steps if self.steps else 0,
            facet.facts & self.relevant,
            facet.affiliation if self.affiliation else UNKNOWN,
            facet.young and self.young,
        )

    def party(self, facet: Facet) -> str:
        """The primary party with these further answers."""
        return self.parties[self.reduced(facet)]

    def plausible(self, facet: Facet) -> bool:
        """Whether one person can plausibly give these further answers together, in this class."""
        return goes_together(facet) and (self.finding or not facet.steps & FINDING)


Five = tuple[str, str, str, str, str]


class Row(NamedTuple):
    """Five main answers, each known or `unknown`, with the facts that can go with them."""

    base: Five
    facts: int
    outcomes: Outcomes


class OutcomeSpace:
    """All plausible rows of a register; outcomes are found once, when a row is first asked for."""

    def __init__(self, register: CompiledRegister) -> None:
        self._register = register
        self._bases, _ = plausible_bases()
        self._facts = {base: flag_bits(tuple(plausible_flags(base))) for base in self._bases}
        self._merged: dict[object, Outcomes] = {}
        self._known: dict[tuple[Five, int], Row] = {}
        self._indexes: dict[tuple[bool, ...], dict[tuple[int, str], list[tuple[Five, int]]]] = {}
        self.affiliations = (UNKNOWN, NO_AFFILIATION, *sorted(register.committees))

    def rows(self, answers: tuple[str | None, ...], told: int = 0) -> list[Row]:
        """The plausible rows with these answers to the five; None is not answered.

        `told` are facts that were told already, so they count also where nobody would expect them.
        """
        hidden = tuple(answer == UNKNOWN for answer in answers)
        index = self._indexes.get(hidden)
        if index is None:
            index = self._indexes[hidden] = self._index(hidden)
        given = [(i, a) for i, a in enumerate(answers) if a is not None and a != UNKNOWN]
        fewest = min((index.get(key, []) for key in given or [(-1, "")]), key=len)
        return [
            self._row(base, facts | told)
            for base, facts in fewest
            if all(base[i] == answer for i, answer in given)
        ]

    def _row(self, base: Five, facts: int) -> Row:
        row = self._known.get((base, facts))
        if row is None:
            row = self._known[base, facts] = Row(base, facts, self._outcomes(base, facts))
        return row

    def _index(self, hidden: tuple[bool, ...]) -> dict[tuple[int, str], list[tuple[Five, int]]]:
        """Per answer the plausible five with it, those that are not known shown as unknown."""
        possible: dict[Five, int] = {}
        for base in self._bases:
            five: list[str] = [value.value for value in base]
            for place, unknown in enumerate(hidden):
                if unknown:
                    five[place] = UNKNOWN
            sector, reporter, kind, subject, accused = five
            shown = (sector, reporter, kind, subject, accused)
            possible[shown] = possible.get(shown, 0) | self._facts[base]
        index: dict[tuple[int, str], list[tuple[Five, int]]] = {(-1, ""): [*possible.items()]}
        for item in possible.items():
            for key in enumerate(item[0]):
                index.setdefault(key, []).append(item)
        return index

    def _outcomes(self, base: Five, possible: int) -> Outcomes:
        reach = _Reach(self._register, self._facts_of(base), possible)
        key = (reach.signature(), possible & (reach.relevant | FINDING | YOUNG))
        known = self._merged.get(key)
        if known is None:
            known = self._merged[key] = self._try(base, possible, reach)
        return known

    def _facts_of(self, base: Five) -> Facts:
        sector, reporter, kind, subject, accused = base
        register = self._register
        standing = register.standing.get((reporter, kind))
        kind = kind if standing is None else register.register.standing[standing].to
        accused = Accused.ONBEKEND if accused == UNKNOWN else accused
        return Facts(sector, reporter, kind, subject, accused, UNKNOWN, 0)

    def _try(self, base: Five, possible: int, reach: "_Reach") -> Outcomes:
        facts = self._facts_of(base)
        found = Outcomes(
            relevant=reach.relevant & possible & ~(STEP_BITS | DANGER | YOUNG),
            finding=bool(possible & FINDING),
            steps=bool(reach.relevant & STEP_BITS),
            affiliation=reach.affiliation,
            young=bool(reach.relevant & YOUNG and possible & YOUNG),
            parties={},
        )
        for facet in facets((found,), self.affiliations):
            flags = facet.facts | facet.steps | (YOUNG if facet.young else 0)
            age = None if facet.young else OLDER_AGE_YEARS
            asked = facts._replace(flags=flags, affiliation=facet.affiliation)
            found.parties[facet] = party_for(self._register, asked, age)
        return found


class Told(NamedTuple):
    """The further answers that were given, as in `Facet`; None is not answered."""

    steps: int | None = None
    facts: int | None = None
    affiliation: str | None = None
    young: bool | None = None


NOTHING_TOLD = Told()


def facets(
    classes: Iterable[Outcomes], affiliations: Iterable[str], told: Told = NOTHING_TOLD
) -> Iterator[Facet]:
    """Every set of further answers with `told` in it that one of these classes tells apart."""
    classes = tuple(classes)
    relevant = 0
    for one in classes:
        relevant |= one.relevant
    steps = STEPS if any(c.steps for c in classes) else (0,)
    boards = affiliations if any(c.affiliation for c in classes) else (UNKNOWN,)
    ages = (True, False) if any(c.young for c in classes) else (False,)
    ways = product(
        steps if told.steps is None else (told.steps,),
        subsets(relevant) if told.facts is None else (told.facts,),
        boards if told.affiliation is None else (told.affiliation,),
        ages if told.young is None else (told.young,),
    )
    return (Facet(*way) for way in ways)


def subsets(bits: int) -> Iterator[int]:
    """Every number that has no other bits than these."""
    subset = bits
    while True:
        yield subset
        if not subset:
            return
        subset = (subset - 1) & bits


def goes_together(facet: Facet) -> bool:
    """Whether one person can plausibly give these further answers together."""
    flags = facet.facts | facet.steps & FINDING | (YOUNG if facet.young else 0)
    if any(flags & flag and flags & others for flag, others in _CONFLICTS):
        return False
    if facet.facts & NO_COMMITTEE:
        return bool(facet.steps & BOARD) and facet.affiliation in (UNKNOWN, NO_AFFILIATION)
    if facet.young and facet.steps & BOARD:
        return False
    return not (facet.steps & FINDING and facet.affiliation == NO_AFFILIATION)


class _Reach:
    """What five answers leave open: the rules that can be reached, and what those read."""

    def __init__(self, register: CompiledRegister, facts: Facts, possible: int) -> None:
        self._register = register
        self._facts = facts
        self.relevant = 0
        self.affiliation = False
        self._rules: list[int] = []
        self._parties: dict[str, Party] = {}
        sector, reporter, kind, subject, accused = register.masks
        self._blocks = (
            sector[facts.sector]
            & reporter[facts.reporter]
            & kind[facts.kind]
            & subject[facts.subject]
            & accused[facts.accused]
        )
        self._holds = register.selector.whatever_flags(facts)
        self._walk(possible | STEP_BITS)
        for derived, rule in zip(register.derived, register.register.derived_flags, strict=True):
            if self.relevant & derived.bit:
                self.relevant |= flag_bits((*rule.match.flags, *rule.match.not_flags))

    def signature(self) -> object:
        """Equal signatures behave alike."""
        statuses = tuple((name, self._status(party)) for name, party in self._parties.items())
        derives = self._register.derived_table.whatever_flags(self._facts)
        return tuple(self._rules), statuses, derives

    def _walk(self, possible: int) -> None:
        register = self._register
        never_via: set[str] = set()
        for index in indices(register.selector.section(self._holds, "rules")):
            compiled = register.rules[index]
            match = compiled.rule.match
            needs = flag_bits(match.flags)
            if needs & ~possible:
                continue
            self._rules.append(index)
            reads = needs | flag_bits(match.not_flags)
            self.relevant |= reads
            self.affiliation |= bool(match.affiliation)
            self._name(compiled.primary[0])
            never_via |= compiled.never_via
            if not reads and not match.affiliation and self._surely_open(compiled, never_via):
                return
        for index in self._rules:
            self._name_second_line(register.rules[index])

    def _name(self, organisation: str) -> None:
        register = self._register
        committees = register.committees if organisation == AFFILIATION else ()
        self.affiliation |= bool(committees)
        for party_id in sorted(committees) or (organisation,):
            party = register.by_id[party_id]
            self._parties[party_id] = party
            self.relevant |= party.requires_flags | party.lines_read
            self.affiliation |= party.requires_affiliation

    def _name_second_line(self, rule: CompiledRule) -> None:
        for organisation, _ in rule.also:
            self._name(organisation)
        primary = rule.primary[0]
        firsts = sorted(self._register.committees) if primary == AFFILIATION else [primary]
        for first in firsts:
            for organisation in self._register.by_id[first].escalates_to:
                self._name(organisation)

    def _surely_open(self, rule: CompiledRule, never_via: set[str]) -> bool:
        """Whether the rule's party takes the case whatever the further answers are."""
        if rule.primary[0] == AFFILIATION:
            return False
        party = self._register.by_id[rule.primary[0]]
        if party.id == self._register.register.desk:
            return True
        return (
            bool(self._blocks & party.bits)
            and self._facts.accused not in party.accused_when
            and not party.requires_flags
            and not party.requires_affiliation
            and not party.loketten
            and party.id not in never_via
        )

    def _status(self, party: Party) -> object:
        facts = self._facts
        if not self._blocks & party.bits or facts.accused in party.accused_when:
            return False
        if not party.loketten:
            return True
        # Which loketten are open rests on the answers themselves.
        return (
            self._blocks & party.bits,
            self._register.selector.section(self._holds, party.lines),
            *(
                (
                    facts.accused not in loket.accused_when,
                    loket.kinds is None or facts.kind,
                    all(getattr(facts, field) in values for field, values in loket.limits),
                )
                for loket in party.loketten.values()
            ),
        )
