from uuid import uuid4

from contracts.envelope import to_headers
from contracts.reference import case_reference
from services.chassis import parked
from services.chassis.parked import Record
from tests.unit.audit.builders import STORIES, Sources, Story, at, picked_up


def record_of(item, **changes):
    envelope = item.envelope
    headers = [(n, changes.get(n, v)) for n, v in to_headers(envelope)]
    value = changes.get("value", envelope.data)
    return Record(item.record.topic, 0, envelope.sequence, envelope.subject, tuple(headers), value)


async def test_completeness_of_a_healthy_chain(audit, store_events):
    sources = Sources()
    for build in STORIES.values():
        await store_events(build(sources).told)
    await store_events([sources.tally(s) for s in ("intake", "routing", "referral")])
    body = (await audit.get("/completeness")).json()
    numbers = {key: value for key, value in body.items() if type(value) is int}
    assert numbers == {
        "cases": 7,
        "received": 7,
        "assigned": 7,
        "offered": 6,
        "receivedByPartner": 5,
        "accepted": 3,
        "atDesk": 3,
        "closed": 0,
        "withdrawn": 0,
        "open": 1,
        "overdue": 0,
        "holderOverdue": 0,
        "failingDeliveries": 0,
        "incomplete": 0,
        "parked": 0,
        "unpicked": 0,
        "missingEvents": 0,
        "reusedSequences": 0,
    }
    assert body["complete"] is body["settled"] is True
    assert body["missingSequences"] == body["notTallied"] == []
    assert {s["source"].rpartition("-")[2]: s["lastSequence"] for s in body["sources"]} == {
        "intake": 8,
        "routing": 9,
        "referral": 23,
    }
    unpicked = (await audit.get("/unpicked-cases")).json()
    assert unpicked == {"cases": [], "next": None, "parkedWithoutCase": []}


async def test_missing_event_is_named(audit, store_events):
    story = picked_up()
    await store_events([*story.told[1:], story.sources.tally("intake")])
    body = (await audit.get("/completeness")).json()
    source = story.told[0].envelope.source
    assert body["complete"] is False
    assert body["missingSequences"] == [{"source": source, "from": 1, "to": 1}]
    (case,) = (await audit.get("/unpicked-cases")).json()["cases"]
    assert (case["state"], case["missing"]) == ("incomplete", ["report-received"])


async def test_late_cases_are_listed_with_who_must_act(audit, store_events):
    sources = Sources()
    stories = {name: build(sources) for name, build in STORIES.items()}
    for story in stories.values():
        await store_events(story.told)
    audit.now = at(61)
    body = (await audit.get("/unpicked-cases")).json()
    late = {str(stories[n].case_id) for n in ("offered", "shown-only", "signalled", "given-back")}
    assert {case["caseId"] for case in body["cases"]} == late
    assert all(case["nextStep"]["dueAt"] == "2026-11-02T10:00:00Z" for case in body["cases"])
    assert {case["nextStep"]["actor"] for case in body["cases"]} == {"lkc", "vangnet"}
    found = (await audit.get("/completeness")).json()
    assert (found["overdue"], found["holderOverdue"], found["unpicked"]) == (4, 3, 4)
    holders = (await audit.get("/cases", state="holder-overdue")).json()["cases"]
    picked = {str(stories[n].case_id) for n in ("picked-up", "declined", "handed-on")}
    assert {case["caseId"] for case in holders} == picked
    assert (await audit.get("/cases", state="picked-up")).json()["cases"] == []


async def test_pages_and_states(audit, store_events):
    sources = Sources()
    for build in STORIES.values():
        await store_events(build(sources).told)
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await audit.get("/cases", **query)).json()
        seen += [case["caseId"] for case in page["cases"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 7
    for state, number in (("picked-up", 3), ("at-desk", 3), ("waiting", 1), ("overdue", 0)):
        found = (await audit.get("/cases", state=state)).json()["cases"]
        assert [case["state"] for case in found] == [state] * number


async def test_trail_tells_the_case_in_order(audit, store_events):
    story = STORIES["handed-on"]()
    await store_events(story.told[::-1])
    body = (await audit.get(f"/cases/{story.case_id}/trail")).json()
    assert [entry["event"] for entry in body["entries"]] == [
        "report-received",
        "case-assigned",
        "referral-offered",
        "referral-status-changed",
        "referral-status-changed",
        "referral-offered",
        "referral-status-changed",
    ]
    assert [(h["number"], h["holder"]) for h in body["handoffs"]] == [
        (0, "vangnet"),
        (1, "lkc"),
        (2, "gcbo"),
    ]
    assert body["case"]["state"] == "picked-up"
    assert body["case"]["explanation"] == "Opgepakt door gcbo, 4 minuten na ontvangst."


async def test_case_by_report_and_by_reference(audit, store_events):
    story = picked_up()
    await store_events(story.told)
    by_report = (await audit.get(f"/reports/{story.report_id}")).json()
    assert by_report["caseId"] == str(story.case_id)
    reference = case_reference(story.case_id)
    (case,) = (await audit.get("/cases", reference=reference)).json()["cases"]
    assert case == by_report


async def test_second_report_of_a_case_is_accounted_for(audit, store_events):
    story = picked_up()
    second = Story(story.sources, story.case_id).reported()
    await store_events([*story.told, *second.told])
    found = (await audit.get(f"/reports/{second.report_id}")).json()
    assert found["caseId"] == str(story.case_id)


async def test_unknown_and_bad_requests(audit, store_events):
    assert (await audit.get(f"/reports/{uuid4()}")).status_code == 404
    assert (await audit.get(f"/cases/{uuid4()}/trail")).status_code == 404
    bad = await audit.get("/cases", limit=0, state="lost")
    assert bad.status_code == 400
    assert {item["field"] for item in bad.json()["errors"]} == {"limit", "state"}
    for role, status in (("partner", 403), ("channel", 403), ("operator", 200)):
        assert (await audit.get("/completeness", role)).status_code == status


async def test_repeated_records_have_one_effect(audit, connection):
    records = [record_of(item) for item in picked_up().told]
    await audit.processor.process(records)
    await audit.processor.process([*records, *records[:2]])
    assert await connection.fetchval("SELECT size FROM log_head") == 5
    body = (await audit.get("/completeness")).json()
    assert (body["cases"], body["accepted"], body["missingEvents"]) == (1, 1, 0)


async def test_unreadable_event_is_parked_once_and_counted(audit, connection):
    """Audit's own report of a parking comes back to it, with the key of the parked event."""
    story = picked_up()
    broken = record_of(story.told[2], value=b"{}")
    rest = [record_of(item) for item in story.told if item is not story.told[2]]
    await audit.processor.process([broken, *rest])
    events = await connection.fetch("SELECT * FROM event ORDER BY sequence")
    assert [row["type"].split(".")[3] for row in events] == ["event-parked"]
    row = events[0]
    own = story.sources.publish("audit", audit.catalogue.decode(_envelope(story, row)))
    await audit.processor.process([record_of(own)])
    assert await parked.count_open(connection) == 1
    body = (await audit.get("/completeness")).json()
    assert (body["parked"], body["complete"], body["unpicked"]) == (1, False, 1)
    (case,) = (await audit.get("/unpicked-cases")).json()["cases"]
    assert (case["state"], case["caseId"]) == ("parked", str(story.case_id))


def _envelope(story, row):
    made = story.told[0].envelope
    return type(made)(
        id=str(row["id"]),
        source="x",
        type=row["type"],
        time=row["time"],
        subject=str(row["key"]),
        sequence=1,
        data=row["data"],
    )


async def test_redriven_event_closes_its_parking(audit, store_events):
    sources = Sources()
    parked_id = uuid4()
    story = picked_up(sources).parked(parked_id)
    await store_events(story.told)
    assert (await audit.get("/completeness")).json()["parked"] == 1
    before = len(story.told)
    await store_events(story.redriven(parked_id).told[before:])
    body = (await audit.get("/completeness")).json()
    assert (body["parked"], body["accepted"], body["complete"]) == (0, 1, True)


async def test_log_can_be_recomputed_by_a_stranger(audit, store_events):
    import hashlib
    import json

    await store_events(STORIES["declined"]().told)
    first = (await audit.get("/log-entries", limit=5)).json()
    second = (await audit.get("/log-entries", limit=5, **{"from": 5})).json()
    chain = hashlib.sha256(b"").digest()
    for item in first["entries"] + second["entries"]:
        text = json.dumps(item["entry"], sort_keys=True, separators=(",", ":")).encode()
        leaf = hashlib.sha256(b"\0" + text + bytes.fromhex(item["dataDigest"])).digest()
        chain = hashlib.sha256(chain + leaf).digest()
        assert (item["leafHash"], item["chain"]) == (leaf.hex(), chain.hex())
    assert (second["size"], second["chain"]) == (8, chain.hex())
