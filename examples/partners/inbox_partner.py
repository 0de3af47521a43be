"""A partner without Kafka: it asks meldpunt for its events over HTTP and answers over HTTP.

    python -m examples.partners.inbox_partner --settings settings.env

The work goes first; then the cursor is stored, and what was handled is acknowledged. A crash in
between repeats the events; an answer that is sent twice carries the same id, which makes it
harmless. So every call here may simply be tried again. Who has lost the cursor leaves `after` out,
and goes on behind what was acknowledged.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from contracts.referral import ReferralOffer, ReferralWithdrawn
from examples.partners.behaviour import Behaviour, add_behaviour_arguments, behaviour_of
from examples.partners.feed import read_event
from examples.partners.journal import FeedEvent, PartnerLog
from examples.partners.meldpunt_api import RETRY_SECONDS_MAX, MeldpuntApi, make_client
from examples.partners.running import until_signal
from examples.partners.settings import Settings, add_settings_argument, read_settings

BATCH_MAX = 100


class InboxPartner:
    """One organisation over HTTP; `run` goes on until it is cancelled.

    `http` must have referral's address as its base and the organisation's token as its bearer.
    """

    def __init__(
        self,
        organisation: str,
        http: httpx.AsyncClient,
        behaviour: Behaviour,
        log: PartnerLog,
        cursor_file: Path,
    ) -> None:
        self._organisation = organisation
        self._api = MeldpuntApi(http, log)
        self._behaviour = behaviour
        self._log = log
        self._cursor_file = cursor_file

    async def run(self) -> None:
        """Ask, work, store the cursor, acknowledge, ask again."""
        cursor = self._stored_cursor()
        while True:
            answer = await self._api.events(cursor, BATCH_MAX)
            if answer.is_error:
                print(f"{self._organisation}: no events (status {answer.status_code})")
                await asyncio.sleep(RETRY_SECONDS_MAX)
                continue
            page = answer.json()
            await self._handle(self._readable(page["events"]))
            if cursor is None or page["lastSequence"] > cursor:
                cursor = int(page["lastSequence"])
                self._store_cursor(cursor)
                await self._api.acknowledge(cursor)
            self._warn_if_ahead(cursor, page["feedLastSequence"])

    def _readable(self, items: Sequence[dict[str, Any]]) -> list[FeedEvent]:
        events = []
        for item in items:
            event = read_event(item)
            if event is None:
                print(f"{self._organisation}: skipped event {item.get('id')} ({item.get('type')})")
            else:
                events.append(event)
        return events

    async def _handle(self, events: list[FeedEvent]) -> None:
        for event in events:
            self._log.write(event)
        withdrawn = {
            (event.referral_id, event.attempt)
            for event in events
            if isinstance(event, ReferralWithdrawn)
        }
        # By referral: an offer that comes twice is one offer.
        offers = {
            event.referral_id: event
            for event in events
            if isinstance(event, ReferralOffer)
            and (event.referral_id, event.attempt) not in withdrawn
        }
        await asyncio.gather(*(self._take(offer) for offer in offers.values()))

    async def _take(self, offer: ReferralOffer) -> None:
        replies = self._behaviour.replies(offer)
        await self._api.give(offer, replies, self._behaviour.delay_ms / 1000)

    def _warn_if_ahead(self, cursor: int, feed_last: int) -> None:
        # Nothing would come, for ever, and silence looks like a quiet day.
        if cursor > feed_last:
            print(
                f"{self._organisation}: the cursor {cursor} is beyond the end of the feed"
                f" ({feed_last}). Stop, remove {self._cursor_file} and start again, to go on"
                " behind what you acknowledged."
            )

    def _stored_cursor(self) -> int | None:
        try:
            return int(self._cursor_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def _store_cursor(self, cursor: int) -> None:
        # Replaced in one step: half a number would skip or repeat events.
        scratch = self._cursor_file.with_suffix(".new")
        scratch.write_text(str(cursor), encoding="ascii")
        scratch.replace(self._cursor_file)


async def _main(settings: Settings, behaviour: Behaviour) -> None:
    folder, organisation = settings.folder, settings.organisation
    with PartnerLog(folder, organisation) as log:
        async with make_client(settings.url, settings.token_file) as http:
            cursor_file = folder / f"{organisation}.cursor"
            partner = InboxPartner(organisation, http, behaviour, log, cursor_file)
            await until_signal(partner.run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one partner until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.partners.inbox_partner",
        description="Runs one example partner over the inbox until Ctrl-C.",
        epilog="example: python -m examples.partners.inbox_partner --settings settings.env",
    )
    add_settings_argument(parser)
    add_behaviour_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_main(read_settings(options.settings), behaviour_of(options)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
