"""Reads what a Kafka partner answers on its own topic."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.topics import PARTNER_PARTITIONS, partner_in
from deploy.conformance.notebook import Notebook, Said


@contextlib.asynccontextmanager
async def watching(bootstrap: str, organisation: str, notebook: Notebook) -> AsyncIterator[None]:
    """Note every answer that is written during the block."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    places = [TopicPartition(partner_in(organisation), n) for n in range(PARTNER_PARTITIONS)]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    for place in places:
        # Only now is the end known; the seek itself waits for the first poll.
        await consumer.position(place)
    task = asyncio.create_task(_read(consumer, notebook))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, notebook: Notebook) -> None:
    while True:
        try:
            batches = await consumer.getmany(timeout_ms=100)
        except KafkaError:
            await asyncio.sleep(0.5)
            continue
        for records in batches.values():
            for record in records:
                _note(record.value or b"", notebook)


def _note(value: bytes, notebook: Notebook) -> None:
    try:
        data = json.loads(value)
        said = Said(
            at=time.monotonic(),
            case_id=str(data["case_id"]),
            referral_id=str(data["referral_id"]),
            answer_id=str(data["answer_id"]),
            answer=str(data["answer"]),
            reason=data.get("reason"),
            with_text="reason_text" in data,
            over="kafka",
        )
    except (ValueError, KeyError, TypeError):
        said = Said(time.monotonic(), "", "", "", "unreadable", over="kafka")
    notebook.said.append(said)
