"""`meldpunt up`, `down` and `status`: the servers, the services and, if asked, example partners."""

import argparse
import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.client import Service
from deploy.commands.base import (
    CommandError,
    Subparsers,
    add_command,
    data_root,
    emit,
    say,
    share_downloads,
)
from deploy.commands.table import Column, render
from deploy.issuer import Issuer, IssuerRefused
from deploy.local.control import StackError, StackState, read_state, start_detached, stop

PARTNERS_PLAN = "deploy.commands.partners:WITH_PARTNERS"
CORE_PLAN = "deploy.commands.partners:WITHOUT_PARTNERS"
_COLUMNS = (
    Column("name", 12),
    Column("state", 12),
    Column("pid", 8),
    Column("address", 24),
    Column("restarts", 8),
    Column("problems", 40, grows=True),
    Column("log", 60),
)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `up`, `down` and `status`."""
    up = add_command(
        subparsers,
        "up",
        _up,
        text="Start Kafka, PostgreSQL and the four services, and leave them running.",
        example="meldpunt up --partners",
        data=data_root(),
    )
    up.add_argument("--partners", action="store_true", help="also run example partners")
    add_command(
        subparsers,
        "down",
        _down,
        text="Stop what `up` started. The data stays; a next `up` goes on with it.",
        example="meldpunt down",
        data=data_root(),
    )
    add_command(
        subparsers,
        "status",
        _status,
        text="Show what runs, where it answers and what is wrong; exit status 0 when all is well.",
        example="meldpunt status --json",
        data=data_root(),
    )


def prepare(data_dir: Path) -> None:
    """What must exist before a stack starts: the issuer's key, and a download cache for all."""
    share_downloads()
    try:
        Issuer.open(data_dir)
    except IssuerRefused as error:
        raise CommandError(str(error)) from None


@contextlib.contextmanager
def plain_errors(data_dir: Path) -> Iterator[None]:
    """Tell in plain words why a stack did not start, without the stack traces of its logs."""
    try:
        yield
    except StackError as error:
        if "MigrationMismatch" in str(error):
            raise CommandError(
                f"The data in {data_dir} was made by another version of meldpunt. Remove that"
                f" folder, or choose another one with --data."
            ) from None
        lines = [
            line
            for line in str(error).splitlines()
            if line.strip(' ^"}') and not line.startswith((" ", "Traceback"))
        ]
        raise CommandError("\n".join(lines)) from None


def _up(options: argparse.Namespace) -> int:
    data_dir = options.data.absolute()
    prepare(data_dir)
    running = read_state(data_dir)
    if running.phase == "ready" and options.partners and "partners" not in running.processes:
        raise CommandError(
            "The stack runs already, without partners. Stop it with `meldpunt down`, then start it"
            " with `meldpunt up --partners`."
        )
    with plain_errors(data_dir):
        state = start_detached(data_dir, say, PARTNERS_PLAN if options.partners else CORE_PLAN)
    addresses = "\n".join(f"{name:<9} {url}" for name, url in state.services.items())
    text = f"{addresses}\nkafka     {state.kafka_bootstrap}\nlogs      {data_dir / 'logs'}"
    text += f"\npartners  {state.kafka_partner_bootstrap or '-'}  {state.partner_rights or ''}"
    emit(options, _shown(state), text)
    return 0


def _down(options: argparse.Namespace) -> int:
    data_dir = options.data.absolute()
    stopped = stop(data_dir)
    text = "Stopped." if stopped else f"Nothing runs in {data_dir}."
    emit(options, {"stopped": stopped, "data": str(data_dir)}, text)
    return 0


def _status(options: argparse.Namespace) -> int:
    data_dir = options.data.absolute()
    state = read_state(data_dir)
    problems = asyncio.run(_problems(state)) if state.phase == "ready" else {}
    rows = _rows(state, problems)
    well = state.phase == "ready" and all(row["state"] == "runs" for row in rows)
    headline = f"The stack in {data_dir} is {state.phase}."
    if state.phase == "absent":
        headline = f"No stack runs in {data_dir}; start one with `meldpunt up`."
    if state.phase == "ready" and state.partner_rights:
        headline += f" {state.partner_rights}"
    if state.problem:
        headline += f" {state.problem}"
    text = f"{headline}\n{render(_COLUMNS, rows)}" if state.phase != "absent" else headline
    emit(options, {**_shown(state), "well": well, "problems": problems}, text)
    return 0 if well else 1


def _rows(state: StackState, problems: dict[str, list[str]]) -> list[dict[str, Any]]:
    rows = []
    for name, process in state.processes.items():
        found = problems.get(name, [])
        running = process.pid is not None and state.supervisor_pid is not None
        rows.append(
            {
                "name": name,
                "state": ("not ready" if found else "runs") if running else "down",
                "pid": process.pid if running else None,
                "address": state.services.get(name)
                or (f"127.0.0.1:{process.port}" if process.port else None),
                "restarts": process.restarts,
                "problems": "; ".join(found),
                "log": process.log,
            }
        )
    return rows


async def _problems(state: StackState) -> dict[str, list[str]]:
    async def ask(name: str, url: str) -> list[str]:
        async with Service(name, url) as service:
            return await service.problems()

    names = list(state.services)
    found = await asyncio.gather(*(ask(name, state.services[name]) for name in names))
    return dict(zip(names, found, strict=True))


def _shown(state: StackState) -> dict[str, Any]:
    # The rest of the state holds passwords.
    return {
        "phase": state.phase,
        "services": dict(state.services),
        "kafka": state.kafka_bootstrap,
        "kafkaPartners": state.kafka_partner_bootstrap,
        "partnerRights": state.partner_rights,
        "processes": {name: asdict(process) for name, process in state.processes.items()},
        "problem": state.problem,
    }
