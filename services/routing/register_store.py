"""SQL of the register: its versions, from when each decides, and who is closed meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.chassis.db import Connection, read_as

# Any constant that no other lock of this database has.
_REGISTER_LOCK = 0x72656769
_ACTIVATIONS = """
SELECT a.number, a.register_hash, v.version, a.valid_from, a.activated_at, a.activated_by
FROM register_activation a JOIN register_version v ON v.sha256 = a.register_hash
"""


@dataclass(frozen=True, slots=True)
class Activation:
    """A register version and the moment from which it decides."""

    number: int
    register_hash: str
    version: str
    valid_from: datetime
    activated_at: datetime
    activated_by: str


@dataclass(frozen=True, slots=True)
class Closure:
    """A `organisation` or `organisation/loket` that takes no cases in a period."""

    id: UUID
    party: str
    reason: str
    valid_from: datetime
    valid_until: datetime
    noted_at: datetime
    noted_by: str
    ended_at: datetime | None = None


async def hold_register(connection: Connection) -> None:
    """Keep activations and closures out until the end of the transaction; many may hold it.

    Take the moment of deciding after this: what is activated later is then valid later.
    """
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _REGISTER_LOCK)


async def lock_register(connection: Connection) -> None:
    """Keep decisions out until the end of the transaction, which must therefore be short."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _REGISTER_LOCK)


async def in_force(connection: Connection, moment: datetime) -> tuple[str | None, frozenset[str]]:
    """Hash of the register that decides at a moment, and who is closed then."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT register_hash FROM register_activation WHERE valid_from <= $1
                ORDER BY valid_from DESC, number DESC LIMIT 1) AS register_hash,
               ARRAY(SELECT party FROM closure
                     WHERE valid_until > $1 AND valid_from <= $1
                       AND (ended_at IS NULL OR ended_at > $1)) AS closed
        """,
        moment,
    )
    return (row["register_hash"], frozenset(row["closed"])) if row else (None, frozenset())


async def decides_from(connection: Connection, moment: datetime) -> list[str]:
    """Hashes of the register that decides at a moment and of those that are to follow."""
    rows = await connection.fetch(
        "SELECT DISTINCT register_hash FROM register_activation WHERE valid_from >="
        " (SELECT max(valid_from) FROM register_activation WHERE valid_from <= $1)",
        moment,
    )
    return [row["register_hash"] for row in rows]


async def remember_register(
    connection: Connection, sha256: str, version: str, document: str, now: datetime
) -> None:
    """Keep the document of a register version for good."""
    await connection.execute(
        "INSERT INTO register_version (sha256, version, document, loaded_at)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        sha256,
        version,
        document,
        now,
    )


async def register_document(connection: Connection, sha256: str) -> str | None:
    """The register of a hash as it was when it was activated, as JSON."""
    document: str | None = await connection.fetchval(
        "SELECT document FROM register_version WHERE sha256 = $1", sha256
    )
    return document


async def hashes_of_version(connection: Connection, version: str) -> list[str]:
    """Hashes of the documents that were activated under the name of a version."""
    rows = await connection.fetch(
        "SELECT DISTINCT sha256 FROM register_version v"
        " JOIN register_activation a ON a.register_hash = v.sha256 WHERE version = $1",
        version,
    )
    return [row["sha256"] for row in rows]


async def activate(
    connection: Connection,
    register_hash: str,
    valid_from: datetime,
    now: datetime,
    activated_by: str,
) -> int:
    """Let a remembered register decide from a moment on; gives the number of the activation."""
    number: int = await connection.fetchval(
        "INSERT INTO register_activation (register_hash, valid_from, activated_at, activated_by)"
        " VALUES ($1, $2, $3, $4) RETURNING number",
        register_hash,
        valid_from,
        now,
        activated_by,
    )
    return number


async def activations(connection: Connection, limit: int) -> list[Activation]:
    """Activations, the one that was made last first."""
    rows = await connection.fetch(
        f"{_ACTIVATIONS} ORDER BY number DESC LIMIT $1",
        limit,
    )
    return [Activation(**row) for row in rows]


async def latest_of(connection: Connection, register_hash: str) -> Activation:
    """The last activation of a register that was activated."""
    row = await connection.fetchrow(
        f"{_ACTIVATIONS} WHERE a.register_hash = $1 ORDER BY number DESC LIMIT 1",
        register_hash,
    )
    return Activation(**row)


async def activation_at(connection: Connection, moment: datetime) -> int | None:
    """Number of the activation that decides at a moment."""
    number: int | None = await connection.fetchval(
        "SELECT number FROM register_activation WHERE valid_from <= $1"
        " ORDER BY valid_from DESC, number DESC LIMIT 1",
        moment,
    )
    return number


async def insert_closure(connection: Connection, closure: Closure) -> None:
    """Note that a party is closed."""
    await connection.execute(
        "INSERT INTO closure (id, party, reason, valid_from, valid_until, noted_at, noted_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        closure.id,
        closure.party,
        closure.reason,
        closure.valid_from,
        closure.valid_until,
        closure.noted_at,
        closure.noted_by,
    )


async def end_closure(connection: Connection, closure_id: UUID, now: datetime) -> Closure | None:
    """End a closure that runs or is to come; None when there is no such closure."""
    row = await connection.fetchrow(
        "UPDATE closure SET ended_at = $2"
        " WHERE id = $1 AND ended_at IS NULL AND valid_until > $2 RETURNING *",
        closure_id,
        now,
    )
    return read_as(Closure, row) if row else None


async def closures(connection: Connection, now: datetime, limit: int) -> Sequence[Closure]:
    """Closures that run at a moment or are to come, the first one first."""
    rows = await connection.fetch(
        "SELECT * FROM closure WHERE valid_until > $1 AND (ended_at IS NULL OR ended_at > $1)"
        " ORDER BY valid_from, id LIMIT $2",
        now,
        limit,
    )
    return [read_as(Closure, row) for row in rows]
