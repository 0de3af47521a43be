"""What a conformance run found: one row per check; pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """How a check ended."""

    PASS = "PASS"  # noqa: S105 - a verdict.
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class Finding:
    """What the partner's system did; `who` must act when it failed.

    `repair` says how, where that is something else than usual for the check.
    """

    result: Result
    did: str
    who: str = "partner"
    repair: str = ""


@dataclass(frozen=True)
class Row:
    """One check of the report."""

    check: str
    provoked: str
    did: str
    result: Result
    who: str
    repair: str


def passed(did: str) -> Finding:
    """It did what it should."""
    return Finding(Result.PASS, did)


def failed(did: str, who: str = "partner") -> Finding:
    """It did not."""
    return Finding(Result.FAIL, did, who)


def skipped(why: str) -> Finding:
    """It could not be seen."""
    return Finding(Result.SKIPPED, why)


def row_of(check: str, provoked: str, repair: str, finding: Finding) -> Row:
    """A row; who must act and how stand there only when something must be done."""
    bad = finding.result is Result.FAIL
    if finding.repair:
        repair = finding.repair
    elif finding.who == "meldpunt":
        repair = "Nothing for you to do; meldpunt's operator looks at `meldpunt status`."
    who = finding.who if bad else "-"
    return Row(check, provoked, finding.did, finding.result, who, repair if bad else "")


def conforms(rows: Sequence[Row]) -> bool:
    """Whether at least one check passed and none failed."""
    results = [row.result for row in rows]
    return Result.PASS in results and Result.FAIL not in results


def document(
    organisation: str, channel: str, rows: Sequence[Row], seconds: float
) -> dict[str, Any]:
    """The report as one JSON object."""
    counts = {r.value.lower(): sum(row.result is r for row in rows) for r in Result}
    return {
        "organisation": organisation,
        "channel": channel,
        "conforms": conforms(rows),
        **counts,
        "seconds": round(seconds, 1),
        "checks": [asdict(row) | {"result": row.result.value} for row in rows],
    }


def repairs(rows: Sequence[Row]) -> list[str]:
    """For each failure, whole: what was provoked, what the system did, who must do what."""
    return [
        f"{row.check}: {row.provoked}.\n  Your system: {row.did}.\n"
        f"  {row.who.capitalize()} must act: {row.repair}"
        for row in rows
        if row.result is Result.FAIL
    ]


def summary(rows: Sequence[Row], seconds: float) -> str:
    """The last line, for people."""
    counts = ", ".join(f"{sum(row.result is r for row in rows)} {r.value}" for r in Result)
    verdict = "conforms" if conforms(rows) else "does not conform yet"
    return f"{counts} in {seconds:.0f} s: the system {verdict}."
