"""The supervisor: servers, then databases and topics, then the services; all kept running.

However it ends, nothing that it started is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from contracts.topics import partner_topics
from deploy.local import acls
from deploy.local.environment import StackContext
from deploy.local.jars import JarUnavailableError, Say
from deploy.local.kafka import Kafka
from deploy.local.partners import joined
from deploy.local.plan import StackPlan
from deploy.local.postgres import Postgres
from deploy.local.process import Program, is_same_process, kill_tree, started_at
from deploy.local.provision import (
    Passwords,
    ProvisioningError,
    provision_databases,
    provision_topics,
)
from deploy.local.servers import Server, ServerDiedError
from deploy.local.stack import ServerAddresses, addresses_from_environment, embedded_addresses
from deploy.local.state import (
    STATE_FILE,
    DataFolderBusyError,
    Ports,
    Secrets,
    locked,
    read_json,
    write_private,
)
from deploy.local.unit import Unit

READY_TIMEOUT_SECONDS = 120.0
EXPECTED_ERRORS = (
    JarUnavailableError,
    ServerDiedError,
    DataFolderBusyError,
    ProvisioningError,
    RuntimeError,
    OSError,
)


class Supervisor:
    """Runs one stack in one data folder until it is told to stop."""

    def __init__(self, data_dir: Path, plan: StackPlan, say: Say) -> None:
        self._data_dir = data_dir.resolve()
        self._plan = plan
        self._say = say
        self._ports = Ports(self._data_dir)
        self._secrets = Secrets(self._data_dir)
        self._servers: list[Unit] = []
        self._services: list[Unit] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._state: dict[str, Any] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, keep it running until `stop` is set, then stop everything.

        Raises `DataFolderBusyError`, `JarUnavailableError`, `ServerDiedError` or
        `ProvisioningError` with a text for the user.
        """
        with locked(self._data_dir):
            self._end_leftovers()
            self._state = {
                "supervisor": {"pid": os.getpid(), "started_at": started_at(os.getpid())},
                "data_dir": str(self._data_dir),
            }
            self._publish("starting")
            problem: str | None = None
            try:
                await self._until_stopped(stop)
            except BaseException as error:
                problem = str(error) or type(error).__name__
                raise
            finally:
                self._publish("stopping")
                await self._stop_all()
                self._state["problem"] = problem
                self._publish("failed" if problem else "stopped")

    def kill(self) -> None:
        """SIGKILL every child, services first."""
        for unit in (*self._services, *self._servers):
            unit.kill()

    async def _until_stopped(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(self._start_all())
        try:
            await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                # A keeper ends only by a bug in this program; then the stack must not go on
                # unwatched.
                done, _ = await asyncio.wait(
                    {stopped, *self._keepers}, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    await task
        finally:
            for task in (stopped, starting):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, *EXPECTED_ERRORS):
                    await task

    async def _start_all(self) -> None:
        began = time.monotonic()
        servers = await self._start_servers()
        self._say(f"Kafka at {servers.kafka_bootstrap} and PostgreSQL are ready ({servers.kind})")
        context = await self._provision(servers)
        programs = self._plan.programs(context)
        self._services = [self._unit(program.name, _always(program)) for program in programs]
        self._keep(self._services)
        self._say("Starting " + ", ".join(unit.name for unit in self._services))
        await asyncio.gather(
            *(unit.wait_until(unit.is_ready, READY_TIMEOUT_SECONDS) for unit in self._services)
        )
        self._publish("ready")
        self._say(f"Everything is ready after {time.monotonic() - began:.1f} s")

    async def _start_servers(self) -> ServerAddresses:
        given = addresses_from_environment()
        if given:
            return given
        kafka, postgres = Kafka(self._data_dir), Postgres(self._data_dir)
        pair: tuple[Server, ...] = (kafka, postgres)
        await asyncio.gather(*(_in_own_thread(server.prepare, self._say) for server in pair))
        self._say("Starting Kafka and PostgreSQL")
        self._servers = [self._unit(server.name, _prepared(server)) for server in pair]
        self._keep(self._servers)
        await asyncio.gather(
            *(
                unit.wait_until(_answers(server), server.start_timeout_seconds)
                for unit, server in zip(self._servers, pair, strict=True)
            )
        )
        return embedded_addresses(kafka, postgres)

    async def _provision(self, servers: ServerAddresses) -> StackContext:
        self._say("Preparing databases and topics")
        plan, secrets = self._plan, self._secrets
        passwords = {
            service: Passwords(
                secrets.get(f"database-{service}-owner"), secrets.get(f"database-{service}")
            )
            for service in plan.services
        }
        partners = joined(self._data_dir, "kafka")
        topics = [*plan.topics, *(topic for name in partners for topic in partner_topics(name))]
        databases, _, rights = await asyncio.gather(
            provision_databases(servers.postgres_admin_url, plan.prefix, passwords, plan.services),
            provision_topics(servers.kafka_bootstrap, topics),
            # Another's broker may know partners that this stack does not.
            acls.sync(
                servers.kafka_bootstrap,
                (*plan.kafka_partners, *partners),
                exclusive=servers.kind == "embedded",
            ),
        )
        self._state["partner_rights"] = explained = acls.explain(
            rights, own_names=servers.kafka_partner_bootstrap is not None
        )
        if rights is not acls.Rights.ENFORCED:
            self._say(explained)
        ports = {service: self._ports.get(service) for service in plan.services}
        context = StackContext(self._data_dir, servers, databases, ports, secrets)
        self._state["servers"] = vars(servers)
        self._state["databases"] = {service: vars(urls) for service, urls in databases.items()}
        self._state["services"] = {service: context.base_url(service) for service in plan.services}
        return context

    def _unit(self, name: str, refresh: Callable[[], Awaitable[Program]]) -> Unit:
        return Unit(name, refresh, self._data_dir / "logs", self._publish, self._say)

    def _keep(self, units: Sequence[Unit]) -> None:
        self._keepers += [asyncio.create_task(unit.keep(), name=unit.name) for unit in units]

    async def _stop_all(self) -> None:
        # Services first: they finish their batch and hand in their offsets while the servers still
        # answer.
        for units in (self._services, self._servers):
            await asyncio.gather(*(unit.stop() for unit in units))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def _publish(self, phase: str | None = None) -> None:
        self._state["phase"] = phase or self._state["phase"]
        self._state["processes"] = {
            unit.name: {
                "pid": child.pid if child else None,
                "port": unit.program.port if unit.program else None,
                "started_at": child.started_at if child else None,
                "restarts": unit.restarts,
                "log": str(self._data_dir / "logs" / f"{unit.name}.log"),
            }
            for unit in (*self._servers, *self._services)
            for child in (unit.child,)
        }
        write_private(self._data_dir / STATE_FILE, self._state)

    def _end_leftovers(self) -> None:
        """End what a killed supervisor left behind, on systems where the kernel does not.

        PostgreSQL sees to its own, in an orderly way.
        """
        processes = read_json(self._data_dir / STATE_FILE).get("processes", {})
        for name, process in processes.items():
            pid = process["pid"]
            if name != Postgres.name and pid and is_same_process(pid, process["started_at"]):
                kill_tree(pid)


def _always(program: Program) -> Callable[[], Awaitable[Program]]:
    async def refresh() -> Program:
        return program

    return refresh


def _prepared(server: Server) -> Callable[[], Awaitable[Program]]:
    async def refresh() -> Program:
        await _in_own_thread(server.prepare, lambda _: None)
        return server.program()

    return refresh


def _answers(server: Server) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return await asyncio.to_thread(server.answers)

    return ask


async def _in_own_thread(work: Callable[[Say], None], say: Say) -> None:
    """Run blocking work in a thread that keeps neither loop nor process alive when abandoned."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def run() -> None:
        problem: BaseException | None = None
        try:
            work(say)
        except Exception as error:  # noqa: BLE001 - handed over as it is to the one who waits.
            problem = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, problem)

    threading.Thread(target=run, daemon=True).start()
    await done
