"""A partner to which meldpunt pushes its events: a small HTTP receiver beside a worker.

    python -m examples.partners.webhook_partner --settings settings.env --port 8080

The receiver checks the signature, stores the event, and only then answers 2xx. The worker handles
what is stored; after a crash it goes on with what is not done. In front of the receiver stands your
own web server, which does TLS.
"""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from contracts.referral import ReferralOffer, ReferralWithdrawn
from examples.partners.behaviour import Behaviour, add_behaviour_arguments, behaviour_of
from examples.partners.feed import read_body
from examples.partners.journal import PartnerLog
from examples.partners.meldpunt_api import MeldpuntApi, make_client
from examples.partners.running import until_signal
from examples.partners.settings import Settings, add_settings_argument, read_settings
from examples.partners.webhook_signature import NotFromMeldpunt, verify

BODY_BYTES_MAX = 65_536 * 2
HEADER_BYTES_MAX = 16_384
READ_SECONDS_MAX = 10.0
IDLE_SECONDS = 0.1
AT_ONCE_MAX = 8


class Store:
    """The events by their `webhook-id`, in a file: a repeat is stored once."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS event (id text PRIMARY KEY, body blob, done integer)"
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, message_id: str, body: bytes) -> None:
        """Keep an event; at return it is on the disk."""
        with self._database:
            self._database.execute(
                "INSERT OR IGNORE INTO event VALUES (?, ?, 0)", (message_id, body)
            )

    def waiting(self, limit: int) -> list[tuple[str, bytes]]:
        """Events that are not handled yet, oldest first."""
        found = self._database.execute(
            "SELECT id, body FROM event WHERE NOT done ORDER BY rowid LIMIT ?", (limit,)
        )
        return found.fetchall()

    def done(self, message_id: str) -> None:
        """An event is handled; its id stays, so that a repeat is known."""
        with self._database:
            self._database.execute("UPDATE event SET done = 1 WHERE id = ?", (message_id,))


class Receiver:
    """Answers one POST per connection: 204 when it is stored, 4xx when it is not from meldpunt."""

    def __init__(self, store: Store, secret: str) -> None:
        self._store = store
        self._secret = secret

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                status = await self._status(reader)
            writer.write(
                f"HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _status(self, reader: asyncio.StreamReader) -> int:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        length = headers.get("content-length", "")
        if not lines[0].startswith("POST "):
            return 405
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return 413
        body = await reader.readexactly(int(length))
        try:
            message_id = verify(headers, body, self._secret)
        except NotFromMeldpunt:
            return 401
        self._store.add(message_id, body)
        return 204


class Worker:
    """Handles what is stored, a few at the same time."""

    def __init__(
        self, store: Store, api: MeldpuntApi, behaviour: Behaviour, log: PartnerLog
    ) -> None:
        self._store = store
        self._api = api
        self._behaviour = behaviour
        self._log = log
        self._withdrawn: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            waiting = self._store.waiting(AT_ONCE_MAX)
            await asyncio.gather(*(self._handle(*item) for item in waiting))
            if not waiting:
                await asyncio.sleep(IDLE_SECONDS)

    async def _handle(self, message_id: str, body: bytes) -> None:
        event = read_body(body)
        if event is None:
            print(f"skipped message {message_id}")
        else:
            self._log.write(event)
        if isinstance(event, ReferralWithdrawn):
            self._withdrawn.add((str(event.referral_id), event.attempt))
        gone = isinstance(event, ReferralOffer) and (
            (str(event.referral_id), event.attempt) in self._withdrawn
        )
        if isinstance(event, ReferralOffer) and not gone:
            replies = self._behaviour.replies(event)
            await self._api.give(event, replies, self._behaviour.delay_ms / 1000)
        self._store.done(message_id)


async def _main(settings: Settings, behaviour: Behaviour, port: int) -> None:
    folder, organisation = settings.folder, settings.organisation
    with (
        PartnerLog(folder, organisation) as log,
        closing(Store(folder / f"{organisation}.sqlite")) as store,
    ):
        receiver = Receiver(store, settings.webhook_secret)
        async with (
            make_client(settings.url, settings.token_file) as http,
            await asyncio.start_server(receiver, "127.0.0.1", port, limit=HEADER_BYTES_MAX),
        ):
            await until_signal(Worker(store, MeldpuntApi(http, log), behaviour, log).run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one partner until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.partners.webhook_partner",
        description="Runs one example partner with a webhook until Ctrl-C.",
        epilog="example: python -m examples.partners.webhook_partner --settings settings.env"
        " --port 8080",
    )
    parser.add_argument("--port", type=int, default=8080, help="where it listens on 127.0.0.1")
    add_settings_argument(parser)
    add_behaviour_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(options.settings)
        asyncio.run(_main(settings, behaviour_of(options), options.port))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
