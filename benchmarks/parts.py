"""What the bare skeleton is made of: a relay that reads back, and group commit."""

import asyncio
import contextlib
import gc
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

VARIABLE = "MELDPUNT_BENCH"
BATCH_MAX = 500
GROUP_MAX = 256
_POLL_SECONDS = 0.5
_FETCH_MS = 200
_PRODUCE_BATCH_BYTES = 131_072

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Config:
    """What one process of a measured design gets, as JSON in an environment variable."""

    bootstrap: str
    dsn: str
    port: int
    tag: str

    def topic(self, name: str) -> str:
        return f"bench.{self.tag}.{name}"

    def environment(self) -> dict[str, str]:
        return {**os.environ, VARIABLE: json.dumps(asdict(self)), "PYTHONUNBUFFERED": "1"}

    @classmethod
    def read(cls) -> "Config":
        return cls(**json.loads(os.environ[VARIABLE]))


TOPICS = ("intake", "routing", "referral", "out", "in")


def producer(bootstrap: str) -> AIOKafkaProducer:
    """Idempotent, acknowledged by all replicas, as the project's own."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=_PRODUCE_BATCH_BYTES,
    )


def consumer(bootstrap: str, group: str, topics: Sequence[str]) -> AIOKafkaConsumer:
    """From the beginning, offsets committed by hand only."""
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )


class Relay:
    """Publishes the outbox: takes pointers, sends pipelined, deletes after all acknowledgements."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        connection = await asyncpg.connect(self._config.dsn)
        sender = producer(self._config.bootstrap)
        await sender.start()
        while True:
            self._wake.clear()
            rows = await connection.fetch(
                "SELECT position, topic, key, id, kind, data FROM outbox"
                " ORDER BY position LIMIT $1",
                BATCH_MAX,
            )
            if not rows:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _POLL_SECONDS)
                continue
            sent = [
                await sender.send(
                    row["topic"],
                    row["data"],
                    key=row["key"].bytes,
                    headers=[("id", row["id"].bytes), ("kind", row["kind"].encode())],
                )
                for row in rows
            ]
            await asyncio.gather(*sent)
            await connection.execute(
                "DELETE FROM outbox WHERE position = ANY($1::bigint[])",
                [row["position"] for row in rows],
            )


class GroupCommit(Generic[T, R]):
    """Concurrent requests share one transaction: whoever waits when a commit ends goes next."""

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], most: int = GROUP_MAX
    ) -> None:
        self._write = write
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._wake = asyncio.Event()

    async def submit(self, item: T) -> R:
        """What the write gave for the item, after the commit that holds it."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._wake.set()
        return await done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group = self._waiting[: self._most]
                del self._waiting[: self._most]
                results = await self._write([item for item, _ in group])
                for (_, done), result in zip(group, results, strict=True):
                    if not done.done():
                        done.set_result(result)


Handle = Callable[[Any, Sequence[Any]], Awaitable[None]]


async def consume(config: Config, role: str, topics: Sequence[str], handle: Handle) -> None:
    """Batches of records through `handle(connection, records)`, then the offsets of these records.

    Dies on any error: the offsets are not committed, so nothing is lost.
    """
    connection = await asyncpg.connect(config.dsn)
    reader = consumer(
        config.bootstrap, f"bench-{config.tag}-{role}", [config.topic(name) for name in topics]
    )
    await reader.start()
    while True:
        found = await reader.getmany(timeout_ms=_FETCH_MS, max_records=BATCH_MAX)
        records = [record for batch in found.values() for record in batch]
        if not records:
            continue
        await handle(connection, records)
        offsets: dict[TopicPartition, int] = {tp: b[-1].offset + 1 for tp, b in found.items()}
        await reader.commit(offsets)


async def forever(*works: Awaitable[None]) -> None:
    """Run all until one fails; collects garbage once and then leaves what is old alone."""
    gc.collect()
    gc.freeze()
    await asyncio.gather(*works)
