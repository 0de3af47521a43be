"""Closed cases, figures and deliveries as the API shows them."""

import random

from contracts.referral import DeliveryState, delivery_key
from services.audit import figure_store, log_store, store
from services.audit.chain import EMPTY, conclude, follow, link
from services.audit.figures import summed
from services.audit.rules import FACTS
from tests.unit.audit.builders import ALL, LOOP, Sources, at, counts, delivery, picked_up


async def test_closed_cases_are_accounted_for_with_their_reasons(audit, store_events):
    sources = Sources()
    stories = {name: build(sources) for name, build in LOOP.items()}
    for story in stories.values():
        await store_events(story.told)
    await store_events([sources.tally(s) for s in ("intake", "routing", "referral")])
    audit.now = at(1_000)
    body = (await audit.get("/completeness")).json()
    assert (body["cases"], body["closed"], body["withdrawn"]) == (7, 2, 1)
    assert body["closedBecause"] == {"completed": 1, "withdrawn": 1, "enteredInError": 0}
    assert body["accepted"] + body["atDesk"] + body["closed"] + body["open"] == body["cases"]
    assert (body["overdue"], body["holderOverdue"], body["settled"]) == (3, 2, True)
    closed = (await audit.get("/cases", state="closed")).json()["cases"]
    assert {case["caseId"] for case in closed} == {
        str(stories[name].case_id) for name in ("completed", "withdrawn")
    }
    assert {case["closedBecause"] for case in closed} == {"completed", "withdrawn"}
    assert all(case["nextStep"] is None for case in closed)
    trail = (await audit.get(f"/cases/{stories['completed'].case_id}/trail")).json()
    last = trail["entries"][-1]
    assert (last["event"], last["status"], last["reason"]) == ("case-closed", "completed", "helped")


async def test_figures_equal_a_recount_in_any_order_and_batch(audit, connection, store_events):
    sources = Sources()
    stories = [build(sources) for build in ALL.values() for _ in range(3)]
    events = [item for story in stories for item in story.told]
    random.Random(5).shuffle(events)
    for start in range(0, len(events), 23):
        await store_events(events[start : start + 23])
    assert await figure_store.figures(connection) == summed(item.event for item in events)
    body = (await audit.get("/figures")).json()
    lkc = next(item for item in body["organisations"] if item["organisation"] == "lkc")
    assert lkc["figures"]["escalated"] == 3
    assert body["totals"]["reminded"] == 9
    assert (
        sum(item["figures"].get("accepted", 0) for item in body["organisations"])
        == (body["totals"]["accepted"])
    )
    found = await store.pictures(connection, [story.case_id for story in stories])
    sums = [sum(column) for column in zip(*map(counts, found.values()), strict=True)]
    counters = await store.counters(connection)
    assert [counters[str(name)] for name in FACTS] == sums


async def test_failing_delivery_is_listed_until_it_recovers_and_is_no_case(
    audit, connection, store_events
):
    sources = Sources()
    fine = delivery(sources, DeliveryState.DELIVERED, "gcbo")
    late = delivery(sources, DeliveryState.RETRYING, minutes=1)
    failed = delivery(sources, DeliveryState.FAILED, minutes=2)
    # Out of order, also over batches: the highest sequence counts.
    await store_events([failed, fine])
    await store_events([late])
    body = (await audit.get("/deliveries", state="failed")).json()
    assert [(d["organisation"], d["channel"], d["waiting"]) for d in body["deliveries"]] == [
        ("lkc", "webhook", 3)
    ]
    completeness = (await audit.get("/completeness")).json()
    assert (completeness["failingDeliveries"], completeness["cases"]) == (1, 0)
    key = delivery_key("lkc")
    assert (await audit.get(f"/cases/{key}/trail")).status_code == 404
    await store_events([delivery(sources, DeliveryState.DELIVERED, minutes=5)])
    assert (await audit.get("/deliveries", state="failed")).json()["deliveries"] == []
    assert len((await audit.get("/deliveries")).json()["deliveries"]) == 2
    head = await log_store.head(connection)
    conclude(follow(EMPTY, map(link, await log_store.page(connection, 0, 10))), head)
    assert head.size == 4


async def test_findings_are_counted_per_regime_state_and_end(audit, store_events):
    sources = Sources()
    stories = [picked_up(sources).found("wet_2027", days) for days in (10, 20, 25)]
    stories.append(picked_up(sources).found("wet_2027", None))
    events = [item for story in stories for item in story.told]
    random.Random(3).shuffle(events)
    for start in range(0, len(events), 5):
        await store_events(events[start : start + 5])
    body = (await audit.get("/figures")).json()
    assert body["findings"] == [
        {
            "regime": "wet_2027",
            "state": "followed",
            "settlement": "followed",
            "findings": 3,
            "replied": 3,
            "medianReplyDays": 20.0,
        },
        {
            "regime": "wet_2027",
            "state": "silent",
            "settlement": None,
            "findings": 1,
            "replied": 0,
            "medianReplyDays": None,
        },
    ]
    assert body["totals"]["finding-settled-followed"] == 3


async def test_figures_and_deliveries_are_for_auditors_and_operators(audit):
    for path in ("/figures", "/deliveries"):
        assert (await audit.get(path, "partner")).status_code == 403
        assert (await audit.get(path, "operator")).status_code == 200
    assert (await audit.get("/deliveries", state="gone")).status_code == 400
