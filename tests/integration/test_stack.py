"""The local stack: servers that survive SIGKILL, a supervisor that restarts and leaves nothing behind."""

import asyncio
import os
import signal
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.topics import TopicSpec
from deploy.local.control import StackError, StackState, attached, read_state, start_detached, stop
from deploy.local.jars import JarUnavailableError, LockedJar, download, keep, read_lock
from deploy.local.provision import (
    DatabaseUrls,
    ProvisioningError,
    drop_databases,
    provision_databases,
    provision_topics,
)
from deploy.local.stack import EmbeddedServers, addresses_from_environment, embedded_servers
from deploy.local.state import DataFolderBusyError, Ports, Secrets, locked
from tests.integration.standins import REFERENCE

PROJECT = Path(__file__).parents[2]
RECOVERY_SECONDS = 15


@pytest.fixture(scope="module", autouse=True)
def shared_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "MELDPUNT_CACHE",
            os.environ.get("MELDPUNT_CACHE", str(PROJECT / ".meldpunt" / "test" / "cache")),
        )
        patch.delenv("MELDPUNT_KAFKA_BOOTSTRAP", raising=False)
        patch.delenv("MELDPUNT_POSTGRES_ADMIN_URL", raising=False)
        yield


@pytest.fixture(scope="module")
def servers() -> Iterator[EmbeddedServers]:
    with open_folder() as folder, embedded_servers(folder) as started:
        yield started


@pytest.fixture
async def databases(servers: EmbeddedServers) -> AsyncIterator[dict[str, DatabaseUrls]]:
    admin_url = servers.addresses.postgres_admin_url
    yield await provision_databases(admin_url, "rights", services=("intake", "audit"))
    await drop_databases(admin_url, "rights", ("intake", "audit"))


@contextmanager
def open_folder() -> Iterator[Path]:
    # PostgreSQL runs as another account when the tests run as root; pytest's own folders are closed
    # to it, and closed again by every other run of pytest.
    with tempfile.TemporaryDirectory(prefix="meldpunt-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


def wait_for(condition: Callable[[], bool], seconds: float = RECOVERY_SECONDS) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "gave up waiting"
        time.sleep(0.05)


async def test_killed_servers_continue_with_what_they_had_acknowledged(
    servers: EmbeddedServers,
) -> None:
    addresses = servers.addresses
    await provision_topics(addresses.kafka_bootstrap, [TopicSpec("durable", 1, 60_000, "intake")])
    async with AIOKafkaProducer(
        bootstrap_servers=addresses.kafka_bootstrap, acks="all"
    ) as producer:
        await producer.send_and_wait("durable", b"kept")
    connection = await asyncpg.connect(addresses.postgres_admin_url)
    await connection.execute("CREATE TABLE durable AS SELECT 'kept' AS value")
    connection.terminate()

    for server in (servers.kafka, servers.postgres):
        killed = server.pid
        server.kill()
        assert server.pid is None
        server.start()
        assert server.pid not in (None, killed)
    servers.postgres.wait_ready()
    servers.kafka.wait_ready()

    assert servers.addresses == addresses
    connection = await asyncpg.connect(addresses.postgres_admin_url)
    assert await connection.fetchval("SELECT value FROM durable") == "kept"
    assert await connection.fetchval("SHOW data_checksums") == "on"
    await connection.close()
    assert await first_value(addresses.kafka_bootstrap, "durable") == b"kept"


async def first_value(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        record = await asyncio.wait_for(consumer.getone(), RECOVERY_SECONDS)
        value: bytes | None = record.value
        return value
    finally:
        await consumer.stop()


async def test_the_application_role_changes_rows_and_nothing_else(
    databases: dict[str, DatabaseUrls],
) -> None:
    owner = await asyncpg.connect(databases["intake"].owner)
    await owner.execute("CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY)")
    await owner.close()
    application = await asyncpg.connect(databases["intake"].application)
    await application.execute("INSERT INTO thing DEFAULT VALUES")
    assert await application.fetchval("SELECT count(*) FROM thing") == 1
    assert await application.fetchval("SHOW statement_timeout") == "30s"
    assert await application.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
    for forbidden in ("TRUNCATE thing", "DROP TABLE thing", "CREATE TABLE other ()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute(forbidden)
    await application.close()


async def test_no_service_enters_the_database_of_another(
    databases: dict[str, DatabaseUrls],
) -> None:
    elsewhere = databases["intake"].application.removesuffix("intake") + "audit"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(elsewhere)


async def test_topics_are_made_once_and_never_repartitioned(servers: EmbeddedServers) -> None:
    bootstrap = servers.addresses.kafka_bootstrap
    await provision_topics(bootstrap, [TopicSpec("table", 2, 60_000, "intake")])
    await provision_topics(bootstrap, [TopicSpec("table", 2, 90_000, "intake")])
    with pytest.raises(ProvisioningError, match="table has 2 partitions, the topic table asks 3"):
        await provision_topics(bootstrap, [TopicSpec("table", 3, 60_000, "intake")])


def test_the_supervisor_restarts_what_dies_and_what_hangs(folder: Path) -> None:
    progress: list[str] = []
    with attached(folder, progress.append, REFERENCE) as state:
        assert state.phase == "ready"
        assert stat.S_IMODE((folder / "stack.json").stat().st_mode) == 0o600
        for name in ("kafka", "postgres", "intake"):
            kill_and_await_restart(folder, name)
        httpx.get(f"{state.services['referral']}/break", trust_env=False)
        wait_for(lambda: read_state(folder).processes["referral"].restarts == 1)
        with (
            pytest.raises(StackError, match="already"),
            attached(folder, progress.append, REFERENCE),
        ):
            pass
        family = family_of(state)
    assert not living(family)
    assert read_state(folder).phase == "stopped"
    assert any("ready after" in line for line in progress)


def kill_and_await_restart(folder: Path, name: str) -> None:
    before = read_state(folder).processes[name]
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)

    def restarted() -> bool:
        now = read_state(folder).processes[name]
        return now.restarts == before.restarts + 1 and now.pid not in (None, before.pid)

    wait_for(restarted)
    assert read_state(folder).processes[name].port == before.port


def test_a_killed_supervisor_leaves_nothing_behind(folder: Path) -> None:
    first = start_detached(folder, lambda _: None, REFERENCE)
    family = family_of(first)
    assert first.supervisor_pid
    os.kill(first.supervisor_pid, signal.SIGKILL)
    wait_for(lambda: not living(family))
    assert read_state(folder).phase == "absent"

    second = start_detached(folder, lambda _: None, REFERENCE)
    assert second.services == first.services
    assert second.postgres_admin_url == first.postgres_admin_url
    family = family_of(second)
    assert stop(folder)
    assert not living(family)
    assert not stop(folder)


def family_of(state: StackState) -> list[psutil.Process]:
    assert state.supervisor_pid
    family: list[psutil.Process] = psutil.Process(state.supervisor_pid).children(recursive=True)
    assert len(family) > 4
    return family


def living(family: list[psutil.Process]) -> list[psutil.Process]:
    return [
        member
        for member in family
        if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    ]


def test_ports_are_remembered_and_replaced_only_when_taken(tmp_path: Path) -> None:
    port = Ports(tmp_path).get("kafka")
    assert Ports(tmp_path).get("kafka") == port
    assert Ports(tmp_path).get("postgres") != port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        replacement = Ports(tmp_path).get("kafka")
    assert replacement != port
    assert Ports(tmp_path).get("kafka") == replacement


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    secret = Secrets(tmp_path).get("intake-master")
    assert (
        Secrets(tmp_path).get("intake-master") == secret != Secrets(tmp_path).get("intake-receipt")
    )
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_one_data_folder_has_one_stack(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(DataFolderBusyError, match=f"in use by process {os.getpid()}"),
        locked(tmp_path),
    ):
        pass


def test_a_jar_with_another_checksum_is_named_and_not_kept(tmp_path: Path) -> None:
    jar = LockedJar("org.example:tool:1.0", "0" * 64, 5)
    fetched = tmp_path / "fetched.jar"
    fetched.write_bytes(b"other")
    with pytest.raises(
        JarUnavailableError, match=r"org\.example:tool:1\.0 is not the locked file.*expected 0{64}"
    ):
        keep(fetched, jar, tmp_path)
    assert not (tmp_path / "tool-1.0.jar").exists()


def test_a_failed_download_names_the_jar_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELDPUNT_MAVEN_MIRROR", "http://127.0.0.1:1/none")
    with pytest.raises(JarUnavailableError, match=r"org\.example:tool:1\.0.*put tool-1\.0\.jar in"):
        download(LockedJar("org.example:tool:1.0", "0" * 64, 5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_names_files_and_checksums_and_no_host() -> None:
    jars = read_lock()
    assert any(jar.coordinate == "org.apache.kafka:kafka_2.13:4.3.1" for jar in jars)
    assert all(len(jar.sha256) == 64 and jar.size_bytes > 0 for jar in jars)
    assert "//" not in (PROJECT / "deploy" / "local" / "kafka.lock").read_text()


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELDPUNT_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    with pytest.raises(RuntimeError, match="Set both"):
        addresses_from_environment()
