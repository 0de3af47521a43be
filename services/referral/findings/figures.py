"""Figures of findings: counts and medians per regime and year, and what of them is public. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

SMALL_BELOW = 5
"""Numbers from 1 to below this could point at a person: they are in no public figure."""

_COUNTS = (
    "followed",
    "partly",
    "not_followed",
    "no_reply",
    "withdrawn",
    "open",
    "silent",
    "deviated",
    "deviated_from_term",
    "replied",
    "settled",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One regime in one year; None where a number is too small for a public figure.

    The findings are those followed, partly or not followed, settled without a reply or withdrawn,
    and those that are open. `silent`, `deviated` (from the finding), `deviated_from_term` and
    `replied` count across these. Days are calendar days from the day of the finding.
    """

    regime: str | None
    year: int
    findings: int | None
    followed: int | None
    partly: int | None
    not_followed: int | None
    no_reply: int | None
    withdrawn: int | None
    open: int | None
    silent: int | None
    deviated: int | None
    deviated_from_term: int | None
    replied: int | None
    settled: int | None
    median_reply_days: float | None
    median_settle_days: float | None
    suppressed: bool = False


def figures_of(row: Mapping[str, Any]) -> Figures:
    """Figures from a row of counts."""
    return Figures(**{item.name: row[item.name] for item in fields(Figures) if item.name in row})


def public(rows: Iterable[Figures]) -> list[Figures]:
    """The rows without small numbers.

    One small number hides all parts of its row, because what is left would give it away by
    subtraction; a small row hides its size too. A median of few cases is hidden with them.
    """
    return [_public(row) for row in rows]


def _public(row: Figures) -> Figures:
    if any(_small(getattr(row, name)) for name in _COUNTS):
        hidden: dict[str, Any] = dict.fromkeys(
            (*_COUNTS, "median_reply_days", "median_settle_days")
        )
        size = None if _small(row.findings) else row.findings
        return replace(row, **hidden, findings=size, suppressed=True)
    return row


def _small(number: int | None) -> bool:
    return number is not None and 0 < number < SMALL_BELOW


def percent(part: int | None, whole: int | None) -> float | None:
    """A share in percent; None without both numbers, or of nothing."""
    if part is None or not whole:
        return None
    return round(100 * part / whole, 1)
