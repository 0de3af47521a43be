"""Is everything accounted for: the counts, the holes and what no tally vouches for yet."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from services.audit import figure_store, store
from services.audit.domain import Progress, Standing
from services.audit.sequences import missing_ranges
from services.chassis.db import Connection

# The number of missing events is always exact; of the ranges the first are enough to act on.
RANGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Hole:
    """Events that exist, or are said to, and were never seen: first and last sequence."""

    source: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Completeness:
    """All counts at one moment, of one snapshot of the database."""

    as_of: datetime
    counters: dict[str, int]
    overdue: int
    holder_overdue: int
    failing_deliveries: int
    parked: int
    sources: list[Progress]
    holes: list[Hole]

    def standing(self, standing: Standing) -> int:
        """Number of cases with this standing."""
        return self.counters[standing.value]

    @property
    def open(self) -> int:
        """Cases that no partner holds, that are no named case of the desk and not closed."""
        named = (Standing.PICKED_UP, Standing.AT_DESK, Standing.CLOSED)
        return self.counters["cases"] - sum(map(self.standing, named))

    @property
    def unpicked(self) -> int:
        """Cases that nobody has and that somebody must act on now."""
        alarms = self.standing(Standing.INCOMPLETE) + self.standing(Standing.PARKED)
        return alarms + self.overdue

    @property
    def missing_events(self) -> int:
        """Events that are missing over all sources."""
        return sum(source.missing for source in self.sources)

    @property
    def reused_sequences(self) -> int:
        """Events under a number that another event of their source had, over all sources."""
        return sum(source.reused for source in self.sources)

    @property
    def not_tallied(self) -> list[Progress]:
        """Sources whose newest events no tally vouches for yet."""
        return [source for source in self.sources if source.tally_lags]

    @property
    def complete(self) -> bool:
        """Nothing is known to be missing or put aside, and no number says two things."""
        incomplete = self.standing(Standing.INCOMPLETE)
        return not (self.missing_events or self.reused_sequences or self.parked or incomplete)

    @property
    def settled(self) -> bool:
        """Complete, and the tallies prove that nothing came after what was seen."""
        return self.complete and bool(self.sources) and not self.not_tallied


async def measure(connection: Connection, now: datetime) -> Completeness:
    """Count; give a read-only snapshot, so that the numbers belong together."""
    sources = await store.every_progress(connection)
    holes: list[Hole] = []
    for source in sources:
        if source.missing and len(holes) < RANGES_MAX:
            blocks = await store.every_block(connection, source.source)
            ranges = missing_ranges(blocks, source.highest)
            found = islice(ranges, RANGES_MAX - len(holes))
            holes += [Hole(source.source, first, last) for first, last in found]
    overdue, holder_overdue = await store.count_overdue(connection, now)
    return Completeness(
        as_of=now,
        counters=await store.counters(connection),
        overdue=overdue,
        holder_overdue=holder_overdue,
        failing_deliveries=await figure_store.count_failing(connection),
        parked=await store.count_parked(connection),
        sources=sources,
        holes=holes,
    )
