"""How long a consumer or relay rests after a batch."""

import pytest

from services.chassis import pace
from services.chassis.pace import REST_SECONDS_MAX, REST_TIMES, Pace


@pytest.fixture
def rests(monkeypatch):
    """The rests that were asked for, none of which is waited for."""
    found = []

    class Asyncio:
        @staticmethod
        async def sleep(seconds):
            found.append(seconds)

    monkeypatch.setattr(pace, "asyncio", Asyncio)
    return found


async def test_a_rest_is_in_proportion_to_what_the_batch_took(rests):
    own = Pace(500)
    await own.gather_more(1, 0.004)
    await own.gather_more(100, 0.02)
    assert rests == [0.004 * REST_TIMES, 0.02 * REST_TIMES]


async def test_nobody_waits_long_after_a_stall(rests):
    await Pace(500).gather_more(3, 30.0)
    assert rests == [REST_SECONDS_MAX]


async def test_full_batches_follow_each_other_at_once(rests):
    own = Pace(500)
    for handled in (250, 400, 500):
        await own.gather_more(handled, 0.2)
    assert rests == []


async def test_at_a_calm_pace_a_report_hardly_waits(rests):
    # 50 events a second, a batch of one in 5 ms: the next one comes after the rest has ended.
    await Pace(500).gather_more(1, 0.005)
    assert rests[0] + 0.005 < 1 / 50
