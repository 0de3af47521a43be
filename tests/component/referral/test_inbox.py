"""The inbox: acknowledgement, replay, limits per partner; and consultations without an answer."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from contracts.referral import Answer
from services.chassis.allowance import Allowance
from services.chassis.ids import utc_now
from services.referral.unanswered import Unanswered


@pytest.fixture
def feed(world):
    async def ask(organisation: str, **params):
        answer = await world.client.get(
            "/partner-events", headers=world.partner(organisation), params=params
        )
        return [int(event["sequence"]) for event in answer.json()["events"]]

    return ask


async def acknowledge(world, organisation: str, sequence: object):
    return await world.client.post(
        "/partner-events/_acknowledge",
        headers=world.partner(organisation),
        json={"sequence": sequence},
    )


async def test_what_is_acknowledged_is_not_given_again_unless_it_is_asked_for(world, feed):
    for _ in range(4):
        await world.offered("school_en_veiligheid")
    who = "school_en_veiligheid"
    assert await feed(who) == await feed(who) == [1, 2, 3, 4]

    said = (await acknowledge(world, who, 3)).json()
    late = (await acknowledge(world, who, 1)).json()

    assert (said["acknowledged"], said["feedLastSequence"], said["waiting"]) == (3, 4, 1)
    assert late == said
    assert await feed(who) == [4]
    assert await feed(who, after=0) == [1, 2, 3, 4]
    assert await feed(who, after=1, limit=2) == [2, 3]


async def test_who_asks_beyond_the_end_of_its_feed_can_see_that(world):
    for _ in range(3):
        await world.offered("laks")
    headers = world.partner("laks")

    async def page(**params) -> dict:
        return (await world.client.get("/partner-events", headers=headers, params=params)).json()

    short = await page(limit=1)
    assert (short["lastSequence"], short["feedLastSequence"]) == (1, 3)
    at_the_end = await page(after=3)
    assert at_the_end == {"events": [], "lastSequence": 3, "feedLastSequence": 3}
    # It waits all the same: the feed may still come so far.
    beyond = await page(after=5, waitSeconds=0.3)
    assert beyond == {"events": [], "lastSequence": 5, "feedLastSequence": 3}


async def test_what_was_never_sent_cannot_be_acknowledged(world):
    who = "school_en_veiligheid"
    for sequence in (10_000, -1, "x"):
        refused = await acknowledge(world, who, sequence)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == "sequence"
        assert refused.json()["whoMustAct"] == "partner"


async def test_who_acknowledged_what_is_shown_to_the_desk(world):
    await world.offered("lkc")
    listed = (await world.client.get("/partners", headers=world.desk)).json()["partners"]
    before = next(item["feed"] for item in listed if item["organisation"] == "lkc")
    assert before["acknowledged"] == 0
    assert before["acknowledgedAt"] is None
    await acknowledge(world, "lkc", before["lastSequence"])
    listed = (await world.client.get("/partners", headers=world.desk)).json()["partners"]
    after = next(item["feed"] for item in listed if item["organisation"] == "lkc")
    assert after["acknowledged"] == after["lastSequence"] == before["lastSequence"] > 0
    assert after["acknowledgedAt"] is not None


async def test_the_database_takes_no_acknowledgement_back(world):
    await world.offered("gcbo")
    await world.offered("gcbo")
    await acknowledge(world, "gcbo", 2)
    with pytest.raises(asyncpg.CheckViolationError):
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE inbox_cursor SET acknowledged = 1 WHERE organisation = 'gcbo'"
            )


async def test_a_partner_that_polls_wildly_is_told_to_wait_and_slows_nobody(world, monkeypatch):
    monkeypatch.setattr(world.runtime.authenticator, "allowance", Allowance(60, 4))

    async def poll(organisation: str, wait: float = 0.0):
        return await world.client.get(
            "/partner-events", headers=world.partner(organisation), params={"waitSeconds": wait}
        )

    wild = [asyncio.create_task(poll("vakbond", 1.0)) for _ in range(40)]
    await asyncio.sleep(0.2)
    calm = await asyncio.wait_for(poll("ouders_en_onderwijs"), 2)
    answers = await asyncio.gather(*wild)

    assert calm.status_code == 200
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 30
    for answer in refused:
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["whoMustAct"] == "partner"
    assert (await poll("ouders_en_onderwijs")).status_code == 200


async def test_every_problem_says_who_must_act(world):
    partner, nobody = world.partner("lkc"), str(uuid4())
    answers = {
        "partner": [
            await world.client.get(f"/referrals/{nobody}", headers=partner),
            await world.client.get("/referrals/x", headers=partner),
            await world.client.get("/cases", headers=partner),
            await world.client.get("/partner-events"),
            await world.client.get(f"/consultations/{nobody}", headers=partner),
            await world.client.get("/partner-events", headers=partner, params={"limit": 0}),
        ],
        "meldpunt": [
            await world.client.get(f"/cases/{nobody}", headers=world.desk),
            await world.client.post(f"/cases/{nobody}/_end", headers=world.desk, json={}),
        ],
    }
    for who, found in answers.items():
        for answer in found:
            assert answer.is_client_error
            assert answer.json()["whoMustAct"] == who, answer.text


async def test_a_consultation_without_answer_is_reminded_of_once_and_then_told(world):
    row = await world.offered("school")
    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    consultation_id = await world.consult(row)
    work = Unanswered(world.publishing)

    async def fire(hours: float) -> int:
        async with world.database.transaction() as connection:
            return await work.fire(connection, utc_now() + timedelta(hours=hours))

    async def told(name: str, organisation: str) -> list[dict]:
        events = await world.events(row["case_id"])
        return [
            event["data"]
            for event in events
            if event["name"] == name and event["source"].endswith(organisation)
        ]

    hours = 7 * 24
    if row_urgency := (await world.case(row["case_id"]))["urgency"]:
        hours = {"acuut": 1, "spoed": 24, "normaal": 7 * 24}[row_urgency]
    assert await fire(hours / 2 - 0.1) == 0
    assert (await fire(hours / 2 + 0.1), await fire(hours / 2 + 0.2)) == (1, 0)
    assert len(await told("consultation-request", "lkc")) == 2
    assert (await fire(hours + 0.1), await fire(hours + 99)) == (1, 0)
    [news] = [n for n in await told("case-news", "school") if n["news"].startswith("consultation")]
    assert (news["news"], news["other"]) == ("consultation-unanswered", "lkc")
    assert news["reference_id"] == consultation_id
    late = await world.client.post(
        f"/consultations/{consultation_id}/advice",
        json={"advice": "Bel elkaar"},
        headers=world.partner("lkc"),
    )
    assert late.status_code == 201, late.text
    assert (await world.case(row["case_id"]))["holder"] == "school"


async def test_the_desk_finds_all_that_it_must_do_in_one_list(world):
    row = await world.offered("school")
    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    await world.hear("school", world.answered(row, Answer.NO_CONTACT))

    async def listed(**params) -> bool:
        found = await world.client.get("/cases", headers=world.desk, params=params | {"limit": 500})
        return str(row["case_id"]) in [item["caseId"] for item in found.json()["cases"]]

    assert not await listed(holder="vangnet")
    assert await listed(actor="vangnet")
    assert not await listed(actor="school")
