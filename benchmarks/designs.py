"""The measured designs as processes: started, counted, stopped.

Every round gets fresh databases and topics. Skeleton and naive differ in one module only.
"""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.load import LoadPlan
from benchmarks.parts import TOPICS, Config
from benchmarks.skeleton import SCHEMAS
from contracts.topics import CORE_PARTITIONS, PARTNER_PARTITIONS, TopicSpec
from deploy.local.process import Child, Program
from deploy.local.provision import SERVICES, drop_databases, provision_databases, provision_topics
from deploy.local.stack import EmbeddedServers
from deploy.local.state import HOST, Ports

START_SECONDS_MAX = 60.0
TOPIC_RETENTION_MS = 24 * 3600 * 1000


class BenchError(RuntimeError):
    """A measurement cannot go on; the text says what did not work and where its log is."""


@dataclass(frozen=True)
class Place:
    """The servers of this run, and the folder for logs and files of measured processes."""

    servers: EmbeddedServers
    folder: Path
    body: str

    @property
    def bootstrap(self) -> str:
        return self.servers.addresses.kafka_bootstrap

    @property
    def admin_url(self) -> str:
        return self.servers.addresses.postgres_admin_url

    def server_pids(self) -> dict[str, int]:
        """Process ids of Kafka and PostgreSQL."""
        found = {"kafka": self.servers.kafka.pid, "postgres": self.servers.postgres.pid}
        return {name: pid for name, pid in found.items() if pid is not None}


class Design(Protocol):
    """One way to build the chain, as the measurements see it."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def pause(self) -> None:
        """Stop all but intake and partner."""

    async def resume(self) -> None:
        """Start again what `pause` stopped, without waiting until it is ready."""

    async def counted(self) -> int:
        """Reports that audit counts as accepted."""

    def load(self, reports: int, rate: float = 0.0, moments: Path | None = None) -> LoadPlan: ...

    def arrivals(self) -> Path:
        """File of the partner: `case id, read at` per offer."""

    def pids(self) -> Mapping[str, int]:
        """Process ids of the four services by name."""

    def partner_pid(self) -> int: ...


def tag() -> str:
    """Name part that makes databases and topics of a round its own."""
    return secrets.token_hex(3)


async def until_listening(port: int, child: Child) -> None:
    """Wait until a port accepts connections; raises BenchError when its process ends first."""
    limit = asyncio.get_running_loop().time() + START_SECONDS_MAX
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        check_alive(child)
        if asyncio.get_running_loop().time() > limit:
            raise BenchError(f"{child.program.name} does not listen; its log: {child.log_path}")
        await asyncio.sleep(0.05)


def check_alive(child: Child) -> None:
    """Raises BenchError with the end of the log when a process has ended."""
    if child.returncode is not None:
        raise BenchError(
            f"{child.program.name} ended with status {child.returncode}; its log"
            f" {child.log_path} ends with:\n{child.log_tail()}"
        )


async def delete_topics(bootstrap: str, names: list[str]) -> None:
    """Delete topics and wait until the broker no longer knows them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        known = set(await admin.list_topics())
        present = [name for name in names if name in known]
        if present:
            await admin.delete_topics(present)
        while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


class Reference:
    """The skeleton or the naive design."""

    def __init__(self, place: Place, name: str) -> None:
        self.name = name
        self._place = place
        self._tag = tag()
        self._prefix = f"bench_{self._tag}"
        self._port = Ports(place.folder).get(f"{name}-intake")
        self._folder = place.folder / "logs" / name
        self._arrivals = place.folder / f"{name}-{self._tag}.arrivals"
        self._configs: dict[str, Config] = {}
        self._children: dict[str, Child] = {}
        self._connection: Any = None

    async def start(self) -> None:
        urls = await provision_databases(self._place.admin_url, self._prefix)
        for role, schema in SCHEMAS.items():
            connection = await asyncpg.connect(urls[role].owner)
            await connection.execute(schema)
            await connection.close()
            self._configs[role] = Config(
                self._place.bootstrap, urls[role].application, self._port, self._tag
            )
        await provision_topics(self._place.bootstrap, self._topics())
        self._connection = await asyncpg.connect(urls["audit"].application)
        for role in SERVICES:
            self._run(role, f"benchmarks.{self.name}", role)
        self._run("partner", "benchmarks.partner", str(self._arrivals))
        await until_listening(self._port, self._children["intake"])

    async def stop(self) -> None:
        for child in self._children.values():
            child.kill()
        if self._connection is not None:
            await self._connection.close()
        await delete_topics(self._place.bootstrap, [topic.name for topic in self._topics()])
        await drop_databases(self._place.admin_url, self._prefix)
        self._arrivals.unlink(missing_ok=True)

    async def pause(self) -> None:
        for role in SERVICES[1:]:
            self._children.pop(role).terminate()

    async def resume(self) -> None:
        for role in SERVICES[1:]:
            self._run(role, f"benchmarks.{self.name}", role)

    async def counted(self) -> int:
        for child in self._children.values():
            check_alive(child)
        query = "SELECT number FROM tally WHERE kind = 'accepted'"
        return await self._connection.fetchval(query) or 0

    def load(self, reports: int, rate: float = 0.0, moments: Path | None = None) -> LoadPlan:
        file = str(moments) if moments else ""
        return LoadPlan(
            HOST, self._port, "/v1/reports", {}, self._place.body, reports, rate=rate, moments=file
        )

    def arrivals(self) -> Path:
        return self._arrivals

    def pids(self) -> Mapping[str, int]:
        return {role: self._children[role].pid for role in SERVICES}

    def partner_pid(self) -> int:
        return self._children["partner"].pid

    def _topics(self) -> list[TopicSpec]:
        config = Config("", "", 0, self._tag)
        partitions = dict.fromkeys(TOPICS, CORE_PARTITIONS)
        partitions |= dict.fromkeys(("out", "in"), PARTNER_PARTITIONS)
        return [
            TopicSpec(config.topic(name), count, TOPIC_RETENTION_MS, "bench")
            for name, count in partitions.items()
        ]

    def _run(self, role: str, module: str, argument: str) -> None:
        config = self._configs.get(role) or self._configs["intake"]
        command = (sys.executable, "-m", module, argument)
        self._children[role] = Child(Program(role, command, config.environment()), self._folder)
