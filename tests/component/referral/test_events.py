"""From records to rows and events, on real PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest

from contracts.envelope import feed_source, service_source
from contracts.referral import Answer, Status
from contracts.routing import Mode
from contracts.topics import REFERRAL, partner_out
from services.chassis import parked
from tests.unit.referral.builders import assigned

FEED = feed_source("school")


async def test_an_offer_to_a_kafka_partner(world):
    row = await world.offered("school")

    main, feed = await world.events(row["case_id"])
    assert (main["name"], main["topic"]) == ("referral-offered", REFERRAL)
    assert main["source"] == service_source("referral")
    assert main["data"]["holder"] == "vangnet"
    assert (feed["name"], feed["topic"], feed["source"]) == (
        "referral-offer", partner_out("school"), FEED,
    )  # fmt: skip
    assert feed["dataref"] == f"http://intake.test/v1/contents/{row['case_id']}"
    assert feed["data"]["situation"]["subject"] == "pesten"


async def test_an_offer_to_an_inbox_partner_stays_in_the_journal(world):
    row = await world.offered("lkc")

    feed = (await world.events(row["case_id"]))[1]
    queued = await world.row(
        "SELECT count(*) FROM outbox o JOIN event e USING (source_id, sequence) WHERE e.key = $1",
        row["case_id"],
    )
    assert feed["topic"] is None
    assert queued["count"] == 1


async def test_several_events_of_one_case_in_one_batch(world):
    first = assigned("inspectie", mode=Mode.SIGNAL)
    second = assigned("school", number=2, case_id=first.case_id)
    third = assigned("lkc", number=3, case_id=first.case_id)

    await world.decide(first, second, first, third)

    row = await world.referral(first.case_id)
    names = [event["name"] for event in await world.events(first.case_id)]
    assert (row["organisation"], row["attempt"], row["status"]) == ("school", 2, "requested")
    assert names.count("referral-offered") == 2
    assert names.count("referral-withdrawn") == 1
    # The third met an open request: it has no effect, but its number is used up.
    assert (await world.case(first.case_id))["decision_number"] == 3

    received, accepted = world.answered(row, Answer.RECEIVED), world.answered(row, Answer.ACCEPTED)
    await world.hear("school", received, accepted, accepted)
    row = await world.referral(first.case_id)
    events = await world.events(first.case_id)
    statuses = [e["data"]["status"] for e in events if e["name"] == "referral-status-changed"]
    assert row["status"] == "accepted"
    assert statuses == ["cancelled", "received", "accepted"]
    assert events[-1]["name"] == "answer-refused"
    assert events[-1]["data"]["problem"] == "duplicate"
    case = await world.case(first.case_id)
    assert (case["holder"], case["handoff"]) == ("school", 1)


async def test_a_record_that_comes_twice_has_its_effect_once(world):
    row = await world.offered("school")
    event = world.answered(row, Answer.ACCEPTED)
    record = world.record(
        event,
        "meldpunt.partner.school.in",
        "urn:nld:oin:00000004003214345001:systeem:partner-school",
    )

    await world.runtime.processors[1].process([record, record])
    await world.runtime.processors[1].process([record])

    names = [item["name"] for item in await world.events(row["case_id"])]
    assert names == ["referral-offered", "referral-offer", "referral-status-changed"]


async def test_decline_then_second_decline_ends_at_the_desk(world):
    row = await world.offered("school")
    await world.hear("school", world.answered(row, Answer.REJECTED))
    events = await world.events(row["case_id"])
    assert [e["name"] for e in events[2:]] == ["referral-status-changed", "redecision-requested"]
    assert events[-1]["data"]["excluded"] == ["school"]
    assert events[-1]["data"]["decision_number"] == 2
    assert (await world.case(row["case_id"]))["next_action"] == "assign"

    await world.decide(assigned("bevoegd_gezag", number=2, case_id=row["case_id"]))
    second = await world.referral(row["case_id"])
    assert second["attempt"] == 2
    await world.hear("bevoegd_gezag", world.answered(second, Answer.REJECTED))

    case = await world.case(row["case_id"])
    last = (await world.events(row["case_id"]))[-1]
    assert last["name"] == "case-at-desk"
    assert last["data"]["reason"] == "second-return"
    assert (case["holder"], case["next_actor"], case["desk_reason"]) == (
        "vangnet", "vangnet", "second-return",
    )  # fmt: skip


async def test_silence_expires_once_with_two_instances(world):
    row = await world.offered("school")
    await world.let_expire(row, instances=3)
    await world.deadlines().work()

    events = await world.events(row["case_id"])
    assert [e["name"] for e in events].count("referral-withdrawn") == 1
    assert [e["name"] for e in events].count("redecision-requested") == 1
    expired = await world.referral(row["case_id"])
    assert (expired["status"], expired["business_status"]) == ("failed", "term-expired")
    assert expired["due_at"] is None

    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    last = (await world.events(row["case_id"]))[-1]
    assert last["data"]["problem"] == "expired"
    assert last["data"]["who_must_act"] == "meldpunt"
    assert (await world.case(row["case_id"]))["holder"] == "vangnet"


async def test_second_silence_ends_at_the_desk(world):
    row = await world.offered("school")
    await world.let_expire(row)
    await world.decide(assigned("lkc", number=2, case_id=row["case_id"]))
    await world.let_expire(await world.referral(row["case_id"]))

    assert (await world.case(row["case_id"]))["desk_reason"] == "term-expired"


async def test_nothing_expires_in_the_grace_after_the_start(world):
    row = await world.offered("school")
    deadlines = world.deadlines()
    deadlines._grace_seconds = 60.0
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE referral SET received_by = offered_at, accepted_by = offered_at,"
            " due_at = offered_at WHERE referral_id = $1",
            row["referral_id"],
        )
    await deadlines.work()
    assert (await world.referral(row["case_id"]))["status"] == "requested"
    await world.deadlines().work()
    assert (await world.referral(row["case_id"]))["status"] == "failed"


@pytest.mark.parametrize(
    ("mode", "organisation", "reason"),
    [
        (Mode.SHOW, "hulpdiensten_112", "shown-only"),
        (Mode.DESK, "vangnet", "no-competent-party"),
        (Mode.REFER, "vangnet", "no-competent-party"),
    ],
)
async def test_cases_without_a_referral(world, mode, organisation, reason):
    event = assigned(organisation, mode=mode)
    await world.decide(event)

    [only] = await world.events(event.case_id)
    assert only["data"]["reason"] == reason
    assert await world.referral(event.case_id) is None
    assert (await world.case(event.case_id))["holder"] == "vangnet"


async def test_a_partner_cannot_answer_for_another(world):
    row = await world.offered("school")
    stolen = world.answered(row, Answer.ACCEPTED)

    await world.hear("lkc", stolen)
    await world.hear(
        "school", stolen, source="urn:nld:oin:00000004003214345001:systeem:partner-lkc"
    )
    await world.hear("school", world.answered(row, Answer.ACCEPTED, case_id=uuid4()))

    refused = [e for e in await world.events(row["case_id"]) if e["name"] == "answer-refused"]
    assert [(e["source"], e["data"]["problem"], e["data"]["status"]) for e in refused] == [
        (feed_source("lkc"), "unknown-referral", "entered-in-error"),
        (FEED, "wrong-source", "entered-in-error"),
    ]
    assert (await world.referral(row["case_id"]))["status"] == "requested"
    async with world.database.connection() as connection:
        assert await parked.count_open(connection) == 0


async def test_a_decline_over_kafka_needs_a_code(world):
    row = await world.offered("school")

    await world.hear("school", world.answered(row, Answer.REJECTED, reason=None))
    await world.hear("school", world.answered(row, Answer.REJECTED, reason="other"))
    await world.hear("school", world.answered(row, Answer.ACCEPTED, attempt=7))

    refused = [e for e in await world.events(row["case_id"]) if e["name"] == "answer-refused"]
    assert [e["data"]["problem"] for e in refused] == [
        "reason-missing", "text-missing", "wrong-attempt",
    ]  # fmt: skip


async def test_deadlines_and_answers_at_the_same_time_never_cross(world):
    events = [assigned("school") for _ in range(40)]
    await world.decide(*events)
    rows = [await world.referral(event.case_id) for event in events]
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE referral SET received_by = offered_at, accepted_by = offered_at,"
            " due_at = offered_at WHERE case_id = ANY($1::uuid[])",
            [event.case_id for event in events],
        )
    await asyncio.gather(
        world.deadlines().work(),
        *(world.hear("school", world.answered(row, Answer.ACCEPTED)) for row in rows),
        world.deadlines().work(),
    )
    for row in rows:
        case, now = await world.case(row["case_id"]), await world.referral(row["case_id"])
        holder = "school" if now["status"] == Status.ACCEPTED else "vangnet"
        assert now["status"] in {"accepted", "failed"}
        assert case["holder"] == holder
