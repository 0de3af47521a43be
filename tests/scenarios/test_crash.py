"""Hard scenario 12: killed between store and publish, and between consume and commit."""

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Self

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts import topics
from contracts.envelope import from_headers, service_source
from deploy.local.provision import provision_topics
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from tests.component.referral.conftest import MIGRATIONS, World
from tests.component.referral.test_service import envelope
from tests.integration.harness import send
from tests.scenarios.crashing import STATUS, in_group, on_topics
from tests.unit.referral.builders import assigned

ROOT = Path(__file__).parents[2]


class Ends:
    """Reads what was added to topics since it was made."""

    def __init__(self, bootstrap: str, *names: str) -> None:
        self._bootstrap, self._names = bootstrap, names
        self._from: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        await self._consumer.start()
        for name in self._names:
            for number in await self._partitions(name):
                place = TopicPartition(name, number)
                self._from |= await self._consumer.end_offsets([place])
        self._consumer.assign(list(self._from))
        return self

    async def _partitions(self, name: str) -> set[int]:
        await self._consumer._client.set_topics({name, *self._names})
        return self._consumer.partitions_for_topic(name) or set()

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self, case_id) -> list[tuple[str, str]]:
        """Type and id of every record of a case, copies too."""
        found = []
        ends = await self._consumer.end_offsets(list(self._from))
        for place, end in ends.items():
            self._consumer.seek(place, self._from[place])
            while await self._consumer.position(place) < end:
                for batch in (await self._consumer.getmany(place, timeout_ms=100)).values():
                    found += [from_headers(item.headers, item.value) for item in batch]
        return [
            (item.type.split(".")[-2], item.id) for item in found if item.subject == str(case_id)
        ]


@pytest_asyncio.fixture(loop_scope="session")
async def own_topics(servers):
    tag = secrets.token_hex(4)
    names = {name: f"test.{tag}.{name.lower()}" for name in ("INTAKE", "ROUTING", "REFERRAL")}
    specs = [topics.TopicSpec(name, 2, 3_600_000, "test") for name in names.values()]
    await provision_topics(servers.kafka_bootstrap, [*specs, *topics.partner_topics("school")])
    names["PARTNER_IN_PATTERN"] = f"^test\\.{tag}\\.none$"
    undo = on_topics(names)
    yield names
    undo()


async def killed(fault: str, world: World, case_id, names: dict[str, str]) -> None:
    """Run referral as a process of its own until it dies of the fault."""
    plain = world.settings.model_dump(
        mode="json",
        include={
            *("environment", "http_port", "kafka_bootstrap", "auth_jwks", "auth_issuer"),
            *("intake_url", "signing_key_file"),
        },
    )
    plain["database_url"] = world.settings.database_url.get_secret_value()
    given = {
        "fault": fault,
        "case": str(case_id),
        "topics": names,
        "group": secrets.token_hex(4),
        "settings": plain,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.scenarios.crashing", json.dumps(given), cwd=ROOT
    )
    try:
        assert await asyncio.wait_for(process.wait(), 60) == STATUS
    finally:
        if process.returncode is None:
            process.kill()


async def test_12_crash_between_store_and_publish_and_between_consume_and_commit(
    servers, databases, own_topics, tmp_path
):
    bootstrap = servers.kafka_bootstrap
    undo = in_group(secrets.token_hex(4))
    world = World(databases["referral"], tmp_path, bootstrap)
    undo()
    await migrate(databases["referral"].owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 20)
    event = assigned("school")
    names = (own_topics["REFERRAL"], topics.partner_out("school"))

    async def count(table: str) -> int:
        found = await world.row(f"SELECT count(*) AS n FROM {table}")
        return found["n"]

    async with Ends(bootstrap, *names) as broker:
        await send(bootstrap, own_topics["ROUTING"], [envelope(event, service_source("routing"))])
        await killed("before-commit", world, event.case_id, own_topics)
        await world.database.start(20)
        # Consumed, and not committed: nothing has happened, and the event is read again.
        assert await world.case(event.case_id) is None
        assert (await count("event"), await count("inbox")) == (0, 0)

        await killed("after-commit", world, event.case_id, own_topics)
        # Committed, and the broker was never told: it is read once more, without a second effect.
        assert (await world.referral(event.case_id))["status"] == "requested"
        stored = await count("outbox")
        assert stored >= 2

        await killed("before-publish", world, event.case_id, own_topics)
        assert await count("outbox") == stored
        assert await broker.read(event.case_id) == []

        await killed("after-publish", world, event.case_id, own_topics)
        # Published, and the outbox does not know: it goes out twice, under the same ids.
        assert await count("outbox") == stored
        once = await broker.read(event.case_id)
        assert sorted(name for name, _ in once) == ["referral-offer", "referral-offered"]
        await world.database.stop()

        await world.runtime._start(MIGRATIONS)
        try:
            repeated = world.runtime.metrics.events.labels("repeated")
            async with asyncio.timeout(30):
                while await count("outbox") or not repeated._value.get():
                    await asyncio.sleep(0.1)
            assert await count("referral") == 1
            told = [item["name"] for item in await world.events(event.case_id)]
            assert sorted(told) == ["referral-offer", "referral-offered"]
            assert sorted(await broker.read(event.case_id)) == sorted(once * 2)
            # Whoever reads, by the id of an event, sees each exactly once.
            assert len(set(await broker.read(event.case_id))) == 2
        finally:
            await world.runtime._stop()
