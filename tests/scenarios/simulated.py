"""Referral, its channels and time itself: a clock that a test moves, and partners that can be gone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import httpx
import structlog

from contracts import topics
from contracts.envelope import Envelope, feed_source, to_headers
from contracts.event import Event
from services.chassis.http import make_app
from services.chassis.ids import new_id, utc_now
from services.chassis.metrics import Metrics
from services.chassis.parked import Record
from services.referral.channels import app as channels_app
from services.referral.channels import endpoints
from services.referral.channels.endpoints import Endpoint
from services.referral.channels.keyring import KEY_BYTES, Keyring, KeySafe
from services.referral.channels.options import ChannelOptions
from services.referral.channels.truth import Telling
from services.referral.channels.worker import Deliveries
from services.referral.deadlines import Deadlines
from tests.component.referral.channels_world import Answer, Receiver, Request, receiving
from tests.component.referral.conftest import World

KEY = b"h" * KEY_BYTES
OPTIONS = ChannelOptions(
    webhook_allow_loopback=True,
    smtp_starttls=False,
    try_seconds_max=1.0,
    lease_seconds=5.0,
    poll_seconds=0.02,
    sweep_seconds=0.05,
    sends_per_second_max=1000,
    mail_from="meldpunt@punt.example.nl",
)


def record(event: Event, source: str, sequence: int = 1, topic: str = topics.INTAKE) -> Record:
    """An event as it is read from a topic; the processors of the chassis take it so."""
    key = str(vars(event)["case_id"])
    envelope = Envelope(
        id=str(new_id()),
        source=source,
        type=event.event_type(),
        time=utc_now(),
        subject=key,
        sequence=sequence,
        data=event.encode(),
    )
    return Record(topic, 0, sequence, key, tuple(to_headers(envelope)), envelope.data)


class Simulated:
    """The parts of the service that time moves, all on one clock that only goes forward."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = world.database
        self.telling = Telling(world.publishing.topic, world.publishing.source)
        self.shift = timedelta()
        # What the service built follows the same clock, so that an offer is made "then".
        world.runtime.clock = self.clock
        for processor in world.runtime.processors:
            processor._clock = self.clock
            processor._handler.__self__._clock = self.clock
        self._deadlines = Deadlines(
            world.database, world.publishing, lambda *_: None, self.clock, 0.0
        )
        self._used: list[Deliveries] = []
        self.worker = self.deliveries()
        self.client = self._client()

    def clock(self) -> datetime:
        return utc_now() + self.shift

    def _channels(self, **changes) -> channels_app.Channels:
        made = channels_app.build(
            OPTIONS.model_copy(update=changes),
            sealing_key=KEY,
            database=self.database,
            telling=self.telling,
            clock=self.clock,
            log=structlog.get_logger(),
        )
        self._used.append(made.deliveries)
        return made

    def deliveries(self, **changes) -> Deliveries:
        return self._channels(**changes).deliveries

    def _client(self) -> httpx.AsyncClient:
        """The routes of the channels, with the tokens of the world."""
        application = make_app(
            title="channels",
            description="channels",
            public_url="",
            routers=[self._channels(smtp_port=1).router],
            lifespan=lambda _: contextlib.nullcontext(),
            health=SimpleNamespace(),
            metrics=Metrics("scenarios"),
            log=structlog.get_logger(),
            request_bytes_max=65_536,
            hot_endpoints=None,
        )
        application.state.runtime = SimpleNamespace(database=self.database, clock=self.clock)
        application.state.authenticator = self.world.app.state.authenticator
        transport = httpx.ASGITransport(application)
        return httpx.AsyncClient(transport=transport, base_url="http://referral.test/v1")

    async def get(self, path: str, headers: dict[str, str], **query) -> dict:
        answer = await self.client.get(path, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, headers: dict[str, str], method: str = "POST", **body) -> dict:
        answer = await self.client.request(method, path, headers=headers, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else {}

    async def partner(
        self,
        organisation: str,
        url: str | None = None,
        email: str | None = None,
        channel: str | None = None,
        fallback: str | None = None,
    ) -> None:
        """Reach a partner of the shipped list over these channels from now on."""
        sealed = KeySafe(KEY).seal(organisation, Keyring.new(asymmetric=False)) if url else None
        channel = channel or ("webhook" if url else "email")
        async with self.database.transaction() as connection:
            await endpoints.set_channels(connection, organisation, channel, fallback)
            if url or email:
                given = Endpoint(organisation, url, email, sealed)
                saved = await endpoints.save(connection, given, self.clock())
                await endpoints.set_lanes(connection, self.telling, None, saved, self.clock())

    async def round(self) -> None:
        """What the service does on its own at this moment."""
        await self._deadlines.work()
        await self.worker.work()

    async def pass_time(
        self, length: timedelta, step: timedelta, each: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Let time go by, with a round at every step, after it `each`, and one at the end."""
        end = self.shift + length
        while self.shift < end:
            self.shift = min(self.shift + step, end)
            await self.round()
            if each is not None:
                await each()

    @contextlib.asynccontextmanager
    async def running(self, **changes) -> AsyncIterator[None]:
        task = asyncio.create_task(self.deliveries(**changes).run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def rows(self, query: str, *values) -> list:
        async with self.database.connection() as connection:
            return await connection.fetch(query, *values)

    async def execute(self, query: str, *values) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(query, *values)

    async def feed(self, organisation: str) -> list[dict]:
        """Everything that was ever put on a partner's feed, oldest first."""
        rows = await self.rows(
            "SELECT e.sequence, e.id, e.type, e.key, e.data, e.topic FROM event e"
            " JOIN source s ON s.id = e.source_id WHERE s.urn = $1 ORDER BY e.sequence",
            feed_source(organisation),
        )
        return [
            {
                "name": row["type"].split(".")[-2],
                "case": row["key"],
                "data": json.loads(row["data"]),
            }
            | {"sequence": row["sequence"], "id": str(row["id"]), "topic": row["topic"]}
            for row in rows
        ]

    async def states(self, organisation: str, channel: str = "webhook") -> dict[int, str]:
        rows = await self.rows(
            "SELECT sequence, state FROM delivery WHERE organisation = $1 AND channel = $2",
            organisation,
            channel,
        )
        return {row["sequence"]: row["state"] for row in rows}

    async def rungs(self, case_id: UUID) -> list[str]:
        """The steps that silence led to, in their order."""
        told = await self.world.events(case_id)
        return [event["data"]["rung"] for event in told if event["name"] == "referral-escalated"]

    async def close(self) -> None:
        await self.client.aclose()
        for deliveries in self._used:
            await deliveries.close()


class Partner:
    """A partner's web server at one address, which can be away for as long as a test wants."""

    def __init__(self) -> None:
        self.port = 0
        self.answer: Callable[[Request], Answer] = lambda _: Answer()
        self.requests: list[Request] = []
        self.receiver: Receiver | None = None
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def sequences(self) -> list[int]:
        return [request.sequence for request in self.requests]

    def _answer(self, request: Request) -> Answer:
        # A test may change the answer while the server runs.
        return self.answer(request)

    async def come(self) -> None:
        """Be there, at the same address as before."""
        opened = receiving(self._answer, port=self.port)
        self.receiver = await self._stack.enter_async_context(opened)
        self.port = self.receiver.port
        self.receiver.requests = self.requests

    async def go(self) -> None:
        """Be gone: nothing listens at the address any more."""
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def partner() -> AsyncIterator[Partner]:
    """A partner that is there."""
    made = Partner()
    await made.come()
    try:
        yield made
    finally:
        await made.go()
