"""From the outbox to Kafka: one active relay per database, keyed, pipelined, without a cursor.

What the outbox holds is published and then deleted; nothing is remembered in between, so a relay
that dies anywhere only repeats. Consumers know a repeat by (source, id).
"""

import asyncio
import contextlib
import zlib
from collections.abc import Sequence

import asyncpg
from aiokafka import AIOKafkaProducer

from contracts.envelope import Envelope, Header, to_headers
from services.chassis.db import Connection, Database
from services.chassis.errors import TRANSIENT
from services.chassis.kafka import KafkaAccess
from services.chassis.metrics import Metrics
from services.chassis.pace import Pace
from services.chassis.telemetry import Logger

# Session lock of the active relay; any constant that no other lock of this database has.
_RELAY_LOCK = 0x72656C61
_CHANNEL = "outbox"
_STANDBY_SECONDS = 1.0
_HINT_SECONDS = 0.05
_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0)
_STOP_SECONDS_MAX = 5.0
_MISSING_TOPIC_SECONDS = 10.0

_FIRST = "SELECT position, source_id, sequence FROM outbox ORDER BY position LIMIT $1"
_FIRST_ELSEWHERE = """
SELECT position, source_id, sequence FROM outbox JOIN event USING (source_id, sequence)
WHERE topic <> ALL ($2::text[]) ORDER BY position LIMIT $1
"""
_TAKE = """
SELECT o.position, s.urn, e.sequence, e.id, e.type, e.topic, e.key, e.time, e.dataschema, e.dataref,
       e.traceparent, e.data
FROM ({first}) o
JOIN event e USING (source_id, sequence) JOIN source s ON s.id = o.source_id
ORDER BY o.position
"""


class Relay:
    """Publishes the outbox of one database for as long as it holds the relay lock."""

    def __init__(
        self,
        database: Database,
        kafka: KafkaAccess,
        metrics: Metrics,
        log: Logger,
        *,
        batch_max: int,
        poll_seconds: float,
        publish_timeout_seconds: float,
    ) -> None:
        self._database = database
        self._kafka = kafka
        self._metrics = metrics
        self._log = log
        self._batch_max = batch_max
        self._pace = Pace(batch_max)
        self._poll_seconds = poll_seconds
        self._publish_timeout_seconds = publish_timeout_seconds
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._notify: asyncio.Task[None] | None = None
        # Topics that the broker does not have, with the moment at which to look again.
        self._missing: dict[str, float] = {}
        self.active = False
        self.problem: str | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._run(), name="relay")

    async def stop(self) -> None:
        """Publish what can still be published at once, then stop."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=_STOP_SECONDS_MAX)
            for task in late:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def ended(self) -> bool:
        """Whether the background task has died, which only a defect can do."""
        return self._task is not None and self._task.done() and not self._stopping

    def wake(self) -> None:
        """Tell that there is something to publish: here when active, else across processes."""
        self._wake.set()
        if not self.active and (self._notify is None or self._notify.done()):
            self._notify = asyncio.create_task(self._tell_active_relay())

    async def _tell_active_relay(self) -> None:
        # A hint only: the active relay also polls. It is a commit of its own, so what is committed
        # shortly after another is told together.
        with contextlib.suppress(*TRANSIENT):
            while self._wake.is_set() and not self.active:
                self._wake.clear()
                async with self._database.connection() as connection:
                    await connection.execute(f"NOTIFY {_CHANNEL}")
                await asyncio.sleep(_HINT_SECONDS)

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                await self._lead()
                failures = 0
            except TRANSIENT as error:
                # Also what aiokafka raises for good: a new producer is made on the next round.
                self.problem = type(error).__name__
                self._metrics.publish_failures.inc()
                self._log.warning("relay_interrupted", error=self.problem)
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1
            finally:
                self.active = False

    async def _lead(self) -> None:
        connection = await self._database.dedicated()
        try:
            if not await self._until_locked(connection):
                return
            await connection.add_listener(_CHANNEL, lambda *_: self._wake.set())
            producer = self._kafka.producer()
            try:
                await asyncio.wait_for(producer.start(), self._publish_timeout_seconds)
                await self._drain_until_stopped(connection, producer)
            finally:
                await _stop_quietly(producer)
        finally:
            with contextlib.suppress(*TRANSIENT):
                await connection.close(timeout=2)

    async def _until_locked(self, connection: Connection) -> bool:
        """Wait until this relay is the active one; False when it has to stop before that.

        Asked again and again: a statement that waits for the lock would hold back the vacuum for
        as long as another instance lives.
        """
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _RELAY_LOCK):
            self.problem = None
            await asyncio.sleep(_STANDBY_SECONDS)
            if self._stopping:
                return False
        return True

    async def _drain_until_stopped(
        self, connection: Connection, producer: AIOKafkaProducer
    ) -> None:
        self.active = True
        self.problem = None
        while True:
            self._wake.clear()
            rows = await self._take(connection)
            if rows:
                async with asyncio.timeout(self._publish_timeout_seconds):
                    rows = await self._without_missing(producer, rows)
                    await _publish(producer, rows)
                await connection.execute(
                    "DELETE FROM outbox WHERE position = ANY($1::bigint[])",
                    [row["position"] for row in rows],
                )
                self._metrics.published.inc(len(rows))
                await self._pace.gather_more(len(rows))
            elif self._stopping:
                return
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._poll_seconds)

    async def _take(self, connection: Connection) -> Sequence[asyncpg.Record]:
        now = asyncio.get_running_loop().time()
        self._missing = {topic: until for topic, until in self._missing.items() if until > now}
        first: str = _FIRST
        values: list[object] = [self._batch_max]
        if self._missing:
            first, values = _FIRST_ELSEWHERE, [self._batch_max, list(self._missing)]
        rows: list[asyncpg.Record] = await connection.fetch(_TAKE.format(first=first), *values)
        return rows

    async def _without_missing(
        self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]
    ) -> Sequence[asyncpg.Record]:
        """The rows whose topic the broker has; the others wait in the outbox, and delay nobody."""
        wanted = {row["topic"] for row in rows}
        known = producer.client.cluster
        if all(known.partitions_for_topic(topic) for topic in wanted):
            return rows
        missing = wanted - (await producer.client.fetch_all_metadata()).topics()
        again_at = asyncio.get_running_loop().time() + _MISSING_TOPIC_SECONDS
        for topic in sorted(missing):
            self._missing[topic] = again_at
            self._metrics.publish_failures.inc()
            self._log.error("topic_missing", topic=topic, remedy="create it; its events wait")
        return [row for row in rows if row["topic"] not in missing]


async def _publish(producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> None:
    """Send all, then wait for all acknowledgements; raises when one of them fails."""
    partitions: dict[tuple[str, int], list[asyncpg.Record]] = {}
    for row in rows:
        topic = row["topic"]
        count = len(await producer.partitions_for(topic))
        where = (topic, partition_of(row["key"].bytes, count))
        partitions.setdefault(where, []).append(row)
    sent = [
        future
        for (topic, partition), of_one in partitions.items()
        for future in await _send(producer, topic, partition, of_one)
    ]
    await asyncio.gather(*sent)


def partition_of(key: bytes, count: int) -> int:
    """Partition of a key: any even spread does, as long as it is always the same one."""
    return zlib.crc32(key) % count


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, rows: Sequence[asyncpg.Record]
) -> "list[asyncio.Future[object]]":
    """Hand over records in as few batches as they fit in, keeping their order.

    A whole batch costs the client about what one record costs when it is sent by itself.
    """
    futures: list[asyncio.Future[object]] = []
    batch = producer.create_batch()
    for row in rows:
        key = str(row["key"])
        parts = {
            "key": key.encode(),
            "value": row["data"],
            "timestamp": None,
            "headers": _headers(row, key),
        }
        if batch.append(**parts) is None:
            futures.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            if batch.append(**parts) is None:
                raise ValueError("an event is larger than a batch")
    futures.append(await producer.send_batch(batch, topic, partition=partition))
    return futures


def _headers(row: asyncpg.Record, key: str) -> list[Header]:
    return to_headers(
        Envelope(
            id=str(row["id"]),
            source=row["urn"],
            type=row["type"],
            time=row["time"],
            subject=key,
            sequence=row["sequence"],
            data=row["data"],
            dataschema=row["dataschema"],
            dataref=row["dataref"],
            traceparent=row["traceparent"],
        )
    )


async def _stop_quietly(producer: AIOKafkaProducer) -> None:
    # A producer that the broker left hanging must not keep the next one from starting.
    with contextlib.suppress(*TRANSIENT):
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS_MAX)
