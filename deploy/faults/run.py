"""One fault run: start, load, kill, wait until drained, judge."""

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.client import ServiceError, connect, connect_all
from deploy.commands.base import CommandError
from deploy.commands.cases import read_cases
from deploy.faults import evidence, plan
from deploy.faults.checker import Evidence, Verdict, judge
from deploy.faults.load import Client
from deploy.faults.schedule import REPUBLISH, Fault, duration_seconds, schedule
from deploy.issuer import Issuer
from deploy.local.control import attached, read_state
from deploy.local.postgres import discard

EXAMPLES = Path(__file__).parents[2] / "examples" / "cases.jsonl"
DRAIN_SECONDS_REQUIRED = 60.0
DRAIN_SECONDS_MAX = 150.0
_POLL_SECONDS = 0.5
_PID_WAIT_SECONDS = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What to run; `defect` names a seeded defect of `broken.py`."""

    reports: int
    seed: int
    data_dir: Path
    service_kills: int = 3
    server_kills: int = 1
    republications: int = 1
    defect: str | None = None
    drain_seconds_max: float = DRAIN_SECONDS_MAX


@dataclass(slots=True)
class Outcome:
    """The verdict, and what was done."""

    verdict: Verdict
    killed: dict[str, int] = field(default_factory=dict)
    load_seconds: float = 0.0
    restarts: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether every promise held and the system drained in time."""
        drained = self.verdict.drained_seconds
        return self.verdict.good and drained is not None and drained <= DRAIN_SECONDS_REQUIRED


def run(options: Options, say: Say) -> Outcome:
    """Run on a fresh data folder, which is kept for a look afterwards."""
    _fresh(options.data_dir)
    Issuer.open(options.data_dir)
    environment = {
        plan.FLEET_VARIABLE: f"--accept 0.85 --decline 0.15 --seed {options.seed}",
        plan.DEFECT_VARIABLE: options.defect or "",
    }
    with _environment(environment), attached(options.data_dir, say, plan.REFERENCE):
        return asyncio.run(_Run(options, say).run())


class _Run:
    def __init__(self, options: Options, say: Say) -> None:
        self._options = options
        self._say = say
        self._killed: dict[str, int] = {}
        self._last_fault_at = time.monotonic()

    async def run(self) -> Outcome:
        options = self._options
        faults = schedule(
            options.seed,
            service_kills=options.service_kills,
            server_kills=options.server_kills,
            republications=options.republications,
        )
        seconds = duration_seconds(faults)
        intake = connect("intake", "channel", options.data_dir)
        await intake.close()
        token = Issuer.open(options.data_dir).issue("channel")
        log_file = options.data_dir / "client.jsonl"
        client = Client(intake.base_url, token, log_file, f"faults-{secrets.token_hex(4)}")
        self._say(f"{options.reports} reports and {len(faults)} faults in {seconds:.0f} s")
        began = time.monotonic()
        await asyncio.gather(
            client.run(_bodies(options.seed), options.reports, seconds), self._hurt(faults, client)
        )
        load_seconds = time.monotonic() - began
        drained = await self._drained(client)
        found = await self._evidence(client, drained)
        restarts = {n: p.restarts for n, p in read_state(options.data_dir).processes.items()}
        return Outcome(judge(found), self._killed, load_seconds, restarts)

    async def _hurt(self, faults: Sequence[Fault], client: Client) -> None:
        start = time.monotonic()
        for fault in faults:
            await asyncio.sleep(max(0.0, start + fault.at_seconds - time.monotonic()))
            if fault.target == REPUBLISH:
                await self._republish()
            else:
                await self._kill(fault.target)
            self._last_fault_at = time.monotonic()
            self._killed[fault.target] = self._killed.get(fault.target, 0) + 1
            self._say(
                f"{time.monotonic() - start:6.1f} s  {fault.target:<10}"
                f"{client.load.acknowledged} of {self._options.reports} receipts"
            )

    async def _kill(self, target: str) -> None:
        """SIGKILL; when it is still starting after an earlier kill, wait until it is there."""
        limit = time.monotonic() + _PID_WAIT_SECONDS
        while time.monotonic() < limit:
            process = read_state(self._options.data_dir).processes.get(target)
            if process is not None and process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                    return
            await asyncio.sleep(0.2)
        raise CommandError(f"{target} does not run and cannot be killed; see its log.")

    async def _republish(self) -> None:
        """Bring every event a second time, as after a wiped broker."""
        for service in connect_all("operator", self._options.data_dir):
            async with service:
                with contextlib.suppress(ServiceError):
                    await service.post("/v1/outbox/_rebuild")

    async def _drained(self, client: Client) -> float | None:
        """Seconds from the last fault until nothing is open, None when that does not come."""
        limit = self._last_fault_at + self._options.drain_seconds_max
        acknowledged = client.load.acknowledged
        said = 0.0
        async with connect("audit", "auditor", self._options.data_dir) as audit:
            while time.monotonic() < limit:
                with contextlib.suppress(ServiceError):
                    found = await audit.get("/v1/completeness")
                    done = found["accepted"] + found["atDesk"] + found["closed"]
                    if (
                        done >= acknowledged
                        and found["open"] == 0
                        and found["complete"]
                        and await self._outboxes_empty()
                    ):
                        return time.monotonic() - self._last_fault_at
                    if time.monotonic() - said > 2:
                        said = time.monotonic()
                        self._say(
                            f"draining: {done} of {acknowledged} settled, open {found['open']},"
                            f" parked {found['parked']}, missing {found['missingEvents']}"
                        )
                await asyncio.sleep(_POLL_SECONDS)
        return None

    async def _outboxes_empty(self) -> bool:
        for service in connect_all("operator", self._options.data_dir):
            async with service:
                name = f"meldpunt_{service.name}_outbox_pending "
                text = await service.text("/metrics")
                line = next(line for line in text.splitlines() if line.startswith(name))
                if float(line.split()[-1]) > 0:
                    return False
        return True

    async def _evidence(self, client: Client, drained: float | None) -> Evidence:
        data_dir = self._options.data_dir
        lines = evidence.partner_lines(data_dir / "partners")
        async with (
            connect("audit", "auditor", data_dir) as audit,
            connect("referral", "desk", data_dir) as referral,
        ):
            known = await evidence.audit_cases(audit)
            ids = [case_id for request in client.load.requests for case_id in request.case_ids]
            cases = await evidence.views(ids, known, referral, audit)
            completeness = await audit.get("/v1/completeness")
            unpicked = await audit.get("/v1/unpicked-cases")
        parked = 0
        for service in connect_all("operator", data_dir):
            async with service:
                parked += int((await service.get("/v1/parked-events"))["total"])
        return Evidence(
            requests=client.load.requests,
            partner_lines=lines,
            cases=cases,
            known_case_ids=list(known),
            completeness=completeness,
            unpicked=len(unpicked["cases"]),
            parked=parked,
            drained_seconds=drained,
        )


def _bodies(seed: int) -> list[dict[str, object]]:
    cases, bad = read_cases(EXAMPLES)
    if bad:
        raise CommandError(f"{EXAMPLES} has bad lines: {bad[0]}")
    bodies = [dict(case.body) for case in cases]
    random.Random(seed).shuffle(bodies)  # noqa: S311 - to be repeated, not to be secret.
    return bodies


def _fresh(data_dir: Path) -> None:
    """An empty folder; the ports and the download cache of other folders are not touched."""
    if (data_dir / "client.jsonl").exists() or (data_dir / "stack.json").exists():
        state = read_state(data_dir)
        if state.supervisor_pid is not None:
            raise CommandError(f"A stack runs in {data_dir}; stop it, or choose another --data.")
        discard(data_dir)
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
