"""Starting, reading and stopping a supervisor from another process.

What `up`, `down`, `status` and `demo` are made of.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.jars import Say
from deploy.local.plan import DEFAULT_REFERENCE
from deploy.local.process import cap_log, is_same_process
from deploy.local.state import STATE_FILE, read_json

START_TIMEOUT_SECONDS = 600.0
STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1
ERROR_MARK = "error: "


class StackError(RuntimeError):
    """A stack did not start or stop; the text says why and where its log is."""


@dataclass(frozen=True)
class ProcessState:
    """One supervised process.

    `pid` and `started_at` (seconds since 1970) are None while it is down.
    """

    pid: int | None
    port: int | None
    started_at: float | None
    restarts: int
    log: str


@dataclass(frozen=True)
class StackState:
    """What `<data>/stack.json` tells.

    Holds passwords: show `services` and `processes`, not the rest.

    `kafka_partner_bootstrap` is where partners connect with their certificate, None where nobody
    knows; `partner_rights` tells in a sentence whether they are kept apart.
    `phase` is one of starting, ready, stopping, stopped, failed, or absent when the supervisor is
    gone.
    """

    phase: str
    supervisor_pid: int | None
    services: Mapping[str, str]
    kafka_bootstrap: str | None
    postgres_admin_url: str | None
    databases: Mapping[str, Mapping[str, str]]
    processes: Mapping[str, ProcessState]
    problem: str | None
    kafka_partner_bootstrap: str | None = None
    partner_rights: str | None = None


def read_state(data_dir: Path) -> StackState:
    """The state of the stack in a data folder; without one its `phase` is `absent`."""
    raw = read_json(data_dir / STATE_FILE)
    supervisor = raw.get("supervisor", {})
    alive = bool(supervisor) and is_same_process(supervisor["pid"], supervisor["started_at"])
    phase = str(raw.get("phase", "absent"))
    servers = raw.get("servers", {})
    return StackState(
        phase=phase if alive or phase in {"stopped", "failed"} else "absent",
        supervisor_pid=supervisor["pid"] if alive else None,
        services=raw.get("services", {}),
        kafka_bootstrap=servers.get("kafka_bootstrap"),
        postgres_admin_url=servers.get("postgres_admin_url"),
        databases=raw.get("databases", {}),
        processes={
            name: ProcessState(**process) for name, process in raw.get("processes", {}).items()
        },
        problem=raw.get("problem"),
        kafka_partner_bootstrap=servers.get("kafka_partner_bootstrap"),
        partner_rights=raw.get("partner_rights"),
    )


def start_detached(data_dir: Path, say: Say, plan: str = DEFAULT_REFERENCE) -> StackState:
    """Start a stack that outlives this process and wait until it is ready.

    A stack that runs in this data folder already is left as it is. Raises `StackError`.
    """
    state = read_state(data_dir)
    if state.phase == "ready":
        return state
    return _launch(data_dir, plan, lifeline=False).await_ready(say)


@contextmanager
def attached(data_dir: Path, say: Say, plan: str = DEFAULT_REFERENCE) -> Iterator[StackState]:
    """A ready stack that ends with this block, or with this process however that ends.

    Raises `StackError`, also when a stack runs in this data folder already.
    """
    launch = _launch(data_dir, plan, lifeline=True)
    try:
        yield launch.await_ready(say)
    finally:
        launch.end()


def stop(data_dir: Path) -> bool:
    """Stop the stack in a data folder and wait for its end; False when none ran.

    Raises `StackError`.
    """
    pid = read_state(data_dir).supervisor_pid
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + STOP_TIMEOUT_SECONDS
    while read_state(data_dir).supervisor_pid == pid:
        if time.monotonic() > limit:
            raise StackError(
                f"The stack in {data_dir} (process {pid}) does not stop; see {_log(data_dir)}"
            )
        time.sleep(POLL_SECONDS)
    return True


def _log(data_dir: Path) -> Path:
    return data_dir / "logs" / "supervisor.log"


@dataclass(frozen=True)
class _Launch:
    """A supervisor that was started, and the place in its log where its own lines begin."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    log_offset: int

    def await_ready(self, say: Say) -> StackState:
        """Say each line of progress until the stack is ready, or raise its `StackError`."""
        limit, failed = time.monotonic() + START_TIMEOUT_SECONDS, False
        with _log(self.data_dir).open(errors="replace") as log:
            log.seek(self.log_offset)
            while True:
                ended = self.process.poll() is not None or time.monotonic() > limit
                for line in log.readlines():
                    # What follows the mark is the reason, which goes into the error.
                    failed = failed or line.startswith(ERROR_MARK)
                    if not failed:
                        say(line.rstrip())
                state = read_state(self.data_dir)
                if state.supervisor_pid == self.process.pid and state.phase == "ready":
                    return state
                if ended:
                    raise StackError(self._reason())
                time.sleep(POLL_SECONDS)

    def end(self) -> None:
        """End the lifeline and wait.

        By force, of which the children also end, when that takes too long.
        """
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _reason(self) -> str:
        log = _log(self.data_dir)
        text = log.read_bytes()[self.log_offset :].decode(errors="replace")
        _, marker, reason = f"\n{text}".partition(f"\n{ERROR_MARK}")
        return reason.strip() if marker else f"The stack did not start in time; see {log}"


def _launch(data_dir: Path, plan: str, *, lifeline: bool) -> _Launch:
    running = read_state(data_dir).supervisor_pid
    if running:
        raise StackError(
            f"A stack runs in {data_dir} already (process {running}). Stop it first, or choose"
            " another data folder."
        )
    log = _log(data_dir)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    cap_log(log)
    command = [sys.executable, "-m", "deploy.local", "--data", str(data_dir), "--plan", plan]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command + (["--lifeline"] if lifeline else []),
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches the command at the terminal only, which then ends the stack in order.
            start_new_session=True,
        )
        return _Launch(data_dir, process, output.tell())
