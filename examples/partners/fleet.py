"""Many example partners in one process, for the demo and for trying your own changes.

    python -m examples.partners.fleet --config fleet.json --accept 0.9 --decline 0.1

The configuration names the addresses and the organisations, Kafka ones and inbox ones (an inbox
partner with its token):

    {"bootstrap": "127.0.0.1:9092", "referralUrl": "http://127.0.0.1:8003", "folder": "partners",
     "organisations": [{"id": "veilig_thuis", "channel": "kafka"},
                       {"id": "sbb", "channel": "inbox", "token": "..."}]}
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.situation import OrganisationId
from examples.partners.behaviour import Behaviour
from examples.partners.inbox_partner import InboxPartner, make_client
from examples.partners.journal import PartnerLog
from examples.partners.kafka_partner import KafkaPartner, make_producer

START_RETRY_SECONDS = 1.0


class Organisation(BaseModel):
    """One partner: how it is reached, and for an inbox partner its token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: OrganisationId
    channel: Literal["kafka", "inbox"]
    token: str = ""


class FleetConfig(BaseModel):
    """The configuration file; `folder` receives the logs and the cursors."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    bootstrap: str
    referralUrl: str  # noqa: N815 - a JSON name.
    folder: Path
    organisations: list[Organisation]


async def run(config: FleetConfig, behaviour: Behaviour) -> None:
    """Run all organisations until cancelled; the end of one ends all, so that nobody misses it."""
    async with contextlib.AsyncExitStack() as resources, asyncio.TaskGroup() as tasks:
        kafka = [item.id for item in config.organisations if item.channel == "kafka"]
        if kafka:
            producer = await _started_producer(config.bootstrap)
            resources.push_async_callback(producer.stop)
        for organisation in kafka:
            log = resources.enter_context(PartnerLog(config.folder, organisation))
            partner = KafkaPartner(organisation, config.bootstrap, behaviour, log)
            tasks.create_task(partner.run(producer), name=organisation)
        for item in config.organisations:
            if item.channel == "inbox":
                log = resources.enter_context(PartnerLog(config.folder, item.id))
                http = make_client(config.referralUrl, item.token)
                await resources.enter_async_context(http)
                cursor_file = config.folder / f"{item.id}.cursor"
                inbox = InboxPartner(item.id, http, behaviour, log, cursor_file)
                tasks.create_task(inbox.run(), name=item.id)
        print(f"{len(config.organisations)} partners at work", flush=True)


async def _started_producer(bootstrap: str) -> AIOKafkaProducer:
    while True:
        producer = make_producer(bootstrap)
        try:
            await producer.start()
        except KafkaError as error:
            print(f"No broker yet ({type(error).__name__})", flush=True)
            await producer.stop()
            await asyncio.sleep(START_RETRY_SECONDS)
        else:
            return producer


async def _run_until_signal(config: FleetConfig, behaviour: Behaviour) -> None:
    work = asyncio.ensure_future(run(config, behaviour))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def add_behaviour_arguments(parser: argparse.ArgumentParser) -> None:
    """The mix of answers; the three weights need not add up to one."""
    parser.add_argument("--accept", type=float, default=0.9, help="weight of accepting")
    parser.add_argument("--decline", type=float, default=0.1, help="weight of declining")
    parser.add_argument("--silent", type=float, default=0.0, help="weight of saying nothing")
    parser.add_argument("--delay-ms", type=int, default=0, help="time to think, milliseconds")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same answers")


def behaviour_of(options: argparse.Namespace) -> Behaviour:
    """The behaviour that the arguments describe."""
    return Behaviour(
        accept=options.accept,
        decline=options.decline,
        silent=options.silent,
        delay_ms=options.delay_ms,
        seed=options.seed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fleet until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.partners.fleet",
        description="Runs example partners until Ctrl-C.",
        epilog="example: python -m examples.partners.fleet --config fleet.json --decline 0.2",
    )
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see the README")
    add_behaviour_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        config = FleetConfig.model_validate_json(options.config.read_bytes())
    except (OSError, ValidationError) as error:
        print(f"error: {options.config} is no configuration of a fleet: {error}", file=sys.stderr)
        return 1
    asyncio.run(_run_until_signal(config, behaviour_of(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
