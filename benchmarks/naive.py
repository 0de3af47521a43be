"""The naive but safe design: what a careful team writes first, message by message.

Four processes: `python -m benchmarks.naive intake|routing|referral|audit`. FastAPI with a model per
request, one transaction per message, an outbox that is polled every 100 ms and published with one
awaited send each, offsets committed per message. Safe, same path, same partner as the skeleton's.
"""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import uvloop
from aiokafka import TopicPartition
from fastapi import FastAPI, Header
from pydantic import BaseModel

from benchmarks.parts import Config, consumer, producer
from benchmarks.skeleton import serve
from contracts.situation import Situation

_POLL_SECONDS = 0.1
_TAKE_MAX = 100

Effect = Callable[[Any, UUID, Any], Awaitable[None]]


class ReportBody(BaseModel):
    """The body of the project's own route."""

    situation: Situation
    narrative: str
    channel: str


class CaseMessage(BaseModel):
    """The one message of this design."""

    case_id: UUID
    situation: Situation | None = None
    organisation: str | None = None
    attempt: int | None = None
    answer: str | None = None
    holder: str | None = None


class Receipt(BaseModel):
    """The receipt; the case id in the spelling of the project."""

    caseId: UUID  # noqa: N815


async def queue(connection: Any, topic: str, kind: str, message: CaseMessage) -> None:
    """Put a message in the outbox."""
    await connection.execute(
        "INSERT INTO outbox (topic, key, id, kind, data) VALUES ($1, $2, $3, $4, $5)",
        topic,
        message.case_id,
        uuid4(),
        kind,
        message.model_dump_json(exclude_none=True).encode(),
    )


async def publish(config: Config) -> None:
    """The polled outbox."""
    connection = await asyncpg.connect(config.dsn)
    sender = producer(config.bootstrap)
    await sender.start()
    while True:
        rows = await connection.fetch("SELECT * FROM outbox ORDER BY position LIMIT $1", _TAKE_MAX)
        for row in rows:
            headers = [("id", row["id"].bytes), ("kind", row["kind"].encode())]
            await sender.send_and_wait(
                row["topic"], row["data"], key=row["key"].bytes, headers=headers
            )
            await connection.execute("DELETE FROM outbox WHERE position = $1", row["position"])
        await asyncio.sleep(_POLL_SECONDS)


async def consume(config: Config, role: str, topics: Sequence[str], effect: Effect) -> None:
    """One message, one transaction, one commit of the offset."""
    connection = await asyncpg.connect(config.dsn)
    names = [config.topic(name) for name in topics]
    reader = consumer(config.bootstrap, f"bench-{config.tag}-{role}", names)
    await reader.start()
    async for record in reader:
        async with connection.transaction():
            fresh = await connection.fetchval(
                "INSERT INTO inbox VALUES ($1) ON CONFLICT DO NOTHING RETURNING id",
                UUID(bytes=record.headers[0][1]),
            )
            if fresh:
                await effect(connection, fresh, record)
        where = TopicPartition(record.topic, record.partition)
        await reader.commit({where: record.offset + 1})


def intake(config: Config) -> FastAPI:
    """One transaction per request."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = await asyncpg.create_pool(config.dsn, min_size=2, max_size=8)
        relay = asyncio.create_task(publish(config))
        yield
        relay.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/reports", status_code=201)
    async def accept(body: ReportBody, idempotency_key: Annotated[str, Header()]) -> Receipt:
        case_id = uuid4()
        async with app.state.pool.acquire() as connection, connection.transaction():
            fresh = await connection.fetchval(
                "INSERT INTO report (key, case_id, body) VALUES ($1, $2, $3)"
                " ON CONFLICT DO NOTHING RETURNING case_id",
                idempotency_key,
                case_id,
                body.model_dump_json().encode(),
            )
            if fresh is None:
                found = await connection.fetchval(
                    "SELECT case_id FROM report WHERE key = $1", idempotency_key
                )
                return Receipt(caseId=found)
            message = CaseMessage(case_id=case_id, situation=body.situation)
            await queue(connection, config.topic("intake"), "reported", message)
        return Receipt(caseId=case_id)

    return app


async def route(config: Config) -> None:
    """Routing: an organisation per report."""

    async def effect(connection: Any, _: UUID, record: Any) -> None:
        message = CaseMessage.model_validate_json(record.value)
        await connection.execute("INSERT INTO decision VALUES ($1, 'bench')", message.case_id)
        decided = message.model_copy(update={"organisation": "bench"})
        await queue(connection, config.topic("routing"), "assigned", decided)

    await asyncio.gather(consume(config, "routing", ["intake"], effect), publish(config))


async def refer(config: Config) -> None:
    """Referral: offers and answers."""

    async def effect(connection: Any, _: UUID, record: Any) -> None:
        message = CaseMessage.model_validate_json(record.value)
        if record.topic == config.topic("in"):
            await connection.execute(
                "UPDATE referral SET state = 'accepted' WHERE case_id = $1", message.case_id
            )
            held = message.model_copy(update={"holder": "bench"})
            await queue(connection, config.topic("referral"), "accepted", held)
            return
        await connection.execute("INSERT INTO referral VALUES ($1, 'requested')", message.case_id)
        offer = message.model_copy(update={"attempt": 1})
        await queue(connection, config.topic("out"), "offer", offer)
        await queue(connection, config.topic("referral"), "offered", offer)

    await asyncio.gather(consume(config, "referral", ["routing", "in"], effect), publish(config))


async def audit(config: Config) -> None:
    """Audit: a leaf of the hash chain per message."""

    async def effect(connection: Any, _: UUID, record: Any) -> None:
        last = await connection.fetchrow(
            "SELECT position, hash FROM leaf ORDER BY position DESC LIMIT 1"
        )
        position, head = (last["position"], last["hash"]) if last else (0, bytes(32))
        await connection.execute(
            "INSERT INTO leaf VALUES ($1, $2, $3)",
            position + 1,
            UUID(bytes=record.key),
            hashlib.sha256(head + record.value).digest(),
        )
        await connection.execute(
            "INSERT INTO tally VALUES ($1, 1)"
            " ON CONFLICT (kind) DO UPDATE SET number = tally.number + 1",
            record.headers[1][1].decode(),
        )

    await consume(config, "audit", ["intake", "routing", "referral"], effect)


def main(role: str) -> None:
    config = Config.read()
    if role == "intake":
        serve(intake(config), config.port)
    else:
        uvloop.run({"routing": route, "referral": refer, "audit": audit}[role](config))


if __name__ == "__main__":
    main(sys.argv[1])
