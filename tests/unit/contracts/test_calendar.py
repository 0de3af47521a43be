"""Working days by hand: Christmas, Easter, King's Day, the summer, clock changes, a leap year."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.calendar import (
    SchoolRegion,
    add_working_days,
    end_of_working_day,
    has_school_holidays,
    is_working_day,
    local_day,
    public_holidays,
    working_days_between,
)
from contracts.limits import limits_due
from contracts.routing import HandlingLimits
from contracts.school_holidays import SCHOOL_YEARS, school_holidays

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOORD, MIDDEN, ZUID = SchoolRegion
days = st.dates(date(2000, 1, 1), date(2060, 12, 31))
moments = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001
    datetime(2060, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
regions = st.sampled_from([None, *SchoolRegion])
counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("start", "working_days", "region", "expected"),
    [
        # Wednesday 23 December 2026: Thursday, then Christmas on Friday and Saturday, Monday.
        (date(2026, 12, 23), 1, None, date(2026, 12, 24)),
        (date(2026, 12, 23), 2, None, date(2026, 12, 28)),
        # Thursday 31 December 2026; New Year is a Friday.
        (date(2026, 12, 30), 2, None, date(2027, 1, 4)),
        # The same, where the Christmas holiday runs up to Sunday 3 January.
        (date(2026, 12, 18), 1, MIDDEN, date(2027, 1, 4)),
        (date(2026, 12, 18), 2, NOORD, date(2027, 1, 5)),
        # Good Friday, Easter and Easter Monday 2026.
        (date(2026, 4, 2), 1, None, date(2026, 4, 7)),
        # Ascension Day 2026 is Thursday 14 May; the Friday after it is a working day by the law.
        (date(2026, 5, 13), 1, None, date(2026, 5, 15)),
        # Whit Monday 2026 is 25 May.
        (date(2026, 5, 22), 1, None, date(2026, 5, 26)),
        # King's Day 2025 moved from Sunday 27 to Saturday 26 April: Monday 28 is a working day.
        (date(2025, 4, 25), 1, None, date(2025, 4, 28)),
        # King's Day 2026 is a Monday, in the May holiday that ends on Sunday 3 May.
        (date(2026, 4, 24), 1, None, date(2026, 4, 28)),
        (date(2026, 4, 24), 1, ZUID, date(2026, 5, 4)),
        (date(2026, 4, 24), 2, ZUID, date(2026, 5, 6)),
        # The summer of 2026: noord 4 July to 16 August, zuid from 11 July, midden from 18 July.
        (date(2026, 7, 3), 1, NOORD, date(2026, 8, 17)),
        (date(2026, 7, 3), 6, ZUID, date(2026, 8, 24)),
        (date(2026, 7, 10), 1, MIDDEN, date(2026, 7, 13)),
        (date(2026, 7, 10), 6, MIDDEN, date(2026, 8, 31)),
        (date(2026, 7, 3), 1, None, date(2026, 7, 6)),
        # A leap day is an ordinary Thursday.
        (date(2024, 2, 28), 1, None, date(2024, 2, 29)),
        (date(2024, 2, 28), 2, None, date(2024, 3, 1)),
        (date(2025, 2, 28), 1, None, date(2025, 3, 3)),
        # None is the day itself, also on a Sunday.
        (date(2026, 11, 22), 0, None, date(2026, 11, 22)),
        (date(2026, 11, 25), 5, None, date(2026, 12, 2)),
    ],
)
def test_the_nth_working_day(
    start: date, working_days: int, region: SchoolRegion | None, expected: date
) -> None:
    assert add_working_days(start, working_days, region) == expected


@pytest.mark.parametrize(
    ("start", "working_days", "expected"),
    [
        # Late on Tuesday in UTC is Wednesday in the Netherlands, so Thursday is the first day.
        (datetime(2026, 11, 24, 23, 30, tzinfo=UTC), 1, datetime(2026, 11, 26, 23, tzinfo=UTC)),
        (datetime(2026, 11, 24, 22, 30, tzinfo=UTC), 1, datetime(2026, 11, 25, 23, tzinfo=UTC)),
        # The clock goes forward on Sunday 29 March 2026: midnight is at 22:00 UTC from then on.
        (datetime(2026, 3, 27, 12, tzinfo=UTC), 1, datetime(2026, 3, 30, 22, tzinfo=UTC)),
        (datetime(2026, 3, 26, 12, tzinfo=UTC), 1, datetime(2026, 3, 27, 23, tzinfo=UTC)),
        # And back on Sunday 25 October 2026.
        (datetime(2026, 10, 23, 12, tzinfo=UTC), 1, datetime(2026, 10, 26, 23, tzinfo=UTC)),
        (datetime(2026, 10, 22, 12, tzinfo=UTC), 1, datetime(2026, 10, 23, 22, tzinfo=UTC)),
        # Half past two in the night that has it twice.
        (
            datetime(2026, 10, 25, 2, 30, tzinfo=AMSTERDAM),
            1,
            datetime(2026, 10, 26, 23, tzinfo=UTC),
        ),
        # Over the turn of the year.
        (datetime(2026, 12, 31, 20, tzinfo=UTC), 1, datetime(2027, 1, 4, 23, tzinfo=UTC)),
    ],
)
def test_the_end_of_the_nth_working_day(
    start: datetime, working_days: int, expected: datetime
) -> None:
    assert end_of_working_day(start, working_days) == expected


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        end_of_working_day(datetime(2026, 1, 1), 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="time zone"):
        limits_due(
            HandlingLimits(received_within_minutes=5, accepted_within_minutes=15),
            datetime(2026, 1, 1),  # noqa: DTZ001
        )


@pytest.mark.parametrize("count", [-1, 10_001])
def test_a_number_of_days_outside_the_limit_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="working days must be"):
        add_working_days(date(2026, 1, 1), count)


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="before the first"):
        working_days_between(date(2026, 1, 2), date(2026, 1, 1))


def test_a_year_without_data_counts_no_school_holidays_and_says_so() -> None:
    assert has_school_holidays(date(2026, 11, 25))
    assert has_school_holidays(date(2027, 7, 31))
    assert not has_school_holidays(date(2027, 8, 1))
    assert not has_school_holidays(date(2019, 1, 7))
    assert is_working_day(date(2030, 7, 29), NOORD)


def test_the_table_is_whole_and_in_order() -> None:
    found = school_holidays()
    assert len(found) == len(SCHOOL_YEARS) * 5 * 3
    for region in SchoolRegion:
        rows = [row for row in found if row.region == region]
        assert all(one.last < two.first for one, two in pairwise(rows))
    saturday, sunday = 5, 6
    assert all(row.first.weekday() == saturday and row.last.weekday() == sunday for row in found)
    assert {(row.last - row.first).days + 1 for row in found if row.name == "zomer"} == {44}
    assert all(year.source and year.to_verify for year in SCHOOL_YEARS)


@given(days, counts, regions)
def test_counting_back_gives_the_same_number(
    day: date, count: int, region: SchoolRegion | None
) -> None:
    last = add_working_days(day, count, region)
    assert working_days_between(day, last, region) == count
    assert count == 0 or is_working_day(last, region)


@given(moments, st.integers(1, 60), regions)
def test_the_end_lies_at_local_midnight_after_a_working_day(
    start: datetime, count: int, region: SchoolRegion | None
) -> None:
    end = end_of_working_day(start, count, region)
    local = end.astimezone(AMSTERDAM)
    assert end.tzinfo is UTC
    assert (local.hour, local.minute) == (0, 0)
    assert is_working_day(local.date() - timedelta(days=1), region)
    assert end - start >= timedelta(hours=23)


@given(moments, moments, counts, regions)
def test_who_starts_later_never_ends_earlier(
    one: datetime, other: datetime, count: int, region: SchoolRegion | None
) -> None:
    first, second = sorted((one, other))
    assert end_of_working_day(first, count, region) <= end_of_working_day(second, count, region)


@given(days, st.sampled_from(SchoolRegion))
def test_a_school_day_is_a_working_day(day: date, region: SchoolRegion) -> None:
    assert not is_working_day(day, region) or is_working_day(day)


@given(st.integers(1990, 2100))
def test_a_year_has_eleven_public_holidays_at_most(year: int) -> None:
    found = public_holidays(year)
    assert all(day.year == year for day in found)
    # King's Day, Liberation Day and Ascension Day can fall together.
    assert 9 <= len(found) <= 11


def limits(**days: int) -> HandlingLimits:
    return HandlingLimits(received_within_minutes=1440, accepted_within_minutes=7200, **days)


def test_limits_in_minutes_count_by_the_clock() -> None:
    at = datetime(2026, 12, 24, 22, tzinfo=AMSTERDAM)
    assert limits_due(limits(), at) == (
        datetime(2026, 12, 25, 21, tzinfo=UTC),
        datetime(2026, 12, 29, 21, tzinfo=UTC),
    )


def test_limits_in_working_days_go_before_minutes() -> None:
    at = datetime(2026, 12, 24, 21, tzinfo=UTC)
    working = limits(received_within_working_days=1, accepted_within_working_days=5)
    assert limits_due(working, at) == (
        datetime(2026, 12, 28, 23, tzinfo=UTC),
        datetime(2027, 1, 4, 23, tzinfo=UTC),
    )
    school = working.model_copy(update={"region": ZUID})
    assert limits_due(school, at) == (
        datetime(2027, 1, 4, 23, tzinfo=UTC),
        datetime(2027, 1, 8, 23, tzinfo=UTC),
    )


@given(moments, st.none() | st.integers(1, 60), st.none() | st.integers(1, 60), regions)
def test_nobody_must_accept_before_the_receipt_is_due(
    at: datetime, received: int | None, accepted: int | None, region: SchoolRegion | None
) -> None:
    found = HandlingLimits(
        received_within_minutes=60,
        accepted_within_minutes=480,
        received_within_working_days=received,
        accepted_within_working_days=accepted,
        region=region,
    )
    received_by, accepted_by = limits_due(found, at)
    assert at < received_by <= accepted_by


@given(moments)
def test_the_local_day_is_that_of_the_netherlands(moment: datetime) -> None:
    assert local_day(moment) == moment.astimezone(AMSTERDAM).date()
