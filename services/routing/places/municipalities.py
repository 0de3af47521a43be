"""Finding a municipality by its own name or by that of a town in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.routing.places.index import WordIndex
from services.routing.places.schools import Municipality, School
from services.routing.places.words import plain, words_of

QUERY_LENGTH_MAX = 80
LIMIT_MAX = 20


class FoundMunicipality(NamedTuple):
    """A municipality; `place` is the town by which it was found, None when by its own name."""

    municipality: Municipality
    place: str | None


class MunicipalityFinder:
    """Search over the municipalities and towns in which a listed school stands."""

    __slots__ = ("_entries", "_index")

    def __init__(self, schools: Sequence[School]) -> None:
        own = dict.fromkeys(FoundMunicipality(s.municipality, None) for s in schools)
        towns = dict.fromkeys(
            FoundMunicipality(s.municipality, s.place)
            for s in schools
            if s.place != s.municipality.name
        )
        self._entries = sorted((*own, *towns), key=_written)
        self._index = WordIndex(
            (at, words_of(_written(entry)).tokens) for at, entry in enumerate(self._entries)
        )

    def find(self, query: str, limit: int) -> list[FoundMunicipality]:
        """At most `limit`, each municipality once, best first."""
        wanted = plain(query[:QUERY_LENGTH_MAX]).strip()
        tokens = words_of(wanted).tokens
        if not tokens:
            return []
        found = [dict(self._fitting(token)) for token in tokens]
        together = [at for at in found[0] if all(at in one for one in found)]
        ranked = sorted(together, key=lambda at: self._rank(at, found, wanted))
        best: dict[str, FoundMunicipality] = {}
        for at in ranked:
            best.setdefault(self._entries[at].municipality.code, self._entries[at])
        return list(best.values())[: min(limit, LIMIT_MAX)]

    def _fitting(self, token: str) -> Iterator[tuple[int, int]]:
        """Entry and how far off it is: 0 the word, 1 its beginning, 2 a typo."""
        off: dict[int, int] = {}
        for known, entries in self._index.starting_with(token):
            for at in entries:
                off[at] = min(off.get(at, 2), int(known != token))
        if not off:
            off = {at: 2 for _, entries in self._index.close_to(token) for at in entries}
        return iter(off.items())

    def _rank(
        self, at: int, found: Sequence[dict[int, int]], wanted: str
    ) -> tuple[bool, int, bool, str]:
        entry = self._entries[at]
        written = _written(entry)
        is_other = plain(written).strip(" -") != wanted
        return is_other, sum(one[at] for one in found), entry.place is not None, written


def _written(entry: FoundMunicipality) -> str:
    return entry.place or entry.municipality.name
