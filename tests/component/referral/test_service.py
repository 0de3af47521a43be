"""The whole service on real Kafka and PostgreSQL: offer out, answer in, restart in between."""

import asyncio

from aiokafka import AIOKafkaConsumer

from contracts import topics
from contracts.envelope import Envelope, from_headers, partner_source, service_source
from contracts.referral import Answer, ReferralOffer
from deploy.local.provision import provision_topics
from services.chassis.ids import new_id, utc_now
from tests.component.referral.conftest import MIGRATIONS, World
from tests.integration.harness import send
from tests.unit.referral.builders import assigned


def envelope(event, source: str) -> Envelope:
    return Envelope(
        id=str(new_id()),
        source=source,
        type=event.event_type(),
        time=utc_now(),
        subject=str(event.case_id),
        sequence=1,
        data=event.encode(),
    )


async def offer_of(bootstrap: str, case_id) -> tuple[Envelope, ReferralOffer]:
    consumer = AIOKafkaConsumer(
        topics.partner_out("school"), bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async for record in consumer:
            found = from_headers(record.headers, record.value)
            if record.key == str(case_id).encode():
                return found, ReferralOffer.parse(found.data)
    finally:
        await consumer.stop()
    raise AssertionError("the topic ended")


async def holder(world: World, case_id, wanted: str):
    async with asyncio.timeout(30):
        while True:
            case = await world.case(case_id)
            if case is not None and case["holder"] == wanted:
                return case
            await asyncio.sleep(0.1)


async def test_offer_out_answer_in_also_after_a_restart(servers, databases, tmp_path):
    bootstrap = servers.kafka_bootstrap
    specs = [*topics.CORE_TOPICS, *topics.partner_topics("school")]
    await provision_topics(bootstrap, specs)
    urls = databases["referral"]
    event = assigned("school")

    world = World(urls, tmp_path, bootstrap, owner=True)
    await world.runtime._start(MIGRATIONS)
    try:
        await send(bootstrap, topics.ROUTING, [envelope(event, service_source("routing"))])
        async with asyncio.timeout(30):
            found, offer = await offer_of(bootstrap, event.case_id)
    finally:
        await world.runtime._stop()
    assert found.dataref == f"http://intake.test/v1/contents/{event.case_id}"
    assert found.source.endswith("meldpunt-referral-partner-school")

    row = {"referral_id": offer.referral_id, "case_id": offer.case_id, "attempt": offer.attempt}
    answer = world.answered(row, Answer.ACCEPTED)
    source = partner_source("school")
    await send(bootstrap, topics.partner_in("school"), [envelope(answer, source)])

    again = World(urls, tmp_path, bootstrap, owner=True)
    await again.runtime._start(MIGRATIONS)
    try:
        case = await holder(again, event.case_id, "school")
        assert (case["handoff"], case["next_actor"]) == (1, "school")
        names = [item["name"] for item in await again.events(event.case_id)]
        assert names == ["referral-offered", "referral-offer", "referral-status-changed"]
        assert await again.runtime.ready_problems() == []
    finally:
        await again.runtime._stop()
