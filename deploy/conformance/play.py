"""What every check has at hand: the chain, the sandbox, the notebook, the partner's channel."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.conformance.cases import cases
from deploy.conformance.chain import Chain, Played
from deploy.conformance.lines import Line
from deploy.conformance.notebook import Notebook, Provoked, Said
from deploy.conformance.sandbox import Sandbox

POLL_SECONDS = 0.05
# How long is waited for what must not happen.
GRACE_SECONDS = 2.0


@dataclass
class Play:
    """One run against one partner's system."""

    organisation: str
    channel: str
    chain: Chain
    sandbox: Sandbox
    notebook: Notebook
    line: Line | None
    timeout_seconds: float
    outage_seconds: float = 4.0
    restart_command: str | None = None
    logs: Sequence[Path] = ()
    # Stops the broker for a while; None where this machine does not run it.
    broker_away: Callable[[], AbstractContextManager[None]] | None = None
    silent_since: str | None = None
    restarted_at: float | None = None
    prepared: dict[str, list[asyncio.Task[str]]] = field(default_factory=dict)

    def prepare(self, name: str, count: int) -> None:
        """Begin to bring so many cases of a test case to the desk."""
        situation = cases().situation_of(name)
        assert situation is not None, f"{name} plays no case"
        self.prepared.setdefault(name, []).extend(
            asyncio.create_task(self.chain.prepare(situation)) for _ in range(count)
        )

    def drop(self) -> None:
        """What was prepared is not needed any more."""
        for tasks in self.prepared.values():
            for task in tasks:
                task.cancel()

    async def case(self, name: str) -> str:
        """A case of this test case, at the desk and free to be assigned."""
        if not self.prepared.get(name):
            self.prepare(name, 1)
        return await self.prepared[name].pop(0)

    async def offered(self, name: str, faults: Sequence[Provoked] = ()) -> Played:
        """Offer a case to the partner, with faults for its first answers."""
        case_id = await self.case(name)
        if faults:
            self.sandbox.plan(case_id, list(faults))
        return await self.chain.assign(case_id)

    async def until(self, look: Callable[[], bool], seconds: float | None = None) -> bool:
        """Whether this became true in time."""
        limit = time.monotonic() + (self.timeout_seconds if seconds is None else seconds)
        while not look():
            if time.monotonic() > limit:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def decision(self, case_id: str) -> Said | None:
        """The first acceptance or decline that meldpunt took."""
        taken = [i for i in self.notebook.of(case_id) if i.decides and _taken(i)]
        return taken[0] if taken else None

    async def decided(self, played: Played) -> Said | None:
        """The decision on a case, waited for."""
        await self.until(lambda: self.decision(played.case_id) is not None)
        return self.decision(played.case_id)

    async def lives(self, name: str) -> bool:
        """Whether the system still takes offers: a fresh one is decided on."""
        return await self.decided(await self.offered(name)) is not None

    def ids(self, case_id: str) -> set[str]:
        """The ids of all answers about a case."""
        return {item.answer_id for item in self.notebook.of(case_id)}

    async def restart(self) -> int:
        """Run the command that restarts the partner's system; gives its exit status."""
        assert self.restart_command is not None
        self.restarted_at = time.monotonic()
        done = await asyncio.to_thread(
            subprocess.run,
            # The user's own command, on the user's own machine.
            ["/bin/sh", "-c", self.restart_command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        return done.returncode


def _taken(item: Said) -> bool:
    return item.status == 200 if item.over == "http" else True
