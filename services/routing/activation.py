"""Which register decides: checked, activated from a moment on, and read back as it was.

A decision takes the register that is valid at its moment, read in its own transaction. So every
instance follows an activation at once, without being told and without a restart.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from contracts import topics
from contracts.routing import RegisterActivated, register_key
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.errors import Unavailable
from services.chassis.journal import Outgoing
from services.routing import register_store
from services.routing.domain import Register
from services.routing.regimes import regimes_of
from services.routing.register import Problem as Fault
from services.routing.register import RegisterInvalid, load_register
from services.routing.rules import CompiledRegister, compile_register

COMPILED_MAX = 8
COUNTEREXAMPLES_MAX = 20


@dataclass(frozen=True, slots=True)
class Counterexample:
    """What a register fails on: which proof, the smallest case that shows it, what to do."""

    proof: str
    problem: str
    remedy: str


Checker = Callable[[Register], Sequence[Counterexample]]
"""The proofs beyond those of `load_register`; an empty answer lets a register be activated."""


class Refused(Exception):
    """A register cannot be activated as asked: an HTTP status and a code that names why."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class Unreadable(Unavailable):
    """A stored register is not what its hash says, or not in a form that this release knows.

    Nothing is decided by another one instead: deciding waits until somebody acts.
    """


@dataclass(frozen=True, slots=True)
class InForce:
    """What decides at one moment: the register, and who is closed then."""

    register: CompiledRegister
    closed: frozenset[str]


class Registers:
    """Compiled registers by hash; the database says which one is in force."""

    def __init__(self, *known: CompiledRegister) -> None:
        self._compiled = {register.hash: register for register in known}

    async def in_force(self, connection: Connection, moment: datetime) -> InForce:
        """What decides at a moment; raises Unavailable while nothing does."""
        sha256, closed = await register_store.in_force(connection, moment)
        if sha256 is None:
            raise Unavailable("no register has been activated; activate one")
        return InForce(await self.of(connection, sha256), closed)

    async def of(self, connection: Connection, sha256: str) -> CompiledRegister:
        """The register of a hash, compiled once; raises Unreadable."""
        register = self._compiled.pop(sha256, None)
        if register is None:
            document = await register_store.register_document(connection, sha256)
            if document is None:
                raise Unreadable(f"register {sha256[:12]} is not stored; restore the database")
            register = await asyncio.to_thread(read_back, sha256, document)
        # Last in the dictionary is used last; the first one goes.
        self._compiled[sha256] = register
        if len(self._compiled) > COMPILED_MAX:
            del self._compiled[next(iter(self._compiled))]
        return register

    async def prepare(self, connection: Connection, moment: datetime) -> None:
        """Compile what decides and what is to follow, so that no report waits for it."""
        for sha256 in (await register_store.decides_from(connection, moment))[:COMPILED_MAX]:
            if sha256 not in self._compiled:
                await self.of(connection, sha256)


def read_back(sha256: str, document: str) -> CompiledRegister:
    """A stored register as it was when it was activated; raises Unreadable.

    Its name stays the hash of the stored document, also when this release knows more fields.
    """
    canonical = json.dumps(
        json.loads(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    if hashlib.sha256(canonical.encode()).hexdigest() != sha256:
        raise Unreadable(f"register {sha256[:12]} was altered in the database; restore it")
    try:
        register = Register.model_validate_json(document)
    except ValidationError as error:
        raise Unreadable(
            f"register {sha256[:12]} has a form that this release does not know"
            f" ({error.error_count()} fields); activate a register of this release"
        ) from None
    return replace(compile_register(register), hash=sha256)


def read_register(body: bytes) -> Register:
    """A register as it was sent, JSON or YAML; raises RegisterInvalid with line and remedy."""
    try:
        text = body.decode()
        if text.lstrip().startswith("{"):
            # YAML holds almost all of JSON, but not a tab.
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
        elif line := _alias(text):
            raise _invalid(line, "it holds a YAML alias", "Write the part out")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "register.yaml"
            file.write_text(text, encoding="utf-8")
            return load_register(file)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise _invalid(
            line, f"it cannot be read ({type(error).__name__})", "Send JSON or YAML in UTF-8"
        ) from None


def _alias(text: str) -> int | None:
    """Line of the first alias: a few of them can stand for more data than any memory holds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for token in yaml.scan(text, Loader=loader):
        if isinstance(token, yaml.AliasToken):
            return int(token.start_mark.line) + 1
    return None


def _invalid(line: int, problem: str, remedy: str) -> RegisterInvalid:
    return RegisterInvalid(Path("register"), (Fault(line, "register", problem, remedy),))


async def activate(
    connection: Connection,
    register: CompiledRegister,
    *,
    valid_from: datetime | None,
    by: str,
    source: str,
    clock: Callable[[], datetime],
) -> bool:
    """Let a checked register decide from a moment on, or from now; False when it already does.

    Raises Refused for a moment that has passed, and for a version that names another document.
    """
    await register_store.lock_register(connection)
    now = clock()
    start = now if valid_from is None else valid_from
    if start < now:
        raise Refused(
            400, "valid-from-passed", "validFrom has passed: what was decided stays decided."
        )
    version = register.register.version
    taken = set(await register_store.hashes_of_version(connection, version)) - {register.hash}
    if taken and by != source:
        raise Refused(
            409, "version-taken", f"Version {version} names another document; raise `version`."
        )
    if (await register_store.in_force(connection, start))[0] == register.hash:
        return False
    await _write(connection, register, start, now, by, source)
    return True


async def activate_shipped(
    connection: Connection,
    register: CompiledRegister,
    *,
    over_another: bool,
    source: str,
    clock: Callable[[], datetime],
) -> bool:
    """Let the register of this release decide when none does, or `over_another` that does."""
    await register_store.lock_register(connection)
    present, _ = await register_store.in_force(connection, clock())
    if present == register.hash or (present is not None and not over_another):
        return False
    return await activate(
        connection, register, valid_from=None, by=source, source=source, clock=clock
    )


async def _write(
    connection: Connection,
    register: CompiledRegister,
    valid_from: datetime,
    now: datetime,
    by: str,
    source: str,
) -> None:
    version = register.register.version
    document = register.register.model_dump_json(by_alias=True)
    await register_store.remember_register(connection, register.hash, version, document, now)
    await register_store.activate(connection, register.hash, valid_from, now, by)
    event = RegisterActivated(
        version=version,
        hash=register.hash,
        valid_from=valid_from,
        activated_at=now,
        activated_by=by,
        regimes=regimes_of(register.register),
    )
    outgoing = Outgoing(event, register_key(version), topics.ROUTING, source)
    await journal.append(connection, [outgoing], now)
