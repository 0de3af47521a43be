"""`meldpunt demo`: the whole chain on real input, and then one row per report."""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.client import connect
from deploy.commands.base import (
    CommandError,
    Subparsers,
    add_command,
    data_root,
    emit,
    say,
)
from deploy.commands.cases import BadLine, Case, read_cases
from deploy.commands.chain import DESK, Report, follow, party, send_all
from deploy.commands.partners import channel_of
from deploy.commands.stack import PARTNERS_PLAN, plain_errors, prepare
from deploy.commands.table import Column, render
from deploy.local.control import attached, read_state, start_detached, stop

EXAMPLES = Path(__file__).parents[2] / "examples" / "cases.jsonl"
WAIT_SECONDS = 60.0
_COLUMNS = (
    Column("reference", 12),
    Column("kind", 9),
    Column("organisation", 30),
    Column("why", 24, grows=True),
    Column("channel", 7),
    Column("received", 8),
    Column("accepted", 8),
    Column("holder", 27),
    Column("audit", 10),
)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `demo`."""
    parser = add_command(
        subparsers,
        "demo",
        _demo,
        text="Run the whole chain on cases from a file and show who picked up each of them. Exit"
        " status 0 only when every line became a report and every report has its holder.",
        example="meldpunt demo --input examples/cases.jsonl",
        data=data_root() / "demo",
    )
    parser.add_argument(
        "--input",
        type=Path,
        default=EXAMPLES,
        metavar="FILE.jsonl",
        help="cases, a JSON object per line as in examples/cases.jsonl (the default)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the stack running, to look around"
    )
    parser.add_argument(
        "--wait-seconds",
        type=float,
        default=WAIT_SECONDS,
        metavar="S",
        help="how long the chain may take after the last report (default: %(default)g)",
    )


def _demo(options: argparse.Namespace) -> int:
    began = time.monotonic()
    cases, bad = read_cases(options.input)
    _tell(bad)
    reports: list[Report] = []
    data_dir = options.data.absolute()
    with plain_errors(data_dir), _stack(data_dir, keep=options.keep):
        if cases:
            reports, refused = asyncio.run(_run(data_dir, cases, options.wait_seconds))
            _tell(refused)
            bad += refused
        # Before the stack is stopped: nobody has to wait for that to see the outcome.
        status = _report(options, reports, bad, time.monotonic() - began)
        if not all(report.settled for report in reports):
            say(f"The logs are in {data_dir / 'logs'}; --keep leaves the stack running to look.")
        if options.keep:
            say(f"The stack is left running; stop it with: meldpunt down --data {data_dir}")
    return status


def _tell(bad: Sequence[BadLine]) -> None:
    for line in bad:
        say(f"error: {line}")


def _report(
    options: argparse.Namespace, reports: Sequence[Report], bad: Sequence[BadLine], seconds: float
) -> int:
    """Show the outcome; gives the exit status."""
    rows = [_row(report) for report in reports]
    problems = [*map(_missing, (r for r in reports if not r.settled)), *_bad_lines(bad)]
    document = {
        "reports": [_shown(report, row) for report, row in zip(reports, rows, strict=True)],
        "badLines": [asdict(line) for line in bad],
        "problems": problems,
        "seconds": round(seconds, 1),
    }
    table = render(_COLUMNS, rows) + "\n\n" if rows else ""
    emit(options, document, f"{table}{_summary(reports, problems, seconds)}")
    return 1 if problems else 0


@contextlib.contextmanager
def _stack(data_dir: Path, *, keep: bool) -> Iterator[None]:
    """A ready stack with partners in this folder: one that runs already, or one for this demo."""
    prepare(data_dir)
    running = read_state(data_dir)
    if running.phase == "ready":
        if "partners" not in running.processes:
            raise CommandError(
                f"The stack in {data_dir} runs without partners; nobody would answer. Stop it with"
                f" `meldpunt down --data {data_dir}`, or choose another folder with --data."
            )
        yield
    elif keep:
        try:
            start_detached(data_dir, say, PARTNERS_PLAN)
            yield
        except BaseException:
            stop(data_dir)
            raise
    else:
        with attached(data_dir, say, PARTNERS_PLAN):
            yield
            say("Stopping")


async def _run(
    data_dir: Path, cases: Sequence[Case], wait_seconds: float
) -> tuple[list[Report], list[BadLine]]:
    intake = connect("intake", "channel", data_dir)
    audit, routing = (connect(name, "auditor", data_dir) for name in ("audit", "routing"))
    async with intake, audit, routing:
        reports, bad = await send_all(intake, cases)
        await follow(audit, routing, reports, wait_seconds)
    return reports, bad


def _row(report: Report) -> dict[str, Any]:
    decision = report.decisions[-1] if report.decisions else None
    sent = report.seen.get("mode") in {"refer", "signal"}
    channel = channel_of(decision["organisation"]) if decision and sent else None
    return {
        "reference": report.reference,
        "kind": report.case.kind,
        "organisation": party(decision) if decision else None,
        "why": decision["explanation"].get("why") if decision else None,
        "channel": channel or "desk",
        "received": _seconds(report.seconds_to("referralReceivedAt")),
        "accepted": _seconds(report.seconds_to("acceptedAt")),
        "holder": _holder(report),
        "audit": report.seen.get("state"),
    }


def _holder(report: Report) -> str | None:
    holder = report.seen.get("holder")
    reason = report.seen.get("atDeskReason")
    return f"{holder}: {reason}" if holder == DESK and reason else holder


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f} s"


def _shown(report: Report, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "line": report.case.line,
        "id": report.case.name,
        "caseId": report.case_id,
        **row,
        "holder": report.seen.get("holder"),
        "atDeskReason": report.seen.get("atDeskReason"),
        "receivedSeconds": report.seconds_to("referralReceivedAt"),
        "acceptedSeconds": report.seconds_to("acceptedAt"),
        "decisions": [party(decision) for decision in report.decisions],
        "returns": report.seen.get("returns"),
        "nextStep": report.seen.get("nextStep"),
        "explanation": report.seen.get("explanation"),
        "asExpected": _as_expected(report),
    }


def _as_expected(report: Report) -> bool | None:
    """Whether the case's author would accept the first decision; None when nothing was expected."""
    first = report.first_party
    if not report.case.expected or first is None:
        return None
    return bool({first, first.partition("/")[0]} & set(report.case.expected))


def _missing(report: Report) -> str:
    said = report.seen.get("explanation") or "Audit has not heard of it."
    return f"{report.reference} ({report.case.name}) has no holder with a next step: {said}"


def _bad_lines(bad: Sequence[BadLine]) -> list[str]:
    return [f"{line} Correct the line and run the demo again." for line in bad]


def _summary(reports: Sequence[Report], problems: Sequence[str], seconds: float) -> str:
    held = sum(report.seen.get("state") == "picked-up" for report in reports)
    desk = sum(report.settled for report in reports) - held
    returned = sum(bool(report.seen.get("returns")) for report in reports)
    headline = (
        f"{len(reports)} reports: {held} picked up by a partner, {desk} at the desk with a next"
        f" step, {returned} after a decline. {seconds:.1f} s in all."
    )
    lines = [headline]
    judged = [verdict for report in reports if (verdict := _as_expected(report)) is not None]
    if judged:
        lines.append(f"{sum(judged)} of {len(judged)} first decisions are among those expected.")
    if problems:
        lines.append(f"Not done, so the exit status is 1; {len(problems)} problems:")
        lines += [f"  {problem}" for problem in problems]
    return "\n".join(lines)
