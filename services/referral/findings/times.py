"""When what of a finding is due. Pure.

The law knows one of these terms: the board's four weeks, a number of the register's regime. The
others are what a complainant may expect of a desk and a board; no law sets them.
"""

from datetime import date, datetime, timedelta

from contracts.calendar import end_of_day, end_of_working_day, local_day, next_working_day

REMIND_DAYS_BEFORE = 7
NOTICE_WORKING_DAYS = 5
ASK_WORKING_DAYS = 5
WEIGH_WORKING_DAYS = 10
REPORT_WORKING_DAYS = 5
CHECK_WORKING_DAYS = 10
FOLLOW_WORKING_DAYS = 20
REGIME_WORKING_DAYS = 1
MEASURES_WEEKS = 13
DAYS_MAX = 366
# Longer terms are not put off over a weekend or a holiday (Algemene termijnenwet 4).
_SHIFTED_WEEKS_MAX = 12


def last_reply_day(issued_on: date, weeks: int) -> date:
    """The last day of the board's term (WPO 14 lid 7; put off by Algemene termijnenwet 1)."""
    day = issued_on + timedelta(weeks=weeks)
    return next_working_day(day) if weeks <= _SHIFTED_WEEKS_MAX else day


def reply_due(issued_on: date, weeks: int) -> datetime:
    """The moment after the board's last day."""
    return end_of_day(last_reply_day(issued_on, weeks))


def silence_at(due_at: datetime, now: datetime) -> datetime:
    """When a missing reply counts as silence here.

    A finding that reaches the meldpunt late gives the board some working days to be asked, although
    its term runs on from the finding itself.
    """
    return max(due_at, end_of_working_day(now, NOTICE_WORKING_DAYS))


def reminder_at(due_at: datetime, now: datetime) -> datetime:
    """A week before the due moment; the due moment itself, so none, when it is near already."""
    week = timedelta(days=REMIND_DAYS_BEFORE)
    return due_at - week if due_at - now > 2 * week else due_at


def measures_due(replied_on: date, measures_by: date | None) -> datetime:
    """When the measures must show: the board's own date, or a quarter after its reply."""
    return end_of_day(measures_by or replied_on + timedelta(weeks=MEASURES_WEEKS))


def within_limit(day: date, first: date) -> bool:
    """Whether a day is not before the first one, and at most a year after it."""
    return first <= day <= first + timedelta(days=DAYS_MAX)


def recent(day: date, today: date) -> bool:
    """Whether a finding's day is not in the future, and at most a year ago."""
    return today - timedelta(days=DAYS_MAX) <= day <= today


def today(now: datetime) -> date:
    """The day in the Netherlands."""
    return local_day(now)


def in_working_days(now: datetime, days: int) -> datetime:
    """The end of the n-th working day after today."""
    return end_of_working_day(now, days)
