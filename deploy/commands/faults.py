"""`meldpunt faults`: load, SIGKILLs, and a judgement from the outside."""

import argparse
from dataclasses import fields
from typing import Any

from deploy.commands.base import Subparsers, add_command, data_root, emit, say, share_downloads
from deploy.faults.broken import DEFECTS
from deploy.faults.run import DRAIN_SECONDS_REQUIRED, Options, Outcome, run


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `faults`."""
    parser = add_command(
        subparsers,
        "faults",
        _faults,
        text="Kill services, broker and database during load; exit status 0 when nothing is lost.",
        example="meldpunt faults --reports 1000 --seed 1",
        data=data_root() / "faults",
    )
    parser.add_argument("--reports", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same faults")
    parser.add_argument("--service-kills", type=int, default=3, help="per service (default: 3)")
    parser.add_argument(
        "--server-kills", type=int, default=1, help="of broker and of database each (default: 1)"
    )
    parser.add_argument(
        "--defect", choices=sorted(DEFECTS), help="run with a seeded defect: must turn red"
    )
    parser.add_argument(
        "--drain-seconds", type=float, default=150.0, help="wait at most this long at the end"
    )


def _faults(options: argparse.Namespace) -> int:
    share_downloads()
    outcome = run(
        Options(
            reports=options.reports,
            seed=options.seed,
            data_dir=options.data.absolute(),
            service_kills=options.service_kills,
            server_kills=options.server_kills,
            defect=options.defect,
            drain_seconds_max=options.drain_seconds,
        ),
        say,
    )
    document = {
        "good": outcome.good,
        "seed": options.seed,
        "reports": options.reports,
        "killed": outcome.killed,
        "loadSeconds": round(outcome.load_seconds, 1),
        **_figures(outcome),
    }
    emit(options, document, _text(outcome, options.seed))
    return 0 if outcome.good else 1


def _figures(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict
    figures = {f.name: getattr(verdict, f.name) for f in fields(verdict)}
    return figures | {"examples": dict(verdict.examples)}


def _text(outcome: Outcome, seed: int) -> str:
    verdict = outcome.verdict
    drained = verdict.drained_seconds
    rows = [
        ("acknowledged", verdict.acknowledged),
        ("lost", verdict.lost),
        ("duplicated effects", verdict.duplicated_effects),
        ("unexpected", verdict.unexpected),
        ("wrong holder", verdict.wrong_holder),
        ("audit incomplete", verdict.audit_incomplete),
        ("indeterminate", verdict.indeterminate),
        ("recovered", verdict.recovered),
        ("duplicate deliveries", verdict.duplicate_deliveries),
        ("drained after", "not drained" if drained is None else f"{drained:.1f} s"),
    ]
    kills = ", ".join(f"{name} {count}" for name, count in sorted(outcome.killed.items()))
    lines = [f"seed {seed}; killed: {kills}; load {outcome.load_seconds:.0f} s"]
    lines += [f"{name:<22}{value}" for name, value in rows]
    for category, texts in verdict.examples.items():
        lines += [f"  {category}: {text}" for text in texts]
    good = "GOOD" if outcome.good else "NOT GOOD"
    lines.append(
        f"{good}: required is 0 lost, 0 duplicated effects, one holder per report, audit complete,"
        f" drained within {DRAIN_SECONDS_REQUIRED:.0f} s"
    )
    return "\n".join(lines)
