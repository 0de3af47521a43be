"""Finding a school by what somebody remembers of it: BRIN, name, place, board."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from services.routing.places.index import WordIndex
from services.routing.places.schools import School
from services.routing.places.words import Words, also_written, plain, words_of

QUERY_LENGTH_MAX = 80
QUERY_WORDS_MAX = 8
LIMIT_MAX = 20
_BRIN_START = re.compile(r"\d{2}[A-Z]{1,2}\d{0,2}")
_BOARD = re.compile(r"\d{5}")
# What a word that fits is worth, whole and begun, by where it stands.
_WHOLE = {"name": 10.0, "place": 9.0, "municipality": 6.0, "board": 5.0}
_TYPO_FACTOR = 0.5
_KIND_BONUS = 1.5
_SURPLUS_PENALTY = 0.4

Scores = dict[int, float]


class Finder:
    """Ranked search over schools; built once, then only read.

    Every word must fit. Where none do, one typo a word is forgiven; where still none do, the
    schools that fit most words are given. A whole word counts more than a begun one, a name more
    than a place, and of equals the shortest name comes first.
    """

    __slots__ = ("_branches", "_by_board", "_fields", "_kinds", "_lengths", "_names", "_schools")

    def __init__(self, schools: Sequence[School], boards: Mapping[str, str]) -> None:
        self._schools = schools
        self._branches = [school.brin for school in schools]
        self._by_board: dict[str, list[int]] = {}
        names = [words_of(school.name) for school in schools]
        for number, school in enumerate(schools):
            self._by_board.setdefault(school.board_number, []).append(number)
        self._lengths = bytes(min(len(words.tokens), 255) for words in names)
        self._names = [plain(school.name) for school in schools]
        self._kinds = _kinds(schools, names)
        self._fields = _fields(schools, names, boards)

    def find(self, query: str, limit: int) -> list[School]:
        """At most `limit` schools, best first; an exact BRIN is alone at the top."""
        query = query[:QUERY_LENGTH_MAX]
        limit = min(limit, LIMIT_MAX)
        code = query.replace(" ", "").upper()
        if _BRIN_START.fullmatch(code):
            branches = self.branches(code, limit)
            if branches:
                return branches
        if _BOARD.fullmatch(code):
            return [self._schools[at] for at in self._by_board.get(code, ())[:limit]]
        words = words_of(query)
        words = Words(words.tokens[:QUERY_WORDS_MAX], words.kinds)
        scores = self._all_fit(words)
        wanted = plain(query).strip()
        ranked = nsmallest(limit, scores, key=lambda at: self._rank(at, scores, words, wanted))
        return [self._schools[at] for at in ranked]

    def branches(self, start: str, limit: int) -> list[School]:
        """Schools whose BRIN begins so, in order."""
        first = bisect_left(self._branches, start)
        last = bisect_left(self._branches, start + "~", first)
        return list(self._schools[first : min(last, first + limit)])

    def _rank(
        self, at: int, scores: Scores, words: Words, wanted: str
    ) -> tuple[float, str, str, str]:
        score = scores[at] + _KIND_BONUS * len(words.kinds & self._kinds[at])
        score -= _SURPLUS_PENALTY * max(0, self._lengths[at] - len(words.tokens))
        if self._names[at] == wanted:
            score += _WHOLE["name"]
        school = self._schools[at]
        return -score, school.name, school.place, school.brin

    def _all_fit(self, words: Words) -> Scores:
        exact = [self._fitting(word) for word in words.tokens]
        close = dict[str, Scores]()
        # First forgive only the words that nothing has, then every word, then leave some out.
        for forgiven in ((), _missing(words, exact), words.tokens):
            close |= {word: self._close(word) for word in forgiven if word not in close}
            found = [
                _best(one, close[word]) if word in forgiven else one
                for word, one in zip(words.tokens, exact, strict=True)
            ]
            together = _together(found)
            if forgiven and len(words.tokens) > 1:
                together = _best(together, self._fitting("".join(words.tokens)))
            if together:
                return together
        return _most(found)

    def _fitting(self, word: str) -> Scores:
        """Entries with this word, or with one that begins so, in any field."""
        best: Scores = {}
        for field, index in self._fields:
            worth = _WHOLE[field]
            for known, entries in index.starting_with(word):
                share = 1.0 if known == word else 0.3 + 0.4 * len(word) / len(known)
                _raise(best, entries, worth * share)
        return best

    def _close(self, word: str) -> Scores:
        best: Scores = {}
        for field, index in self._fields:
            for _, entries in index.close_to(word):
                _raise(best, entries, _WHOLE[field] * _TYPO_FACTOR)
        return best


def _missing(words: Words, exact: Sequence[Scores]) -> tuple[str, ...]:
    return tuple(word for word, one in zip(words.tokens, exact, strict=True) if not one)


def _raise(best: Scores, entries: Sequence[int], value: float) -> None:
    get = best.get
    for at in entries:
        if get(at, 0.0) < value:
            best[at] = value


def _best(left: Scores, right: Scores) -> Scores:
    return {at: max(left.get(at, 0.0), right.get(at, 0.0)) for at in left.keys() | right.keys()}


def _together(found: Sequence[Scores]) -> Scores:
    """Entries in which every word fits, with the sum of what the words are worth."""
    if not found:
        return {}
    smallest = min(found, key=len)
    return {at: sum(one[at] for one in found) for at in smallest if all(at in one for one in found)}


def _most(found: Sequence[Scores]) -> Scores:
    """Entries in which the most words fit, at least half of them."""
    counts: dict[int, int] = {}
    sums: Scores = {}
    for one in found:
        for at, value in one.items():
            counts[at] = counts.get(at, 0) + 1
            sums[at] = sums.get(at, 0.0) + value
    most = max(counts.values(), default=0)
    if most * 2 < len(found):
        return {}
    return {at: value for at, value in sums.items() if counts[at] == most}


def _kinds(schools: Sequence[School], names: Sequence[Words]) -> list[frozenset[str]]:
    """Kinds from the name and from the denomination; equal sets are one object."""
    known: dict[frozenset[str], frozenset[str]] = {}
    of_denomination = {
        one: words_of((one or "").replace("-", " ")).kinds
        for one in {s.denomination for s in schools}
    }
    kinds = []
    for school, words in zip(schools, names, strict=True):
        both = words.kinds | of_denomination[school.denomination]
        kinds.append(known.setdefault(both, both))
    return kinds


def _fields(
    schools: Sequence[School], names: Sequence[Words], boards: Mapping[str, str]
) -> tuple[tuple[str, WordIndex], ...]:
    written = {school.place for school in schools} | {s.municipality.name for s in schools}
    towns = {town: _town_spellings(words_of(town).tokens) for town in written}
    of_board = {number: words_of(name).tokens for number, name in boards.items()}
    return (
        ("name", WordIndex((at, _spellings(words.tokens)) for at, words in enumerate(names))),
        ("place", WordIndex((at, towns[s.place]) for at, s in enumerate(schools))),
        (
            "municipality",
            WordIndex((at, towns[s.municipality.name]) for at, s in enumerate(schools)),
        ),
        (
            "board",
            WordIndex((at, of_board.get(s.board_number, ())) for at, s in enumerate(schools)),
        ),
    )


def _spellings(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """`Eben Haezer` is found as `ebenhaezer` too."""
    joined = ("".join(tokens),) if len(tokens) > 1 else ()
    return (*tokens, *joined, *also_written(tokens))


def _town_spellings(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return (*tokens, *also_written(tokens))
