"""A partner that works over Kafka: offers come on its `.out` topic, answers go to its `.in` topic.

The order is what matters: work first, answer acknowledged by the broker, then commit the offset.
A crash in between repeats the offers; what was seen is skipped, and an answer that is sent twice
carries the same id, which meldpunt ignores.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from contracts.envelope import Envelope, EnvelopeInvalid, from_headers, partner_source, to_headers
from contracts.event import Catalogue, EventInvalid, UnknownEvent
from contracts.referral import FEED_EVENTS, ReferralAnswered, ReferralOffer, ReferralWithdrawn
from contracts.topics import partner_in, partner_out
from examples.partners.behaviour import Behaviour, Reply
from examples.partners.journal import FeedEvent, PartnerLog

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
    """One organisation over Kafka; `run` goes on until it is cancelled."""

    def __init__(
        self, organisation: str, bootstrap: str, behaviour: Behaviour, log: PartnerLog
    ) -> None:
        self._organisation = organisation
        self._bootstrap = bootstrap
        self._behaviour = behaviour
        self._log = log
        self._catalogue = Catalogue(*FEED_EVENTS)
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self, producer: AIOKafkaProducer) -> None:
        """Handle offers; after trouble with the broker it starts anew from the last commit."""
        while True:
            consumer = AIOKafkaConsumer(
                partner_out(self._organisation),
                bootstrap_servers=self._bootstrap,
                group_id=f"partner-{self._organisation}",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                metadata_max_age_ms=METADATA_MS_MAX,
            )
            try:
                await consumer.start()
                while True:
                    await self._round(consumer, producer)
            except KafkaError as error:
                print(f"{self._organisation}: {type(error).__name__}, again in {RETRY_SECONDS} s")
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await consumer.stop()

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
        assert isinstance(event, FeedEvent)
        return _Received(envelope, event)

    async def _handle(self, received: Sequence[_Received], producer: AIOKafkaProducer) -> None:
        for item in received:
            self._log.write(item.event)
        withdrawn = {
            (item.event.referral_id, item.event.attempt)
            for item in received
            if isinstance(item.event, ReferralWithdrawn)
        }
        open_offers = [
            item.event
            for item in received
            if isinstance(item.event, ReferralOffer)
            and (item.event.referral_id, item.event.attempt) not in withdrawn
        ]
        plans = [(offer, self._behaviour.replies(offer)) for offer in open_offers]
        # First tell of all that they arrived; then take the time that a decision takes.
        await self._answer([(o, r) for o, replies in plans for r in replies[:1]], producer)
        await asyncio.sleep(self._behaviour.delay_ms / 1000)
        await self._answer([(o, r) for o, replies in plans for r in replies[1:]], producer)

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
        at=datetime.now(UTC),
    )


def make_producer(bootstrap: str) -> AIOKafkaProducer:
    """A producer that several partners of one process can share; start it before use."""
    return AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
