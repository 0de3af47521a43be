"""One supervised process: started, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import httpx

from deploy.local.jars import Say
from deploy.local.process import Child, Program
from deploy.local.servers import ServerDiedError

POLL_SECONDS = 0.1
PROBE_EVERY_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 5.0
FAILURES_BEFORE_RESTART = 3
# The first restart is immediate; a process that ran this long counts as having recovered.
BACKOFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 5.0)
RECOVERED_AFTER_SECONDS = 30.0
GAVE_UP_STARTING_AFTER = 4

Refresh = Callable[[], Awaitable[Program]]


class Unit:
    """Keeps one program running until `stop`.

    `refresh` gives the program before every start, so that a server can clear leftovers first;
    `changed` is called after every start and end.
    """

    def __init__(
        self, name: str, refresh: Refresh, log_folder: Path, changed: Callable[[], None], say: Say
    ) -> None:
        self.name = name
        self.restarts = 0
        self.program: Program | None = None
        self._refresh = refresh
        self._log_folder = log_folder
        self._changed = changed
        self._say = say
        self._child: Child | None = None
        self._stopping = False
        self._failures_in_a_row = 0
        self._was_live = False

    @property
    def child(self) -> Child | None:
        """The process, when it runs."""
        return self._child if self._child and self._child.returncode is None else None

    async def keep(self) -> None:
        """Start the program and start it again whenever it ends or stops answering `live_url`.

        Ends after `stop`.
        """
        while not self._stopping:
            began = time.monotonic()
            reason = await self._run_once()
            if self._stopping:
                return
            recovered = time.monotonic() - began > RECOVERED_AFTER_SECONDS
            self._failures_in_a_row = 1 if recovered else self._failures_in_a_row + 1
            delay = BACKOFF_SECONDS[min(self._failures_in_a_row, len(BACKOFF_SECONDS)) - 1]
            self._say(
                f"{self.name} {reason}; starting it again" + (f" in {delay:g} s" if delay else "")
            )
            await asyncio.sleep(delay)
            self.restarts += 1

    async def wait_until(
        self, answers: Callable[[], Awaitable[bool]], timeout_seconds: float
    ) -> None:
        """Wait for the program to do its work.

        Raises `ServerDiedError` after repeated failures or when the time is up.
        """
        limit = time.monotonic() + timeout_seconds
        while not (self.child and await answers()):
            if self._failures_in_a_row >= GAVE_UP_STARTING_AFTER or time.monotonic() > limit:
                tail = self._child.log_tail() if self._child else ""
                raise ServerDiedError(
                    f"{self.name} did not become ready; its log is in {self._log_folder}. Last "
                    f"lines:\n{tail}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def is_ready(self) -> bool:
        """Whether `ready_url` answers 200; a program without one is ready when it runs."""
        if self.program is None:
            return False
        ready = self.program.ready_url is None or await answers_ok(self.program.ready_url)
        self._was_live = self._was_live or ready
        return ready

    async def stop(self) -> None:
        """Stop the program in an orderly way, by force after its `stop_seconds`."""
        self._stopping = True
        child = self.child
        if child:
            child.signal(child.program.stop_signal)
            limit = time.monotonic() + child.program.stop_seconds
            while child.returncode is None and time.monotonic() < limit:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS / 2)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the program and all that it started, and do not start it again."""
        self._stopping = True
        if self._child:
            self._child.kill()

    async def _run_once(self) -> str:
        try:
            program = await self._refresh()
            if self._stopping:
                return "is not wanted any more"
            self.program = program
            self._was_live = False
            child = self._child = Child(program, self._log_folder)
        except (OSError, RuntimeError) as error:
            return f"could not be started ({error})"
        self._changed()
        try:
            return await self._until_end(child, program)
        finally:
            # Also after an end of its own: what it started must not live on beside its successor.
            child.kill()
            self._changed()

    async def _until_end(self, child: Child, program: Program) -> str:
        health = asyncio.create_task(self._until_unwell(program))
        try:
            while child.returncode is None and not health.done():  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        finally:
            health.cancel()
        status = child.returncode
        if status is None:
            return "no longer answers its liveness check"
        return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"

    async def _until_unwell(self, program: Program) -> None:
        """Return when a program that was live once keeps failing its liveness check."""
        if program.live_url is None:
            await asyncio.Event().wait()
            return
        failures = 0
        while failures < FAILURES_BEFORE_RESTART:
            await asyncio.sleep(PROBE_EVERY_SECONDS)
            if await answers_ok(program.live_url):
                self._was_live, failures = True, 0
            elif self._was_live:
                failures += 1


async def answers_ok(url: str) -> bool:
    """Whether a GET gives status 200 within five seconds."""
    try:
        async with httpx.AsyncClient(
            timeout=PROBE_TIMEOUT_SECONDS, trust_env=False, verify=_certificates()
        ) as client:
            return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@cache
def _certificates() -> ssl.SSLContext:
    # Reading them takes 20 ms of work, too much for every one of many probes while services start.
    return ssl.create_default_context()
