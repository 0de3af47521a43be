"""A clock that jumps, or stands still, beside deadlines and deliveries: nothing fires early."""

from datetime import timedelta

import pytest_asyncio

from services.chassis.ids import utc_now
from services.referral.channels.worker import Deliveries
from services.referral.deadlines import Deadlines
from services.referral.steady import DISTRUST_SECONDS, TOLERANCE_SECONDS, SteadyClock
from tests.unit.referral.builders import assigned

JUMP = timedelta(minutes=10)
# An offer that lapses in five minutes: a jump of ten would end it.
MINUTES = 5


class Times:
    """A wall clock that can be wrong, and a monotonic one that never is."""

    def __init__(self) -> None:
        self.wall, self.at = utc_now(), 100.0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.at)

    def pass_by(self, seconds: float, jump: timedelta = timedelta()) -> None:
        self.at += seconds
        self.wall += timedelta(seconds=seconds) + jump


class Case:
    """An offer with a short time, and the works of the service that follow the steady clock."""

    def __init__(self, world, times: Times, row, limits) -> None:
        self.world, self.times, self.row, self.limits = world, times, row, limits
        self.works = Deadlines(world.database, world.publishing, lambda *_: None, times.steady, 0.0)

    async def pass_by(self, seconds: float, jump: timedelta = timedelta()) -> str:
        """Let time go by in steps of a second; gives the status of the offer."""
        for second in range(int(seconds)):
            self.times.pass_by(1, jump if second == 0 else timedelta())
            if second % 15 == 0:
                await self.works.work()
            else:
                self.times.steady()
        await self.works.work()
        return (await self.world.referral(self.row["case_id"]))["status"]


@pytest_asyncio.fixture(loop_scope="session")
async def case(world):
    times = Times()
    limits = assigned().limits.model_copy(update={"received_within_minutes": MINUTES})
    row = await world.offered("school", limits=limits)
    times.wall = times.steady._last
    return Case(world, times, row, limits)


async def test_a_jump_of_ten_minutes_and_back_ends_nothing(case):
    assert await case.pass_by(10) == "requested"
    assert await case.pass_by(30, JUMP) == "requested"
    assert await case.pass_by(100, -JUMP) == "requested"
    # It lapses in its own time, neither earlier nor later.
    left = case.row["due_at"] - case.times.steady()
    assert await case.pass_by(left.total_seconds() - 5) == "requested"
    assert await case.pass_by(10) == "failed"


async def test_a_jump_of_ten_minutes_that_stays_counts_after_a_minute(case):
    assert await case.pass_by(DISTRUST_SECONDS - 2, JUMP) == "requested"
    assert await case.pass_by(5) == "failed"


async def test_a_clock_that_stands_still_holds_no_deadline_up(case):
    due = (case.row["due_at"] - case.times.steady()).total_seconds()
    standing = -timedelta(seconds=1)
    for _ in range(int(due) - 5):
        case.times.pass_by(1, standing)
        case.times.steady()
    await case.works.work()
    assert (await case.world.referral(case.row["case_id"]))["status"] == "requested"
    for _ in range(int(TOLERANCE_SECONDS) + 6):
        case.times.pass_by(1, standing)
        case.times.steady()
    await case.works.work()
    assert (await case.world.referral(case.row["case_id"]))["status"] == "failed"
    # It runs again, ten minutes behind no longer: nothing happens twice.
    told = await case.world.events(case.row["case_id"])
    assert [event["name"] for event in told].count("referral-escalated") == 1
    await case.pass_by(70, timedelta(seconds=due))
    again = await case.world.events(case.row["case_id"])
    assert [event["name"] for event in again].count("referral-escalated") == 1


async def test_an_offer_made_while_the_clock_is_wrong_has_its_whole_time(case):
    """Terms are set by the clock that ends them, or a jump back would end them at once."""
    world, times = case.world, case.times
    handlers = world.runtime.processors[0]._handler.__self__
    kept, handlers._clock = handlers._clock, times.steady
    try:
        times.pass_by(1, -JUMP)
        row = await world.offered("school", limits=case.limits)
        times.pass_by(1, JUMP)
    finally:
        handlers._clock = kept
    assert row["due_at"] - times.steady() > timedelta(minutes=MINUTES, seconds=-5)
    await case.works.work()
    assert (await world.referral(row["case_id"]))["status"] == "requested"


def test_the_running_service_follows_one_steady_clock(world):
    """All that sets a term and all that ends one, as the service itself is put together."""
    runtime = world.runtime
    works = [
        cell.cell_contents.__self__
        for cell in runtime._background["deadlines"].__closure__
        if getattr(cell.cell_contents, "__self__", None).__class__ is Deadlines
    ]
    deliveries = runtime._background["deliveries"].__self__
    handlers = [processor._handler.__self__ for processor in runtime.processors]
    assert isinstance(runtime.clock, SteadyClock)
    assert isinstance(deliveries, Deliveries)
    assert len(works) == 1
    assert {id(part._clock) for part in (*works, *handlers, deliveries)} == {id(runtime.clock)}
