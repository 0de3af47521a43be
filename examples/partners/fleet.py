"""Many example partners in one process, for the demo and for trying your own changes.

    python -m examples.partners.fleet --config fleet.json --accept 0.9 --decline 0.1

The configuration names the addresses and the organisations: Kafka ones with the files of their
certificate (a broker that asks for none needs none), inbox ones with their token:

    {"bootstrap": "127.0.0.1:9093", "referralUrl": "http://127.0.0.1:8003", "folder": "partners",
     "organisations": [{"id": "veilig_thuis", "channel": "kafka", "ca": "ca.pem",
                        "certificate": "certificate.pem", "key": "key.pem"},
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

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.situation import OrganisationId
from examples.partners.behaviour import Behaviour, add_behaviour_arguments, behaviour_of
from examples.partners.connection import Connection
from examples.partners.inbox_partner import InboxPartner
from examples.partners.journal import PartnerLog
from examples.partners.kafka_partner import KafkaPartner
from examples.partners.meldpunt_api import make_client


class Organisation(BaseModel):
    """One partner: how it is reached, and its token or the files of its certificate."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: OrganisationId
    channel: Literal["kafka", "inbox"]
    token: str = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


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
        for item in config.organisations:
            log = resources.enter_context(PartnerLog(config.folder, item.id))
            if item.channel == "kafka":
                place = Connection(config.bootstrap, item.ca, item.certificate, item.key)
                partner = KafkaPartner(item.id, place.arguments(), behaviour, log)
                tasks.create_task(partner.run(), name=item.id)
            else:
                http = make_client(config.referralUrl, item.token)
                await resources.enter_async_context(http)
                cursor_file = config.folder / f"{item.id}.cursor"
                inbox = InboxPartner(item.id, http, behaviour, log, cursor_file)
                tasks.create_task(inbox.run(), name=item.id)
        print(f"{len(config.organisations)} partners at work", flush=True)


async def _run_until_signal(config: FleetConfig, behaviour: Behaviour) -> None:
    work = asyncio.ensure_future(run(config, behaviour))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


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
