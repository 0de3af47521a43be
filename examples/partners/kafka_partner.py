"""A partner that works over Kafka: offers come on its `.out` topic, answers go to its `.in` topic.

    python -m examples.partners.kafka_partner --settings settings.env
    python -m examples.partners.kafka_partner veilig_thuis --bootstrap kafka.example:9093
        --ca ca.pem --certificate certificate.pem --key key.pem

The order is what matters: work first, answer acknowledged by the broker, then commit the offset.
A crash in between repeats the offers; what was seen is skipped, and an answer that is sent twice
carries the same id, which meldpunt ignores.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from contracts.envelope import Envelope, EnvelopeInvalid, from_headers, partner_source, to_headers
from contracts.event import Catalogue, EventInvalid, UnknownEvent
from contracts.referral import FEED_EVENTS, ReferralAnswered, ReferralOffer, ReferralWithdrawn
from contracts.topics import partner_in, partner_name, partner_out
from examples.partners.behaviour import Behaviour, Reply, add_behaviour_arguments, behaviour_of
from examples.partners.connection import add_connection_arguments, connection_of
from examples.partners.journal import FeedEvent, PartnerLog
from examples.partners.meldpunt_api import MeldpuntApi, make_client
from examples.partners.running import until_signal
from examples.partners.settings import Settings, add_settings_argument, settings_of

POLL_MS = 500
BATCH_MAX = 200
# Your own database would remember what was handled; memory is enough where a repeat is harmless.
SEEN_MAX = 20_000
RETRY_SECONDS = 1.0
# How late a topic is seen that was made anew; with the default it takes five minutes.
METADATA_MS_MAX = 5_000


@dataclass(frozen=True)
class _Received:
    envelope: Envelope
    event: FeedEvent


class KafkaPartner:
    """One organisation over Kafka; `run` goes on until it is cancelled.

    `connection` holds the arguments of the Kafka clients, as `Connection.arguments` gives them.
    Without `api` it decides on the situation alone and reads no content.
    """

    def __init__(
        self,
        organisation: str,
        connection: Mapping[str, Any],
        behaviour: Behaviour,
        log: PartnerLog,
        api: MeldpuntApi | None = None,
    ) -> None:
        self._organisation = organisation
        self._connection = connection
        self._behaviour = behaviour
        self._log = log
        self._api = api
        self._catalogue = Catalogue(*FEED_EVENTS)
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Handle offers; after trouble with the broker it starts anew from the last commit."""
        while True:
            try:
                await self._until_trouble()
            except KafkaError as error:
                print(f"{self._organisation}: {type(error).__name__}, again in {RETRY_SECONDS} s")
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_trouble(self) -> None:
        async with contextlib.AsyncExitStack() as clients:
            consumer = AIOKafkaConsumer(
                partner_out(self._organisation),
                **self._connection,
                # The one group that the broker lets you use, and those that begin with it and a
                # point.
                group_id=partner_name(self._organisation),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                metadata_max_age_ms=METADATA_MS_MAX,
            )
            producer = AIOKafkaProducer(**self._connection, acks="all", enable_idempotence=True)
            for client in (producer, consumer):
                clients.push_async_callback(client.stop)
                await client.start()
            while True:
                await self._round(consumer, producer)

    async def _round(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_MAX)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            return
        received = [item for record in records if (item := self._read(record))]
        await self._handle(received, producer)
        # Only now: what is remembered as seen was also answered.
        for item in received:
            self._remember(item.envelope)
        await consumer.commit()

    def _read(self, record: ConsumerRecord) -> _Received | None:
        try:
            envelope = from_headers(record.headers, record.value)
            event = self._catalogue.decode(envelope)
        except (EnvelopeInvalid, UnknownEvent, EventInvalid) as error:
            # Set it aside and tell meldpunt; one bad record must not stop those behind it.
            print(f"{self._organisation}: skipped offset {record.offset}: {error}")
            return None
        if (envelope.source, envelope.id) in self._seen:
            return None
        return _Received(envelope, cast("FeedEvent", event))

    async def _handle(self, received: Sequence[_Received], producer: AIOKafkaProducer) -> None:
        for item in received:
            self._log.write(item.event)
        withdrawn = {
            (item.event.referral_id, item.event.attempt)
            for item in received
            if isinstance(item.event, ReferralWithdrawn)
        }
        # By referral: an offer that comes twice is one offer.
        open_offers = {
            item.event.referral_id: item.event
            for item in received
            if isinstance(item.event, ReferralOffer)
            and (item.event.referral_id, item.event.attempt) not in withdrawn
        }
        plans = [(offer, self._behaviour.replies(offer)) for offer in open_offers.values()]
        # First tell of all that they arrived; then take the time that a decision takes.
        await self._answer([(o, r) for o, replies in plans for r in replies[:1]], producer)
        await self._read_content([offer for offer, replies in plans if len(replies) > 1])
        await asyncio.sleep(self._behaviour.delay_ms / 1000)
        await self._answer([(o, r) for o, replies in plans for r in replies[1:]], producer)

    async def _read_content(self, offers: Sequence[ReferralOffer]) -> None:
        """What persons said is on no topic; it is fetched over HTTP, by who may."""
        if self._api is not None:
            await asyncio.gather(*(self._api.read_content(offer) for offer in offers))

    async def _answer(
        self, answers: Sequence[tuple[ReferralOffer, Reply]], producer: AIOKafkaProducer
    ) -> None:
        acknowledgements = [
            await producer.send(
                partner_in(self._organisation),
                key=str(offer.case_id).encode(),
                value=event.encode(),
                headers=to_headers(self._envelope(event)),
            )
            for offer, reply in answers
            for event in (answered(offer, reply),)
        ]
        await asyncio.gather(*acknowledgements)
        for offer, reply in answers:
            self._log.write(offer, answer=reply.answer.value, status="sent")

    def _envelope(self, event: ReferralAnswered) -> Envelope:
        return Envelope(
            id=str(event.answer_id),
            source=partner_source(self._organisation),
            type=event.event_type(),
            time=event.at,
            subject=str(event.case_id),
            sequence=0,
            data=b"",
        )

    def _remember(self, envelope: Envelope) -> None:
        self._seen[envelope.source, envelope.id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)


def answered(offer: ReferralOffer, reply: Reply) -> ReferralAnswered:
    """The event that tells meldpunt of a reply."""
    return ReferralAnswered(
        answer_id=reply.answer_id,
        referral_id=offer.referral_id,
        case_id=offer.case_id,
        attempt=offer.attempt,
        answer=reply.answer,
        reason=reply.reason,
        until=reply.until,
        outcome=reply.outcome,
        at=datetime.now(UTC),
    )


async def _main(options: argparse.Namespace, settings: Settings) -> None:
    organisation = options.organisation or settings.organisation
    with PartnerLog(options.folder or settings.folder, organisation) as log:
        connection = connection_of(options).arguments()
        behaviour = behaviour_of(options)
        async with contextlib.AsyncExitStack() as resources:
            api = None
            if settings.has_api:
                http = make_client(settings.url, settings.token_file)
                api = MeldpuntApi(await resources.enter_async_context(http), log)
            partner = KafkaPartner(organisation, connection, behaviour, log, api)
            await until_signal(partner.run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one partner until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.partners.kafka_partner",
        description="Runs one example partner over Kafka until Ctrl-C.",
        epilog="example: python -m examples.partners.kafka_partner veilig_thuis --bootstrap"
        " kafka.example:9093 --ca ca.pem --certificate certificate.pem --key key.pem",
    )
    parser.add_argument("organisation", nargs="?", help="id of your organisation in the register")
    parser.add_argument("--folder", type=Path, help="where its log is written")
    add_settings_argument(parser)
    try:
        settings = settings_of(arguments)
        add_connection_arguments(parser, settings.values)
        add_behaviour_arguments(parser)
        options = parser.parse_args(arguments)
        asyncio.run(_main(options, settings))
    except (ValueError, OSError, ssl.SSLError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
