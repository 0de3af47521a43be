"""`meldpunt rebuild-topics`: Kafka again as it was, from the events that PostgreSQL keeps."""

import argparse
import asyncio
import os
import time
from pathlib import Path

from contracts.topics import partner_topics
from deploy.client import Service, connect_all
from deploy.commands.base import CommandError, Progress, Subparsers, add_command, data_root, emit
from deploy.commands.partners import all_topics, kafka_partners
from deploy.local import acls
from deploy.local.control import read_state
from deploy.local.partners import joined
from deploy.local.provision import provision_topics
from deploy.local.stack import KAFKA_VARIABLE

POLL_SECONDS = 0.3
WAIT_SECONDS_MAX = 600.0


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `rebuild-topics`."""
    parser = add_command(
        subparsers,
        "rebuild-topics",
        _rebuild,
        text="Create the topics that are missing and publish every event once more.",
        example="meldpunt rebuild-topics",
        data=data_root(),
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="do not wait until everything is published"
    )


def _rebuild(options: argparse.Namespace) -> int:
    bootstrap = os.environ.get(KAFKA_VARIABLE) or read_state(options.data).kafka_bootstrap
    if not bootstrap:
        raise CommandError(
            f"No broker known: start the stack with `meldpunt up`, or set {KAFKA_VARIABLE}."
        )
    queued, pending = asyncio.run(_run(bootstrap, options.data, wait=not options.no_wait))
    total = sum(queued.values())
    text = f"{total} events queued" + ("." if options.no_wait else " and published.")
    if pending:
        text = f"{pending} of {total} events still wait for the broker; see `meldpunt status`."
    emit(options, {"queued": queued, "pending": pending}, text)
    return 1 if pending else 0


async def _run(bootstrap: str, data_dir: Path, *, wait: bool) -> tuple[dict[str, int], int]:
    added = joined(data_dir, "kafka")
    topics = (topic for name in added for topic in partner_topics(name))
    await provision_topics(bootstrap, (*all_topics(), *topics))
    # A broker that lost its topics lost the rights on them as well.
    await acls.sync(bootstrap, (*kafka_partners(), *added), exclusive=False)
    services = connect_all("operator", data_dir)
    try:
        queued = {
            service.name: int((await service.post("/v1/outbox/_rebuild"))["queued"])
            for service in services
        }
        return queued, await _published(services) if wait else 0
    finally:
        for service in services:
            await service.close()


async def _published(services: list[Service]) -> int:
    progress, limit = Progress("Publishing"), time.monotonic() + WAIT_SECONDS_MAX
    while True:
        pending = sum([await _pending(service) for service in services])
        if not pending or time.monotonic() > limit:
            progress.end("done" if not pending else f"{pending} events still wait")
            return pending
        progress.show(f"{pending} events wait")
        await asyncio.sleep(POLL_SECONDS)


async def _pending(service: Service) -> int:
    name = f"meldpunt_{service.name}_outbox_pending "
    for line in (await service.text("/metrics")).splitlines():
        if line.startswith(name):
            return int(float(line.split()[-1]))
    raise CommandError(f"{service.name} does not tell how many events wait; look at its log.")
