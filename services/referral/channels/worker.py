"""The worker: feeds become deliveries, deliveries become requests, one lane beside another.

Everything that must outlive the process is in the database. A lane is a partner's channel; each
has its own limits here, so that a partner who hangs, fails or has much to catch up on delays nobody
else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from contracts.situation import Urgency
from services.chassis.db import Database
from services.chassis.errors import TRANSIENT, is_defect
from services.chassis.ids import Clock
from services.chassis.telemetry import Logger
from services.referral.channels import escalation, rules, store, taking
from services.referral.channels.domain import Destination, Job, Lane, Push, Try, TryProblem
from services.referral.channels.options import ChannelOptions
from services.referral.channels.schedule import escalate_at
from services.referral.channels.truth import Telling, change_lane

LaneKey = tuple[str, Push]
_RETRY_SECONDS = 1.0


class Sender(Protocol):
    """Brings one event over one channel."""

    async def send(self, destination: Destination, job: Job, now: datetime) -> Try:
        """Try once; never raises for what the other side does."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one round of a lane has to do."""

    lane: Lane
    destination: Destination | None
    jobs: Sequence[Job]


class Deliveries:
    """Delivers in the background; any number of instances may run side by side."""

    def __init__(
        self,
        database: Database,
        senders: Mapping[Push, Sender],
        telling: Telling,
        options: ChannelOptions,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._database = database
        self._senders = senders
        self._telling = telling
        self._options = options
        self._clock = clock
        self._log = log
        self._lanes: dict[LaneKey, asyncio.Task[None]] = {}
        # Lanes in trouble share a limit of their own: however many hang, those that are well
        # find their places free.
        self._places = {
            True: asyncio.Semaphore(options.in_flight_max),
            False: asyncio.Semaphore(options.in_flight_max),
        }

    async def run(self) -> None:
        """Work until cancelled; a database that is away only delays it."""
        # Apart, so that a long sweep does not make what is new wait.
        parts = [
            asyncio.create_task(self._repeat(self._feed, self._options.poll_seconds)),
            asyncio.create_task(self._repeat(self.sweep, self._options.sweep_seconds)),
        ]
        try:
            await asyncio.gather(*parts)
        finally:
            await self._stop(parts)

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
                await asyncio.sleep(seconds)
            except TRANSIENT as error:
                if is_defect(error):
                    raise
                self._log.warning("deliveries_postponed", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _feed(self) -> None:
        await self.take()
        await self._start_lanes()

    async def work(self) -> None:
        """One whole round: take, sweep, and send until nothing is due. For tests and replays."""
        while await self.take():
            pass
        await self.sweep()
        await self._start_lanes()
        await asyncio.gather(*self._lanes.values())

    async def close(self) -> None:
        """Give back all connections; `run` does so by itself."""
        for sender in self._senders.values():
            await sender.close()

    async def take(self) -> int:
        """Turn what is new on the feeds into deliveries; gives how many events were taken."""
        now = self._clock()
        async with self._database.transaction() as connection:
            behind = await taking.lock_behind(connection)
            if not behind:
                return 0
            limit = self._options.take_batch_max
            fresh = await taking.fresh(connection, behind, limit)
            partners = {item.organisation: item for item in behind}
            await taking.add(
                connection,
                [
                    delivery
                    for item in fresh
                    if (delivery := _delivery(partners[item.organisation], item, now)) is not None
                ],
                now,
            )
            await taking.move_cursors(
                connection, {item.organisation: item.sequence for item in fresh}
            )
        return len(fresh)

    async def sweep(self) -> None:
        """Give up what is too old, and bring what is late to the next channel or a person."""
        now = self._clock()
        async with self._database.connection() as connection:
            old = await escalation.lanes_to_give_up(connection, now)
        for organisation, channel in old:
            async with self._database.transaction() as connection:
                lane = await store.lock_lane(connection, organisation, channel)
                if lane is not None:
                    await escalation.give_up(connection, lane, now)
                    await change_lane(
                        connection, self._telling, lane, rules.given_up(lane, now), now
                    )
        async with self._database.transaction() as connection:
            due = await escalation.escalate(connection, now)
            await escalation.ask_for_addresses(connection, now)
        if due:
            self._log.warning("deliveries_escalated", count=due)

    async def _start_lanes(self) -> None:
        async with self._database.connection() as connection:
            found = await store.lanes_with_work(connection, self._clock())
        for organisation, channel, well in found:
            key = (organisation, channel)
            if key not in self._lanes:
                task = asyncio.create_task(self._drain(key, well), name=f"lane {organisation}")
                self._lanes[key] = task
                task.add_done_callback(lambda done, key=key: self._ended(key, done))  # type: ignore[misc]

    def _ended(self, key: LaneKey, done: "asyncio.Task[None]") -> None:
        del self._lanes[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            # The next poll starts the lane again; the lease keeps it from a hurry.
            self._log.error("lane_interrupted", organisation=key[0], error=type(error).__name__)

    async def _drain(self, key: LaneKey, well: bool) -> None:
        """Send what is due in a lane, round after round, no faster than the limit."""
        places = self._places[well]
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            claimed = await self._claim(key)
            if claimed is None:
                return
            tries = await self._try_all(places, claimed)
            if not await self._settle(key, tries):
                return
            least = len(tries) / self._options.sends_per_second_max
            await asyncio.sleep(max(0.0, least - (loop.time() - began)))

    async def _claim(self, key: LaneKey) -> Claimed | None:
        now = self._clock()
        options = self._options
        async with self._database.transaction() as connection:
            lane = await store.lock_lane(connection, *key, wait=False)
            if lane is None or not lane.enabled or (lane.paused_until or now) > now:
                return None
            most = rules.in_flight_max(lane, options.in_flight_per_partner_max)
            free = most - await store.in_flight(connection, lane, now)
            if free <= 0:
                return None
            leased_until = now + timedelta(seconds=options.lease_seconds)
            jobs = await store.claim(connection, lane, now, free, leased_until)
            if not jobs:
                return None
            return Claimed(lane, await store.destination(connection, *key), jobs)

    async def _try_all(self, places: asyncio.Semaphore, claimed: Claimed) -> list[tuple[Job, Try]]:
        try:
            found = await asyncio.gather(
                *(self._try(places, claimed.destination, job) for job in claimed.jobs)
            )
        except asyncio.CancelledError:
            async with self._database.transaction() as connection:
                await store.release(connection, claimed.jobs)
            raise
        return list(zip(claimed.jobs, found, strict=True))

    async def _try(
        self, places: asyncio.Semaphore, destination: Destination | None, job: Job
    ) -> Try:
        if destination is None:
            return Try(TryProblem.NO_ADDRESS)
        async with places:
            try:
                return await self._senders[job.channel].send(destination, job, self._clock())
            except Exception as error:  # noqa: BLE001 - a defect met by one event stops no other
                self._log.error(
                    "delivery_defect",
                    organisation=job.organisation,
                    sequence=job.event.sequence,
                    error=type(error).__name__,
                )
                return Try(TryProblem.DEFECT)

    async def _settle(self, key: LaneKey, tries: Sequence[tuple[Job, Try]]) -> bool:
        """Write what came of a round; gives whether the lane may go on at once."""
        now = self._clock()
        async with self._database.transaction() as connection:
            before = await store.lock_lane(connection, *key)
            if before is None:
                return False
            settled = [(job, rules.settle(job, tried, now)) for job, tried in tries]
            await store.settle(connection, before, settled, now)
            after = rules.lane_after(before, tries, now)
            await change_lane(connection, self._telling, before, after, now)
        for job, tried in tries:
            if tried.problem is not None:
                self._log.info(
                    "delivery_try_failed",
                    organisation=job.organisation,
                    channel=job.channel.value,
                    sequence=job.event.sequence,
                    attempt=job.attempts,
                    problem=tried.problem.value,
                    http_status=tried.http_status,
                )
        return after.enabled and after.paused_until is None

    async def _stop(self, parts: Sequence[asyncio.Task[None]]) -> None:
        tasks = [*parts, *self._lanes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.close()


def _delivery(
    partner: taking.Behind, item: taking.Fresh, now: datetime
) -> taking.NewDelivery | None:
    """The delivery of an event on the partner's channel, or None when that needs no push."""
    if partner.push is None:
        return None
    # A lane that has failed is still tried, but nobody waits for it any more.
    late = now if partner.failed else escalate_at(item.urgency, now)
    return taking.NewDelivery(
        organisation=item.organisation,
        channel=partner.push,
        source_id=item.source_id,
        sequence=item.sequence,
        case_id=item.case_id,
        urgent=item.urgency is Urgency.ACUUT,
        escalate_at=late,
        problem=None if partner.enabled else TryProblem.GONE,
    )
