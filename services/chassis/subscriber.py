"""The one way to subscribe: FastStream in batches of raw records, with our own acknowledgement.

FastStream's defaults lose events (at-most-once acks, `latest`, argument-less commits). Here the
policy is MANUAL: the offsets of exactly the handled records are committed soon after the database
commit, a failed batch is read again, and a rebalance waits for the batch that is running.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaError,
    UnsupportedCodecError,
)
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from services.chassis.consumer import Processor
from services.chassis.errors import TRANSIENT
from services.chassis.incoming import record_of
from services.chassis.pace import Pace
from services.chassis.telemetry import Logger

_RETRY_SECONDS = 1.0
_WATCH_SECONDS = 2.0
_COMMIT_SECONDS = 0.25
_POLL_MS = 200
_MAX_POLL_INTERVAL_MS = 300_000

# What the client raises for records that it will never be able to unpack.
_BROKEN = (CorruptRecordException, UnsupportedCodecError)

RawBatch = tuple["ConsumerRecord[bytes, bytes]", ...]


class _Drain(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Holds a rebalance until the running batch and its offset commit are done."""

    def __init__(self, subscription: "Subscription") -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            await self._subscription.drain()

    async def on_partitions_assigned(self, _: set[TopicPartition]) -> None:
        self._subscription.note_progress()


class Subscription:
    """One consumer group member: topics (or a pattern) into a Processor."""

    def __init__(
        self,
        broker: KafkaBroker,
        processor: Processor,
        log: Logger,
        *,
        group_id: str,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        pace: Pace,
        session_timeout_seconds: float,
        drain_seconds_max: float,
        stuck_seconds_max: float,
    ) -> None:
        self.group_id = group_id
        self._processor = processor
        self._pace = pace
        self._log = log
        self._drain_seconds_max = drain_seconds_max
        self._stuck_seconds_max = stuck_seconds_max
        self._idle = asyncio.Event()
        self._idle.set()
        self._positions: dict[TopicPartition, int] = {}
        self._handled = 0
        self._progressed_at: float | None = None
        self._behind = False
        self._done: dict[tuple[str, int], int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.paused_for: str | None = None
        session_ms = int(session_timeout_seconds * 1000)
        self.subscriber = broker.subscriber(
            *topics,
            pattern=pattern,
            batch=True,
            group_id=group_id,
            max_records=pace.batch_max,
            batch_timeout_ms=_POLL_MS,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            listener=_Drain(self),
            parser=_parse_batch,
            decoder=_decode_batch,
        )
        self.subscriber(self._consume)
        # FastStream would sleep after an empty poll, and an event that comes then would wait.
        self.subscriber.get_msg = self._next_batch  # type: ignore[method-assign]

    def start(self) -> None:
        """Begin to watch progress; the broker starts the consumer itself."""
        self.note_progress()
        self._tasks = [
            asyncio.create_task(self._watch(), name=f"watch-{self.group_id}"),
            asyncio.create_task(self._commit_regularly(), name=f"offsets-{self.group_id}"),
        ]

    async def stop(self) -> None:
        """Let the running batch finish and commit its offsets."""
        for task in self._tasks:
            task.cancel()
        await self.drain()

    async def drain(self) -> None:
        """Wait for the running batch and commit its offsets, at most `drain_seconds_max`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds_max):
                await self._idle.wait()
                await self.commit()

    def note_progress(self) -> None:
        """The consumer did something that shows it is alive."""
        self._progressed_at = asyncio.get_running_loop().time()

    def assigned(self) -> bool:
        """Whether partitions are assigned to this member."""
        consumer = self.subscriber.consumer
        return consumer is not None and bool(consumer.assignment())

    def stuck_seconds(self) -> float:
        """How long records have waited without any progress; 0 when nothing waits."""
        if self._progressed_at is None or not self._behind:
            return 0.0
        return asyncio.get_running_loop().time() - self._progressed_at

    def stuck(self) -> bool:
        """Whether a restart is due: records wait, the broker answers, nothing moves."""
        return self.paused_for is None and self.stuck_seconds() > self._stuck_seconds_max

    async def _next_batch(self, consumer: AIOKafkaConsumer) -> RawBatch:
        # Here, because a rest is no work that a rebalance or a stop would have to wait for.
        handled, self._handled = self._handled, 0
        await self._pace.gather_more(handled)
        try:
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._pace.batch_max)
        except ConsumerStoppedError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a sender's bytes make of the client
            self._log.error("records_unreadable", group=self.group_id, error=type(error).__name__)
            found = await self._one_by_one(consumer)
        return tuple(chain.from_iterable(found.values()))

    async def _one_by_one(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, RawBatch]:
        """Read each partition by itself, and leave out those that cannot be unpacked.

        The client has thrown away what it had taken from the others when it failed, so that all go
        back to what was handled. A partition that is left out loses nothing and waits for a person.
        """
        await self.commit()
        readable = consumer.assignment() - consumer.paused()
        for where in readable:
            offset = await consumer.committed(where)
            if offset is None:
                await consumer.seek_to_beginning(where)
            else:
                consumer.seek(where, offset)
        found: dict[TopicPartition, RawBatch] = {}
        for where in sorted(readable):
            try:
                batch = await consumer.getmany(where, timeout_ms=_POLL_MS)
            except ConsumerStoppedError:
                raise
            except Exception as error:  # noqa: BLE001  # as above
                if isinstance(error, KafkaError) and not isinstance(error, _BROKEN):
                    # A right that is missing, a broker that is away: that may be mended meanwhile.
                    continue
                consumer.pause(where)
                self._log.error(
                    "partition_left_out",
                    topic=where.topic,
                    partition=where.partition,
                    error=type(error).__name__,
                    remedy="delete what cannot be read from the topic, then restart",
                )
            else:
                found.update(batch)
        return found

    async def _consume(self, batch: RawBatch) -> None:
        self._idle.clear()
        try:
            await self._processor.process([record_of(raw) for raw in batch])
            self._note_done(batch)
            self.paused_for = None
            self.note_progress()
            self._handled = len(batch)
        except TRANSIENT as error:
            # Not parked, not skipped: the same records are read again.
            self.paused_for = type(error).__name__
            self._log.warning("batch_postponed", group=self.group_id, error=str(error)[:200])
            self._rewind(batch)
            await asyncio.sleep(_RETRY_SECONDS)
        except BaseException:
            self._rewind(batch)
            raise
        finally:
            self._idle.set()

    def _note_done(self, batch: RawBatch) -> None:
        # In a batch the records of a partition are in their order: the last of them counts.
        for raw in batch:
            self._done[raw.topic, raw.partition] = raw.offset + 1

    async def commit(self) -> None:
        """Commit the offsets of what is in the database."""
        consumer = self.subscriber.consumer
        done, self._done = self._done, {}
        if consumer is None or not done:
            return
        held = consumer.assignment()
        try:
            reached = {TopicPartition(*where): offset for where, offset in done.items()}
            await consumer.commit({tp: offset for tp, offset in reached.items() if tp in held})
        except (KafkaError, ValueError) as error:
            # The work is committed in the database; whoever reads these again skips them.
            self._log.warning(
                "offsets_not_committed", group=self.group_id, error=type(error).__name__
            )

    async def _commit_regularly(self) -> None:
        """Offsets lag a little behind the work: a commit costs the broker far more than a record,
        and what is read again after a crash is skipped by the inbox.
        """
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            with contextlib.suppress(*TRANSIENT):
                await self.commit()

    def _rewind(self, batch: RawBatch) -> None:
        consumer = self.subscriber.consumer
        if consumer is None:
            return
        first: dict[TopicPartition, int] = {}
        for raw in batch:
            where = TopicPartition(raw.topic, raw.partition)
            first[where] = min(first.get(where, raw.offset), raw.offset)
        for where, offset in first.items():
            if where in consumer.assignment():
                consumer.seek(where, offset)

    async def _watch(self) -> None:
        """Compare what was read with what the broker holds, outside the consumer's own fetching."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            with contextlib.suppress(*TRANSIENT, AssertionError):
                self._behind = await asyncio.wait_for(self._is_behind(), _WATCH_SECONDS * 2)

    async def _is_behind(self) -> bool:
        consumer = self.subscriber.consumer
        if consumer is None:
            return False
        partitions = consumer.assignment()
        if not partitions:
            # Without an assignment for long, while the broker answers: as stuck as can be.
            return bool(await consumer._client.fetch_all_metadata())  # noqa: SLF001  # no public way
        # Who is left out waits for a person; a restart would not help.
        ends = await consumer.end_offsets(partitions - consumer.paused())
        behind = False
        for where, end in ends.items():
            position = await consumer.position(where)
            if position != self._positions.get(where):
                self._positions[where] = position
                self.note_progress()
            behind = behind or position < end
        return behind


async def _parse_batch(batch: RawBatch) -> KafkaMessage:
    """Wrap records without touching them: a header that is no UTF-8 must be parked, not dropped."""
    return KafkaMessage(
        body=b"", raw_message=batch, headers={}, batch_headers=[], consumer=_NO_CONSUMER
    )


async def _decode_batch(message: KafkaMessage) -> Any:
    return message.raw_message


class _NoConsumer:
    """Stands where FastStream would acknowledge; we do that ourselves."""

    async def commit(self) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...


_NO_CONSUMER = _NoConsumer()
