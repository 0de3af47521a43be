"""A server under a caller's own hand: start, kill, restart.

The supervisor and the fault tests both build on it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from deploy.local.jars import Say
from deploy.local.process import Child, Program


class Server(Protocol):
    """What Kafka and PostgreSQL have in common."""

    name: str
    start_timeout_seconds: float

    def prepare(self, say: Say) -> None: ...
    def program(self) -> Program: ...
    def answers(self) -> bool: ...


class ServerDiedError(RuntimeError):
    """A server ended or gave no answer in time; the text holds the end of its log."""


class ManagedServer:
    """One server with its process. `start` may follow `kill` or `terminate`; the data stays."""

    def __init__(self, server: Server, log_folder: Path) -> None:
        self._server = server
        self._log_folder = log_folder
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None when it does not run."""
        return self._child.pid if self._child and self._child.returncode is None else None

    def start(self) -> None:
        """Start the process and return at once; nothing happens when it runs already."""
        if self.pid is None:
            self._server.prepare(lambda _: None)
            self._child = Child(self._server.program(), self._log_folder)

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        if self._child:
            self._child.kill()

    def terminate(self) -> None:
        """Stop in an orderly way."""
        if self._child:
            self._child.terminate()

    def wait_ready(self, timeout_seconds: float | None = None) -> None:
        """Block until the server answers its own protocol.

        Raises `ServerDiedError` when it ends or does not in time.
        """
        limit = time.monotonic() + (timeout_seconds or self._server.start_timeout_seconds)
        while not self._server.answers():
            if self.pid is None or time.monotonic() > limit:
                tail = self._child.log_tail() if self._child else ""
                raise ServerDiedError(
                    f"{self._server.name} did not become ready; see {self._log_folder}. Last "
                    f"lines:\n{tail}"
                )
            time.sleep(0.05)
