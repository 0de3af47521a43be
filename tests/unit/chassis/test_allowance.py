"""What one organisation may ask, and that it is told when to come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.allowance import BURST_SECONDS, Allowance
from services.chassis.problem import Problem


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(allowance: Allowance, organisation: str = "lkc") -> int:
    """Call once; gives the seconds to wait, 0 when it was let through."""
    try:
        with allowance.call(organisation):
            return 0
    except Problem as problem:
        return int(problem.headers["Retry-After"]) if problem.status == 429 else -1


def test_a_burst_is_let_through_and_then_the_pace() -> None:
    time = Time()
    allowance = Allowance(60, 9, time)
    assert [ask(allowance) for _ in range(int(BURST_SECONDS))] == [0] * int(BURST_SECONDS)
    assert ask(allowance) == 1
    time.now += 1
    assert ask(allowance) == 0
    assert ask(allowance) == 1


def test_one_that_asks_too_much_costs_no_other_anything() -> None:
    allowance = Allowance(60, 9, Time())
    while not ask(allowance, "wild"):
        pass
    assert ask(allowance, "calm") == 0


def test_so_many_calls_at_once_and_a_place_comes_back_also_after_an_error() -> None:
    allowance = Allowance(6000, 2, Time())
    with allowance.call("lkc"):
        with allowance.call("lkc"):
            assert ask(allowance) == 1
            assert ask(allowance, "gcbo") == 0
        with pytest.raises(ZeroDivisionError), allowance.call("lkc"):
            raise ZeroDivisionError
        assert ask(allowance) == 0


@given(st.lists(st.floats(0, 5), max_size=300))
def test_never_more_than_burst_and_pace_and_who_waits_as_told_gets_in(pauses: list[float]) -> None:
    time = Time()
    allowance = Allowance(120, 9, time)
    passed = 0
    for pause in pauses:
        time.now += pause
        passed += not ask(allowance)
        assert passed <= 2 * BURST_SECONDS + 2 * time.now + 1e-6
    wait = ask(allowance)
    time.now += wait
    assert ask(allowance) == 0 or wait == 0
