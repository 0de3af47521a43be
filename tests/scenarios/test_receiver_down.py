"""Hard scenario 07: a receiver is down for minutes, a day or days, over each kind of channel."""

import asyncio
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts import topics
from contracts.envelope import from_headers
from contracts.referral import Answer
from deploy.local.provision import provision_topics
from services.chassis import journal
from services.chassis.kafka import KafkaAccess
from services.chassis.relay import Relay
from tests.scenarios.simulated import partner

OUTAGES = (timedelta(minutes=5), timedelta(hours=24), timedelta(days=5))


async def away(simulated, organisation: str, length: timedelta) -> None:
    """What comes for a partner in that time: offers, changes of them, and what silence does."""
    first = await simulated.world.offered(organisation)
    await simulated.round()
    await simulated.pass_time(length / 2, length / 10)
    await simulated.world.offered(organisation)
    await simulated.pass_time(length / 2, length / 10)
    # An answer that came too late is answered too.
    if length > timedelta(hours=1):
        await simulated.world.hear(organisation, simulated.world.answered(first, Answer.ACCEPTED))


async def test_07_receiver_down_webhook(simulated):
    world = simulated.world
    async with partner() as receiver:
        await simulated.partner("lkc", receiver.url, fallback="desk")
        for length in OUTAGES:
            await receiver.go()
            await away(simulated, "lkc", length)
            await receiver.come()
            await world.offered("lkc")
            await simulated.pass_time(timedelta(minutes=40), timedelta(minutes=10))
            # Also what lies beyond the tries of more than three days is brought again, unasked.
            feed = await simulated.feed("lkc")
            assert set(receiver.sequences) == {item["sequence"] for item in feed}
            assert set((await simulated.states("lkc")).values()) == {"delivered"}
            if length > timedelta(hours=75):
                asked = "SELECT FROM delivery_task WHERE organisation = 'lkc'"
                assert await simulated.rows(asked), "a person was asked to call"


async def test_07_receiver_down_inbox(simulated):
    world, cursor = simulated.world, 0
    for length in OUTAGES:
        await away(simulated, "gcbo", length)
        wanted = [item for item in await simulated.feed("gcbo") if item["sequence"] > cursor]
        assert len(wanted) >= 2
        found: list[dict] = []
        # It takes up where it was, page by page.
        while True:
            query = {"after": cursor, "limit": 3}
            answer = await world.client.get(
                "/partner-events", params=query, headers=world.partner("gcbo")
            )
            found += answer.json()["events"]
            if answer.json()["lastSequence"] == cursor:
                break
            cursor = answer.json()["lastSequence"]
        assert [item["id"] for item in found] == [item["id"] for item in wanted]
        assert [int(item["sequence"]) for item in found] == [item["sequence"] for item in wanted]


class KafkaPartner:
    """A partner that reads its topic and remembers how far it came with the broker."""

    def __init__(self, bootstrap: str, organisation: str) -> None:
        self._bootstrap, self._topic = bootstrap, topics.partner_out(organisation)
        self._group = topics.partner_name(organisation)

    async def read(self) -> list[tuple[str, int, str]]:
        """Come, read on to the end, remember that, go: source, sequence and case of each event."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            places = [TopicPartition(self._topic, n) for n in range(topics.PARTNER_PARTITIONS)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found = []
            for place in places:
                while await consumer.position(place) < ends[place]:
                    batches = await consumer.getmany(timeout_ms=100)
                    found += [
                        from_headers(record.headers, record.value)
                        for batch in batches.values()
                        for record in batch
                    ]
            await consumer.commit()
        finally:
            await consumer.stop()
        return [(item.source, item.sequence, item.subject) for item in found]


async def publish(simulated, servers) -> None:
    """The broker is back: what waited in the outbox goes out."""
    world = simulated.world
    settings = world.settings.model_copy(update={"kafka_bootstrap": servers.kafka_bootstrap})
    relay = Relay(
        world.database,
        KafkaAccess.of(settings, "scenario"),
        world.runtime.metrics,
        world.runtime.log,
        batch_max=500,
        poll_seconds=0.05,
        publish_timeout_seconds=10.0,
    )
    relay.start()
    async with asyncio.timeout(20):
        while True:
            async with world.database.connection() as connection:
                if await journal.pending(connection) == 0:
                    break
            await asyncio.sleep(0.05)
    await relay.stop()


async def test_07_receiver_down_kafka(simulated, servers):
    """First nobody reads the topic, then the broker itself is away; the feed stays whole."""
    world, organisation = simulated.world, "veilig_thuis"
    specs = [*topics.CORE_TOPICS, *topics.partner_topics(organisation)]
    await provision_topics(servers.kafka_bootstrap, specs)
    assert min(spec.retention_ms for spec in specs) >= 14 * topics.DAY_MS
    reader = KafkaPartner(servers.kafka_bootstrap, organisation)
    await publish(simulated, servers)
    await reader.read()
    before = len(await simulated.feed(organisation))
    # This relay looks for a broker where there is none, for as long as that takes.
    broken = world.runtime.relay
    broken.start()
    for number, length in enumerate(OUTAGES):
        await away(simulated, organisation, length)
        async with asyncio.timeout(10):
            while number == 0 and broken.problem is None:
                await asyncio.sleep(0.05)
        if number == 0:
            await broken.stop()
        await publish(simulated, servers)
        found = await reader.read()
        wanted = (await simulated.feed(organisation))[before:]
        assert all(item["topic"] == topics.partner_out(organisation) for item in wanted)
        assert sorted(sequence for _, sequence, _ in found) == [x["sequence"] for x in wanted]
        for case in {item["case"] for item in wanted}:
            own = [sequence for _, sequence, subject in found if subject == str(case)]
            assert own == sorted(own), "the events of a case in their order"
        before += len(wanted)
