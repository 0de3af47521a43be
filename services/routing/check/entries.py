"""What an organisation takes by its own entry, read plainly from the register.

Nothing here is shared with `rules` or `compiled`: the proof would else repeat their mistakes.
"""

from collections.abc import Iterable
from functools import cached_property

from contracts.situation import Flag, Kind
from services.routing.check.classes import BIT, Case, Space, bits_of, can_hold, entry_takes
from services.routing.check.space import Base
from services.routing.domain import Loket, Organisation, Register


class Entries:
    """The entries of one register, asked per five answers; what was asked is remembered."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self.by_id = {o.id: o for o in register.organisations}
        self._base: Base | None = None
        self._kind: Kind | None = None
        self._takes: dict[str, bool] = {}
        self._sets: dict[tuple[int, str], frozenset[str]] = {}
        self._lokets: frozenset[str] = frozenset()
        self._orders: tuple[bool, ...] = ()
        self._profiles: dict[frozenset[str], tuple[object, int, bool]] = {}

    def ask(self, base: Base, kind: Kind) -> None:
        """From now on about these answers; `kind` is the kind after standing."""
        self._base = base
        self._kind = kind
        self._takes = {o.id: entry_takes(o, base, kind) for o in self._register.organisations}
        self._sets = {}
        self._profiles = {}
        self._lokets = frozenset(self._open_lokets(base, kind))
        self._orders = tuple(
            can_hold(line.match, base, kind)
            for o in self._register.organisations
            for line in o.loket_order
        )

    def takes(self, organisation: str) -> bool:
        """Whether the entry lists all five answers."""
        return self._takes[organisation]

    def faults(self, party: str, case: Case, kind_at_primary: Kind) -> Iterable[str]:
        """Why this party is not competent or admissible by its entry; nothing when it is."""
        organisation, _, loket = party.partition("/")
        entry = self.by_id[organisation]
        if not self._takes[organisation]:
            yield "the entry does not list these answers"
        if kind_at_primary not in self._kinds(entry):
            yield f"the entry takes no {kind_at_primary}"
        if entry.requires_affiliation and entry.id != case.affiliation:
            yield "the board is not affiliated with it"
        if any(not case.facts & BIT[flag] for flag in entry.requires_flags):
            yield "a fact that the entry requires is absent"
        if loket:
            desk = next(item for item in entry.loketten if item.id == loket)
            if not _loket_lists(desk, case.base) or (
                desk.kinds is not None and kind_at_primary not in desk.kinds
            ):
                yield "the loket does not take these answers"

    def competent(self, case: Case) -> frozenset[str]:
        """Organisations that could be sent this case; without the desk and those only shown."""
        key = (case.facts, case.affiliation)
        found = self._sets.get(key)
        if found is None:
            found = frozenset(o.id for o in self._sendable if self._admits(o, case))
            self._sets[key] = found
        return found

    def profile(self, case: Case, space: Space) -> object:
        """All that can matter for who is asked in turn: cases that agree in it have one chain."""
        held = space.until_the_desk(case.held)
        named = space.named(held)
        known = self._profiles.get(named)
        if known is None:
            takes = frozenset(party for party in named if self._takes.get(party))
            entries = [self.by_id[party] for party in takes]
            asked = bits_of({flag for entry in entries for flag in entry.requires_flags})
            affiliated = any(entry.requires_affiliation for entry in entries)
            assert self._base is not None
            lokets = self._lokets & named
            alike = (takes, self._kind, self._base.accused, lokets, self._orders)
            known = self._profiles[named] = (alike, asked | space.loket_flags, affiliated)
        same, asked, affiliated = known
        where = case.affiliation if affiliated else ""
        return held, case.tried, case.facts & asked, where, same

    @cached_property
    def _sendable(self) -> tuple[Organisation, ...]:
        desk = self._register.desk
        organisations = self._register.organisations
        return tuple(o for o in organisations if o.referral_mode != "show_only" and o.id != desk)

    def _admits(self, organisation: Organisation, case: Case) -> bool:
        return (
            self._takes[organisation.id]
            and case.base.accused not in organisation.accused_when
            and (not organisation.requires_affiliation or organisation.id == case.affiliation)
            and all(case.facts & BIT[flag] for flag in organisation.requires_flags)
        )

    def _open_lokets(self, base: Base, kind: Kind) -> Iterable[str]:
        for organisation in self._register.organisations:
            for loket in organisation.loketten:
                if _loket_lists(loket, base) and (loket.kinds is None or kind in loket.kinds):
                    yield f"{organisation.id}/{loket.id}"

    @staticmethod
    def _kinds(entry: Organisation) -> set[Kind]:
        more = (row.kinds for row in entry.also_competent if row.kinds is not None)
        return {kind for kinds in (entry.kinds, *more) for kind in kinds}


def _loket_lists(loket: Loket, base: Base) -> bool:
    return (
        base.accused not in loket.accused_when
        and (loket.sectors is None or base.sector in loket.sectors)
        and (loket.reporters is None or base.reporter in loket.reporters)
        and (loket.subjects is None or base.subject in loket.subjects)
    )


def flags_of(bits: int) -> tuple[Flag, ...]:
    """The facts behind a number."""
    return tuple(flag for flag in Flag if bits & BIT[flag])
