"""PostgreSQL: the pool, one transaction per unit of work, versioned migrations."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import asyncpg

from services.chassis.errors import TRANSIENT, Unavailable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Stored = TypeVar("Stored", bound="DataclassInstance")

CHASSIS_MIGRATIONS = Path(__file__).parent / "migrations"
ACQUIRE_SECONDS_MAX = 5.0
COMMAND_SECONDS_MAX = 30.0
# Any constant: one lock per database keeps two instances from migrating at once.
_MIGRATION_LOCK = 0x6D656C64
_RETRY_SECONDS = 0.5
# Our statements take arrays of any length; planning them anew for each array costs a tenth of the
# server's time when batches are small. But a plan made while a table was empty reads it whole, and
# is kept: what has an index is read by it from the first row on (ADR 0018).
_WHOLE_TABLE_PLANS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
_SESSION = {"plan_cache_mode": "force_generic_plan", "jit": "off"} | dict.fromkeys(
    _WHOLE_TABLE_PLANS, "off"
)


class MigrationMismatch(Exception):
    """An applied migration was changed afterwards; an operator must restore the released file."""


class NotMigrated(Exception):
    """Tables are older than this release; an operator must have the migrations applied first."""


async def _keep(_: object) -> None:
    """Nothing to reset."""


class Database:
    """The pool of one service; `on_commit` is called after each committed transaction."""

    def __init__(self, url: str, pool_max: int, application: str) -> None:
        self._url = url
        self._pool_max = pool_max
        self._application = application
        self._pool: Pool | None = None
        self.on_commit: Callable[[], None] = lambda: None

    async def start(self, seconds_max: float) -> None:
        """Open the pool, waiting for the server; raises Unavailable when it stays away."""
        deadline = asyncio.get_running_loop().time() + seconds_max
        while True:
            try:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=2,
                    max_size=self._pool_max,
                    command_timeout=COMMAND_SECONDS_MAX,
                    # Pooled connections hold no session state (no LISTEN, no session locks), so
                    # the round trip that would clear it is saved.
                    reset=_keep,
                    server_settings=_SESSION | {"application_name": self._application},
                )
            except TRANSIENT as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable("the database does not answer; start it first") from error
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def stop(self) -> None:
        """Close the pool; connections that hang are cut."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), ACQUIRE_SECONDS_MAX)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection outside a transaction, for reads; raises Unavailable."""
        if self._pool is None:
            raise Unavailable("the database pool is not open")
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX)
        except TRANSIENT as error:
            raise Unavailable("the database does not answer") from error
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction: commits on success, then calls `on_commit`."""
        async with self.connection() as connection, connection.transaction():
            yield connection
        self.on_commit()

    async def ping(self) -> None:
        """Raises what the driver raises when the database does not answer."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1", timeout=2.0)

    async def dedicated(self) -> Connection:
        """A connection of its own for the relay: session locks, LISTEN, deletes that may be lost.

        The caller closes it.
        """
        return await asyncpg.connect(
            self._url,
            command_timeout=COMMAND_SECONDS_MAX,
            timeout=ACQUIRE_SECONDS_MAX,
            server_settings=_SESSION
            | {"application_name": f"{self._application}-relay"}
            # It deletes pointers of what is published: losing that in a crash only repeats it.
            | {"synchronous_commit": "off"},
        )


def read_as(kind: type[Stored], row: asyncpg.Record) -> Stored:
    """A row as a dataclass with the fields that this release knows.

    While a newer release is brought in beside this one, the row may have columns more.
    """
    return kind(**{item.name: row[item.name] for item in fields(kind)})


async def plan_for_whole_tables(connection: Connection) -> None:
    """Let this transaction join and read tables as a whole, where that is what it means to do."""
    await connection.execute(
        "SELECT set_config(name, 'on', true) FROM unnest($1::text[]) AS name", _WHOLE_TABLE_PLANS
    )


async def migrate(url: str, folders: list[Path], seconds_max: float) -> list[str]:
    """Apply each `NNNN_name.sql` once, in order, chassis first; gives the names applied now.

    Raises MigrationMismatch when a file differs from what was applied under its name.
    """
    connection = await _connect_patiently(url, seconds_max)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT name, sha256 FROM migration")
        applied = {row["name"]: row["sha256"] for row in rows}
        return [
            file.name
            for file in _files(folders)
            if await _apply(connection, file, applied.get(file.name))
        ]
    finally:
        await connection.close()


async def until_migrated(database: Database, folders: list[Path], seconds_max: float) -> None:
    """Wait until another process, which has the right to, has applied all migrations.

    On tables that it does not know this one would park one event after another. Raises NotMigrated.
    """
    deadline = asyncio.get_running_loop().time() + seconds_max
    while missing := await _missing(database, folders):
        if asyncio.get_running_loop().time() > deadline:
            raise NotMigrated(
                f"not applied: {', '.join(missing)}; give one instance MIGRATION_DATABASE_URL, with"
                " which it applies them at its start"
            )
        await asyncio.sleep(_RETRY_SECONDS)


async def _missing(database: Database, folders: list[Path]) -> list[str]:
    async with database.connection() as connection:
        try:
            rows = await connection.fetch("SELECT name FROM migration")
        except asyncpg.UndefinedTableError:
            rows = []
    applied = {row["name"] for row in rows}
    return [file.name for file in _files(folders) if file.name not in applied]


def _files(folders: list[Path]) -> list[Path]:
    return [file for folder in folders for file in sorted(folder.glob("[0-9]*.sql"))]


async def _apply(connection: Connection, file: Path, known: str | None) -> bool:
    text = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if known == digest:
        return False
    if known is not None:
        raise MigrationMismatch(f"{file.name} was changed after it was applied; restore it")
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute(
            "INSERT INTO migration (name, sha256) VALUES ($1, $2)", file.name, digest
        )
    return True


async def _connect_patiently(url: str, seconds_max: float) -> Connection:
    deadline = asyncio.get_running_loop().time() + seconds_max
    while True:
        try:
            return await asyncpg.connect(url, timeout=ACQUIRE_SECONDS_MAX)
        except TRANSIENT as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable("the database does not answer; start it first") from error
            await asyncio.sleep(_RETRY_SECONDS)
