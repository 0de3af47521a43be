"""`meldpunt bench`: the pipeline beside its ceilings, a bare skeleton and a naive design."""

import argparse
import asyncio
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from benchmarks.designs import BenchError, Design, Place, Reference
from benchmarks.measure import (
    Drain,
    Round,
    Sizes,
    measure_drain,
    measure_round,
    send_and_count,
)
from benchmarks.pipeline import SITUATION, Pipeline
from benchmarks.report import DESIGNS, Outcome, Stored, markdown, record
from benchmarks.stored import measure_stored
from deploy.commands.base import (
    CommandError,
    Progress,
    Subparsers,
    add_command,
    data_root,
    emit,
    share_downloads,
)

ROUNDS = 3
_NARRATIVE = (
    "Mijn kind komt al weken verdrietig thuis en wil niet meer naar school. Wij hebben er met de "
    "mentor over gesproken, maar er veranderde niets. Wij maken ons grote zorgen en willen graag "
    "dat iemand met ons meekijkt wat er nu moet gebeuren en wie ons daarbij kan helpen. "
)
_QUICK = Sizes(reports=3000, reports_naive=150, warm_up=300, latency_seconds=3, half_seconds=2)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `bench`."""
    parser = add_command(
        subparsers,
        "bench",
        run,
        text="Measure the pipeline beside its ceilings, a bare skeleton and a naive design.",
        example="meldpunt bench --quick",
        data=data_root() / "bench",
    )
    add = parser.add_argument
    add("--reports", type=_number, default=20_000, help="reports per round (default 20000)")
    add("--naive-reports", type=_number, default=1000, help="for the naive design (default 1000)")
    add("--rounds", type=_number, default=ROUNDS, help=f"interleaved rounds (default {ROUNDS})")
    add("--backlog", type=_whole, default=20_000, help="reports to drain, 0: none (default 20000)")
    add("--stored", type=_whole, default=0, help="also the cost with this many cases stored")
    add("--two", action="store_true", help="also two instances of each service beside one")
    add("--quick", action="store_true", help="one small round of each, under a minute")
    add("--record", type=Path, metavar="FILE", help="put the result between the markers of FILE")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number of at least 1")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("give a number of at least 0")
    return number


def run(options: argparse.Namespace) -> int:
    """Measure, show, record; status 0 when every requirement is met."""
    from deploy.local.stack import embedded_servers
    from deploy.local.supervisor import EXPECTED_ERRORS

    share_downloads()
    if options.record and not options.record.is_file():
        raise CommandError(f"{options.record} does not exist; name a file that has the markers.")
    progress = Progress("bench")
    body = json.dumps({"situation": SITUATION, "narrative": _NARRATIVE * 2, "channel": "web"})
    options.data.mkdir(parents=True, exist_ok=True)
    try:
        with embedded_servers(options.data.resolve(), progress.show) as servers:
            place = Place(servers, options.data.resolve(), body)
            outcome = uvloop.run(_measure(options, place, progress.show))
        result = markdown(outcome)
        if options.record:
            record(options.record, result)
    except (BenchError, *EXPECTED_ERRORS) as error:
        raise CommandError(str(error)) from error
    passed = all(ratio.passed for ratio in outcome.ratios())
    progress.end("all requirements met" if passed else "a requirement is not met, see FAIL")
    emit(options, outcome.as_document(), result)
    return 0 if passed else 1


async def _measure(
    options: argparse.Namespace, place: Place, show: Callable[[str], None]
) -> Outcome:
    from benchmarks.ceilings import measure_ceilings

    quick = options.quick
    sizes = _QUICK if quick else Sizes(options.reports, options.naive_reports, 500, 10.0, 6.0)
    show("measuring ceilings")
    ceilings = await measure_ceilings(place, 4 if quick else 20, lambda t: show(f"ceiling, {t}"))
    rounds: dict[str, list[Round]] = {name: [] for name in DESIGNS}
    total = 1 if quick else options.rounds
    drain: Drain | None = None
    for number in range(1, total + 1):
        for name in DESIGNS:
            backlog = (3000 if quick else options.backlog) if number == total else 0
            told = _telling(show, f"round {number} of {total}, {name}")
            design = _design(place, name)
            measured, drained = await _round(design, place, sizes, backlog, told)
            rounds[name].append(measured)
            drain = drained or drain
    stored: Stored | None = None
    if options.stored:
        stored = await _stored(place, options.stored, sizes, _telling(show, "stored cases"))
    two = await _two(place, sizes, _telling(show, "two instances")) if options.two else None
    command = shlex.join(["meldpunt", "bench", *_given()])
    taken = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Outcome(command, taken, machine(), ceilings, rounds, drain, stored, two)


async def _round(
    design: Design, place: Place, sizes: Sizes, backlog: int, show: Callable[[str], None]
) -> tuple[Round, Drain | None]:
    show("starting")
    try:
        await design.start()
        measured = await measure_round(design, place, sizes, show)
        drained = None
        if isinstance(design, Pipeline):
            await _verify(design)
            if backlog:
                drained = await measure_drain(design, backlog, show)
                await _verify(design)
    finally:
        await asyncio.shield(design.stop())
    return measured, drained


async def _stored(place: Place, many: int, sizes: Sizes, show: Callable[[str], None]) -> Stored:
    design = Pipeline(place)
    try:
        await design.start()
        return await measure_stored(design, place, many, sizes.reports, show)
    finally:
        await asyncio.shield(design.stop())


async def _two(place: Place, sizes: Sizes, show: Callable[[str], None]) -> float:
    """Reports per second with two instances of each service; nothing may be lost or doubled."""
    design = Pipeline(place, instances=2)
    try:
        await design.start()
        await send_and_count(design, design.load(min(sizes.warm_up, sizes.reports)), show)
        result, counted_at = await send_and_count(design, design.load(sizes.reports), show)
        await _verify(design)
    finally:
        await asyncio.shield(design.stop())
    return sizes.reports / (counted_at - result.began_at)


async def _verify(design: Pipeline) -> None:
    """A fast pipeline that lost something would be worth nothing."""
    found = await design.completeness()
    wrong = {
        name: found[name]
        for name in ("open", "incomplete", "parked", "missingEvents")
        if found[name]
    }
    if wrong or found["cases"] != found["accepted"]:
        raise BenchError(f"audit does not find everything accounted for: {wrong or dict(found)}")


def _design(place: Place, name: str) -> Design:
    return Pipeline(place) if name == "pipeline" else Reference(place, name)


def _telling(show: Callable[[str], None], where: str) -> Callable[[str], None]:
    return lambda text: show(f"{where}: {text}")


def _given() -> list[str]:
    """The arguments that decide what is measured, as the user gave them."""
    kept: list[str] = []
    skip = False
    for argument in sys.argv[1:]:
        if not skip and argument not in {"bench", "--json"}:
            skip = argument in {"--data", "--record"}
            if not skip and not argument.startswith(("--data=", "--record=")):
                kept.append(argument)
        else:
            skip = False
    return kept


def machine() -> str:
    """What the figures were taken on, in a few words."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, load average {load:.1f} at the end"
    )
