"""Deliveries on a real PostgreSQL and real sockets: truth, order, outages, bulkheads."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import uuid4

import pytest_asyncio

from contracts.situation import Urgency
from services.referral import app as referral_app
from services.referral.channels import escalation
from services.referral.channels.signing import verify, verifying_key
from tests.component.referral.channels_world import (
    Answer,
    World,
    answering,
    mail_server,
    receiving,
    until,
)
from tests.component.service import open_database

MIGRATIONS = referral_app.Path(referral_app.__file__).parent / "migrations"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_world(databases):
    async with open_database(databases["referral"], MIGRATIONS) as database:
        yield World(database, databases["referral"].owner)


@pytest_asyncio.fixture
async def world(module_world):
    await module_world.reset()
    yield module_world
    await module_world.close()


async def test_a_feed_becomes_signed_structured_events_in_order(world):
    async with receiving() as partner:
        ring = await world.partner("school", partner.url)
        case = await world.feed("school", 5, case_id=uuid4())
        await world.deliveries().work()
    assert partner.sequences == [1, 2, 3, 4, 5]
    assert partner.open_most == 1
    request = partner.requests[0]
    event = json.loads(request.body)
    known = [verifying_key(ring.current)]
    assert verify(request.headers, request.body, known, datetime.now(UTC)) == event["id"]
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert (event["subject"], event["specversion"]) == (str(case), "1.0")
    assert event["data"]["case_id"] == str(case)
    assert await world.states("school") == ["delivered"] * 5
    assert await world.told("school") == []


async def test_a_second_round_sends_nothing_again(world):
    async with receiving() as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 3)
        worker = world.deliveries()
        for _ in range(3):
            await worker.work()
        assert len(partner.requests) == 3


async def test_a_new_endpoint_begins_after_what_was_there_to_poll(world):
    async with receiving() as partner:
        await world.feed("school", 3)
        await world.partner("school", partner.url)
        await world.feed("school")
        await world.deliveries().work()
    assert partner.sequences == [4]


async def test_retries_keep_the_id_and_renew_timestamp_and_signature(world):
    answers = iter([Answer(500), Answer(302, {"location": "/"}), Answer(200)])
    async with receiving(lambda _: next(answers)) as partner:
        await world.partner("school", partner.url)
        await world.feed("school")
        for _ in range(3):
            await world.deliveries().work()
            world.shift += timedelta(minutes=7)
    ids = {request.headers["webhook-id"] for request in partner.requests}
    stamps = [request.headers["webhook-timestamp"] for request in partner.requests]
    assert (len(partner.requests), len(ids), len(set(stamps))) == (3, 1, 3)
    assert len({request.body for request in partner.requests}) == 1
    assert await world.states("school") == ["delivered"]
    assert await world.told("school") == [
        ("webhook", "retrying", 1),
        ("webhook", "delivered", 0),
    ]


async def test_an_outage_of_a_day_ends_without_loss_or_stampede(world):
    down = True

    def answer(_):
        return Answer(503) if down else Answer(seconds=0.01)

    async with receiving(answer) as partner:
        await world.partner("school", partner.url)
        worker = world.deliveries()
        for _ in range(24):
            await world.feed("school", 3)
            await worker.work()
            world.shift += timedelta(hours=1)
            assert partner.open_most <= 4
        tried = len(partner.requests)
        assert tried < 24 * 3 + 40
        assert (await world.lane("school"))["state"] == "retrying"
        down, partner.requests = False, []
        partner.open_most = 0
        await worker.work()
        await worker.work()
        # After the one that asked, the oldest go first; four at a time may overtake each other.
        assert sorted(partner.sequences) == list(range(1, 73))
        assert all(abs(place - sequence) <= 8 for place, sequence in enumerate(partner.sequences))
        assert partner.open_most <= 4
    assert set(await world.states("school")) == {"delivered"}
    assert [item[:2] for item in await world.told("school")] == [
        ("webhook", "retrying"),
        ("webhook", "delivered"),
    ]


async def test_after_the_whole_span_it_fails_a_person_is_asked_and_the_fallback_taken(world):
    async with receiving(answering(500)) as partner, mail_server() as sink:
        await world.partner("school", partner.url, "loket@school.nl", fallback="email")
        await world.feed("school")
        worker = world.deliveries(smtp_port=sink.port)
        began = world.clock()
        while (await world.states("school")) != ["failed"]:
            await worker.work()
            [row] = await world.rows(
                "SELECT next_try_at, state FROM delivery WHERE channel = 'webhook'"
            )
            if row["state"] == "waiting":
                world.shift += row["next_try_at"] - world.clock() + timedelta(seconds=1)
                assert world.clock() - began < timedelta(hours=96)
        assert len(partner.requests) == 10
        assert world.clock() - began >= timedelta(hours=75)
        await worker.work()
        assert len(sink.messages) == 1
        [task] = await world.rows("SELECT * FROM delivery_task")
        assert (task["organisation"], task["problem"]) == ("school", "server-error")
        assert (await world.told("school"))[-1][:2] == ("webhook", "failed")
        # Still tried, and mailed at the same time, until the endpoint answers.
        partner.answer = answering(200)
        world.shift += timedelta(hours=1)
        await world.feed("school")
        await worker.work()
        await worker.work()
        # The new one proves that the endpoint is back, and what was given up is brought again.
        assert partner.sequences[-2:] == [2, 1]
        assert await world.states("school") == ["delivered", "delivered"]
    assert (await world.told("school"))[-1][:2] == ("webhook", "delivered")
    [task] = await world.rows("SELECT * FROM delivery_task")
    assert task["closed_by"] == "meldpunt"


async def test_what_was_never_tried_is_given_up_in_time_too(world):
    async with receiving(answering(500)) as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 20)
        worker = world.deliveries()
        await worker.work()
        world.shift += timedelta(hours=97)
        await worker.sweep()
    assert await world.states("school") == ["failed"] * 20
    assert (await world.lane("school"))["state"] == "failed"
    assert len(await world.rows("SELECT FROM delivery_task")) == 1


async def test_a_410_stops_sending_at_once_and_brings_everything_elsewhere(world):
    async with receiving(answering(410)) as partner, mail_server() as sink:
        await world.partner("school", partner.url, "loket@school.nl", fallback="email")
        case = uuid4()
        await world.feed("school", 3, case_id=case)
        worker = world.deliveries(smtp_port=sink.port)
        await worker.work()
        assert len(partner.requests) == 1
        await world.feed("school", case_id=case)
        await worker.work()
        await worker.work()
        assert len(partner.requests) == 1
        assert len(sink.messages) == 4
    assert await world.states("school") == ["failed"] * 4
    assert await world.states("school", "email") == ["delivered"] * 4
    lane = await world.lane("school")
    assert (lane["enabled"], lane["state"], lane["problem"]) == (False, "failed", "gone")
    assert len(await world.rows("SELECT FROM delivery_task WHERE closed_at IS NULL")) == 1
    assert await world.told("school") == [("webhook", "failed", 0)]


async def test_an_acute_case_takes_the_fallback_in_minutes_then_a_person(world):
    async with receiving(answering(500)) as partner, mail_server("refuse") as sink:
        await world.partner("school", partner.url, "loket@school.nl", fallback="email")
        await world.feed("school", urgency=Urgency.ACUUT)
        await world.feed("school", urgency=Urgency.NORMAAL)
        worker = world.deliveries(smtp_port=sink.port)
        await worker.work()
        assert await world.states("school", "email") == []
        world.shift += timedelta(minutes=2, seconds=1)
        await worker.work()
        assert await world.states("school", "email") == ["waiting"]
        world.shift += timedelta(minutes=5, seconds=1)
        await worker.work()
        [task] = await world.rows("SELECT * FROM delivery_task")
        assert (task["channel"], task["problem"]) == ("email", "mailbox-refused")


async def test_without_a_fallback_a_person_is_asked(world):
    async with receiving(answering(500)) as partner:
        await world.partner("school", partner.url, fallback="desk")
        await world.feed("school", urgency=Urgency.ACUUT)
        worker = world.deliveries()
        await worker.work()
        world.shift += timedelta(minutes=3)
        await worker.work()
    [task] = await world.rows("SELECT * FROM delivery_task")
    assert (task["channel"], task["problem"]) == ("webhook", "server-error")


async def test_a_partner_without_an_address_is_a_task_and_no_silence(world):
    await world.execute(
        "INSERT INTO partner (organisation, name, channel) VALUES ('lkc', 'lkc', 'webhook')"
    )
    await world.feed("lkc")
    await world.deliveries().work()
    [task] = await world.rows("SELECT * FROM delivery_task")
    assert (task["organisation"], task["problem"]) == ("lkc", "no-address")


async def test_retry_after_is_observed(world):
    async with receiving(answering(429, retry_after="3600")) as partner:
        await world.partner("school", partner.url)
        await world.feed("school")
        worker = world.deliveries()
        for _ in range(6):
            await worker.work()
            world.shift += timedelta(minutes=9)
        assert len(partner.requests) == 1
        world.shift += timedelta(minutes=7)
        await worker.work()
        assert len(partner.requests) == 2


async def test_a_rejected_event_holds_up_its_own_case_only(world):
    async with receiving(lambda r: Answer(400 if r.sequence == 1 else 200)) as partner:
        await world.partner("school", partner.url)
        case = await world.feed("school", 2, case_id=uuid4())
        await world.feed("school", 3)
        await world.deliveries().work()
        assert sorted(partner.sequences) == [1, 3, 4, 5]
        partner.answer = answering(200)
        world.shift += timedelta(seconds=7)
        await world.deliveries().work()
        assert partner.sequences[-2:] == [1, 2]
    assert (await world.lane("school"))["state"] == "delivered"
    assert case


async def test_an_acute_case_goes_before_older_ones(world):
    async with receiving() as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 30)
        await world.feed("school", urgency=Urgency.ACUUT)
        await world.deliveries(in_flight_per_partner_max=1).work()
    assert partner.sequences == [31, *range(1, 31)]


async def test_two_instances_send_each_event_once_and_keep_the_limit(world):
    async with receiving(lambda _: Answer(seconds=0.005)) as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 200)
        async with world.running(), world.running(), world.running():
            await until(lambda: len(partner.requests) >= 200)
            await asyncio.sleep(0.1)
    assert sorted(partner.sequences) == list(range(1, 201))
    assert partner.open_most <= 4
    assert set(await world.states("school")) == {"delivered"}


async def test_a_killed_instance_loses_nothing_and_a_stopped_one_gives_back_at_once(world):
    async with receiving(lambda _: Answer(seconds=30)) as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 2)
        async with world.running(try_seconds_max=20.0, lease_seconds=25.0):
            await until(lambda: len(partner.requests) == 2)
        [*rows] = await world.rows("SELECT leased_until, attempts FROM delivery")
        assert [(row["leased_until"], row["attempts"]) for row in rows] == [(None, 1)] * 2
        # As a kill leaves it: leased, and nobody there any more.
        now = world.clock()
        await world.execute("UPDATE delivery SET leased_until = $1", now + timedelta(seconds=5))
        partner.answer = answering(200)
        await world.deliveries().work()
        assert len(partner.requests) == 2
        world.shift += timedelta(seconds=6)
        await world.deliveries().work()
    assert await world.states("school") == ["delivered"] * 2


async def latencies(world, partner, organisation, count):
    found = []
    for _ in range(count):
        before = len(partner.requests)
        began = time.perf_counter()
        await world.feed(organisation)
        await until(lambda before=before: len(partner.requests) > before)
        found.append(partner.requests[-1].at - began)
        await asyncio.sleep(0.013)
    return found


async def test_partners_that_hang_or_catch_up_delay_nobody_else(world):
    """Latency of a good partner: alone, and beside ten that hang and one with 5,000 waiting."""
    ratios = []
    async with (
        receiving() as good,
        receiving(lambda _: Answer(seconds=60)) as hanging,
        receiving(lambda _: Answer(seconds=0.005)) as busy,
    ):
        await world.partner("good", good.url)
        await world.partner("busy", busy.url)
        for number in range(10):
            await world.partner(f"hanging_{number}", hanging.url)
        limits = {
            "poll_seconds": 0.1,
            "sweep_seconds": 1.0,
            "sends_per_second_max": 10,
            "try_seconds_max": 4.0,
        }
        async with world.running(**limits):
            await latencies(world, good, "good", 3)
            before = await latencies(world, good, "good", 10)
            # Other work on the machine comes and goes: the best round tells of this program.
            while len(ratios) < 9 and min(ratios, default=9.0) > 1.2:
                await world.execute("UPDATE delivery_lane SET paused_until = NULL")
                await world.feed("busy", 5_000)
                for number in range(10):
                    await world.feed(f"hanging_{number}", 20)
                sent = len(busy.requests)
                await until(lambda sent=sent: len(busy.requests) > sent + 5 and hanging.open >= 8)
                began, sent = time.perf_counter(), len(busy.requests)
                beside = await latencies(world, good, "good", 10)
                rate = (len(busy.requests) - sent) / (time.perf_counter() - began)
                await world.execute("DELETE FROM delivery WHERE state = 'waiting'")
                after = await latencies(world, good, "good", 10)
                ratios.append(median(beside) / max(median(before), median(after)))
                before = after
    assert min(ratios) <= 1.2
    assert busy.open_most <= 4
    assert 2 <= rate <= 15


async def test_however_many_lanes_hang_those_that_are_well_find_a_place(world):
    async with receiving() as good, receiving(lambda _: Answer(seconds=60)) as hanging:
        await world.partner("good", good.url)
        for number in range(8):
            await world.partner(f"hanging_{number}", hanging.url)
            await world.feed(f"hanging_{number}", 5)
        await world.execute(
            "UPDATE delivery_lane SET state = 'retrying', failures = 1"
            " WHERE organisation LIKE 'hanging%'"
        )
        async with world.running(in_flight_max=2, try_seconds_max=20.0, lease_seconds=30.0):
            await until(lambda: hanging.open == 2)
            began = time.perf_counter()
            await world.feed("good")
            await until(lambda: len(good.requests) == 1)
            assert time.perf_counter() - began < 5
            assert hanging.open == 2


async def test_a_silent_partner_is_told_over_its_fallback(world):
    async with mail_server() as sink:
        await world.partner("lkc", None, "loket@lkc.nl", channel="kafka", fallback="email")
        case = await world.feed("lkc", 2, case_id=uuid4())
        worker = world.deliveries(smtp_port=sink.port)
        await worker.work()
        assert sink.messages == []
        async with world.database.transaction() as connection:
            used = await escalation.queue_on_fallback(
                connection, "lkc", case, world.clock(), urgent=False
            )
        assert used == "email"
        await worker.work()
        assert len(sink.messages) == 1
        async with world.database.transaction() as connection:
            nobody = await escalation.queue_on_fallback(
                connection, "gcbo", case, world.clock(), urgent=False
            )
        assert nobody is None


async def test_a_rollback_takes_the_cursor_back(world):
    async with receiving() as partner:
        await world.partner("school", partner.url)
        await world.feed("school", 1200)
        worker = world.deliveries(take_batch_max=500)
        taken = []
        while count := await worker.take():
            taken.append(count)
        assert taken == [500, 500, 200]
        assert len(await world.states("school")) == 1200
        del partner
