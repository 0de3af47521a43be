"""What a report costs when many cases are stored, and whether memory stays flat.

The cases are not loaded by SQL but reported, routed, offered and accepted: the rows are those of
real cases in every table of every service, and the memory of the services has seen them all.
"""

from collections.abc import Callable

from benchmarks.designs import Design, Place
from benchmarks.measure import send_and_count
from benchmarks.report import SERVICES, Stored
from benchmarks.usage import read_usage

FEW = 10_000
_STEP = 10_000


async def measure_stored(
    design: Design, place: Place, many: int, probe: int, show: Callable[[str], None]
) -> Stored:
    """CPU per report with `FEW` and with `many` cases stored, over `probe` reports each."""
    show(f"{FEW:,} cases first")
    await _fill(design, FEW, show)
    few_us, few_mb = await _cost(design, place, probe, show)
    await _fill(design, many, show)
    many_us, many_mb = await _cost(design, place, probe, show)
    return Stored(FEW, many, few_us, many_us, few_mb, many_mb)


async def _fill(design: Design, wanted: int, show: Callable[[str], None]) -> None:
    while (there := await design.counted()) < wanted:
        show(f"{there:,} of {wanted:,} cases stored")
        await send_and_count(design, design.load(min(_STEP, wanted - there)), lambda _: None)


async def _cost(
    design: Design, place: Place, probe: int, show: Callable[[str], None]
) -> tuple[float, dict[str, float]]:
    processes = {**design.pids(), "postgres": place.server_pids()["postgres"]}
    before = read_usage(processes)
    await send_and_count(design, design.load(probe), show)
    after = read_usage(processes)
    held = {name: after.resident[name] / 1e6 for name in SERVICES}
    return sum(after.since(before).values()) / probe * 1e6, held
