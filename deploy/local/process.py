"""One child process.

Started in its own session, tied to its parent's life, stopped with everything it started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

LOG_BYTES_MAX = 4_000_000
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run and how to know that it is well.

    `live_url` failing means "restart it", `ready_url` answering 200 means "it does its work"; both
    may be absent. `death_signal` is what the kernel sends (Linux) when the supervisor itself dies.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    live_url: str | None = None
    ready_url: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    death_signal: signal.Signals = signal.SIGKILL
    user_id: int | None = None
    group_id: int | None = None


class Child:
    """A running `Program`."""

    def __init__(self, program: Program, log_folder: Path) -> None:
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.program = program
        self.log_path = log_folder / f"{program.name}.log"
        self.started_at = time.time()
        cap_log(self.log_path)
        self._buried = False
        self._process = _starter().submit(_start, program, self.log_path).result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_seconds: float) -> int | None:
        """Wait for its end; its exit status, None when it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_seconds)
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the process and all that it started."""
        if not self._buried:
            kill_tree(self.pid)
            self._process.wait()
            # From here on the number may be given to a process of someone else.
            self._buried = True

    def terminate(self) -> None:
        """Ask it to stop; SIGKILL when it has not after the program's `stop_seconds`."""
        self.signal(self.program.stop_signal)
        self.wait(self.program.stop_seconds)
        self.kill()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log, for an error message."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        return ""


def run_to_end(program: Program, log_folder: Path, timeout_seconds: float) -> None:
    """Run a program that ends by itself; it too does not outlive this process.

    Raises `RuntimeError` with the end of its log when it fails or takes too long.
    """
    child = Child(program, log_folder)
    try:
        status = child.wait(timeout_seconds)
    finally:
        child.kill()
    if status != 0:
        raise RuntimeError(
            f"{program.name} failed. Check that the disk has room and that the data folder can be"
            f" written; then start again. Last lines of {child.log_path}:\n{child.log_tail()}"
        )


def kill_tree(pid: int) -> None:
    """SIGKILL a process, its descendants and its process group; harmless when it is gone."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()


def kill_descendants() -> None:
    """SIGKILL all that this process started and has not awaited; for the very end of a program."""
    for descendant in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            descendant.kill()


def started_at(pid: int) -> float:
    """When a running process was started, in seconds since 1970."""
    return float(psutil.Process(pid).create_time())


def is_same_process(pid: int, start: float) -> bool:
    """Whether `pid` is still the process started at that moment (seconds since 1970)."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return bool(
            process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - start) < 2.0
        )
    return False


@cache
def _starter() -> ThreadPoolExecutor:
    # For the kernel the parent is the thread that started a child, so this one thread lives as long
    # as the process.
    return ThreadPoolExecutor(1, thread_name_prefix="child-starter")


def _start(program: Program, log_path: Path) -> subprocess.Popen[bytes]:
    as_user = program.user_id is not None
    with log_path.open("ab") as log:
        return subprocess.Popen(
            program.command,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/" if as_user else None,
            start_new_session=True,
            user=program.user_id,
            group=program.group_id,
            extra_groups=[] if as_user else None,
            # It makes one system call and takes no lock, so other threads cannot hold it up.
            preexec_fn=_die_with(os.getpid(), program.death_signal),  # noqa: PLW1509
        )


def cap_log(path: Path) -> None:
    """Set a log that has grown large aside, replacing the one that was set aside before."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))


def _die_with(parent_pid: int, death_signal: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        if _PRCTL is None:
            return
        _PRCTL(_PR_SET_PDEATHSIG, int(death_signal))
        # The parent may have died before the line above took effect.
        if os.getppid() != parent_pid:
            os._exit(1)

    return prepare
