"""A smallest possible service on the chassis, for tests of its guarantees on the real servers."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Envelope, to_headers
from contracts.event import Catalogue, Event
from contracts.topics import TopicSpec
from deploy.local.provision import DatabaseUrls, provision_topics
from deploy.local.stack import ServerAddresses
from services.chassis import journal
from services.chassis.db import CHASSIS_MIGRATIONS, Connection, migrate
from services.chassis.errors import Rejected
from services.chassis.ids import new_id, utc_now
from services.chassis.incoming import Received
from services.chassis.journal import Outgoing
from services.chassis.runtime import Runtime
from services.chassis.settings import ServiceSettings, service_config

SOURCE = "urn:nld:oin:00000004003214345001:systeem:test"


class Asked(Event):
    event_name: ClassVar[str] = "test-asked"
    number: int
    mood: str = "good"


class Echoed(Event):
    event_name: ClassVar[str] = "test-echoed"
    number: int


class ProbeSettings(ServiceSettings):
    model_config = service_config("probe")


class Probe:
    """Reads `Asked`, writes each number to a table, publishes `Echoed`."""

    def __init__(self, settings: ProbeSettings, topic_in: str, topic_out: str, group: str) -> None:
        self.runtime = Runtime("probe", topic_out, settings)
        self.topic_out = topic_out
        self.broken = False
        self.seen: list[int] = []
        self.subscription = self.runtime.consume(
            self.handle, Catalogue(Asked), topics=[topic_in], group=group
        )

    async def handle(self, connection: Connection, received: Sequence[Received]) -> None:
        outgoing = []
        for item in received:
            assert isinstance(item.event, Asked)
            if item.event.mood == "refused":
                raise Rejected("mood: refused")
            if item.event.mood == "bad" or self.broken:
                raise ValueError("a defect")
            case = UUID(item.envelope.subject)
            await connection.execute(
                "INSERT INTO effect (case_id, number) VALUES ($1, $2)", case, item.event.number
            )
            self.seen.append(item.event.number)
            echo = Echoed(number=item.event.number)
            outgoing.append(
                Outgoing(echo, case, self.topic_out, self.runtime.source, item.traceparent)
            )
        await journal.append(connection, outgoing, utc_now())

    @contextlib.asynccontextmanager
    async def running(self, migrations: Path) -> AsyncIterator["Probe"]:
        await self.runtime._start(migrations)
        try:
            yield self
        finally:
            await self.runtime._stop()


class World:
    """Topics and a database of one test."""

    def __init__(self, servers: ServerAddresses, urls: DatabaseUrls, folder: Path) -> None:
        self.servers = servers
        self.urls = urls
        tag = secrets.token_hex(4)
        self.topic_in = f"test.{tag}.in"
        self.topic_out = f"test.{tag}.out"
        self.group = f"test-{tag}"
        self.migrations = folder
        folder.joinpath("0001_probe.sql").write_text(
            "CREATE TABLE effect (case_id uuid, number integer, PRIMARY KEY (case_id, number));"
        )

    async def prepare(self, partitions: int = 4) -> None:
        specs = [
            TopicSpec(name, partitions, 3_600_000, "test")
            for name in (self.topic_in, self.topic_out)
        ]
        await provision_topics(self.servers.kafka_bootstrap, specs)
        await migrate(self.urls.owner, [CHASSIS_MIGRATIONS, self.migrations], 20)

    def settings(self, **changes: Any) -> ProbeSettings:
        values: dict[str, Any] = {
            "environment": "test",
            "http_port": 0,
            "database_url": SecretStr(self.urls.application),
            "kafka_bootstrap": self.servers.kafka_bootstrap,
            "auth_jwks": "unused.json",
            "auth_issuer": "urn:test",
            "retry_seconds_max": 5.0,
            "tally_seconds": 3600.0,
        }
        return ProbeSettings(**(values | changes))

    def probe(self, **changes: Any) -> Probe:
        return Probe(self.settings(**changes), self.topic_in, self.topic_out, self.group)


def asked(
    case: UUID, number: int, *, event_id: UUID | None = None, type_: str | None = None, **data: Any
) -> Envelope:
    event = Asked(number=number, **data)
    return Envelope(
        id=str(event_id or new_id()),
        source=SOURCE,
        type=type_ or Asked.event_type(),
        time=utc_now(),
        subject=str(case),
        sequence=number + 1,
        data=event.encode(),
    )


async def send(bootstrap: str, topic: str, envelopes: Sequence[Envelope]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        futures = [
            await producer.send(topic, e.data, key=e.subject.encode(), headers=to_headers(e))
            for e in envelopes
        ]
        for future in futures:
            await future
    finally:
        await producer.stop()
