"""Group commit: reports that arrive together share one transaction.

One writer takes whatever waits, up to a limit, stores it and commits; nobody waits for a timer.
Under load the batches grow by themselves while the previous commit runs. A receipt is given only
after the commit.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from contracts.intake import ReportReceived
from services.chassis import journal
from services.chassis.db import Database
from services.chassis.errors import TRANSIENT
from services.chassis.ids import Clock
from services.chassis.journal import Outgoing
from services.chassis.telemetry import Logger
from services.intake import store
from services.intake.domain import FormerReport, StoredReport
from services.intake.store import ReportRow

Key = tuple[str, str]


class Overloaded(Exception):
    """Too many reports wait already; nothing of this one was stored."""


class NotConfirmed(Exception):
    """The commit was not confirmed in time; a repeat with the same key shows what happened."""


class Unstorable(Exception):
    """A report cannot be stored, which is a defect of ours; holds no word of the report."""


class KeyReused(Exception):
    """The client used the key before for another body."""


class Outcome(NamedTuple):
    """The stored report, and whether it had been stored before."""

    report: StoredReport
    replayed: bool


@dataclass(slots=True)
class _Waiting:
    row: ReportRow
    event: ReportReceived
    traceparent: str
    future: "asyncio.Future[Outcome]"

    @property
    def key(self) -> Key:
        return (self.row.client, self.row.idempotency_key)


class Committer:
    """The single writer of reports of this process; `run` is its background task."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        log: Logger,
        *,
        source: str,
        topic: str,
        batch_max: int,
        waiting_max: int,
        seconds_max: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._source = source
        self._topic = topic
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._seconds_max = seconds_max
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()

    async def submit(self, row: ReportRow, event: ReportReceived, traceparent: str) -> Outcome:
        """Store a report; returns after the commit.

        Raises Overloaded, NotConfirmed, KeyReused or Unstorable.
        """
        if len(self._queue) >= self._waiting_max:
            raise Overloaded
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, event, traceparent, loop.create_future())
        self._queue.append(waiting)
        self._wake.set()
        # A timer alone: `asyncio.timeout` sets the same one and does more, to cancel the task.
        timer = loop.call_later(self._seconds_max, _fail, (waiting,), NotConfirmed())
        try:
            return await waiting.future
        finally:
            timer.cancel()

    async def run(self) -> None:
        """Write until cancelled; then tell those who still wait that nothing is confirmed."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._take():
                    await self._write(batch)
        finally:
            _fail(self._queue, NotConfirmed())
            self._queue.clear()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._batch_max:
            waiting = self._queue.popleft()
            # Done means that the request gave up: it must not be stored behind its back.
            if not waiting.future.done():
                batch.append(waiting)
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._commit(batch)
        except TRANSIENT as error:
            self._log.warning("reports_not_stored", error=type(error).__name__, count=len(batch))
            _fail(batch, NotConfirmed())
        except asyncio.CancelledError:
            _fail(batch, NotConfirmed())
            raise
        except Exception as error:  # noqa: BLE001  # one bad row must not harm the others
            if len(batch) == 1:
                # Only the name: a driver's message can quote what somebody wrote.
                self._log.error("report_unstorable", error=type(error).__name__)
                _fail(batch, Unstorable(type(error).__name__))
                return
            for waiting in batch:
                await self._write([waiting])

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        leaders: dict[Key, _Waiting] = {}
        for waiting in batch:
            leaders.setdefault(waiting.key, waiting)
        now = self._clock()
        async with self._database.transaction() as connection:
            rows = [waiting.row for waiting in leaders.values()]
            fresh = await store.insert_reports(connection, rows, now)
            old = [k for k, w in leaders.items() if w.row.report.report_id not in fresh]
            former = await store.former_reports(connection, old) if old else []
            outgoing = [
                Outgoing(w.event, w.event.case_id, self._topic, self._source, w.traceparent)
                for w in leaders.values()
                if w.row.report.report_id in fresh
            ]
            await journal.append(connection, outgoing, now)
        _resolve(
            batch, leaders, fresh, {(item.client, item.idempotency_key): item for item in former}
        )


def _resolve(
    batch: Sequence[_Waiting],
    leaders: Mapping[Key, _Waiting],
    fresh: set[UUID],
    former: Mapping[Key, FormerReport],
) -> None:
    for waiting in batch:
        if waiting.future.done():
            continue
        leader = leaders[waiting.key]
        known = former.get(waiting.key)
        if known is not None:
            report, body_mac = known.report, known.body_mac
        elif leader.row.report.report_id in fresh:
            report, body_mac = leader.row.report, leader.row.body_mac
        else:
            waiting.future.set_exception(NotConfirmed())
            continue
        if body_mac == waiting.row.body_mac:
            waiting.future.set_result(Outcome(report, report is not waiting.row.report))
        else:
            waiting.future.set_exception(KeyReused())


def _fail(batch: Sequence[_Waiting] | deque[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)
