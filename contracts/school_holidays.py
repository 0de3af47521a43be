"""School holidays per region, as data: school year, holiday, first and last day per region.

Where the dates come from, and how far to trust them, is said with each school year; none was read
in the ministry's own publication by this project, so all are to verify. The periods run from the
Saturday to the Sunday. A school year that is not here counts no school holidays at all.
"""

from datetime import date
from typing import NamedTuple


class SchoolYear(NamedTuple):
    """A school year's holidays; `rows` are name, then `first last` for noord, midden and zuid."""

    name: str
    source: str
    to_verify: bool
    rows: tuple[tuple[str, str, str, str], ...]


class SchoolHoliday(NamedTuple):
    """One holiday of one region, both days included."""

    name: str
    region: str
    first: date
    last: date
    school_year: str


_OPEN_HOLIDAYS = (
    "open data set of school holidays (openholidaysapi.org, Netherlands), which names the ministry "
    "as its source; read in 2026"
)
_OWN = (
    "own knowledge of the ministry's announcement; the dates of Midden agree with a published "
    "school calendar, those of the summer of Zuid do not with another"
)

# A school year runs from 1 August to 31 July here; the summer holiday counts to the year it ends.
SCHOOL_YEARS: tuple[SchoolYear, ...] = (
    SchoolYear("2023-2024", _OPEN_HOLIDAYS, True, (
        ("herfst", "2023-10-21 2023-10-29", "2023-10-14 2023-10-22", "2023-10-14 2023-10-22"),
        ("kerst", "2023-12-23 2024-01-07", "2023-12-23 2024-01-07", "2023-12-23 2024-01-07"),
        ("voorjaar", "2024-02-17 2024-02-25", "2024-02-17 2024-02-25", "2024-02-10 2024-02-18"),
        ("mei", "2024-04-27 2024-05-05", "2024-04-27 2024-05-05", "2024-04-27 2024-05-05"),
        ("zomer", "2024-07-20 2024-09-01", "2024-07-13 2024-08-25", "2024-07-06 2024-08-18"),
    )),
    SchoolYear("2024-2025", _OPEN_HOLIDAYS, True, (
        ("herfst", "2024-10-26 2024-11-03", "2024-10-26 2024-11-03", "2024-10-19 2024-10-27"),
        ("kerst", "2024-12-21 2025-01-05", "2024-12-21 2025-01-05", "2024-12-21 2025-01-05"),
        ("voorjaar", "2025-02-15 2025-02-23", "2025-02-22 2025-03-02", "2025-02-22 2025-03-02"),
        ("mei", "2025-04-26 2025-05-04", "2025-04-26 2025-05-04", "2025-04-26 2025-05-04"),
        ("zomer", "2025-07-12 2025-08-24", "2025-07-19 2025-08-31", "2025-07-05 2025-08-17"),
    )),
    # The set lets Zuid begin on Friday 17 July 2026; two school calendars have the 11th.
    SchoolYear("2025-2026", _OPEN_HOLIDAYS, True, (
        ("herfst", "2025-10-18 2025-10-26", "2025-10-18 2025-10-26", "2025-10-11 2025-10-19"),
        ("kerst", "2025-12-20 2026-01-04", "2025-12-20 2026-01-04", "2025-12-20 2026-01-04"),
        ("voorjaar", "2026-02-21 2026-03-01", "2026-02-14 2026-02-22", "2026-02-14 2026-02-22"),
        ("mei", "2026-04-25 2026-05-03", "2026-04-25 2026-05-03", "2026-04-25 2026-05-03"),
        ("zomer", "2026-07-04 2026-08-16", "2026-07-18 2026-08-30", "2026-07-11 2026-08-23"),
    )),
    SchoolYear("2026-2027", _OWN, True, (
        ("herfst", "2026-10-10 2026-10-18", "2026-10-17 2026-10-25", "2026-10-17 2026-10-25"),
        ("kerst", "2026-12-19 2027-01-03", "2026-12-19 2027-01-03", "2026-12-19 2027-01-03"),
        ("voorjaar", "2027-02-20 2027-02-28", "2027-02-20 2027-02-28", "2027-02-13 2027-02-21"),
        ("mei", "2027-04-24 2027-05-02", "2027-04-24 2027-05-02", "2027-04-24 2027-05-02"),
        ("zomer", "2027-07-10 2027-08-22", "2027-07-17 2027-08-29", "2027-07-24 2027-09-05"),
    )),
)  # fmt: skip


def school_holidays() -> tuple[SchoolHoliday, ...]:
    """Every holiday of every region, in the order of the table."""
    return tuple(
        SchoolHoliday(name, region, *_days(period), year.name)
        for year in SCHOOL_YEARS
        for name, *periods in year.rows
        for region, period in zip(("noord", "midden", "zuid"), periods, strict=True)
    )


def _days(period: str) -> tuple[date, date]:
    first, last = period.split()
    return date.fromisoformat(first), date.fromisoformat(last)
