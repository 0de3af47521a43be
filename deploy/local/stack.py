"""Kafka and PostgreSQL as one fixture: from the environment, from containers, or embedded.

A test sees no difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local.jars import Say
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.servers import ManagedServer
from deploy.local.state import locked

KAFKA_VARIABLE = "MELDPUNT_KAFKA_BOOTSTRAP"
POSTGRES_VARIABLE = "MELDPUNT_POSTGRES_ADMIN_URL"
DOCKER_PROBE_SECONDS = 1
DOCKER_API = "1.44"
KAFKA_IMAGE = "confluentinc/cp-kafka:8.0.0"
POSTGRES_IMAGE = "postgres:18"


@dataclass(frozen=True)
class ServerAddresses:
    """Where the two servers answer, and where they came from."""

    kafka_bootstrap: str
    postgres_admin_url: str
    kind: Literal["environment", "containers", "embedded"]
    # Where partners connect with their certificate; None where only the first address is known.
    kafka_partner_bootstrap: str | None = None


class EmbeddedServers:
    """Kafka and PostgreSQL as child processes of this one.

    `.kafka` and `.postgres` can be killed and started.
    """

    def __init__(self, data_dir: Path, say: Say = lambda _: None) -> None:
        self._say = say
        self._kafka = Kafka(data_dir)
        self._postgres = Postgres(data_dir)
        self.kafka = ManagedServer(self._kafka, data_dir / "logs")
        self.postgres = ManagedServer(self._postgres, data_dir / "logs")

    @property
    def addresses(self) -> ServerAddresses:
        return embedded_addresses(self._kafka, self._postgres)

    def start(self) -> None:
        """Prepare and start both and wait until both answer."""
        with ThreadPoolExecutor(2) as pool:
            for task in [
                pool.submit(server.prepare, self._say) for server in (self._kafka, self._postgres)
            ]:
                task.result()
        # Not in the threads above: the kernel would end the servers together with the thread that
        # started them.
        for managed in (self.kafka, self.postgres):
            managed.start()
        for managed in (self.postgres, self.kafka):
            managed.wait_ready()

    def stop(self) -> None:
        """Stop both in an orderly way."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ManagedServer.terminate, (self.kafka, self.postgres)))


def embedded_addresses(kafka: Kafka, postgres: Postgres) -> ServerAddresses:
    """Where both answer; after their `prepare`."""
    return ServerAddresses(kafka.bootstrap, postgres.admin_url, "embedded", kafka.partner_bootstrap)


def addresses_from_environment() -> ServerAddresses | None:
    """The servers that the environment names; None when it names none.

    Raises `RuntimeError` when only one of the two variables is set.
    """
    bootstrap, admin_url = os.environ.get(KAFKA_VARIABLE), os.environ.get(POSTGRES_VARIABLE)
    if bool(bootstrap) != bool(admin_url):
        raise RuntimeError(f"Set both {KAFKA_VARIABLE} and {POSTGRES_VARIABLE}, or neither.")
    return ServerAddresses(bootstrap, admin_url, "environment") if bootstrap and admin_url else None


@contextmanager
def embedded_servers(data_dir: Path, say: Say = lambda _: None) -> Iterator[EmbeddedServers]:
    """The embedded pair, started, with handles to kill and restart each."""
    with locked(data_dir):
        servers = EmbeddedServers(data_dir, say)
        try:
            servers.start()
            yield servers
        finally:
            servers.stop()


@contextmanager
def running_servers(data_dir: Path, say: Say = lambda _: None) -> Iterator[ServerAddresses]:
    """The servers.

    Addresses from the environment, else containers where Docker answers, else embedded in
    `data_dir`.
    """
    given = addresses_from_environment()
    if given:
        yield given
    elif _docker_answers():
        with _containers() as addresses:
            yield addresses
    else:
        with embedded_servers(data_dir, say) as servers:
            yield servers.addresses


def _docker_answers() -> bool:
    try:
        import docker  # type: ignore[import-untyped,unused-ignore]
        import testcontainers  # noqa: F401
    except ImportError:
        return False
    try:
        # A named version, or the constructor itself asks the engine first.
        with closing(
            docker.DockerClient.from_env(timeout=DOCKER_PROBE_SECONDS, version=DOCKER_API)
        ) as client:
            return bool(client.ping())
    except Exception:  # noqa: BLE001 - errors of several libraries; each means that no engine answers.
        return False


@contextmanager
def _containers() -> Iterator[ServerAddresses]:
    from testcontainers.community.kafka import KafkaContainer
    from testcontainers.community.postgres import PostgresContainer

    broker = KafkaContainer(KAFKA_IMAGE).with_kraft()
    # The same rule as everywhere: a topic that is in no table is a mistake.
    broker = broker.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    database = PostgresContainer(POSTGRES_IMAGE, driver=None)
    with broker, database:
        yield ServerAddresses(
            broker.get_bootstrap_server(), database.get_connection_url(), "containers"
        )
