"""How much each question still tells, and whether it can change the party at all. Exact, pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from contracts.situation import Reporter
from services.routing.matching import FIELDS
from services.routing.outcomes import YOUNG, Facet, Outcomes, Row, Told, facets

CLASSES_KEPT = 50_000
# While more classes than this are open, only the five main questions are worth weighing.
CLASSES_MAX = 400
FACETS = ("steps", "facts", "affiliation", "age")
_NEVER = math.inf
_OUTCOMES = attrgetter("outcomes")
# A class of situations with the answers on steps, facts, committee and age.
Key = tuple[Outcomes, int | None, int | None, str | None, bool | None]


@dataclass(frozen=True, slots=True)
class Given:
    """The answers as outcomes know them; None is not answered.

    `young` is the answer on being under twelve; `age_unknown` is the answer "I don't know".
    """

    five: tuple[str | None, ...]
    steps: int | None
    facts: int | None
    affiliation: str | None
    young: bool | None
    age_unknown: bool

    @property
    def told(self) -> int:
        """The facts that were told."""
        return (self.facts or 0) | (YOUNG if self.young else 0)

    def young_for(self, row: Row) -> bool | None:
        """A primary pupil of unknown age counts as under twelve."""
        if self.age_unknown:
            return row.base[FIELDS.index("reporter")] == Reporter.LEERLING_PO
        return self.young


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """What one class can still lead to, each way with equal weight, and which answers decide it."""

    ways: tuple[tuple[Facet, str], ...]
    shares: dict[str, float]
    matters: frozenset[str]
    fits: bool


class Splits:
    """Weighs questions over the rows that fit; keeps what it found per class of situations."""

    def __init__(self, affiliations: tuple[str, ...]) -> None:
        self._affiliations = affiliations
        self._open = lru_cache(CLASSES_KEPT)(self._find)
        self._given_one = lru_cache(CLASSES_KEPT)(self._under)

    def fitting(self, rows: list[Row], given: Given) -> list[Row]:
        """The rows in which the further answers can be given together; all, when none is left."""
        fits = {key[0] for key in self._classes(rows, given) if self._open(*key).fits}
        return [row for row in rows if row.outcomes in fits] or rows

    def parties(self, rows: list[Row], given: Given) -> frozenset[str]:
        """Every party that can still become the primary one."""
        return frozenset[str]().union(
            *(self._open(*key).shares for key in self._classes(rows, given))
        )

    def uncertainty(self, question: str, rows: list[Row], given: Given) -> float:
        """The bits of doubt about the party that are expected to be left after this question."""
        if question in FACETS:
            return self._after_facet(question, self._classes(rows, given))
        if question not in FIELDS:
            return _NEVER
        index = FIELDS.index(question)
        by_answer: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_answer[row.base[index]].append(row)
        left = 0.0
        for fitting in by_answer.values():
            classes = self._classes(fitting, given)
            mixed = _mixed((self._open(*key).shares, n) for key, n in classes.items())
            left += len(fitting) / len(rows) * _doubt(mixed)
        return left

    def matters(self, question: str, rows: list[Row], given: Given) -> bool:
        """Whether two plausible situations differ in this answer only, and go to other parties."""
        if question in FACETS:
            return any(question in self._open(*key).matters for key in self._classes(rows, given))
        if question not in FIELDS or given.five[FIELDS.index(question)] is not None:
            return False
        index = FIELDS.index(question)
        alike: dict[Hashable, set[tuple[Outcomes, bool | None]]] = defaultdict(set)
        for row in rows:
            rest = row.base[:index] + row.base[index + 1 :]
            alike[rest].add((row.outcomes, given.young_for(row)))
        together = {frozenset(classes) for classes in alike.values() if len(classes) > 1}
        return any(self._differ(tuple(classes), given) for classes in together)

    def _differ(self, classes: tuple[tuple[Outcomes, bool | None], ...], given: Given) -> bool:
        told = Told(given.steps, given.facts, given.affiliation, given.young)
        any_plausible = differ_at_all = False
        for facet in facets((outcomes for outcomes, _ in classes), self._affiliations, told):
            plausible, parties = set(), set()
            for outcomes, young in classes:
                way = facet if young is None else facet._replace(young=young)
                parties.add(outcomes.party(way))
                if outcomes.plausible(way):
                    plausible.add(outcomes.party(way))
            if len(plausible) > 1:
                return True
            any_plausible = any_plausible or bool(plausible)
            differ_at_all = differ_at_all or len(parties) > 1
        # Answers that nobody would give together are still answers, as in `_find`.
        return differ_at_all and not any_plausible

    @staticmethod
    def _key(row: Row, given: Given) -> Key:
        return (
            row.outcomes,
            given.steps,
            given.facts,
            given.affiliation,
            given.young_for(row),
        )

    def _classes(self, rows: list[Row], given: Given) -> Counter[Key]:
        if given.age_unknown:
            return Counter(self._key(row, given) for row in rows)
        told = (given.steps, given.facts, given.affiliation, given.young)
        alike = Counter(map(_OUTCOMES, rows))
        return Counter({(outcomes, *told): n for outcomes, n in alike.items()})

    def _find(
        self,
        outcomes: Outcomes,
        steps: int | None,
        facts: int | None,
        affiliation: str | None,
        young: bool | None,
    ) -> _Open:
        fitting = [
            (facet, party)
            for facet, party in outcomes.parties.items()
            if _agrees(
                facet,
                steps if outcomes.steps else None,
                None if facts is None else facts & outcomes.relevant,
                affiliation if outcomes.affiliation else None,
                young if outcomes.young else None,
            )
        ]
        # Answers that nobody would give together are still answers.
        plausible = [way for way in fitting if outcomes.plausible(way[0])]
        ways = plausible or fitting
        open_ = frozenset(name for index, name in enumerate(FACETS) if _depends(ways, index))
        return _Open(
            tuple(ways), _shares(Counter(party for _, party in ways)), open_, bool(plausible)
        )

    def _after_facet(self, question: str, classes: Counter[Key]) -> float:
        if len(classes) > CLASSES_MAX:
            return _NEVER
        index = FACETS.index(question)
        opened = [(self._open(*key), n) for key, n in classes.items()]
        if not any(question in one.matters for one, _ in opened):
            return _NEVER
        answers = {facet[index] for one, _ in opened for facet, _ in one.ways}
        left = 0.0
        for answer in answers:
            mixed = _mixed((self._given_one(one, index, answer), n) for one, n in opened)
            left += _doubt(mixed) / len(answers)
        return left

    @staticmethod
    def _under(one: _Open, index: int, answer: object) -> dict[str, float]:
        fitting = Counter(party for facet, party in one.ways if facet[index] == answer)
        return _shares(fitting) if fitting else one.shares


def _agrees(
    facet: Facet,
    steps: int | None,
    facts: int | None,
    affiliation: str | None,
    young: bool | None,
) -> bool:
    return (
        (steps is None or facet.steps == steps)
        and (facts is None or facet.facts == facts)
        and (affiliation is None or facet.affiliation == affiliation)
        and (young is None or facet.young == young)
    )


def _depends(ways: list[tuple[Facet, str]], index: int) -> bool:
    """Whether two ways differ in this answer only, and in the party."""
    seen: dict[Hashable, str] = {}
    for facet, party in ways:
        rest = facet[:index] + facet[index + 1 :]
        if seen.setdefault(rest, party) != party:
            return True
    return False


def _shares(ways: Counter[str]) -> dict[str, float]:
    total = ways.total()
    return {party: n / total for party, n in ways.items()}


def _mixed(parts: Iterable[tuple[dict[str, float], int]]) -> dict[str, float]:
    """The parties of several classes together, each class with its own weight."""
    mixed: dict[str, float] = defaultdict(float)
    for shares, weight in parts:
        for party, share in shares.items():
            mixed[party] += share * weight
    return mixed


def _doubt(parties: dict[str, float]) -> float:
    """Shannon entropy in bits."""
    total = sum(parties.values())
    return -sum(n / total * math.log2(n / total) for n in parties.values() if n)
