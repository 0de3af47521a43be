"""Many conditions at once: a bit per condition, a look-up per answer. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from contracts.situation import Accused, Flag, Kind, Reporter, Sector, Subject
from services.routing.domain import Match

FIELDS = ("sector", "reporter", "kind", "subject", "accused")
ANSWERS: dict[str, tuple[str, ...]] = {
    "sector": tuple(Sector),
    "reporter": tuple(Reporter),
    "kind": tuple(Kind),
    "subject": tuple(Subject),
    "accused": tuple(Accused),
}


class Facts(NamedTuple):
    """A situation as rules see it: flags as bits, kind after standing, accused never `unknown`."""

    sector: str
    reporter: str
    kind: str
    subject: str
    accused: str
    affiliation: str
    flags: int


FLAG_BIT: dict[Flag, int] = {flag: 1 << index for index, flag in enumerate(Flag)}


def flag_bits(flags: tuple[Flag, ...]) -> int:
    """The flags as one number."""
    bits = 0
    for flag in flags:
        bits |= FLAG_BIT[flag]
    return bits


@lru_cache(maxsize=4096)
def flags_of(bits: int) -> tuple[Flag, ...]:
    """The flags of a number, in the order of the contract."""
    return tuple(flag for flag, bit in FLAG_BIT.items() if bits & bit)


class MatchTable:
    """Many `Match` conditions at once: `select` gives the bits of those that hold.

    A field on which no condition rests is left out, and the outcome of each set of flags is kept:
    with twelve flags there are at most 4,096 of them.
    """

    __slots__ = ("_all", "_by_answer", "_by_flags", "_forbids", "_needs")

    def __init__(self, matches: tuple[Match, ...]) -> None:
        self._all = (1 << len(matches)) - 1
        self._by_flags: dict[int, int] = {}
        answers = {
            **ANSWERS,
            "affiliation": tuple(sorted({v for m in matches for v in m.affiliation})),
        }
        self._by_answer: list[tuple[int, dict[str, int], int]] = []
        for position, (field, values) in enumerate(answers.items()):
            unconditional = bits_where(not getattr(match, field) for match in matches)
            if unconditional == self._all:
                continue
            table = {
                str(value): unconditional
                | bits_where(value in getattr(match, field) for match in matches)
                for value in values
            }
            self._by_answer.append((position, table, unconditional))
        self._needs = [
            (FLAG_BIT[f], ~bits_where(f in m.flags for m in matches))
            for f in Flag
            if any(f in m.flags for m in matches)
        ]
        self._forbids = [
            (FLAG_BIT[f], ~bits_where(f in m.not_flags for m in matches))
            for f in Flag
            if any(f in m.not_flags for m in matches)
        ]

    def select(self, facts: Facts) -> int:
        """Bits of the conditions that hold."""
        flags = facts.flags
        bits = self._by_flags.get(flags)
        if bits is None:
            bits = self._by_flags[flags] = self._under(flags)
        for position, table, unconditional in self._by_answer:
            bits &= table.get(facts[position], unconditional)  # type: ignore[arg-type]
        return bits

    def whatever_flags(self, facts: Facts) -> int:
        """Bits of the conditions that some flags and some affiliation would make hold."""
        bits = self._all
        for position, table, unconditional in self._by_answer:
            if position < len(FIELDS):
                bits &= table.get(facts[position], unconditional)  # type: ignore[arg-type]
        return bits

    def _under(self, flags: int) -> int:
        bits = self._all
        for flag, kept in self._needs:
            if not flags & flag:
                bits &= kept
        for flag, kept in self._forbids:
            if flags & flag:
                bits &= kept
        return bits


class Selector:
    """Several lists of conditions as one table: one look-up per answer serves all of them."""

    __slots__ = ("_sections", "_table")

    def __init__(self, **sections: tuple[Match, ...]) -> None:
        self._table = MatchTable(tuple(match for matches in sections.values() for match in matches))
        self._sections: dict[str, tuple[int, int]] = {}
        offset = 0
        for name, matches in sections.items():
            self._sections[name] = (offset, (1 << len(matches)) - 1)
            offset += len(matches)

    def select(self, facts: Facts) -> int:
        """Bits of everything that holds; `section` cuts out one list."""
        return self._table.select(facts)

    def whatever_flags(self, facts: Facts) -> int:
        """Bits of everything that some flags and some affiliation would make hold."""
        return self._table.whatever_flags(facts)

    def section(self, bits: int, name: str) -> int:
        """The bits of one list."""
        offset, mask = self._sections[name]
        return bits >> offset & mask


def indices(bits: int) -> list[int]:
    """Positions of the set bits, lowest first."""
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


def bits_where(values: Iterable[bool]) -> int:
    """A number with a bit for each value that is true, the first one lowest."""
    total = 0
    for index, value in enumerate(values):
        if value:
            total |= 1 << index
    return total
