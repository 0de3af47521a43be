"""`meldpunt simulate`: the pure core under a hostile scheduler, seed by seed."""

import argparse
from typing import Any

from deploy.commands.base import Progress, Subparsers, add_command, emit, say
from deploy.simulate.defects import DEFECTS
from deploy.simulate.run import Summary, one, simulate
from deploy.simulate.scheduler import Result

SEEDS = 2000
ALL = "all"
_SHOWN_MAX = 5


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `simulate`."""
    parser = add_command(
        subparsers,
        "simulate",
        _simulate,
        text="Run the rules under lost, repeated, late and reordered messages, crashes and a"
        " leaping clock. The promises P1 to P4 and P7 are checked at every step; exit status 0"
        " only when all of them hold, or when all seeded defects were found.",
        example="meldpunt simulate --seeds 10000 --seed 1",
    )
    parser.add_argument(
        "--seeds", type=_positive, default=SEEDS, help="how many worlds (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the first seed; same seed, same world")
    parser.add_argument(
        "--defect",
        choices=[*DEFECTS, ALL],
        metavar="NAME",
        help=f"run with a seeded defect, which must turn red: {', '.join(DEFECTS)}; or"
        f" `{ALL}`, which is good when each of them was found",
    )
    parser.add_argument(
        "--trace", action="store_true", help="print every step of the first seed, and run only that"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return number


def _simulate(options: argparse.Namespace) -> int:
    if options.trace:
        if options.defect == ALL:
            raise RuntimeError("Give --trace one defect by its name, or none.")
        return _traced(options)
    if options.defect == ALL:
        return _proved(options)
    progress = Progress("seeds")
    summary = simulate(options.seed, options.seeds, options.defect, _shown(progress))
    found = len(summary.failures)
    progress.end(f"{summary.seeds} done, {found} failed, {summary.seconds:.1f} s")
    document = {
        "good": not summary.failures,
        "seed": options.seed,
        "seeds": summary.seeds,
        "steps": summary.steps,
        "seconds": round(summary.seconds, 1),
        "defect": options.defect,
        "failed": found,
        "failures": [_failure(item, options.defect) for item in summary.failures[:_SHOWN_MAX]],
    }
    emit(options, document, _text(summary, options.defect))
    return 1 if summary.failures else 0


def _traced(options: argparse.Namespace) -> int:
    """One seed, step by step; the trace goes to stderr when stdout is for a script."""
    result = one(options.seed, options.defect)
    show = say if options.json else print
    for number, line in enumerate(result.lines, 1):
        show(f"{number:>5}  {line}")
    good = result.promise is None
    failures = [] if good else [_failure(result, options.defect)]
    document = {
        "good": good,
        "seed": options.seed,
        "seeds": 1,
        "steps": result.steps,
        "defect": options.defect,
        "failed": len(failures),
        "failures": failures,
    }
    verdict = "GOOD" if good else f"BROKEN {result.promise}: {result.text}"
    emit(options, document, f"{verdict} (seed {options.seed}, {result.steps} steps)")
    return 0 if good else 1


def _proved(options: argparse.Namespace) -> int:
    """Every defect must be found within the seeds, by the promise that it breaks."""
    rows: list[dict[str, Any]] = []
    for name, defect in DEFECTS.items():
        progress = Progress(name)
        summary = simulate(
            options.seed, options.seeds, name, _shown(progress), until=defect.promise
        )
        as_expected = [item for item in summary.failures if item.promise == defect.promise]
        first = next(iter(as_expected or summary.failures), None)
        found = bool(as_expected)
        progress.end("found" if found else "NOT FOUND")
        row = {"defect": name, "found": found, "expected": defect.promise, "seeds": summary.seeds}
        rows.append(row | (_failure(first, name) if first is not None else {}))
    good = all(row["found"] for row in rows)
    document = {"good": good, "seed": options.seed, "seeds": options.seeds, "defects": rows}
    lines = [
        f"{'found' if row['found'] else 'NOT FOUND':<10}{row['defect']:<20}"
        f"{row.get('promise', ''):<5}{row.get('problem', '')}"
        for row in rows
    ]
    count = sum(row["found"] for row in rows)
    lines.append(f"{'GOOD' if good else 'NOT GOOD'}: {count} of {len(rows)} seeded defects found")
    emit(options, document, "\n".join(lines))
    return 0 if good else 1


def _shown(progress: Progress) -> Any:
    return lambda done, count: progress.show(f"{done} of {count}")


def _failure(result: Result, defect: str | None) -> dict[str, Any]:
    return {
        "failingSeed": result.seed,
        "promise": result.promise,
        "problem": result.text,
        "replay": _replay(result.seed, defect),
    }


def _replay(seed: int, defect: str | None) -> str:
    given = "" if defect is None else f" --defect {defect}"
    return f"meldpunt simulate --seed {seed} --seeds 1 --trace{given}"


def _text(summary: Summary, defect: str | None) -> str:
    lines = []
    for item in summary.failures[:_SHOWN_MAX]:
        lines.append(f"seed {item.seed} broke {item.promise}: {item.text}")
        lines.append(f"  replay: {_replay(item.seed, defect)}")
    more = len(summary.failures) - _SHOWN_MAX
    if more > 0:
        lines.append(f"and {more} seeds more")
    good = "NOT GOOD" if summary.failures else "GOOD"
    lines.append(
        f"{good}: {summary.seeds} seeds, {summary.steps} steps, {summary.seconds:.1f} s;"
        f" {len(summary.failures)} seeds broke a promise"
    )
    return "\n".join(lines)
