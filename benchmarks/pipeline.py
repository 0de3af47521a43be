"""The project itself as a measured design: the four services as `deploy.local` starts them."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from benchmarks.designs import (
    START_SECONDS_MAX,
    BenchError,
    Place,
    check_alive,
    delete_topics,
    tag,
    until_listening,
)
from benchmarks.load import LoadPlan
from benchmarks.partner import ORGANISATION_VARIABLE
from benchmarks.parts import Config
from contracts.topics import CORE_TOPICS, partner_topics
from deploy.issuer import Issuer
from deploy.local.environment import StackContext, service_programs
from deploy.local.process import Child, Program
from deploy.local.provision import SERVICES, drop_databases, provision_databases, provision_topics
from deploy.local.state import HOST, Ports, Secrets

# The situation of the load is decided for this organisation, which reads its offers from Kafka.
ORGANISATION = "vertrouwensinspecteur"
SITUATION = {
    "sector": "vo",
    "reporter": "ouder",
    "kind": "melding",
    "subject": "seksuele_intimidatie",
    "accused": "personeel",
    "flags": [],
    "steps_tried": [],
}


class Pipeline:
    """Intake, routing, referral and audit with all they do: seal, sign, explain, prove."""

    name = "pipeline"

    def __init__(self, place: Place, instances: int = 1) -> None:
        self._place = place
        self._instances = instances
        self._prefix = f"bench_{tag()}"
        self._folder = place.folder / "pipeline"
        self._arrivals = place.folder / "pipeline.arrivals"
        self._programs: dict[str, Program] = {}
        self._children: dict[str, Child] = {}
        self._connection: Any = None
        self._issuer: Issuer | None = None

    async def start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._arrivals.unlink(missing_ok=True)
        self._folder.mkdir(parents=True)
        self._issuer = Issuer.open(self._folder)
        await delete_topics(self._place.bootstrap, [topic.name for topic in _topics()])
        urls = await provision_databases(self._place.admin_url, self._prefix)
        await provision_topics(self._place.bootstrap, _topics())
        ports = Ports(self._folder)
        context = StackContext(
            self._folder,
            self._place.servers.addresses,
            urls,
            {service: ports.get(service) for service in SERVICES},
            Secrets(self._folder),
        )
        self._programs = {program.name: program for program in service_programs(context)}
        for service in SERVICES:
            self._run(self._programs[service])
        for number in range(2, self._instances + 1):
            more = {service: ports.get(f"{service}-{number}") for service in SERVICES}
            for program in service_programs(replace(context, ports=more)):
                self._further(program, number)
        self._run(self._partner())
        port = self._programs["intake"].port
        assert port is not None
        await until_listening(port, self._children["intake"])
        await self._until_ready()
        self._connection = await asyncpg.connect(urls["audit"].application)

    async def stop(self) -> None:
        for child in self._children.values():
            child.kill()
        if self._connection is not None:
            await self._connection.close()
        await delete_topics(self._place.bootstrap, [topic.name for topic in _topics()])
        await drop_databases(self._place.admin_url, self._prefix)

    async def pause(self) -> None:
        await asyncio.gather(
            *(asyncio.to_thread(self._children[name].terminate) for name in SERVICES[1:])
        )
        for name in SERVICES[1:]:
            del self._children[name]

    async def resume(self) -> None:
        for name in SERVICES[1:]:
            self._run(self._programs[name])

    async def counted(self) -> int:
        for child in self._children.values():
            check_alive(child)
        query = "SELECT value FROM counter WHERE name = 'picked-up'"
        return await self._connection.fetchval(query) or 0

    async def completeness(self) -> Mapping[str, Any]:
        """What audit answers to `GET /v1/completeness`."""
        assert self._issuer is not None
        headers = {"Authorization": f"Bearer {self._issuer.issue('auditor')}"}
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = f"http://{HOST}:{self._programs['audit'].port}/v1/completeness"
            answer = await client.get(url, headers=headers)
        answer.raise_for_status()
        document: Mapping[str, Any] = answer.json()
        return document

    def load(self, reports: int, rate: float = 0.0, moments: Path | None = None) -> LoadPlan:
        assert self._issuer is not None
        port = self._programs["intake"].port
        assert port is not None
        token = self._issuer.issue("channel", lifetime=timedelta(hours=12))
        headers = {"Authorization": f"Bearer {token}"}
        file = str(moments) if moments else ""
        return LoadPlan(
            HOST, port, "/v1/reports", headers, self._place.body, reports, rate=rate, moments=file
        )

    def arrivals(self) -> Path:
        return self._arrivals

    def pids(self) -> Mapping[str, int]:
        return {name: self._children[name].pid for name in SERVICES}

    def partner_pid(self) -> int:
        return self._children["partner"].pid

    def _partner(self) -> Program:
        config = Config(self._place.bootstrap, "", 0, "")
        environment = {**config.environment(), ORGANISATION_VARIABLE: ORGANISATION}
        command = (sys.executable, "-m", "benchmarks.partner", str(self._arrivals))
        return Program("partner", command, environment)

    def _further(self, program: Program, number: int) -> None:
        """One more instance of a service beside the first."""
        prefix = f"MELDPUNT_{program.name.upper()}_"
        environment = {**program.environment, f"{prefix}INSTANCE": str(number)}
        name = f"{program.name}-{number}"
        self._programs[name] = replace(program, name=name, environment=environment)
        self._run(self._programs[name])

    def _run(self, program: Program) -> None:
        environment = {**os.environ, **program.environment}
        started = Program(program.name, program.command, environment)
        self._children[program.name] = Child(started, self._folder / "logs")

    async def _until_ready(self) -> None:
        limit = asyncio.get_running_loop().time() + START_SECONDS_MAX
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            for name, program in self._programs.items():
                while not await _is_ready(client, program):
                    check_alive(self._children[name])
                    if asyncio.get_running_loop().time() > limit:
                        log = self._children[name].log_path
                        raise BenchError(f"{name} does not become ready; its log: {log}")
                    await asyncio.sleep(0.1)


async def _is_ready(client: httpx.AsyncClient, program: Program) -> bool:
    assert program.ready_url is not None
    try:
        return (await client.get(program.ready_url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _topics() -> list[Any]:
    return [*CORE_TOPICS, *partner_topics(ORGANISATION)]
