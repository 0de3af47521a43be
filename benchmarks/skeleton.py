"""The bare skeleton of the safe batch design: only the work that nobody can leave out.

Four processes as the project has them: `python -m benchmarks.skeleton ROLE`. No token, signature,
seal, explanation, deadline or journal. Safe all the same: what comes in is validated, at the door
and at each hop, a receipt after the commit, an inbox per consumer, inbox + state + outbox in one
statement per batch, offsets after the commit, a relay that reads back what was committed.
"""

import asyncio
import hashlib
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import uvicorn
import uvloop
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from benchmarks.parts import Config, GroupCommit, Relay, consume, forever
from contracts.event import Event
from contracts.intake import IntakeChannel, ReportReceived
from contracts.situation import Situation

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Report = tuple[str, UUID, bytes, bytes]

OUTBOX = """
CREATE TABLE outbox (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL,
    key uuid NOT NULL, id uuid NOT NULL, kind text NOT NULL, data bytea NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
"""
INBOX = "CREATE TABLE inbox (id uuid PRIMARY KEY);"
SCHEMAS = {
    "intake": OUTBOX
    + "CREATE TABLE report (key text PRIMARY KEY, case_id uuid NOT NULL, body bytea NOT NULL);",
    "routing": OUTBOX
    + INBOX
    + "CREATE TABLE decision (case_id uuid PRIMARY KEY, organisation text NOT NULL);",
    "referral": OUTBOX
    + INBOX
    + "CREATE TABLE referral (case_id uuid PRIMARY KEY, state text NOT NULL);",
    "audit": INBOX
    + "CREATE TABLE leaf (position bigint PRIMARY KEY, case_id uuid NOT NULL, hash bytea NOT NULL);"
    "CREATE TABLE tally (kind text PRIMARY KEY, number bigint NOT NULL);",
}

_ACCEPT = """
WITH fresh AS (
    INSERT INTO report (key, case_id, body)
    SELECT key, case_id, body
    FROM unnest($1::text[], $2::uuid[], $3::bytea[]) AS t(key, case_id, body)
    ON CONFLICT DO NOTHING RETURNING case_id
)
INSERT INTO outbox (topic, key, id, kind, data)
SELECT $6, t.case_id, t.id, 'reported', t.data
FROM unnest($2::uuid[], $4::uuid[], $5::bytea[]) AS t(case_id, id, data) JOIN fresh USING (case_id)
"""

_RECEIPTS = "SELECT key, case_id FROM report WHERE key = ANY($1::text[])"

ASSIGN = """
WITH fresh AS (INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id),
batch AS (
    SELECT t.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
         AS t(id, case_id, event_id, data) JOIN fresh USING (id)
), state AS (
    INSERT INTO decision SELECT case_id, 'bench' FROM batch ON CONFLICT DO NOTHING
)
INSERT INTO outbox (topic, key, id, kind, data)
SELECT $5, case_id, event_id, 'assigned', data FROM batch
"""

_OFFER = """
WITH fresh AS (INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id),
batch AS (
    SELECT t.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bytea[])
         AS t(id, case_id, offer_id, event_id, data) JOIN fresh USING (id)
), state AS (
    INSERT INTO referral SELECT case_id, 'requested' FROM batch ON CONFLICT DO NOTHING
)
INSERT INTO outbox (topic, key, id, kind, data)
SELECT $6, case_id, offer_id, 'offer', data FROM batch
UNION ALL SELECT $7, case_id, event_id, 'offered', data FROM batch
"""

_TAKE_ANSWER = """
WITH fresh AS (INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id),
batch AS (
    SELECT t.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
         AS t(id, case_id, event_id, data) JOIN fresh USING (id)
), state AS (
    UPDATE referral r SET state = 'accepted' FROM batch b
    WHERE r.case_id = b.case_id AND r.state = 'requested' RETURNING r.case_id
)
INSERT INTO outbox (topic, key, id, kind, data)
SELECT $5, case_id, event_id, 'accepted', data FROM batch JOIN state USING (case_id)
"""

_COUNT = """
WITH leaves AS (
    INSERT INTO leaf SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[])
)
INSERT INTO tally SELECT * FROM unnest($4::text[], $5::bigint[])
ON CONFLICT (kind) DO UPDATE SET number = tally.number + excluded.number
"""


class Body(BaseModel):
    """What a channel sends."""

    situation: Situation
    narrative: str
    channel: IntakeChannel


class Assigned(ReportReceived):
    """The report with its organisation."""

    organisation: str


class Offered(Assigned):
    """What the partner reads."""

    attempt: int


class Answered(Event):
    """What the partner says."""

    event_name = "bench-answered"

    case_id: UUID
    attempt: int
    answer: str


class Accepted(Answered):
    """The partner holds the case."""

    holder: str


EVENTS: dict[str, type[Event]] = {
    "reported": ReportReceived,
    "assigned": Assigned,
    "offered": Offered,
    "accepted": Accepted,
}


class Intake:
    """Raw ASGI: body in, group commit, receipt out."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._group: GroupCommit[Report, UUID] = GroupCommit(self._write)
        self._relay = Relay(config)
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = await _body(receive)
        key = next(value for name, value in scope["headers"] if name == b"idempotency-key")
        report, case_id = Body.model_validate_json(body), uuid7()
        event = ReportReceived(
            report_id=uuid7(),
            case_id=case_id,
            channel=report.channel,
            situation=report.situation,
            received_at=datetime.now(UTC),
            content=(),
            commitment=hashlib.sha256(body).hexdigest(),
        )
        stored = await self._group.submit((key.decode(), case_id, body, event.encode()))
        answer = orjson.dumps({"caseId": stored})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _write(self, reports: Sequence[Report]) -> Sequence[UUID]:
        keys, cases, bodies, events = zip(*reports, strict=True)
        ids = [uuid7() for _ in reports]
        topic = self._config.topic("intake")
        done = await self._connection.execute(_ACCEPT, keys, cases, bodies, ids, events, topic)
        self._relay.wake()
        if int(done.split()[-1]) == len(reports):
            return list(cases)
        # A repeat of a key gets the receipt that was given first.
        rows = await self._connection.fetch(_RECEIPTS, keys)
        known = {row["key"]: row["case_id"] for row in rows}
        return [known[key] for key in keys]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._connection = await asyncpg.connect(self._config.dsn)
        self._tasks.append(asyncio.create_task(forever(self._group.run(), self._relay.run())))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _once(records: Sequence[Any]) -> dict[UUID, Any]:
    """Records by event id."""
    return {UUID(bytes=record.headers[0][1]): record for record in records}


async def route(config: Config) -> None:
    """Routing: the situation gets an organisation."""
    relay = Relay(config)

    async def handle(connection: Any, records: Sequence[Any]) -> None:
        fresh = _once(records)
        cases, data = [], []
        for record in fresh.values():
            event = ReportReceived.parse(record.value)
            cases.append(event.case_id)
            data.append(Assigned(**dict(event), organisation="bench").encode())
        ids = [uuid7() for _ in cases]
        topic = config.topic("routing")
        await connection.execute(ASSIGN, list(fresh), cases, ids, data, topic)
        relay.wake()

    await forever(consume(config, "routing", ["intake"], handle), relay.run())


async def refer(config: Config) -> None:
    """Referral: an offer per assignment, a new holder per answer."""
    relay = Relay(config)

    async def handle_both(connection: Any, records: Sequence[Any]) -> None:
        answers = config.topic("in")
        offers = _once([record for record in records if record.topic != answers])
        answered = _once([record for record in records if record.topic == answers])
        async with connection.transaction():
            if offers:
                await offer(connection, offers)
            if answered:
                await take_answers(connection, answered)
        relay.wake()

    async def offer(connection: Any, fresh: dict[UUID, Any]) -> None:
        cases, data, first, second = [], [], [], []
        for record in fresh.values():
            event = Assigned.parse(record.value)
            cases.append(event.case_id)
            data.append(Offered(**dict(event), attempt=1).encode())
            first.append(uuid7())
            second.append(uuid7())
        out, topic = config.topic("out"), config.topic("referral")
        await connection.execute(_OFFER, list(fresh), cases, first, second, data, out, topic)

    async def take_answers(connection: Any, fresh: dict[UUID, Any]) -> None:
        cases, data = [], []
        for record in fresh.values():
            event = Answered.parse(record.value)
            cases.append(event.case_id)
            data.append(Accepted(**dict(event), holder="bench").encode())
        ids = [uuid7() for _ in cases]
        topic = config.topic("referral")
        await connection.execute(_TAKE_ANSWER, list(fresh), cases, ids, data, topic)

    await forever(consume(config, "referral", ["routing", "in"], handle_both), relay.run())


async def audit(config: Config) -> None:
    """Audit: every event of the three topics into a hash chain, counted by kind."""
    reader = await asyncpg.connect(config.dsn)
    last = await reader.fetchrow("SELECT position, hash FROM leaf ORDER BY position DESC LIMIT 1")
    await reader.close()
    position, head = (last["position"], last["hash"]) if last else (0, bytes(32))

    async def handle(connection: Any, records: Sequence[Any]) -> None:
        nonlocal position, head
        found = _once(records)
        async with connection.transaction():
            rows = await connection.fetch(
                "INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id",
                list(found),
            )
            positions, cases, hashes = [], [], []
            counts: dict[str, int] = {}
            for (event_id,) in rows:
                record = found[event_id]
                kind = record.headers[1][1].decode()
                EVENTS[kind].parse(record.value)
                position += 1
                head = hashlib.sha256(head + record.value).digest()
                positions.append(position)
                cases.append(UUID(bytes=record.key))
                hashes.append(head)
                counts[kind] = counts.get(kind, 0) + 1
            await connection.execute(
                _COUNT, positions, cases, hashes, list(counts), list(counts.values())
            )

    await forever(consume(config, "audit", ["intake", "routing", "referral"], handle))


def serve(app: Any, port: int) -> None:
    """Serve an ASGI application the way the project does."""
    config = uvicorn.Config(
        app, port=port, loop="uvloop", http="httptools", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[_listening(port)])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def main(role: str) -> None:
    config = Config.read()
    if role == "intake":
        serve(Intake(config), config.port)
    else:
        uvloop.run({"routing": route, "referral": refer, "audit": audit}[role](config))


if __name__ == "__main__":
    main(sys.argv[1])
