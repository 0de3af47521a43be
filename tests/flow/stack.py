"""The whole stack as a person meets it: its addresses, its command line, its processes."""

import asyncio
import contextlib
import io
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import psutil

from deploy.cli import main
from deploy.commands.cases import read_cases
from deploy.commands.partners import FLEET_ARGUMENTS_VARIABLE
from deploy.issuer import Issuer
from deploy.local.control import StackState, attached, read_state
from deploy.local.postgres import discard
from deploy.local.provision import SERVICES
from deploy.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE
from deploy.local.state import read_json

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "cases.jsonl"
CACHE_VARIABLE = "MELDPUNT_CACHE"
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
# An open case with nobody to ask but the school, which the example partners play over Kafka.
SITUATION = {
    "sector": "vo",
    "reporter": "ouder",
    "kind": "klacht",
    "subject": "pesten",
    "accused": "leerling",
}

T = TypeVar("T")
Document = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """A running stack; the partners accept everything."""

    data_dir: Path

    @property
    def state(self) -> StackState:
        return read_state(self.data_dir)

    def token(self, role: str, organisation: str | None = None) -> str:
        return Issuer.open(self.data_dir).issue(role, organisation, f"flow-{role}")

    def client(
        self, service: str, role: str | None = None, organisation: str | None = None
    ) -> httpx.AsyncClient:
        """An HTTP client of one service below `/v1`; without a role it sends no token."""
        headers = {"Authorization": f"Bearer {self.token(role, organisation)}"} if role else {}
        return httpx.AsyncClient(
            base_url=f"{self.state.services[service]}/v1",
            headers=headers,
            timeout=30,
            trust_env=False,
        )

    def pid(self, name: str) -> int:
        pid = self.state.processes[name].pid
        assert pid is not None, f"{name} is down"
        return pid

    def log(self, name: str) -> str:
        return (self.data_dir / "logs" / f"{name}.log").read_text(errors="replace")

    @property
    def postgres_folder(self) -> Path:
        """Where the database's files are; outside the data folder when that is closed to it."""
        place = read_json(self.data_dir / "postgres-location.json").get("folder")
        return Path(place) if place else self.data_dir / "postgres"

    @property
    def trace_folder(self) -> Path:
        return self.data_dir / "traces"

    async def owner(self, service: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection as the role that owns the tables, for what only an operator may do."""
        return await asyncpg.connect(self.state.databases[service]["owner"])

    async def meldpunt(self, *arguments: str) -> tuple[int, Document, str]:
        """Run the command line with `--json`: exit status, last line as JSON, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            # In a thread, because a command has an event loop of its own.
            status = await asyncio.to_thread(
                main, [*arguments, "--data", str(self.data_dir), "--json"]
            )
        lines = out.getvalue().splitlines()
        return status, json.loads(lines[-1]) if lines else {}, err.getvalue()

    async def completeness(self) -> Document:
        async with self.client("audit", "auditor") as audit:
            answer = await audit.get("/completeness")
            answer.raise_for_status()
            found: Document = answer.json()
            return found

    async def settled(self, *, received: int | None = None) -> Document:
        """Wait until every case has its place and audit misses nothing."""

        async def look() -> Document | None:
            found = await self.completeness()
            enough = received is None or found["received"] >= received
            done = enough and found["complete"] and found["open"] == await self._to_assign()
            return found if done and found["open"] < found["cases"] else None

        return await until(look, "every case has a holder and audit is complete")

    async def _to_assign(self) -> int:
        """Cases that were taken back from a partner: open until a person at the desk assigns."""
        async with self.client("audit", "auditor") as audit:
            answer = await audit.get("/cases", params={"state": "waiting", "limit": 500})
            cases = answer.raise_for_status().json()["cases"]
            return sum((case["nextStep"] or {}).get("action") == "assign" for case in cases)

    async def case(self, case_id: str) -> Document | None:
        async with self.client("referral", "desk") as desk:
            answer = await desk.get(f"/cases/{case_id}")
            return answer.json() if answer.is_success else None

    async def holders(self, case_ids: list[str]) -> dict[str, tuple[str, int]]:
        """Holder and number of handoffs per case, as referral says."""
        async with self.client("referral", "desk") as desk:
            found = {}
            for case_id in case_ids:
                view = (await desk.get(f"/cases/{case_id}")).raise_for_status().json()
                found[case_id] = (view["holder"], view["handoff"])
            return found

    async def accepted(self, case_id: str) -> Document:
        """The case once a partner holds it."""

        async def look() -> Document | None:
            view = await self.case(case_id)
            return view if view and view["holder"] != "vangnet" else None

        return await until(look, f"a partner holds case {case_id}")


@contextmanager
def running_stack(data_dir: Path) -> Iterator[Stack]:
    """A stack of its own servers, services and partners that ends with the block."""
    stack = Stack(data_dir)
    Issuer.open(data_dir)
    variables = {
        CACHE_VARIABLE: os.environ.get(CACHE_VARIABLE) or str(ROOT / ".meldpunt" / "cache"),
        FLEET_ARGUMENTS_VARIABLE: "--accept 1 --decline 0",
    }
    for service in SERVICES:
        prefix = f"MELDPUNT_{service.upper()}_"
        variables[f"{prefix}TRACE_SAMPLE_RATIO"] = "1"
        variables[f"{prefix}TRACE_FILE"] = str(stack.trace_folder / f"{service}.jsonl")
        # A tally is what makes a completeness that was disturbed complete again.
        variables[f"{prefix}TALLY_SECONDS"] = "1"
    variables["MELDPUNT_INTAKE_STATUS_CALLS_PER_MINUTE"] = "600"
    # These tests stop and kill the servers, so they never use those that others share.
    try:
        with (
            _environment(variables, without=(KAFKA_VARIABLE, POSTGRES_VARIABLE)),
            attached(data_dir, print, "deploy.commands.partners:WITH_PARTNERS"),
        ):
            yield stack
    finally:
        discard(data_dir)


@contextmanager
def _environment(values: dict[str, str], without: tuple[str, ...]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*values, *without)}
    os.environ.update(values)
    for name in without:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


async def until(
    look: Callable[[], Awaitable[T | None]], what: str, seconds: float = WAIT_SECONDS
) -> T:
    """The first answer of `look` that is not None; a service that is away only delays it."""
    limit = time.monotonic() + seconds
    problem = ""
    while time.monotonic() < limit:
        try:
            found = await look()
        except (httpx.HTTPError, OSError) as error:
            found, problem = None, f" (last: {type(error).__name__})"
        if found is not None:
            return found
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"after {seconds:.0f} s still not: {what}{problem}")


@contextmanager
def asleep(pid: int) -> Iterator[None]:
    """A process and all that it started do nothing at all during the block, and go on after it."""
    family = [psutil.Process(pid)]
    family += family[0].children(recursive=True)
    for process in family:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            if process.is_running():
                process.send_signal(signal.SIGCONT)


def report(**changes: Any) -> Document:
    """The body of a report about bullying at school."""
    return {"situation": SITUATION, "narrative": "Er is iets gebeurd.", "channel": "web"} | changes


def example_reports() -> list[Document]:
    """The bodies of the example cases, which go to many different organisations."""
    cases, bad = read_cases(EXAMPLES)
    assert not bad
    return [json.loads(json.dumps(case.body)) for case in cases]


async def send(client: httpx.AsyncClient, body: Document, key: str) -> Document:
    """Send a report as a good channel does and give its receipt."""

    async def attempt() -> Document | None:
        answer = await client.post("/reports", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 503:
            return None
        assert answer.status_code in {200, 201}, answer.text
        found: Document = answer.json()
        return found

    return await until(attempt, "a receipt")
