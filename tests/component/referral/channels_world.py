"""Partners with real sockets, feeds with real rows, and a clock that a test can move."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import structlog

from contracts.envelope import feed_source
from contracts.referral import ReferralWithdrawn, Status
from contracts.situation import Urgency
from services.chassis import journal
from services.chassis.db import Database
from services.chassis.ids import utc_now
from services.chassis.journal import Outgoing
from services.referral.channels import app, endpoints
from services.referral.channels.endpoints import Endpoint
from services.referral.channels.keyring import KEY_BYTES, Keyring, KeySafe
from services.referral.channels.options import ChannelOptions
from services.referral.channels.truth import Telling

KEY = b"s" * KEY_BYTES
TELLING = Telling("meldpunt.referral", "urn:test:referral")
_TABLES = "delivery, delivery_lane, delivery_task, endpoint, outbox, event, source, partner"


@dataclass
class Request:
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def sequence(self) -> int:
        return int(json.loads(self.body)["sequence"])


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    body: bytes = b""


@dataclass
class Receiver:
    """A partner's web server; `answer` decides per request, `hang` never answers at all."""

    port: int = 0
    answer: Callable[[Request], Answer] = lambda _: Answer()
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    open_most: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def sequences(self) -> list[int]:
        return [request.sequence for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with (
            contextlib.closing(writer),
            contextlib.suppress(OSError, asyncio.IncompleteReadError),
        ):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")[1:-2]
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                await self._reply(writer, Request(headers, body, time.perf_counter()))

    async def _reply(self, writer: asyncio.StreamWriter, request: Request) -> None:
        self.requests.append(request)
        self.open += 1
        self.open_most = max(self.open, self.open_most)
        try:
            said = self.answer(request)
            if said.seconds:
                await asyncio.sleep(said.seconds)
        finally:
            self.open -= 1
        given = {"content-length": str(len(said.body))} | said.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"HTTP/1.1 {said.status} X\r\n{lines}\r\n".encode() + said.body)
        await writer.drain()


@contextlib.asynccontextmanager
async def receiving(
    answer: Callable[[Request], Answer] = lambda _: Answer(), host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer=answer)
    tasks: set[asyncio.Task] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(status: int, **headers: str) -> Callable[[Request], Answer]:
    return lambda _: Answer(status, {k.replace("_", "-"): v for k, v in headers.items()})


class World:
    def __init__(self, database: Database, owner_url: str) -> None:
        self.database = database
        self._owner_url = owner_url
        self.shift = timedelta()
        self._made = []
        self.options = ChannelOptions(
            webhook_allow_loopback=True,
            smtp_starttls=False,
            try_seconds_max=1.0,
            lease_seconds=5.0,
            poll_seconds=0.02,
            sweep_seconds=0.05,
            sends_per_second_max=1000,
            mail_from="meldpunt@punt.example.nl",
        )

    def clock(self) -> datetime:
        return utc_now() + self.shift

    async def reset(self) -> None:
        connection = await asyncpg.connect(self._owner_url)
        try:
            await connection.execute(f"TRUNCATE {_TABLES} CASCADE")
        finally:
            await connection.close()
        self.shift = timedelta()

    def deliveries(self, **changes):
        options = self.options.model_copy(update=changes)
        made = app.build(
            options,
            sealing_key=KEY,
            database=self.database,
            telling=TELLING,
            clock=self.clock,
            log=structlog.get_logger(),
        ).deliveries
        self._made.append(made)
        return made

    async def close(self) -> None:
        while self._made:
            await self._made.pop().close()

    @contextlib.asynccontextmanager
    async def running(self, **changes):
        task = asyncio.create_task(self.deliveries(**changes).run())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def partner(
        self,
        organisation: str,
        url: str | None = None,
        email: str | None = None,
        channel: str | None = None,
        fallback: str | None = None,
    ) -> Keyring:
        ring = Keyring.new(asymmetric=False)
        sealed = KeySafe(KEY).seal(organisation, ring) if url else None
        channel = channel or ("webhook" if url else "email")
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO partner (organisation, name, channel, fallback)"
                " VALUES ($1, $1, $2, $3)",
                organisation,
                channel,
                fallback,
            )
            given = Endpoint(organisation, url, email, sealed)
            saved = await endpoints.save(connection, given, self.clock())
            await endpoints.set_lanes(connection, TELLING, None, saved, self.clock())
        return ring

    async def feed(
        self,
        organisation: str,
        count: int = 1,
        *,
        case_id: UUID | None = None,
        urgency: Urgency | None = None,
    ) -> UUID:
        """Write events on a feed: of one case when it is named, else each of a case of its own."""
        cases = [case_id or uuid4() for _ in range(count)]
        if urgency is not None:
            await self._case(cases[0], urgency)
        outgoing = [
            Outgoing(
                ReferralWithdrawn(
                    referral_id=uuid4(),
                    attempt=1,
                    case_id=case,
                    organisation=organisation,
                    status=Status.CANCELLED,
                    at=self.clock(),
                ),
                case,
                None,
                feed_source(organisation),
            )
            for case in cases
        ]
        async with self.database.transaction() as connection:
            await journal.append(connection, outgoing, self.clock())
        return cases[0]

    async def _case(self, case_id: UUID, urgency: Urgency) -> None:
        await self.execute(
            "INSERT INTO case_holder (case_id, report_id, holder, handoff, decision_id,"
            " decision_number, attempts, returns, returned_by, open, kind, urgency, situation,"
            " content, first_received_at, opened_at, changed_at, limits)"
            " VALUES ($1, $1, 'vangnet', 0, $1, 1, 0, 0, '', false, 'melding', $2, '{}', '',"
            " now(), now(), now(), '{}')",
            case_id,
            urgency,
        )

    async def execute(self, query: str, *values) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(query, *values)

    async def rows(self, query: str, *values) -> list[asyncpg.Record]:
        async with self.database.connection() as connection:
            return await connection.fetch(query, *values)

    async def states(self, organisation: str, channel: str = "webhook") -> list[str]:
        rows = await self.rows(
            "SELECT state FROM delivery WHERE organisation = $1 AND channel = $2 ORDER BY sequence",
            organisation,
            channel,
        )
        return [row["state"] for row in rows]

    async def lane(self, organisation: str, channel: str = "webhook") -> asyncpg.Record:
        [row] = await self.rows(
            "SELECT * FROM delivery_lane WHERE organisation = $1 AND channel = $2",
            organisation,
            channel,
        )
        return row

    async def told(self, organisation: str) -> list[tuple[str, str, int]]:
        """What `meldpunt.referral` says of an organisation: channel, state, waiting."""
        rows = await self.rows(
            "SELECT data FROM event WHERE topic = $1 AND key = $2 ORDER BY sequence",
            TELLING.topic,
            endpoints.delivery_key(organisation),
        )
        found = [json.loads(row["data"]) for row in rows]
        return [(item["channel"], item["state"], item["waiting"]) for item in found]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@dataclass
class SmtpSink:
    """As much of SMTP as a client needs; `mode` says how it behaves."""

    port: int = 0
    mode: str = "accept"
    messages: list[bytes] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    tls: object = None
    encrypted: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            if self.mode == "hang":
                await asyncio.sleep(60)
            await self._say(writer, "220 sink")
            while line := (await reader.readline()).decode().strip():
                if not await self._command(line, reader, writer):
                    break

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())
        await writer.drain()

    async def _command(self, line: str, reader, writer) -> bool:
        match line.split(maxsplit=1)[0].upper():
            case "EHLO":
                await self._say(writer, "250-sink" if self.tls else "250 sink")
                if self.tls:
                    await self._say(writer, "250 STARTTLS")
            case "STARTTLS":
                await self._say(writer, "220 go ahead")
                await writer.start_tls(self.tls)
                self.encrypted += 1
            case "RCPT":
                self.receivers.append(line)
                await self._say(writer, "550 no" if self.mode == "refuse" else "250 ok")
            case "DATA":
                await self._say(writer, "354 go ahead")
                lines = []
                while (text := await reader.readline()) != b".\r\n":
                    lines.append(text)
                self.messages.append(b"".join(lines))
                await self._say(writer, "250 ok")
            case "QUIT":
                await self._say(writer, "221 bye")
                return False
            case _:
                await self._say(writer, "250 ok")
        return True


@contextlib.asynccontextmanager
async def mail_server(mode: str = "accept", tls: object = None) -> AsyncIterator[SmtpSink]:
    sink = SmtpSink(mode=mode, tls=tls)
    tasks: set[asyncio.Task] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(sink.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
