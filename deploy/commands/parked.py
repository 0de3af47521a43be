"""`meldpunt parked`: what could not be handled, why, and again."""

import argparse
import asyncio
from typing import Any
from uuid import UUID

from deploy.client import Service, ServiceError, connect_all
from deploy.commands.base import CommandError, Subparsers, add_command, data_root, emit, say
from deploy.commands.table import Column, render
from deploy.local.provision import SERVICES

LIMIT = 500
NOT_FOUND = 404
_COLUMNS = (
    Column("service", 8),
    Column("id", 36),
    Column("reason", 16),
    Column("problem", 44, grows=True),
    Column("topic", 30),
    Column("parkedAt", 20),
)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `parked list` and `parked redrive`."""
    group = subparsers.add_parser(
        "parked",
        help="what could not be handled: list and redrive",
        description="Events that a service could not handle and put aside.",
        epilog="example: meldpunt parked list",
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(
        actions,
        "list",
        _list,
        text="List the parked events of all services, with the reason.",
        example="meldpunt parked list --json",
        data=data_root(),
    )
    _add_service(listing)
    redrive = add_command(
        actions,
        "redrive",
        _redrive,
        text="Handle a parked event again, and those that wait behind it.",
        example="meldpunt parked redrive --all",
        data=data_root(),
    )
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", type=UUID, metavar="ID", help="id of a parked event")
    which.add_argument("--all", action="store_true", help="everything that is parked")
    _add_service(redrive)


def _add_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", choices=SERVICES, help="only of this service")


def _list(options: argparse.Namespace) -> int:
    found = asyncio.run(_parked(options))
    total = sum(item["total"] for item in found)
    events = [event for item in found for event in item["parkedEvents"]]
    more = f"\n{total} in all; the {len(events)} oldest are shown." if total > len(events) else ""
    text = render(_COLUMNS, events) + more if events else "Nothing is parked."
    emit(options, {"total": total, "parkedEvents": events}, text)
    return 0


def _redrive(options: argparse.Namespace) -> int:
    handled, problems = asyncio.run(_redrive_all(options))
    for problem in problems:
        say(f"error: {problem}")
    emit(options, {"handled": handled, "problems": problems}, f"{handled} events handled.")
    return 1 if problems else 0


async def _parked(options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for service in connect_all("operator", options.data):
        if options.service in (None, service.name):
            async with service:
                found.append(await service.get("/v1/parked-events", limit=LIMIT))
    return found


async def _redrive_all(options: argparse.Namespace) -> tuple[int, list[str]]:
    services = {
        service.name: service
        for service in connect_all("operator", options.data)
        if options.service in (None, service.name)
    }
    try:
        if options.id:
            return await _redrive_one(list(services.values()), str(options.id))
        return await _redrive_each(services, options)
    finally:
        for service in services.values():
            await service.close()


async def _redrive_one(services: list[Service], event_id: str) -> tuple[int, list[str]]:
    """Whichever service parked it knows it; the others do not."""
    for service in services:
        try:
            return await _again(service, event_id), []
        except ServiceError as error:
            if error.status != NOT_FOUND:
                return 0, [f"{event_id}: {error}"]
    raise CommandError(f"No open parked event has the id {event_id}; see `parked list`.")


async def _redrive_each(
    services: dict[str, Service], options: argparse.Namespace
) -> tuple[int, list[str]]:
    """The oldest again and again, because what is handled makes room in the list for the next."""
    handled = 0
    problems: list[str] = []
    tried: set[str] = set()
    while True:
        parked = [event for item in await _parked(options) for event in item["parkedEvents"]]
        # What waits behind another event goes along with it and cannot go first.
        left = [event for event in parked if event["reason"] != "behind-parked"]
        new = [event for event in left if event["id"] not in tried]
        if not new:
            return handled, problems
        for event in new:
            tried.add(event["id"])
            try:
                handled += await _again(services[event["service"]], event["id"])
            except ServiceError as error:
                # Another of its key took it along.
                if error.status != NOT_FOUND:
                    problems.append(f"{event['id']}: {error}")


async def _again(service: Service, event_id: str) -> int:
    answer = await service.post(f"/v1/parked-events/{event_id}/_redrive")
    return int(answer["handled"])
