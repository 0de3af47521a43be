"""The guarantees of the chassis on real Kafka and real PostgreSQL."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c
from faststream import AckPolicy

from contracts.envelope import from_headers, to_headers
from contracts.event import Catalogue
from contracts.operations import TallyPublished
from contracts.topics import TopicSpec
from deploy.local.provision import DatabaseUrls, provision_topics
from deploy.local.stack import ServerAddresses
from services.chassis import journal, parked
from services.chassis.db import Connection, Database, NotMigrated, migrate
from services.chassis.errors import Rejected
from services.chassis.ids import new_id, utc_now
from services.chassis.incoming import Received
from services.chassis.journal import Outgoing
from services.chassis.parked import Record
from services.chassis.relay import _FIRST, _TAKE
from services.chassis.tally import Tally
from tests.integration.harness import SOURCE, Asked, Echoed, Probe, World, asked, send

Settle = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="session")
async def world(
    servers: ServerAddresses, databases: dict[str, DatabaseUrls], tmp_path: Path
) -> AsyncIterator[World]:
    made = World(servers, databases["audit"], tmp_path)
    await made.prepare()
    connection = await asyncpg.connect(made.urls.owner)
    await connection.execute("TRUNCATE effect, inbox, outbox, parked, event, source CASCADE")
    await connection.close()
    yield made


async def rows(world: World, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(world.urls.application)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def effects(world: World) -> int:
    return (await rows(world, "SELECT count(*) AS n FROM effect"))[0]["n"]


async def read_all(world: World, topic: str, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=world.servers.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        async with asyncio.timeout(20):
            while len(found) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
    finally:
        await consumer.stop()
    return found


async def test_each_event_has_its_effect_once_and_is_published_in_order(world: World) -> None:
    cases = [uuid4() for _ in range(20)]
    envelopes = [asked(case, n) for n in range(50) for case in cases]
    async with world.probe().running(world.migrations) as probe:
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes + envelopes)

        async def published() -> bool:
            pending = await rows(world, "SELECT count(*) AS n FROM outbox")
            return await effects(world) == 1000 and pending[0]["n"] == 0

        await until(published)
        assert len(probe.seen) == 1000
    found = await read_all(world, world.topic_out, 1000)
    by_case: dict[str, list[int]] = {}
    for record in found:
        envelope = from_headers(record.headers, record.value)
        by_case.setdefault(envelope.subject, []).append(Echoed.parse(envelope.data).number)
    assert set(by_case) == {str(case) for case in cases}
    assert all(numbers == list(range(50)) for numbers in by_case.values())
    sequences = sorted(from_headers(r.headers, r.value).sequence for r in found)
    assert sequences == list(range(1, 1001))


async def test_sequences_have_no_hole_with_concurrent_writers_that_roll_back(world: World) -> None:
    pool = await asyncpg.create_pool(world.urls.application, min_size=8, max_size=8)

    async def write(number: int) -> None:
        async with pool.acquire() as connection:
            with contextlib.suppress(ZeroDivisionError):
                async with connection.transaction():
                    event = Outgoing(Echoed(number=number), new_id(), world.topic_out, SOURCE)
                    await journal.append(connection, [event, event], utc_now())
                    if number % 3 == 0:
                        raise ZeroDivisionError

    try:
        await asyncio.gather(*(write(n) for n in range(300)))
    finally:
        await pool.close()
    found = [r["sequence"] for r in await rows(world, "SELECT sequence FROM event ORDER BY 1")]
    assert found == list(range(1, 401))


async def test_a_poison_event_is_parked_and_holds_back_only_its_own_case(world: World) -> None:
    sick, healthy = uuid4(), uuid4()
    envelopes = [
        asked(sick, 0),
        asked(sick, 1, mood="bad"),
        asked(sick, 2),
        asked(healthy, 0),
        asked(healthy, 1),
    ]
    async with world.probe().running(world.migrations) as probe:
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes)

        async def settled() -> bool:
            waiting = await rows(world, "SELECT count(*) AS n FROM parked")
            return await effects(world) == 3 and waiting[0]["n"] == 2

        await until(settled)
        async with probe.runtime.database.connection() as connection:
            first, behind = await parked.listing(connection, 10)
        assert (first.reason, behind.reason) == ("defect", "behind-parked")
        assert "bad" not in first.problem
        with pytest.raises(ValueError, match="a defect"):
            await probe.runtime.redrive(first.id)
        await _heal(world, first.id)
        assert await probe.runtime.redrive(behind.id) == 2
        assert await effects(world) == 5
        assert probe.seen[-2:] == [1, 2]
        assert await probe.runtime.redrive(first.id) == 0
    kinds = [r["type"] for r in await rows(world, "SELECT type FROM event ORDER BY sequence")]
    assert sum("event-parked" in kind for kind in kinds) == 2
    assert sum("event-redriven" in kind for kind in kinds) == 2


async def test_a_parked_event_is_redriven_by_the_subscription_that_read_it(world: World) -> None:
    probe = world.probe()
    other = probe.runtime.consume(
        probe.handle, Catalogue(Echoed), topics=["test.unused"], group=f"{world.group}-other"
    )
    # The first of the two has never heard of the topic.
    probe.runtime.processors.reverse()
    assert other is not probe.subscription
    case = uuid4()
    await provision_topics(
        world.servers.kafka_bootstrap, [TopicSpec("test.unused", 1, 3_600_000, "test")]
    )
    async with probe.running(world.migrations):
        sick = asked(case, 1, mood="bad")
        await send(world.servers.kafka_bootstrap, world.topic_in, [sick])

        async def lies_parked() -> bool:
            return bool(await rows(world, "SELECT 1 FROM parked"))

        await until(lies_parked)
        parked_id = (await rows(world, "SELECT id FROM parked"))[0]["id"]
        await _heal(world, parked_id)
        assert await probe.runtime.redrive(parked_id) == 1
        assert await effects(world) == 1


async def _heal(world: World, parked_id: UUID) -> None:
    healed = Asked(number=1).encode()
    await rows(world, "UPDATE parked SET value = $2 WHERE id = $1", parked_id, healed)


async def test_one_that_still_fails_undoes_no_redrive_of_those_before_it(world: World) -> None:
    case = uuid4()
    probe = world.probe()
    async with probe.running(world.migrations):
        both = [asked(case, 1, mood="bad"), asked(case, 2, mood="bad")]
        await send(world.servers.kafka_bootstrap, world.topic_in, both)

        async def both_parked() -> bool:
            return len(await rows(world, "SELECT 1 FROM parked")) == 2

        await until(both_parked)
        ids = [row["id"] for row in await rows(world, "SELECT id FROM parked ORDER BY position")]
        with pytest.raises(ValueError, match="a defect"):
            await probe.runtime.redrive(ids[0])
        await _heal(world, ids[0])
        assert await probe.runtime.redrive(ids[0]) == 1
        left = await rows(world, "SELECT id FROM parked WHERE redriven_at IS NULL")
        assert [row["id"] for row in left] == ids[1:]
        assert await effects(world) == 1


async def test_no_sender_of_many_uses_up_the_name_of_the_event_of_another(world: World) -> None:
    probe = world.probe()
    processor = probe.runtime.processors[0]
    processor._many_senders = True
    event_id = uuid4()
    same = [asked(uuid4(), number, event_id=event_id) for number in (1, 2)]
    async with probe.running(world.migrations):
        for topic, envelope in zip(("test.one", "test.other"), same, strict=True):
            headers = tuple(to_headers(envelope))
            record = Record(topic, 0, 0, envelope.subject, headers, envelope.data)
            await processor.process([record, record])
    assert await effects(world) == 2


async def test_instances_do_not_tally_the_tallies_of_each_other(world: World) -> None:
    database = Database(world.urls.application, 2, "test")
    await database.start(5)
    instances = [Tally(database, SOURCE, world.topic_out, utc_now) for _ in range(2)]
    query = "SELECT count(*) AS n FROM event WHERE type = $1"

    async def tallies() -> int:
        for _ in range(3):
            for instance in instances:
                await instance.publish_if_changed()
        return (await rows(world, query, TallyPublished.event_type()))[0]["n"]

    for expected in (1, 2):
        async with database.transaction() as connection:
            outgoing = Outgoing(Echoed(number=1), new_id(), world.topic_out, SOURCE)
            await journal.append(connection, [outgoing], utc_now())
        assert await tallies() == expected
    await database.stop()


async def test_what_cannot_be_read_is_parked_with_its_reason(world: World) -> None:
    case = uuid4()
    unknown = asked(case, 1, type_="nl.sociale-veiligheid.meldingen.test-asked.v2")
    async with world.probe().running(world.migrations) as probe:
        await send(world.servers.kafka_bootstrap, world.topic_in, [unknown])
        producer = AIOKafkaProducer(bootstrap_servers=world.servers.kafka_bootstrap)
        await producer.start()
        await producer.send_and_wait(world.topic_in, b"no event at all", key=b"k1")
        await producer.send_and_wait(
            world.topic_in, b"{}", key=b"k2", headers=[("ce_id", b"\xff\xfe")]
        )
        await producer.send_and_wait(world.topic_in, None, key=b"k3")
        await producer.stop()
        await send(world.servers.kafka_bootstrap, world.topic_in, [asked(uuid4(), 7)])

        async def settled() -> bool:
            waiting = await rows(world, "SELECT count(*) AS n FROM parked")
            return await effects(world) == 1 and waiting[0]["n"] == 4

        await until(settled)
        async with probe.runtime.database.connection() as connection:
            listing = await parked.listing(connection, 10)
        reasons = sorted(row.reason.value for row in listing)
        assert reasons == ["unknown-version", "unreadable", "unreadable", "unreadable"]
        version = next(row for row in listing if row.reason == "unknown-version")
        with pytest.raises(Rejected, match="version"):
            await probe.runtime.redrive(version.id)


async def test_a_release_that_is_newer_than_its_tables_reads_nothing(world: World) -> None:
    newer = world.migrations / "0002_newer.sql"
    newer.write_text("ALTER TABLE effect ADD COLUMN newer text;")
    await send(world.servers.kafka_bootstrap, world.topic_in, [asked(uuid4(), 1)])
    impatient = world.probe(startup_seconds_max=0.1)
    with pytest.raises(NotMigrated, match="0002_newer"):
        await impatient.runtime._start(world.migrations)
    await impatient.runtime.database.stop()
    waiting = world.probe(startup_seconds_max=20.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(_started(waiting, world))
        await asyncio.sleep(0.6)
        assert waiting.seen == []
        await migrate(world.urls.owner, [world.migrations], 10)
    assert waiting.seen == [1]


async def _started(probe: Probe, world: World) -> None:
    async def seen() -> bool:
        return bool(probe.seen)

    async with probe.running(world.migrations):
        await until(seen)


async def test_a_column_that_a_newer_release_adds_meanwhile_parks_nothing(world: World) -> None:
    probe = world.probe()

    async def reads_everything(connection: Connection, received: Sequence[Received]) -> None:
        await connection.fetch("SELECT * FROM effect")
        await probe.handle(connection, received)

    probe.runtime.processors[0]._handler = reads_everything
    async with probe.running(world.migrations):
        for number in range(4):
            await send(world.servers.kafka_bootstrap, world.topic_in, [asked(uuid4(), number)])

            async def handled(done: int = number + 1) -> bool:
                lost = await rows(world, "SELECT problem FROM parked")
                assert not lost
                return await effects(world) == done

            await until(handled)
            owner = await asyncpg.connect(world.urls.owner)
            await owner.execute(f"ALTER TABLE effect ADD COLUMN newer_{number} text")
            await owner.close()


async def test_a_partition_that_cannot_be_unpacked_takes_nothing_from_the_others(
    world: World,
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.servers.kafka_bootstrap)
    await producer.start()
    await producer.send_batch(_with_a_broken_header(producer), world.topic_in, partition=0)
    for number in range(12):
        good = asked(uuid4(), number)
        await producer.send_and_wait(
            world.topic_in,
            good.data,
            key=good.subject.encode(),
            headers=to_headers(good),
            partition=1 + number % 3,
        )
    await producer.stop()
    probe = world.probe()
    async with probe.running(world.migrations):

        async def all_handled() -> bool:
            return await effects(world) == 12

        await until(all_handled)
        consumer = probe.subscription.subscriber.consumer
        assert consumer is not None
        assert consumer.paused() == {TopicPartition(world.topic_in, 0)}
        assert await probe.runtime.ready_problems() == []


def _with_a_broken_header(producer: AIOKafkaProducer) -> BatchBuilder:
    """A batch that the broker takes and the client cannot unpack: a name that is no UTF-8."""
    batch = producer.create_batch()
    batch.append(key=b"k", value=b"v", timestamp=None, headers=[("zz", b"1")])
    built = bytearray(batch._build())
    at = built.index(b"zz")
    built[at : at + 2] = b"\xff\xfe"
    struct.pack_into(">I", built, 17, calc_crc32c(memoryview(bytes(built))[21:]))
    batch._buffer = bytes(built)
    return batch


async def test_one_sender_of_many_cannot_stop_the_others(world: World) -> None:
    probe = world.probe(consecutive_defects_max=5)
    probe.runtime.processors[0]._many_senders = True
    poison = [asked(uuid4(), n, mood="bad") for n in range(15)]
    async with probe.running(world.migrations):
        await send(world.servers.kafka_bootstrap, world.topic_in, poison)
        await send(world.servers.kafka_bootstrap, world.topic_in, [asked(uuid4(), 99)])

        async def settled() -> bool:
            waiting = await rows(world, "SELECT count(*) AS n FROM parked")
            return await effects(world) == 1 and waiting[0]["n"] == 15

        await until(settled)


async def test_many_defects_in_a_row_stop_the_consumer_instead_of_parking_the_stream(
    world: World,
) -> None:
    envelopes = [asked(uuid4(), n) for n in range(60)]
    # Long enough to try again many times: what is skipped as a repeat must not count as success.
    probe = world.probe(consecutive_defects_max=10, retry_seconds_max=3.0)
    probe.broken = True
    async with probe.running(world.migrations):
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes)

        async def braked() -> bool:
            return probe.subscription.paused_for is not None

        await until(braked)
        assert "waits" in " ".join(await probe.runtime.ready_problems())
        probe.broken = False

        async def drained() -> bool:
            waiting = await rows(world, "SELECT count(*) AS n FROM parked")
            return await effects(world) + waiting[0]["n"] == 60

        await until(drained)
        # One is tried once more each time that the batches are read again.
        assert 10 <= 60 - await effects(world) <= 15


async def test_a_rebalance_waits_for_the_running_batch(world: World) -> None:
    envelopes = [asked(uuid4(), n) for n in range(400)]
    first = world.probe(instance="1", consume_batch_max=20)
    inner = first.handle

    async def slow(connection: asyncpg.Connection, received: list[object]) -> None:
        await inner(connection, received)  # type: ignore[arg-type]
        await asyncio.sleep(0.3)

    first.runtime.processors[0]._handler = slow  # type: ignore[assignment]
    second = world.probe(instance="2", consume_batch_max=20)
    async with first.running(world.migrations):
        await until(_assigned(first))
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes)
        await asyncio.sleep(0.5)
        async with second.running(world.migrations):
            await until(_assigned(second))

            async def done() -> bool:
                return await effects(world) == 400

            await until(done, 60)
    assert sorted(first.seen + second.seen) == list(range(400))
    assert second.seen


def _assigned(probe: object) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return probe.subscription.assigned()  # type: ignore[attr-defined]

    return check


async def test_cut_database_connections_cost_nothing(world: World) -> None:
    envelopes = [asked(uuid4(), n) for n in range(2000)]
    async with world.probe(consume_batch_max=50).running(world.migrations):
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes)
        admin = await asyncpg.connect(world.servers.postgres_admin_url)
        name = world.urls.application.rsplit("/", 1)[-1].split("?")[0]
        for _ in range(8):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
                " AND pid <> pg_backend_pid()",
                name,
            )
            await asyncio.sleep(0.15)
        await admin.close()

        async def done() -> bool:
            pending = await rows(world, "SELECT count(*) AS n FROM outbox")
            return await effects(world) == 2000 and pending[0]["n"] == 0

        await until(done, 60)
    assert not await rows(world, "SELECT 1 FROM parked")


async def test_wiped_topics_are_rebuilt_from_postgresql(world: World) -> None:
    cases = [uuid4() for _ in range(10)]
    envelopes = [asked(case, n) for n in range(10) for case in cases]
    async with world.probe().running(world.migrations):
        await send(world.servers.kafka_bootstrap, world.topic_in, envelopes)

        async def published() -> bool:
            pending = await rows(world, "SELECT count(*) AS n FROM outbox")
            return await effects(world) == 100 and pending[0]["n"] == 0

        await until(published)
    before = _by_id(await read_all(world, world.topic_out, 100))
    admin = AIOKafkaAdminClient(bootstrap_servers=world.servers.kafka_bootstrap)
    await admin.start()
    await admin.delete_topics([world.topic_out])

    async def gone() -> bool:
        return world.topic_out not in await admin.list_topics()

    await until(gone)
    await admin.close()
    await world.prepare()
    async with world.probe().running(world.migrations) as probe:
        async with probe.runtime.database.transaction() as connection:
            assert await journal.republish_everything(connection) == 100
        after = await read_all(world, world.topic_out, 100)
    assert _by_id(after) == before


async def test_a_topic_that_is_not_there_holds_up_no_other(world: World) -> None:
    nowhere = f"{world.topic_out}.nowhere"
    probe = world.probe(publish_timeout_seconds=5.0)
    case = uuid4()

    def out(number: int, topic: str) -> Outgoing:
        return Outgoing(Echoed(number=number), case, topic, probe.runtime.source)

    async def waiting(expected: int) -> None:
        async def reached() -> bool:
            [row] = await rows(world, "SELECT count(*) AS n FROM outbox")
            return bool(row["n"] == expected)

        await until(reached, 15)

    async with probe.running(world.migrations):
        async with probe.runtime.database.transaction() as connection:
            both = [out(n, topic) for n in range(3) for topic in (nowhere, world.topic_out)]
            await journal.append(connection, both, utc_now())
        await waiting(3)
        assert [
            Echoed.parse(record.value).number
            for record in await read_all(world, world.topic_out, 3)
        ] == [0, 1, 2]
        # What waits is published as soon as the topic is there.
        await provision_topics(
            world.servers.kafka_bootstrap, [TopicSpec(nowhere, 1, 3_600_000, "test")]
        )
        await waiting(0)
        assert len(await read_all(world, nowhere, 3)) == 3


def _by_id(records: list[ConsumerRecord]) -> dict[str, bytes]:
    envelopes = [from_headers(r.headers, r.value) for r in records]
    return {e.id: e.data for e in envelopes}


async def test_what_the_relay_takes_costs_the_same_however_many_events_there_are(
    world: World,
) -> None:
    database = Database(world.urls.application, 2, "test")
    connection = await database.dedicated()
    try:
        await connection.execute(f"PREPARE take AS {_TAKE.format(first=_FIRST)}")
        # Planned while the tables are empty, as in each new installation.
        await connection.fetch("EXPLAIN ANALYZE EXECUTE take(100)")
        now = utc_now()
        async with connection.transaction():
            outgoing = [
                Outgoing(Echoed(number=n), new_id(), "elsewhere", SOURCE) for n in range(3000)
            ]
            await journal.append(connection, outgoing, now)
            await connection.execute("DELETE FROM outbox WHERE sequence > 5")
        text = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE take(100)")
        await connection.execute("DELETE FROM outbox")
    finally:
        await connection.close()
    plan = json.loads(text)[0]["Plan"]
    assert plan["Actual Rows"] == 5
    assert max(node["Actual Rows"] for node in _nodes(plan)) == 5


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


async def test_only_one_relay_of_two_is_active_and_the_other_takes_over(world: World) -> None:
    async def active(probe: object) -> bool:
        return probe.runtime.relay.active  # type: ignore[attr-defined]

    async def both_connected() -> bool:
        return len(await _relay_backends(world)) == 2

    first, second = world.probe(instance="1"), world.probe(instance="2")
    async with first.running(world.migrations):
        await until(lambda: active(first))
        async with second.running(world.migrations):
            await until(both_connected)
            before = await _relay_backends(world)
            await asyncio.sleep(1.5)
            assert not second.runtime.relay.active
            # The one that waits asks again on the connection that it has.
            assert await _relay_backends(world) == before
            await first.runtime.relay.stop()
            first.runtime.relay.active = False
            await until(lambda: active(second), 10)


async def _relay_backends(world: World) -> set[int]:
    connection = await asyncpg.connect(world.urls.application)
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE '%-relay'"
        )
    finally:
        await connection.close()
    return {row["pid"] for row in rows}


async def test_subscribers_are_safe_by_construction(world: World) -> None:
    probe = world.probe()
    for subscriber in probe.runtime.broker.subscribers:
        assert subscriber.ack_policy is AckPolicy.MANUAL
        assert subscriber.group_id == world.group
        arguments = subscriber._connection_args
        assert arguments["auto_offset_reset"] == "earliest"
        assert arguments["enable_auto_commit"] is False
