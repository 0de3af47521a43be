"""Terms as dates: summer time, the turn of the year, holidays, working days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.calendar import ZONE, easter_sunday, is_working_day, local_day, public_holidays
from contracts.situation import Situation
from services.routing.compiled import CompiledRegister
from services.routing.rules import decide
from services.routing.terms import (
    RunningTerm,
    TermState,
    Unit,
    last_day,
    running_terms,
)

days = st.dates(date(2000, 1, 1), date(2080, 12, 31))


@pytest.mark.parametrize(
    ("start", "length", "unit", "of_an_act", "expected"),
    [
        (date(2025, 9, 1), 6, "weeks", True, date(2025, 10, 13)),
        # Second Christmas Day is a Friday, so the term runs on to Monday.
        (date(2025, 11, 14), 6, "weeks", True, date(2025, 12, 29)),
        (date(2025, 11, 14), 6, "weeks", False, date(2025, 12, 26)),
        # New Year's Day, then a Friday.
        (date(2025, 12, 4), 4, "weeks", True, date(2026, 1, 2)),
        (date(2025, 12, 24), 5, "working_days", False, date(2026, 1, 5)),
        (date(2026, 4, 2), 1, "working_days", False, date(2026, 4, 7)),
        # King's Day 2025 was on a Saturday, 26 April; 2027's is on a Tuesday.
        (date(2027, 4, 26), 1, "working_days", False, date(2027, 4, 28)),
        (date(2026, 5, 4), 3, "working_days", False, date(2026, 5, 8)),
        (date(2025, 11, 30), 3, "months", False, date(2026, 2, 28)),
        (date(2023, 11, 30), 3, "months", False, date(2024, 2, 29)),
        (date(2025, 12, 31), 1, "days", False, date(2026, 1, 1)),
        (date(2025, 12, 31), 1, "days", True, date(2026, 1, 2)),
        (date(2026, 1, 4), 26, "weeks", True, date(2026, 7, 5)),
        (date(2024, 2, 28), 365, "days", True, date(2025, 2, 27)),
    ],
)
def test_last_day(start: date, length: int, unit: Unit, of_an_act: bool, expected: date) -> None:
    assert last_day(start, length, unit, of_an_act=of_an_act) == expected


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2026, 6, 30, 22, 30, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 1, 31, 22, 30, tzinfo=UTC), date(2026, 1, 31)),
    ],
)
def test_the_day_is_the_day_in_the_netherlands(moment: datetime, day: date) -> None:
    assert local_day(moment) == day


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        local_day(datetime(2026, 1, 1))  # noqa: DTZ001


def test_holidays_of_a_year() -> None:
    assert easter_sunday(2026) == date(2026, 4, 5)
    assert public_holidays(2026) >= {
        *(date(2026, 1, 1), date(2026, 4, 3), date(2026, 4, 6), date(2026, 4, 27)),
        *(date(2026, 5, 5), date(2026, 5, 14), date(2026, 5, 25), date(2026, 12, 25)),
    }
    assert date(2025, 4, 26) in public_holidays(2025)
    assert date(2025, 4, 27) not in public_holidays(2025)


@given(days, st.integers(1, 40))
def test_working_days_count_only_those(start: date, length: int) -> None:
    last = last_day(start, length, "working_days")
    counted = [start + timedelta(days=n) for n in range(1, (last - start).days + 1)]
    assert sum(map(is_working_day, counted)) == length
    assert is_working_day(last)


@given(days, st.integers(1, 12))
def test_a_term_of_an_act_never_ends_on_a_free_day_and_is_never_shorter(
    start: date, weeks: int
) -> None:
    plain = last_day(start, weeks, "weeks")
    shifted = last_day(start, weeks, "weeks", of_an_act=True)
    assert is_working_day(shifted)
    assert plain <= shifted <= plain + timedelta(days=5)


def terms(
    compiled: CompiledRegister, received_at: datetime, **given_: object
) -> dict[str, RunningTerm]:
    situation = Situation(
        sector="po",
        reporter="ouder",
        kind="klacht",
        subject="toelating",
        accused="bestuur",
        flags=("within_term",),
    )
    found = running_terms(compiled, decide(compiled, situation), received_at, **given_)  # type: ignore[arg-type]
    return {term.term: term for term in found}


def test_the_terms_of_a_decision_over_the_change_of_the_clock(compiled: CompiledRegister) -> None:
    received = datetime(2026, 3, 10, 9, tzinfo=UTC)
    found = terms(compiled, received, starts={"decision": date(2026, 3, 2)})
    filing = found["gpo_indienen"]
    assert (filing.start, filing.last_day) == (date(2026, 3, 2), date(2026, 4, 13))
    # Midnight after the last day is two hours before UTC's in summer.
    assert filing.over_at == datetime(2026, 4, 13, 22, tzinfo=UTC)
    assert filing.over_at.astimezone(ZONE).hour == 0
    assert filing.state is TermState.RUNS


def test_what_nobody_told_is_not_guessed(compiled: CompiledRegister) -> None:
    found = terms(compiled, datetime(2026, 3, 10, 9, tzinfo=UTC))
    assert found["gpo_indienen"].state is TermState.START_UNKNOWN
    assert found["gpo_indienen"].last_day is None
    assert found["gpo_oordeel"].starts == "filing"


def test_a_term_that_is_over_says_so(compiled: CompiledRegister) -> None:
    start = {"decision": date(2026, 3, 2), "application": date(2026, 3, 2)}
    late = datetime(2026, 6, 1, 9, tzinfo=UTC)
    found = terms(compiled, datetime(2026, 3, 10, 9, tzinfo=UTC), starts=start, now=late)
    assert found["gpo_indienen"].state is TermState.OVER
    admission = found["toelating_besluit"]
    assert admission.last_day == date(2026, 4, 13)
    assert admission.extended_last_day == date(2026, 5, 11)


def test_the_report_starts_its_own_terms(compiled: CompiledRegister) -> None:
    situation = Situation(
        sector="po",
        reporter="ouder",
        kind="melding",
        subject="huiselijk_geweld",
        accused="ouder_thuis",
    )
    received = datetime(2026, 12, 23, 23, 30, tzinfo=UTC)
    (triage,) = [
        term
        for term in running_terms(compiled, decide(compiled, situation), received)
        if term.term == "veilig_thuis_triage"
    ]
    assert triage.start == date(2026, 12, 24)
    # Christmas, a weekend and New Year's Day do not count.
    assert triage.last_day == date(2027, 1, 4)
    assert triage.state is TermState.RUNS


def test_what_must_be_checked_stays_marked(compiled: CompiledRegister) -> None:
    marked = {term.id for term in compiled.register.terms if term.to_verify}
    situation = Situation(
        sector="mbo", reporter="student_mbo", kind="klacht", subject="examen_beoordeling"
    )
    received = datetime(2026, 12, 1, tzinfo=UTC)
    found = running_terms(compiled, decide(compiled, situation), received)
    assert found
    assert {t.term for t in found if t.to_verify} == {t.term for t in found} & marked
