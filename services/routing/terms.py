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
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

import orjson

from contracts.calendar import add_working_days, end_of_day, local_day, next_working_day
from contracts.routing import Term
from services.routing.compiled import CompiledRegister
from services.routing.domain import Decision, RegisterTerm

# The start event that we know ourselves: the report came in.
REPORTED = "report"
# Sources with this mark are texts of acts (see the head of the register).
_ACT = "W_"
_SHIFTED_UP_TO = {"days": 90, "weeks": 12, "months": 3, "working_days": 0}

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


def known_starts(known_dates: str | bytes) -> dict[str, date]:
    """The day of each start event from the stored JSON; of two days for one event the last."""
    return {item["starts"]: date.fromisoformat(item["day"]) for item in orjson.loads(known_dates)}


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


def dated_terms(
    register: CompiledRegister,
    decision: Decision,
    received_at: datetime,
    starts: Mapping[str, date] | None = None,
) -> tuple[Term, ...]:
    """The decision's terms, with start and last day where the start event's day is known.

    A term that was not valid on that day gets no dates. For `starts` see `running_terms`.
    """
    if not decision.terms:
        return ()
    known = {REPORTED: local_day(received_at), **(starts or {})}
    return tuple(
        term if term.starts not in known else _with_dates(register, term, known[term.starts])
        for term in decision.terms
    )


def _with_dates(register: CompiledRegister, term: Term, start: date) -> Term:
    found = next(t for t in register.register.terms if t.id == term.term)
    if not _valid_on(found, start):
        return term
    last = last_day(start, found.length, found.unit, of_an_act=found.src.startswith(_ACT))
    return term.model_copy(update={"start": start, "last_day": last})


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
            day = add_working_days(start, length)
    if of_an_act and length <= _SHIFTED_UP_TO[unit]:
        return next_working_day(day)
    return day


def _months_later(start: date, months: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))


def _dated(term: RegisterTerm, start: date | None, today: date) -> RunningTerm:
    valid = start is None or _valid_on(term, start)
    of_an_act = term.src.startswith(_ACT)
    last = extended = over_at = None
    if start is not None:
        last = last_day(start, term.length, term.unit, of_an_act=of_an_act)
        over_at = end_of_day(last)
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


def _valid_on(term: RegisterTerm, start: date) -> bool:
    return (term.valid_from is None or date.fromisoformat(term.valid_from) <= start) and (
        term.valid_to is None or start <= date.fromisoformat(term.valid_to)
    )


def _state(start: date | None, last: date | None, today: date) -> TermState:
    if start is None or last is None:
        return TermState.START_UNKNOWN
    if start > today:
        return TermState.NOT_YET
    return TermState.OVER if today > last else TermState.RUNS
