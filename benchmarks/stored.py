"""What a report costs when many cases are stored, and whether memory stays flat.

The cases are not loaded by SQL but reported, routed, offered and accepted: the rows are those of
real cases in every table of every service, and the memory of the services has seen them all.
"""

from collections.abc import Callable

from benchmarks.designs import Design, Place
from benchmarks.measure import megabytes, send_and_count, usage
from benchmarks.report import Stored

FEW = 10_000
# Caches, pools and the allocator have their size after this many; from here memory must be flat.
SETTLED = 100_000
_STEP = 10_000


async def measure_stored(
    design: Design, place: Place, many: int, probe: int, show: Callable[[str], None]
) -> Stored:
    """CPU per report with `FEW` and with `many` cases stored, over `probe` reports each."""
    settled = min(SETTLED, many)
    await _fill(design, FEW, many, show)
    few_us = await _cost(design, place, probe, show)
    await _fill(design, settled, many, show)
    settled_mb = megabytes(usage(design, place), design)
    await _fill(design, many, many, show)
    many_us = await _cost(design, place, probe, show)
    many_mb = megabytes(usage(design, place), design)
    return Stored(FEW, settled, many, few_us, many_us, settled_mb, many_mb)


async def _fill(design: Design, wanted: int, many: int, show: Callable[[str], None]) -> None:
    while (there := await design.counted()) < wanted:
        show(f"{there:,} of {many:,} cases stored")
        await send_and_count(design, design.load(min(_STEP, wanted - there)), lambda _: None)


async def _cost(design: Design, place: Place, probe: int, show: Callable[[str], None]) -> float:
    before = usage(design, place)
    await send_and_count(design, design.load(probe), show)
    return sum(usage(design, place).since(before).values()) / probe * 1e6
