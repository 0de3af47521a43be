"""From rounds to figures: medians, ratios with a verdict, as text and as Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ceilings import Ceiling
from benchmarks.designs import BenchError
from benchmarks.measure import Drain, Round

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
SERVICES = ("intake", "routing", "referral", "audit")
DESIGNS = ("pipeline", "skeleton", "naive")


@dataclass(frozen=True)
class Ratio:
    """One line of the verdict: a value against what is required, and against what is aimed at."""

    name: str
    value: float
    required: float
    aim: float
    at_least: bool
    unit: str = "x"

    @property
    def passed(self) -> bool:
        return self.value >= self.required if self.at_least else self.value <= self.required

    @property
    def verdict(self) -> str:
        return "PASS" if self.passed else "FAIL"


@dataclass(frozen=True)
class Stored:
    """CPU of all processes per report with few and with many cases stored, in us, and the resident
    memory of the services after `settled` reports and at the end, in MB."""

    few: int
    settled: int
    many: int
    few_us: float
    many_us: float
    settled_mb: Mapping[str, float]
    many_mb: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """All that one run measured."""

    command: str
    taken_at: str
    machine: str
    ceilings: Sequence[Ceiling]
    rounds: Mapping[str, Sequence[Round]]
    drain: Drain | None = None
    stored: Stored | None = None
    two_instances: float | None = None
    """Reports per second with two instances of each service."""

    def mid(self, design: str, figure: Callable[[Round], float]) -> float:
        """Median of a figure over the rounds of a design."""
        return median(figure(found) for found in self.rounds[design])

    def ratios(self) -> list[Ratio]:
        """Every figure that has a requirement."""
        found = [*_against_skeleton(self)]
        if self.drain:
            steady = self.mid("pipeline", lambda r: r.throughput)
            found.append(
                Ratio("drain of a backlog / steady rate", self.drain.rate / steady, 0.8, 1.2, True)
            )
        if self.two_instances:
            one = self.mid("pipeline", lambda r: r.throughput)
            name = "throughput, two instances of each service / one"
            found.append(Ratio(name, self.two_instances / one, 1.0, 1.0, True))
        if self.stored:
            name = f"cost with {self.stored.many:,} cases stored / {self.stored.few:,}"
            value = self.stored.many_us / self.stored.few_us
            found.append(Ratio(name, value, 1.25, 1.1, False))
            grown = max(self.stored.many_mb[s] / self.stored.settled_mb[s] for s in SERVICES)
            name = (
                f"memory at {self.stored.many:,} reports / {self.stored.settled:,}, worst service"
            )
            found.append(Ratio(name, grown, 1.1, 1.05, False))
        return found

    def as_document(self) -> dict[str, Any]:
        """For `--json`."""
        ratios = [{**asdict(r), "verdict": r.verdict} for r in self.ratios()]
        return {**asdict(self), "ratios": ratios, "passed": all(r.passed for r in self.ratios())}


def _against_skeleton(outcome: Outcome) -> list[Ratio]:
    def quotient(figure: Callable[[Round], float], other: str = "skeleton") -> float:
        return outcome.mid("pipeline", figure) / outcome.mid(other, figure)

    receipt = outcome.mid("pipeline", lambda r: r.receipt_p99_ms)
    return [
        Ratio("throughput, pipeline / skeleton", quotient(lambda r: r.throughput), 0.5, 0.75, True),
        Ratio(
            "throughput, pipeline / naive", quotient(lambda r: r.throughput, "naive"), 8, 15, True
        ),
        Ratio(
            "CPU per report, all processes, pipeline / skeleton",
            quotient(lambda r: r.cpu_us),
            2,
            1.4,
            False,
        ),
        Ratio(
            "accept to offered p50, pipeline / skeleton",
            quotient(lambda r: r.latency_p50_ms),
            2.5,
            1.5,
            False,
        ),
        Ratio(
            "accept to offered p99, pipeline / skeleton",
            quotient(lambda r: r.latency_p99_ms),
            2.5,
            1.5,
            False,
        ),
        Ratio("receipt p99 at half of maximum", receipt, 100, 50, False, "ms"),
    ]


_FIGURES: tuple[tuple[str, Callable[[Round], float]], ...] = (
    ("reports/s, accept to accepted and counted", lambda r: r.throughput),
    ("receipts/s while the load was sent", lambda r: r.intake_rate),
    ("CPU us per report, all processes", lambda r: r.cpu_us),
    ("- the four services with relays", lambda r: sum(r.cpu_by_service_us.values())),
    ("- - intake", lambda r: r.cpu_by_service_us["intake"]),
    ("- - routing", lambda r: r.cpu_by_service_us["routing"]),
    ("- - referral", lambda r: r.cpu_by_service_us["referral"]),
    ("- - audit", lambda r: r.cpu_by_service_us["audit"]),
    ("- PostgreSQL", lambda r: r.server_cpu_us["postgres"]),
    ("- Kafka", lambda r: r.server_cpu_us["kafka"]),
    ("- partner of the load", lambda r: r.load_cpu_us),
    ("accept to offered at 50/s, p50 ms", lambda r: r.latency_p50_ms),
    ("accept to offered at 50/s, p99 ms", lambda r: r.latency_p99_ms),
    ("rate of the receipt measurement, reports/s", lambda r: r.receipt_rate),
    ("HTTP receipt at that rate, p50 ms", lambda r: r.receipt_p50_ms),
    ("HTTP receipt at that rate, p99 ms", lambda r: r.receipt_p99_ms),
)


def markdown(outcome: Outcome) -> str:
    """The whole result in Markdown tables, which also read well as text."""
    rounds = len(outcome.rounds["pipeline"])
    lines = [
        f"Command: `{outcome.command}`  ",
        f"Taken: {outcome.taken_at}; {outcome.machine}; {rounds} round(s), median [min-max]",
        "",
        *_table(("figure", "value", "required", "aim", "verdict"), _verdicts(outcome)),
        "",
        *_table(("figure", *DESIGNS), _figures(outcome)),
        "",
        *_table(("memory, MB resident", *SERVICES), _memory(outcome)),
    ]
    if outcome.drain:
        drain = outcome.drain
        lines += [
            "",
            (
                f"Backlog of {drain.backlog:,} reports: {drain.rate:,.0f} reports/s,"
                f" {drain.seconds:.1f} s from the start of the processes."
            ),
        ]
    if outcome.stored:
        stored = outcome.stored
        lines += [
            "",
            (
                f"CPU of all processes per report: {stored.few_us:,.0f} us with"
                f" {stored.few:,} cases stored, {stored.many_us:,.0f} us with {stored.many:,}."
            ),
            "",
            *_table(("memory, MB resident", *SERVICES), _held(stored)),
        ]
    parts = [[c.name, f"{c.per_second:,.0f}", f"{c.cpu_us:,.1f}"] for c in outcome.ceilings]
    lines += ["", *_table(("ceiling", "per second", "CPU us each"), parts)]
    return "\n".join(lines) + "\n"


def _held(stored: Stored) -> list[list[str]]:
    moments = {stored.settled: stored.settled_mb, stored.many: stored.many_mb}
    return [
        [f"after {reports:,} reports", *(f"{held[name]:,.0f}" for name in SERVICES)]
        for reports, held in moments.items()
    ]


def _verdicts(outcome: Outcome) -> list[list[str]]:
    rows = []
    for ratio in outcome.ratios():
        sign = ">=" if ratio.at_least else "<="
        rows.append(
            [
                ratio.name,
                f"{ratio.value:.2f} {ratio.unit}",
                f"{sign} {ratio.required:g} {ratio.unit}",
                f"{ratio.aim:g} {ratio.unit}",
                ratio.verdict,
            ]
        )
    return rows


def _figures(outcome: Outcome) -> list[list[str]]:
    rows = []
    for name, figure in _FIGURES:
        cells = [name]
        for design in DESIGNS:
            values = [figure(found) for found in outcome.rounds[design]]
            cells.append(_spread(values))
        rows.append(cells)
    return rows


def _spread(values: Sequence[float]) -> str:
    digits = 0 if median(values) >= 100 else 1
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


def _memory(outcome: Outcome) -> list[list[str]]:
    rows = []
    moments: tuple[tuple[str, Callable[[Round], Mapping[str, float]]], ...] = (
        ("before the load", lambda r: r.resident_before_mb),
        ("after the load", lambda r: r.resident_after_mb),
    )
    for moment, figure in moments:
        found = [[figure(r)[s] for r in outcome.rounds["pipeline"]] for s in SERVICES]
        rows.append([moment, *(_spread(values) for values in found)])
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(head), f"|{'|'.join('-' * (width + 2) for width in widths)}|", *map(line, rows)]


def record(file: Path, result: str) -> None:
    """Replace what stands between the two markers; raises BenchError when they are not there."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BenchError(f"{file} does not exist; name a file with {BEGIN} and {END}") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{file} has no lines {BEGIN} and {END} to put the result between")
    file.write_text(f"{before}{BEGIN}\n\n{result}\n{END}{after}", encoding="utf-8")
