from hypothesis import given
from hypothesis import strategies as st

from services.referral.findings.figures import SMALL_BELOW, Figures, percent, public
from services.referral.findings.models import row_of

PARTS = ("followed", "partly", "not_followed", "no_reply", "withdrawn", "open")


def row(**counts):
    values = dict.fromkeys(
        (*PARTS, "silent", "deviated", "deviated_from_term", "replied", "settled"), 0
    )
    values |= counts
    return Figures(
        regime="advice_law", year=2026, findings=sum(values[name] for name in PARTS),
        median_reply_days=20.5, median_settle_days=None, **values,
    )  # fmt: skip


def test_a_percentage_never_comes_without_its_numbers():
    share = row_of(row(followed=9, not_followed=6, settled=15)).followed_of_settled
    assert (share.part, share.whole, share.percent) == (9, 15, 60.0)
    assert row_of(row(open=7)).followed_of_settled is None
    assert percent(None, 15) is None
    assert percent(0, 0) is None


def test_one_small_number_hides_all_parts_but_the_size():
    [hidden] = public([row(followed=20, partly=2, settled=22)])
    assert hidden.suppressed
    assert hidden.findings == 22
    assert hidden.followed is hidden.partly is hidden.median_reply_days is None
    assert row_of(hidden).followed_of_settled is None


def test_large_numbers_and_nothing_stay():
    large = row(followed=20, open=5, settled=20, replied=20)
    assert public([large]) == [large]


@given(st.fixed_dictionaries({name: st.integers(0, 9) for name in PARTS}))
def test_no_public_number_is_small(counts):
    [shown] = public([row(**counts)])
    numbers = [getattr(shown, name) for name in (*PARTS, "findings", "replied", "settled")]
    assert all(number is None or number == 0 or number >= SMALL_BELOW for number in numbers)
    known = [number for number in numbers[: len(PARTS)] if number is not None]
    # All parts or none: what is hidden cannot be had by subtraction.
    assert len(known) in {0, len(PARTS)}
