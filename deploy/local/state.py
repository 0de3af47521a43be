"""The data folder.

Its lock, the ports and secrets that it remembers, and the state file that others read.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import random
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
STATE_FILE = "stack.json"
# Kafka and PostgreSQL are prepared in two threads; other processes are kept out by `locked`.
_CHANGING = threading.Lock()
# Below the range from which systems give ports to outgoing connections, or such a connection could
# take a port while its server restarts.
CHOSEN_PORTS = range(20_000, 32_000)


class DataFolderBusyError(RuntimeError):
    """Another stack uses this data folder."""


def production_variable(environment: Mapping[str, str]) -> str | None:
    """The variable that calls the whole or a service production; None when none does."""
    for name, value in environment.items():
        ours = name.startswith("MELDPUNT_") and name.endswith("_ENVIRONMENT")
        if ours and value.strip().lower() == "production":
            return name
    return None


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this process.

    Raises `DataFolderBusyError` when another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
            raise DataFolderBusyError(
                f"{data_dir} is in use by process {holder}. Stop that stack first, or choose "
                f"another data folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, value: Any) -> None:
    """Replace a JSON file in one step; only its owner can read it."""
    write_private_text(path, json.dumps(value, indent=2) + "\n")


def write_private_text(path: Path, text: str) -> None:
    """Replace a text file in one step; only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(value, dict):
        raise RuntimeError(  # noqa: TRY004 - the file is wrong, not an argument.
            f"{path} should hold a JSON object; remove it or restore it from a copy."
        )
    return value


class Secrets:
    """Secrets of one stack, made at first use and kept in `<data>/secrets.json` (0600)."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "secrets.json"

    def get(self, name: str) -> str:
        """The secret of that name: 32 random bytes, base64url without padding (43 characters)."""
        with _CHANGING:
            known = read_json(self._path)
            if name not in known:
                known[name] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
                write_private(self._path, known)
        return str(known[name])


class Ports:
    """Ports of one stack.

    Chosen free once, kept in `<data>/ports.json`, replaced only when something else took one.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "ports.json"

    def get(self, name: str) -> int:
        """A port of 127.0.0.1 that is free now.

        Ask before the process that will listen on it is started.
        """
        with _CHANGING:
            known = read_json(self._path)
            port = known.get(name)
            if not isinstance(port, int) or not is_free(port):
                port = _free_port(exclude=set(known.values()))
                write_private(self._path, {**known, name: port})
        return port


def is_free(port: int) -> bool:
    """Whether a process could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections of the previous run that linger in TIME_WAIT do not make a port
        # taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port(exclude: set[int]) -> int:
    for port in random.sample(CHOSEN_PORTS, k=200):
        if port not in exclude and is_free(port):
            return port
    raise RuntimeError(
        f"No free port found between {CHOSEN_PORTS.start} and {CHOSEN_PORTS.stop}; stop other "
        f"programs."
    )
