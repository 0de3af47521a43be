"""Bad days: broker away, database away, events that nobody can read, a wiped Kafka."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import httpx
import orjson
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts import topics
from contracts.envelope import Envelope, Header, to_headers
from contracts.intake import ContentField, IntakeChannel, ReportReceived
from contracts.situation import Situation
from deploy.commands.partners import all_topics
from tests.flow.stack import (
    SITUATION,
    Document,
    Stack,
    asleep,
    example_reports,
    report,
    send,
    until,
)

STRANGER = "urn:nld:oin:00000004003214345001:systeem:stranger"
SECRET = "Wilhelmina-van-Oranje-06"


@pytest_asyncio.fixture(loop_scope="session")
async def before(stack: Stack) -> AsyncIterator[Document]:
    """The figures of a stack that is well, as each of these tests must leave it."""
    async with stack.client("intake", "channel") as channel:
        receipt = await send(channel, report(), uuid.uuid4().hex)
    async with stack.client("audit", "auditor") as auditor:

        async def seen() -> bool | None:
            return (await auditor.get(f"/reports/{receipt['reportId']}")).is_success or None

        # Else the figures could be those of before the report, and it would be counted later.
        await until(seen, "audit has seen the report")
    yield await stack.settled()
    found = await stack.settled()
    assert (found["complete"], found["missingEvents"], found["parked"]) == (True, 0, 0)


async def status(stack: Stack, code: str) -> Document:
    async with stack.client("intake") as reporter:
        answer = await reporter.post("/report-statuses", json={"code": code})
        assert answer.status_code == 200, answer.text
        found: Document = answer.json()
        return found


async def test_intake_works_on_while_the_broker_does_not_answer(
    stack: Stack, before: Document
) -> None:
    async with stack.client("intake", "channel") as channel:
        with asleep(stack.pid("kafka")):
            receipts = []
            for _ in range(5):
                answer = await channel.post(
                    "/reports", json=report(), headers={"Idempotency-Key": uuid.uuid4().hex}
                )
                assert answer.status_code == 201, answer.text
                receipts.append(answer.json())
            for receipt in receipts:
                found = await status(stack, receipt["code"])
                assert (found["state"], found["forwarding"]) == ("received", "waiting")
                assert (found["nextActor"], found["holder"]) == ("vangnet", "vangnet")
                assert found["nextBy"] > receipt["receivedAt"]
            assert (await stack.completeness())["received"] == before["received"]
    await stack.settled(received=before["received"] + 5)
    for receipt in receipts:
        assert (await stack.accepted(receipt["caseId"]))["holder"] == "school"

        async def told(code: str = receipt["code"]) -> bool | None:
            found = await status(stack, code)
            return (found["state"], found["forwarding"]) == ("picked-up", "done") or None

        await until(told, "the reporter is told that the report was picked up")


async def stored(stack: Stack, key: str) -> int:
    connection = await stack.owner("intake")
    try:
        return int(
            await connection.fetchval("SELECT count(*) FROM report WHERE idempotency_key = $1", key)
        )
    finally:
        await connection.close()


def refused(answer: httpx.Response) -> None:
    """A 503 that says when to try again, and holds nothing of a receipt."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"].rpartition(":")[2] in {"not-confirmed", "unavailable"}
    members = {"type", "title", "status", "detail", "instance", "whoMustAct"}
    assert answer.json().keys() == members
    assert answer.json()["whoMustAct"] == "meldpunt"
    assert "same" in answer.json()["detail"]


async def test_no_receipt_without_a_database_and_one_report_after_it(
    stack: Stack, before: Document
) -> None:
    key = uuid.uuid4().hex
    async with stack.client("intake", "channel") as channel:
        with asleep(stack.pid("postgres")):
            refused(await channel.post("/reports", json=report(), headers={"Idempotency-Key": key}))
        receipt = await send(channel, report(), key)
        assert await send(channel, report(), key) == receipt
    assert await stored(stack, key) == 1
    found = await stack.settled(received=before["received"] + 1)
    assert found["received"] == before["received"] + 1
    assert (await stack.accepted(receipt["caseId"]))["holder"] == "school"


async def test_a_killed_database_costs_no_report_and_doubles_none(
    stack: Stack, before: Document
) -> None:
    keys = [uuid.uuid4().hex for _ in range(10)]
    restarts = stack.state.processes["postgres"].restarts
    async with stack.client("intake", "channel") as channel:
        os.kill(stack.pid("postgres"), signal.SIGKILL)
        # Each is tried until it has its receipt; anything but 503 in between fails.
        receipts = [await send(channel, report(), key) for key in keys]
        assert [await send(channel, report(), key) for key in keys] == receipts
    assert stack.state.processes["postgres"].restarts == restarts + 1
    assert [await stored(stack, key) for key in keys] == [1] * len(keys)
    found = await stack.settled(received=before["received"] + len(keys))
    assert found["received"] == before["received"] + len(keys)


def event_of(case_id: uuid.UUID, sequence: int, data: bytes, version: int = 1) -> Envelope:
    return Envelope(
        id=str(uuid.uuid4()),
        source=STRANGER,
        type=ReportReceived.event_type().replace(".v1", f".v{version}"),
        time=datetime.now(UTC),
        subject=str(case_id),
        sequence=sequence,
        data=data,
    )


def good_data(case_id: uuid.UUID) -> bytes:
    return ReportReceived(
        report_id=uuid.uuid4(),
        case_id=case_id,
        channel=IntakeChannel.WEB,
        situation=Situation.model_validate(SITUATION),
        received_at=datetime.now(UTC),
        content=(ContentField.NARRATIVE,),
        commitment="c" * 43,
    ).encode()


async def produce(stack: Stack, envelopes: Sequence[Envelope]) -> None:
    """Bring records onto `meldpunt.intake` and wait until routing and audit have read them."""
    bootstrap = stack.state.kafka_bootstrap
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for envelope in envelopes:
            placed = await producer.send_and_wait(
                topics.INTAKE,
                envelope.data,
                key=envelope.subject.encode(),
                headers=to_headers(envelope),
            )
    finally:
        await producer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    where = TopicPartition(topics.INTAKE, placed.partition)

    async def read() -> bool | None:
        groups = ("meldpunt-routing", "meldpunt-audit")
        committed = [(await admin.list_consumer_group_offsets(g)).get(where) for g in groups]
        # A group that has read nothing of this partition yet has no offset for it at all.
        return all(item and item.offset > placed.offset for item in committed) or None

    try:
        await until(read, "routing and audit have read the records")
    finally:
        await admin.close()


async def parked(stack: Stack, case_id: uuid.UUID) -> dict[tuple[str, str], Document]:
    """What `meldpunt parked list` shows of a case, by service and reason."""
    exit_status, document, _ = await stack.meldpunt("parked", "list")
    assert exit_status == 0
    assert SECRET not in str(document)
    return {
        (item["service"], item["reason"]): item
        for item in document["parkedEvents"]
        if item["caseId"] == str(case_id)
    }


async def heal(stack: Stack, item: Document, data: bytes, headers: Sequence[Header]) -> None:
    """What an operator does as the owner of the tables, after the cause was found."""
    connection = await stack.owner(item["service"])
    try:
        text = orjson.dumps([[name, value.hex()] for name, value in headers])
        changed = await connection.execute(
            "UPDATE parked SET value = $2, headers = $3 WHERE id = $1",
            uuid.UUID(item["id"]),
            data,
            text,
        )
        assert changed == "UPDATE 1"
    finally:
        await connection.close()


async def decisions(stack: Stack, case_id: uuid.UUID) -> int:
    async with stack.client("routing", "desk") as desk:
        answer = await desk.get("/decisions", params={"caseId": str(case_id)})
        return len(answer.raise_for_status().json()["decisions"])


async def trail(stack: Stack, case_id: uuid.UUID) -> Document:
    async with stack.client("audit", "auditor") as auditor:
        found: Document = (await auditor.get(f"/cases/{case_id}/trail")).raise_for_status().json()
        return found


async def test_poison_is_parked_counted_and_redriven_once_it_is_healed(
    stack: Stack, before: Document
) -> None:
    case_id, sequence = uuid.uuid4(), 1
    poison = event_of(case_id, sequence, orjson.dumps({"case_id": SECRET, "narrative": SECRET}))
    behind = event_of(case_id, sequence + 1, good_data(case_id))
    await produce(stack, [poison, behind])
    shown = await parked(stack, case_id)
    # Audit reads in any order, so there nothing waits behind the poison.
    assert shown.keys() == {
        ("routing", "contract-broken"),
        ("routing", "behind-parked"),
        ("audit", "contract-broken"),
    }
    assert "report_id: missing" in shown["routing", "contract-broken"]["problem"]

    async def counted() -> Document | None:
        found = await stack.completeness()
        return found if found["parked"] == 3 else None

    found = await until(counted, "audit counts what was parked")
    assert (found["complete"], found["open"]) == (False, before["open"] + 1)
    assert (await trail(stack, case_id))["case"]["state"] == "parked"

    exit_status, document, error = await stack.meldpunt("parked", "redrive", "--all")
    assert (exit_status, document["handled"]) == (1, 0)
    assert len(document["problems"]) == 2
    assert "still cannot be handled: report-received: report_id: missing" in error
    assert SECRET not in error
    assert (await stack.completeness())["parked"] == 3

    for key in (("routing", "contract-broken"), ("audit", "contract-broken")):
        await heal(stack, shown[key], good_data(case_id), to_headers(poison))
    exit_status, document, _ = await stack.meldpunt("parked", "redrive", "--all")
    assert (exit_status, document) == (0, {"handled": 3, "problems": []})
    assert await parked(stack, case_id) == {}
    assert (await stack.accepted(str(case_id)))["holder"] == "school"
    found = await stack.settled()
    assert (found["parked"], found["missingEvents"]) == (0, 0)

    # The same records once more, as after a rebuild: nothing is parked or decided again.
    entries = len((await trail(stack, case_id))["entries"])
    await produce(stack, [poison, behind])
    assert await parked(stack, case_id) == {}
    assert await decisions(stack, case_id) == 1
    assert len((await trail(stack, case_id))["entries"]) == entries


async def test_an_unknown_version_waits_for_a_release_that_knows_it(
    stack: Stack, before: Document
) -> None:
    case_id = uuid.uuid4()
    unknown = event_of(case_id, 3, good_data(case_id), version=9)
    await produce(stack, [unknown])
    shown = await parked(stack, case_id)
    assert shown.keys() == {("routing", "unknown-version"), ("audit", "unknown-version")}

    async def counted() -> bool | None:
        found = await stack.completeness()
        return (found["parked"], found["complete"]) == (2, False) or None

    await until(counted, "audit counts what was parked")
    for (service, _), item in shown.items():
        exit_status, document, error = await stack.meldpunt("parked", "redrive", item["id"])
        assert (exit_status, document["handled"]) == (1, 0)
        assert f"{service} refused (409)" in error
        assert "report-received.v9: this version is not known here" in error
        assert "must act" in error
    assert (await parked(stack, case_id)).keys() == shown.keys()
    # A release that knows version 9 is played by an event that says version 1.
    known = event_of(case_id, 3, unknown.data)
    for item in shown.values():
        await heal(stack, item, unknown.data, to_headers(known))
    exit_status, document, _ = await stack.meldpunt("parked", "redrive", "--all")
    assert (exit_status, document["handled"]) == (0, 2)
    assert (await stack.accepted(str(case_id)))["holder"] == "school"
    assert (await stack.settled())["cases"] == before["cases"] + 1


async def test_a_wiped_kafka_is_filled_again_and_no_case_changes_hands(
    stack: Stack, before: Document
) -> None:
    async with stack.client("intake", "channel") as channel:
        bodies = example_reports()
        receipts = [await send(channel, body, uuid.uuid4().hex) for body in bodies]
        case_ids = [receipt["caseId"] for receipt in receipts]
        found = await stack.settled(received=before["received"] + len(bodies))
        holders = await stack.holders(case_ids)
        assert len({holder for holder, _ in holders.values()}) > 5

        admin = AIOKafkaAdminClient(bootstrap_servers=stack.state.kafka_bootstrap)
        await admin.start()
        try:
            names = [spec.name for spec in all_topics()]
            await admin.delete_topics(names)

            async def gone() -> bool | None:
                return not set(await admin.list_topics()) & set(names) or None

            await until(gone, "all topics are gone")
        finally:
            await admin.close()
        late = await send(channel, report(), uuid.uuid4().hex)
        assert (await status(stack, late["code"]))["forwarding"] == "waiting"

        exit_status, document, _ = await stack.meldpunt("rebuild-topics")
        assert (exit_status, document["pending"]) == (0, 0)
        # `found` is of before the wipe: every event that there was is published again.
        events = sum(source["lastSequence"] for source in found["sources"])
        assert sum(document["queued"].values()) >= events
        assert (await stack.accepted(late["caseId"]))["holder"] == "school"
        last = await send(channel, report(), uuid.uuid4().hex)
        assert (await stack.accepted(last["caseId"]))["holder"] == "school"
    after = await stack.settled(received=found["received"] + 2)
    assert await stack.holders(case_ids) == holders
    assert after["cases"] == found["cases"] + 2
    assert (after["missingEvents"], after["parked"], after["unpicked"]) == (0, 0, 0)
    for case_id, (holder, handoff) in holders.items():
        seen = await trail(stack, uuid.UUID(case_id))
        assert seen["case"]["holder"] == holder
        assert [item["number"] for item in seen["handoffs"]][-1] == handoff
