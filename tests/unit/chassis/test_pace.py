"""How long a consumer or relay rests after a batch."""

import pytest

from services.chassis import pace
from services.chassis.pace import REST_SECONDS_EACH, Pace

BATCH_MAX = 500


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


async def test_a_rest_grows_with_the_batch(rests):
    own = Pace(BATCH_MAX)
    for handled in (1, 10, 50):
        await own.gather_more(handled)
    assert rests == pytest.approx([n * REST_SECONDS_EACH for n in (1, 10, 50)], rel=0.11)


async def test_nobody_rests_longer_than_agreed(rests):
    for agreed in (0.1, 0.02):
        own = Pace(BATCH_MAX, rest_seconds_max=agreed)
        for handled in range(1, BATCH_MAX + 1):
            await own.gather_more(handled)
        assert max(rests) <= agreed
        rests.clear()


async def test_full_batches_follow_each_other_at_once(rests):
    await Pace(BATCH_MAX).gather_more(BATCH_MAX)
    assert rests == []


async def test_what_is_nearly_full_hardly_rests(rests):
    # No threshold: a batch of one record less must not make the next one a tenth as large.
    await Pace(BATCH_MAX).gather_more(BATCH_MAX - 1)
    assert rests[0] < REST_SECONDS_EACH


async def test_at_a_calm_pace_a_report_hardly_waits(rests):
    # 50 events a second come one by one: the next one comes long after the rest has ended.
    await Pace(BATCH_MAX).gather_more(1)
    assert rests[0] <= 0.1 / 50


async def test_a_reader_that_nobody_waits_for_does_not_come_for_every_record(rests):
    await Pace(BATCH_MAX, rest_seconds_min=0.05).gather_more(1)
    assert rests == pytest.approx([0.05], rel=0.1)


async def test_who_found_nothing_looks_again_at_once(rests):
    # Waiting for the next record is Kafka's part.
    await Pace(BATCH_MAX, rest_seconds_min=0.05).gather_more(0)
    assert rests == []
