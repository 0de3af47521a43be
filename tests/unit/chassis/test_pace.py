"""When a pause is made: after much work of late, never at a calm pace or after a full batch."""

import pytest

from services.chassis import pace
from services.chassis.pace import BUSY_PER_SECOND, PAUSE_SECONDS, Pace


class Time:
    """A clock that only a test moves, and the pauses that were asked for."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(pace, "time", clock)
    monkeypatch.setattr(pace, "asyncio", clock)
    return clock


async def run(clock, per_second, seconds, batch_seconds=0.02):
    own = Pace(500)
    end = clock.now + seconds
    before = clock.now
    while clock.now < end:
        clock.now += batch_seconds
        handled, before = round((clock.now - before) * per_second), clock.now
        await own.gather_more(handled)
    return own


async def test_no_pause_at_a_calm_pace(clock):
    await run(clock, BUSY_PER_SECOND * 0.8, 5)
    assert clock.pauses == []


async def test_pauses_under_load_and_no_longer_when_it_ends(clock):
    own = await run(clock, BUSY_PER_SECOND * 3, 5)
    assert clock.pauses == [PAUSE_SECONDS] * len(clock.pauses)
    assert len(clock.pauses) * (PAUSE_SECONDS + 0.02) > 4
    clock.now += 1
    await own.gather_more(1)
    before = len(clock.pauses)
    for _ in range(50):
        clock.now += 0.02
        await own.gather_more(1)
    assert len(clock.pauses) == before


async def test_what_waited_during_a_stall_does_not_wait_longer(clock):
    own = Pace(500)
    clock.now += 2
    await own.gather_more(BUSY_PER_SECOND)
    assert clock.pauses == []


async def test_full_batches_follow_each_other_at_once(clock):
    own = Pace(500)
    for _ in range(50):
        clock.now += 0.1
        await own.gather_more(500)
    assert clock.pauses == []
