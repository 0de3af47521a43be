"""How long a consumer or relay rests after a batch."""

import pytest

from services.chassis import pace
from services.chassis.pace import REST_SECONDS_EACH, REST_SECONDS_MAX, Pace


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


async def test_a_rest_is_in_proportion_to_the_batch(rests):
    own = Pace(500)
    await own.gather_more(1)
    await own.gather_more(50)
    assert rests == [REST_SECONDS_EACH, 50 * REST_SECONDS_EACH]


async def test_nobody_rests_long(rests):
    await Pace(500).gather_more(249)
    assert rests == [REST_SECONDS_MAX]


async def test_full_batches_follow_each_other_at_once(rests):
    own = Pace(500)
    for handled in (250, 400, 500):
        await own.gather_more(handled)
    assert rests == []


async def test_at_a_calm_pace_a_report_hardly_waits(rests):
    # 50 events a second come one by one: the next one comes long after the rest has ended.
    await Pace(500).gather_more(1)
    assert rests[0] < 0.1 / 50
