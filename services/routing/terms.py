"""The terms of a decision as dates: Dutch calendar days, weeks, months and working days. Pure.

A term starts on the day after its start event (Awb 6:8 and general use), so a term of six weeks
after a decision of Monday ends on a Monday. A term of an act that ends in a weekend or on a public
holiday runs on to the next day that is neither (Algemene termijnenwet 1), unless it is longer than
90 days, twelve weeks or three months (Algemene termijnenwet 4). These articles are own knowledge,
to verify.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from services.routing.compiled import CompiledRegister
from services.routing.domain import Decision, RegisterTerm

ZONE = ZoneInfo("Europe/Amsterdam")
# The start event that we know ourselves: the report came in.
REPORTED = "report"
# Sources with this mark are texts of acts (see the head of the register).
_ACT = "W_"
_SHIFTED_UP_TO = {"days": 90, "weeks": 12, "months": 3, "working_days": 0}
_SATURDAY = 5
_KING_FROM_YEAR = 2014

Unit = Literal["days", "working_days", "weeks", "months"]


class TermState(StrEnum):
    """Whether a term runs on a given day; `start-unknown` when nobody told the start event."""

    RUNS = "runs"
    OVER = "over"
    NOT_YET = "not-yet"
    START_UNKNOWN = "start-unknown"
    NOT_VALID = "not-valid"


@dataclass(frozen=True, slots=True)
class RunningTerm:
    """A term with its dates. `last_day` still counts; `over_at` is the moment after it, in UTC.

    `extended_last_day` is the last day when the term is extended as far as the rule allows.
    `holder` is the organisation at which the term runs.
    """

    term: str
    holder: str
    what: str
    length: str
    starts: str
    basis: str | None
    source: str
    to_verify: bool
    state: TermState
    start: date | None = None
    last_day: date | None = None
    extended_last_day: date | None = None
    over_at: datetime | None = None


def running_terms(
    register: CompiledRegister,
    decision: Decision,
    received_at: datetime,
    starts: Mapping[str, date] | None = None,
    now: datetime | None = None,
) -> tuple[RunningTerm, ...]:
    """The terms of a decision with their dates, in the order of the register.

    `starts` gives the day of each start event that is known; that of the report follows from
    `received_at` (aware), the first receipt, which keeps counting whatever happens to the case.
    `now` (aware) is the moment at which a term runs or is over; without it, the receipt.
    """
    known = {REPORTED: local_day(received_at), **(starts or {})}
    today = local_day(now or received_at)
    wanted = {term.term for term in decision.terms}
    return tuple(
        _dated(term, known.get(term.starts), today)
        for term in register.register.terms
        if term.id in wanted
    )


def last_day(start: date, length: int, unit: Unit, *, of_an_act: bool = False) -> date:
    """The last day that counts of a term whose start event was on `start`."""
    match unit:
        case "days":
            day = start + timedelta(days=length)
        case "weeks":
            day = start + timedelta(weeks=length)
        case "months":
            day = _months_later(start, length)
        case "working_days":
            day = start
            for _ in range(length):
                day = _next_working_day(day + timedelta(days=1))
    if of_an_act and length <= _SHIFTED_UP_TO[unit]:
        return _next_working_day(day)
    return day


def local_day(moment: datetime) -> date:
    """The date in the Netherlands. Raises ValueError for a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(ZONE).date()


def is_working_day(day: date) -> bool:
    """No weekend, no public holiday."""
    return day.weekday() < _SATURDAY and day not in public_holidays(day.year)


@lru_cache(maxsize=256)
def public_holidays(year: int) -> frozenset[date]:
    """The days of Algemene termijnenwet 3, Good Friday included; own knowledge, to verify."""
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
    return day - timedelta(days=1) if day.weekday() > _SATURDAY else day


def _next_working_day(day: date) -> date:
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def _months_later(start: date, months: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))


def _dated(term: RegisterTerm, start: date | None, today: date) -> RunningTerm:
    valid = start is None or (
        (term.valid_from is None or date.fromisoformat(term.valid_from) <= start)
        and (term.valid_to is None or start <= date.fromisoformat(term.valid_to))
    )
    of_an_act = term.src.startswith(_ACT)
    last = extended = over_at = None
    if start is not None:
        last = last_day(start, term.length, term.unit, of_an_act=of_an_act)
        over_at = datetime.combine(last + timedelta(days=1), time(), ZONE).astimezone(UTC)
        if term.extend:
            longest = term.length + term.extend
            extended = last_day(start, longest, term.unit, of_an_act=of_an_act)
    return RunningTerm(
        term=term.id,
        holder=term.organisation,
        what=term.what,
        length=f"{term.length} {term.unit}",
        starts=term.starts,
        basis=term.basis,
        source=term.src,
        to_verify=term.to_verify,
        state=_state(start, last, today) if valid else TermState.NOT_VALID,
        start=start,
        last_day=last,
        extended_last_day=extended,
        over_at=over_at,
    )


def _state(start: date | None, last: date | None, today: date) -> TermState:
    if start is None or last is None:
        return TermState.START_UNKNOWN
    if start > today:
        return TermState.NOT_YET
    return TermState.OVER if today > last else TermState.RUNS
