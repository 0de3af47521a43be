"""The calendar in which terms count: Dutch working days, public and school holidays. Pure.

A working day is a day from Monday to Friday that is no public holiday (Algemene termijnenwet 3;
own knowledge, to verify) and, where a region is given, lies in no school holiday of that region
(`contracts/school_holidays.py`). Days are those of Europe/Amsterdam.
"""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.school_holidays import SCHOOL_YEARS, school_holidays

ZONE = ZoneInfo("Europe/Amsterdam")
WORKING_DAYS_MAX = 10_000
_DAY = timedelta(days=1)
_SATURDAY = 5
_KING_FROM_YEAR = 2014
_SCHOOL_YEAR_STARTS = (8, 1)


class SchoolRegion(StrEnum):
    """Region of the school holidays (regio Noord, Midden, Zuid)."""

    NOORD = "noord"
    MIDDEN = "midden"
    ZUID = "zuid"


def local_day(moment: datetime) -> date:
    """The date in the Netherlands. Raises ValueError for a moment without a zone."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(ZONE).date()


def end_of_day(day: date) -> datetime:
    """The moment after a day of the Netherlands, in UTC: midnight there, in summer or in winter."""
    return datetime.combine(day + _DAY, time(), ZONE).astimezone(UTC)


def is_working_day(day: date, region: SchoolRegion | None = None) -> bool:
    """No weekend, no public holiday; with a region, no school holiday of that region either.

    In a school year without data (see `has_school_holidays`) no school holidays are counted, so a
    term then ends early rather than late.
    """
    if day.weekday() >= _SATURDAY or day in public_holidays(day.year):
        return False
    return region is None or day not in _school_days_off()[region]


def add_working_days(day: date, working_days: int, region: SchoolRegion | None = None) -> date:
    """The n-th working day after `day`; `day` itself for none.

    Raises ValueError for a negative number, or one above `WORKING_DAYS_MAX`.
    """
    if not 0 <= working_days <= WORKING_DAYS_MAX:
        raise ValueError(f"working days must be 0 to {WORKING_DAYS_MAX}")
    for _ in range(working_days):
        day = next_working_day(day + _DAY, region)
    return day


def next_working_day(day: date, region: SchoolRegion | None = None) -> date:
    """`day` when it is a working day, else the first one after it."""
    while not is_working_day(day, region):
        day += _DAY
    return day


def end_of_working_day(
    start: datetime, working_days: int, region: SchoolRegion | None = None
) -> datetime:
    """The end of the n-th working day after the Dutch day of `start`, as a moment in UTC.

    That is midnight in Amsterdam after that day, whatever clock change lies between. Raises
    ValueError for a moment without a zone and as `add_working_days` does.
    """
    return _end_of(local_day(start), working_days, region)


def working_days_between(first: date, last: date, region: SchoolRegion | None = None) -> int:
    """How many working days lie after `first` up to and including `last`.

    `working_days_between(day, add_working_days(day, n))` is n. Raises ValueError when `last` lies
    before `first`.
    """
    if last < first:
        raise ValueError("the last day must not lie before the first day")
    days = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    return sum(is_working_day(day, region) for day in days)


def has_school_holidays(day: date) -> bool:
    """Whether the school holidays around `day` are known; where not, none are counted."""
    year = day.year if (day.month, day.day) >= _SCHOOL_YEAR_STARTS else day.year - 1
    return f"{year}-{year + 1}" in _school_years()


@lru_cache(maxsize=256)
def public_holidays(year: int) -> frozenset[date]:
    """The days of Algemene termijnenwet 3, Good Friday included; own knowledge, to verify.

    Liberation Day counts every year: the law names it without the five-year custom of employers.
    """
    easter = easter_sunday(year)
    around_easter = (-2, 0, 1, 39, 49, 50)
    fixed = ((1, 1), (5, 5), (12, 25), (12, 26))
    return frozenset(
        (
            *(easter + timedelta(days=days) for days in around_easter),
            *(date(year, month, day) for month, day in fixed),
            _birthday_of_the_king(year),
        )
    )


def easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar."""
    century, golden = year // 100, year % 19
    skipped = century - century // 4
    moon = (skipped - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= (moon // 28) * (1 - (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - skipped) % 7
    days = moon - weekday
    month = 3 + (days + 40) // 44
    return date(year, month, days + 28 - 31 * (month // 4))


def _birthday_of_the_king(year: int) -> date:
    day = date(year, 4, 27) if year >= _KING_FROM_YEAR else date(year, 4, 30)
    return day - _DAY if day.weekday() > _SATURDAY else day


@lru_cache(maxsize=4096)
def _end_of(day: date, working_days: int, region: SchoolRegion | None) -> datetime:
    return end_of_day(add_working_days(day, working_days, region))


@lru_cache(maxsize=1)
def _school_years() -> frozenset[str]:
    return frozenset(year.name for year in SCHOOL_YEARS)


@lru_cache(maxsize=1)
def _school_days_off() -> dict[str, frozenset[date]]:
    off: dict[str, set[date]] = {region: set() for region in SchoolRegion}
    for holiday in school_holidays():
        length = (holiday.last - holiday.first).days + 1
        off[holiday.region].update(holiday.first + timedelta(days=n) for n in range(length))
    return {region: frozenset(days) for region, days in off.items()}
