"""The measurements of one round, the same for every design."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.designs import BenchError, Design, Place
from benchmarks.load import LoadPlan, LoadResult, percentile
from benchmarks.usage import Usage, read_usage

LATENCY_RATE = 50.0
STALL_SECONDS_MAX = 45.0
_COUNT_SECONDS = 0.1

Show = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much one round measures. `naive` designs get `reports_naive`."""

    reports: int
    reports_naive: int
    warm_up: int
    latency_seconds: float
    half_seconds: float


@dataclass(frozen=True)
class Round:
    """Figures of one round: rates per second, times in ms, CPU in us per report, memory in MB.

    `cpu_us` is that of all processes but the sender of the load: services, servers and partner.
    """

    throughput: float
    intake_rate: float
    cpu_us: float
    cpu_by_service_us: Mapping[str, float]
    server_cpu_us: Mapping[str, float]
    load_cpu_us: float
    latency_p50_ms: float
    latency_p99_ms: float
    receipt_rate: float
    receipt_p50_ms: float
    receipt_p99_ms: float
    resident_before_mb: Mapping[str, float]
    resident_after_mb: Mapping[str, float]


@dataclass(frozen=True)
class Drain:
    """A backlog worked off: `rate` from the first offer that the partner read to the last report
    counted, `seconds` from the start of the processes."""

    backlog: int
    seconds: float
    rate: float


async def send(plan: LoadPlan) -> LoadResult:
    """Run the load generator in a process of its own; raises BenchError on any refusal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        answer, _ = await process.communicate(json.dumps(asdict(plan)).encode())
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise BenchError(f"the load generator ended with status {process.returncode}")
    result = LoadResult(**json.loads(answer))
    if result.receipts != plan.reports:
        raise BenchError(
            f"{plan.reports} reports were sent, {result.receipts} receipts came; refused:"
            f" {dict(result.refused)}; the first refusal: {result.example_of_refusal!r}"
        )
    return result


async def until_counted(design: Design, wanted: int, show: Show) -> float:
    """Wait until audit counts `wanted` reports as accepted; gives that moment (since 1970)."""
    last, moved_at = -1, time.monotonic()
    while True:
        now = await design.counted()
        if now >= wanted:
            return time.time()
        if now != last:
            last, moved_at = now, time.monotonic()
            show(f"{now:,} of {wanted:,} accepted and counted")
        elif time.monotonic() - moved_at > STALL_SECONDS_MAX:
            raise BenchError(
                f"{design.name}: {now} of {wanted} reports were accepted and counted, then nothing"
                f" moved for {STALL_SECONDS_MAX:.0f} s; look in the logs of its services"
            )
        await asyncio.sleep(_COUNT_SECONDS)


async def send_and_count(design: Design, plan: LoadPlan, show: Show) -> tuple[LoadResult, float]:
    """Send a plan; gives the result and the moment at which the last report was counted."""
    wanted = await design.counted() + plan.reports
    sending = asyncio.create_task(send(plan))
    counting = asyncio.create_task(until_counted(design, wanted, show))
    try:
        return await sending, await counting
    finally:
        for task in (sending, counting):
            task.cancel()
        await asyncio.gather(sending, counting, return_exceptions=True)


async def measure_round(design: Design, place: Place, sizes: Sizes, show: Show) -> Round:
    """Warm up, then throughput, latency at a low rate, receipts at half of the maximum."""
    reports = sizes.reports_naive if design.name == "naive" else sizes.reports
    warm_up = min(sizes.warm_up, reports // 5)
    show("warming up")
    await send_and_count(design, design.load(warm_up), show)
    before = usage(design, place)
    result, counted_at = await send_and_count(design, design.load(reports), show)
    after = usage(design, place)
    throughput = reports / (counted_at - result.began_at)
    used = {name: s / reports * 1e6 for name, s in after.since(before).items()}
    services = {name: used[name] for name in design.pids()}
    show(f"{throughput:,.0f} reports/s; offers at {LATENCY_RATE:.0f} reports/s")
    latencies = await measure_latency(design, place, sizes.latency_seconds, show)
    half = throughput / 2
    show(f"receipts at {half:,.0f} reports/s")
    number = max(50, int(half * sizes.half_seconds))
    receipts, _ = await send_and_count(design, design.load(number, rate=half), show)
    return Round(
        throughput=throughput,
        intake_rate=reports / (result.ended_at - result.began_at),
        cpu_us=sum(used.values()),
        cpu_by_service_us=services,
        server_cpu_us={name: used[name] for name in place.server_pids()},
        load_cpu_us=used["partner"],
        latency_p50_ms=percentile(latencies, 0.50) * 1000,
        latency_p99_ms=percentile(latencies, 0.99) * 1000,
        receipt_rate=half,
        receipt_p50_ms=receipts.p50 * 1000,
        receipt_p99_ms=receipts.p99 * 1000,
        resident_before_mb=megabytes(before, design),
        resident_after_mb=megabytes(after, design),
    )


async def measure_latency(design: Design, place: Place, seconds: float, show: Show) -> list[float]:
    """Seconds from the sending of a report to the reading of its offer by the partner, ordered."""
    moments = place.folder / f"{design.name}.moments"
    plan = design.load(int(LATENCY_RATE * seconds), LATENCY_RATE, moments)
    await send_and_count(design, plan, show)
    sent, read = _moments(moments), _moments(design.arrivals())
    moments.unlink()
    missing = sent.keys() - read.keys()
    if missing:
        raise BenchError(f"{design.name}: {len(missing)} offers of {len(sent)} did not arrive")
    return sorted(read[case_id] - moment for case_id, moment in sent.items())


async def measure_drain(design: Design, backlog: int, show: Show) -> Drain:
    """Accept reports while all but intake is down, then start the rest and work the backlog off."""
    before = await design.counted()
    earlier = _moments(design.arrivals()).keys()
    await design.pause()
    show(f"accepting {backlog:,} reports while routing, referral and audit are down")
    await send(design.load(backlog))
    started_at = time.time()
    await design.resume()
    ended_at = await until_counted(design, before + backlog, show)
    read = _moments(design.arrivals())
    first_at = min(read[case_id] for case_id in read.keys() - earlier)
    return Drain(backlog, ended_at - started_at, backlog / (ended_at - first_at))


def usage(design: Design, place: Place) -> Usage:
    """What all processes but the sender of the load have used: services, servers and partner."""
    partner = {"partner": design.partner_pid()}
    return read_usage({**design.pids(), **place.server_pids(), **partner})


def megabytes(used: Usage, design: Design) -> dict[str, float]:
    """Resident memory of the services in MB."""
    return {name: used.resident[name] / 1e6 for name in design.pids()}


def _moments(file: Path) -> dict[str, float]:
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}
