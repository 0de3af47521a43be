"""The partner's and the desk's routes, on real PostgreSQL."""

import asyncio
import time
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from contracts.referral import Answer
from tests.unit.referral.builders import assigned


async def test_receive_accept_and_repeat(world):
    row = await world.offered("lkc")
    answer_id = str(uuid4())

    received = await world.say("lkc", row, "received")
    accepted = await world.say("lkc", row, "accepted", answerId=answer_id)
    repeated = await world.say("lkc", row, "accepted", answerId=answer_id)
    again = await world.say("lkc", row, "accepted")
    reused = await world.say("lkc", row, "rejected", answerId=answer_id, reason="capacity")

    assert received.json()["referral"]["status"] == "received"
    assert accepted.json()["duplicate"] is False
    assert accepted.json()["referral"]["whoMustAct"] == "partner"
    assert repeated.status_code == again.status_code == 200
    assert repeated.json()["duplicate"] is again.json()["duplicate"] is True
    assert repeated.json()["referral"] == accepted.json()["referral"]
    assert reused.status_code == 409
    assert reused.json()["type"].endswith("answer-id-reused")
    assert (await world.case(row["case_id"]))["handoff"] == 1


async def test_a_late_accept_is_told_who_holds_the_case(world):
    row = await world.offered("lkc")
    await world.let_expire(row)
    await world.decide(assigned("gcbo", number=2, case_id=row["case_id"]))
    second = await world.referral(row["case_id"])

    late, winner = await asyncio.gather(
        world.say("lkc", row, "accepted"), world.say("gcbo", second, "accepted")
    )
    after = await world.say("lkc", row, "accepted")

    assert winner.status_code == 200
    assert late.status_code == after.status_code == 409
    assert after.headers["content-type"] == "application/problem+json"
    assert after.json()["type"] == "urn:meldpunt:problem:held-by-other"
    assert after.json()["holder"] == "gcbo"
    assert after.json()["referralStatus"] == "failed"
    assert after.json()["businessStatus"] == "term-expired"
    assert after.json()["whoMustAct"] == "partner"


async def test_of_two_accepts_at_once_one_wins(world):
    row = await world.offered("lkc")

    answers = await asyncio.gather(*(world.say("lkc", row, "accepted") for _ in range(6)))

    assert {a.status_code for a in answers} == {200}
    assert sorted(a.json()["duplicate"] for a in answers) == [False] + [True] * 5
    changed = [
        e for e in await world.events(row["case_id"]) if e["name"] == "referral-status-changed"
    ]
    assert len(changed) == 1


async def test_of_accept_and_decline_at_once_one_wins(world):
    row = await world.offered("lkc")

    accepted, declined = await asyncio.gather(
        world.say("lkc", row, "accepted"), world.say("lkc", row, "rejected", reason="capacity")
    )

    assert sorted([accepted.status_code, declined.status_code]) == [200, 409]
    loser = accepted if accepted.status_code == 409 else declined
    assert loser.json()["type"].endswith("illegal")
    assert loser.json()["referralStatus"] in {"accepted", "rejected"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": "rejected"}, "reason"),
        ({"answer": "rejected", "reason": "other"}, "reasonText"),
        ({"answer": "perhaps"}, "answer"),
        ({"attempt": 0}, "attempt"),
        ({"mood": "good"}, "mood"),
        ({"reasonText": "x" * 501}, "reasonText"),
    ],
)
async def test_bad_input_names_the_field(world, changes, field):
    row = await world.offered("lkc")
    answer = await world.say("lkc", row, changes.pop("answer", "accepted"), **changes)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_text_of_a_decline_is_for_the_desk_only(world):
    row = await world.offered("lkc")
    text = "Wij kennen deze familie."

    declined = await world.say(
        "lkc", row, "rejected", reason="other", reasonText=text, suggestedOrganisation="gcbo"
    )
    case = await world.client.get(f"/cases/{row['case_id']}", headers=world.desk)

    assert declined.status_code == 200
    assert text not in declined.text
    assert text not in str(await world.events(row["case_id"]))
    record = case.json()["referrals"][0]
    assert record["reasonText"] == text
    assert record["suggestedOrganisation"] == "gcbo"
    assert case.json()["whoMustAct"] == "meldpunt"


async def test_a_partner_meets_only_its_own(world):
    row = await world.offered("lkc")
    path = f"/referrals/{row['referral_id']}"

    for organisation, status in (("lkc", 200), ("gcbo", 404)):
        headers = world.partner(organisation)
        assert (await world.client.get(path, headers=headers)).status_code == status
        listed = await world.client.get("/referrals", headers=headers, params={"limit": 500})
        ids = [item["referralId"] for item in listed.json()["referrals"]]
        assert (str(row["referral_id"]) in ids) is (status == 200)
        feed = await world.client.get("/partner-events", headers=headers, params={"limit": 500})
        assert (str(row["case_id"]) in feed.text) is (status == 200)
    headers = world.partner("gcbo")
    assert (await world.say("gcbo", row, "accepted")).status_code == 404
    post = await world.client.post(f"{path}/content-capabilities", headers=headers)
    assert post.status_code == 404
    for wrong in (world.desk, world.headers("reports:write")):
        assert (await world.client.get(path, headers=wrong)).status_code == 403
        assert (await world.client.get("/partner-events", headers=wrong)).status_code == 403
    assert (await world.client.get("/cases", headers=headers)).status_code == 403
    assert (await world.client.get(path)).status_code == 401


async def test_the_feed_is_contiguous_and_read_by_cursor(world):
    for _ in range(3):
        await world.offered("balans")
    headers = world.partner("balans")

    page = (await world.client.get("/partner-events", headers=headers, params={"limit": 2})).json()
    rest = (
        await world.client.get(
            "/partner-events", headers=headers, params={"after": page["lastSequence"]}
        )
    ).json()

    events = page["events"] + rest["events"]
    assert [int(event["sequence"]) for event in events] == [1, 2, 3]
    assert rest["lastSequence"] == 3
    assert events[0]["specversion"] == "1.0"
    assert events[0]["type"] == "nl.sociale-veiligheid.meldingen.referral-offer.v1"
    assert events[0]["dataref"].startswith("http://intake.test/v1/contents/")
    assert events[0]["data"]["organisation"] == "balans"


async def test_the_feed_waits_for_a_first_event(world):
    headers = world.partner("vakbond")
    started = time.monotonic()

    async def ask(seconds):
        return await world.client.get(
            "/partner-events", headers=headers, params={"waitSeconds": seconds}
        )

    empty = await ask(0.3)
    assert empty.json() == {"events": [], "lastSequence": 0, "feedLastSequence": 0}
    assert time.monotonic() - started >= 0.3
    waiting = asyncio.create_task(ask(10))
    await asyncio.sleep(0.1)
    await world.offered("vakbond")
    assert len((await waiting).json()["events"]) == 1
    assert time.monotonic() - started < 5


async def test_a_capability_holds_what_the_state_allows(world):
    row = await world.offered("lkc")
    path = f"/referrals/{row['referral_id']}/content-capabilities"
    keys = await world.client.get("/keys")
    key_set = KeySet.import_key_set(keys.json())

    async def ask():
        return await world.client.post(path, headers=world.partner("lkc"))

    before = await ask()
    await world.say("lkc", row, "accepted")
    after = await ask()

    assert "d" not in keys.json()["keys"][0]
    for answer, fields in ((before, ["narrative"]), (after, ["narrative", "identity", "answers"])):
        assert answer.status_code == 201
        token = jwt.decode(answer.json()["capability"], key_set, algorithms=["Ed25519"])
        claims = token.claims
        assert claims["fields"] == answer.json()["fields"] == fields
        assert (claims["iss"], claims["aud"]) == ("urn:meldpunt:referral", "urn:meldpunt:intake")
        assert (claims["sub"], claims["attempt"]) == ("lkc", 1)
        assert claims["case"] == str(row["case_id"])
        assert claims["referral"] == str(row["referral_id"])
        assert claims["exp"] - claims["iat"] in {299, 300}
    assert after.json()["contentUrl"] == f"http://intake.test/v1/contents/{row['case_id']}"


@pytest.mark.parametrize("how", ["expired", "declined", "withdrawn"])
async def test_a_lost_referral_gives_no_capability(world, how):
    row = await world.offered("lkc")
    match how:
        case "expired":
            await world.let_expire(row)
        case "declined":
            await world.say("lkc", row, "rejected", reason="capacity")
        case "withdrawn":
            await world.client.post(
                f"/referrals/{row['referral_id']}/_withdraw", headers=world.desk
            )
    answer = await world.client.post(
        f"/referrals/{row['referral_id']}/content-capabilities", headers=world.partner("lkc")
    )
    shown = await world.client.get(f"/referrals/{row['referral_id']}", headers=world.partner("lkc"))
    assert answer.status_code == 409
    assert "capability" not in answer.json()
    assert shown.json()["situation"] is None


async def test_referrals_are_listed_by_status_and_page(world):
    rows = [await world.offered("job_mbo") for _ in range(3)]
    await world.say("job_mbo", rows[1], "received")
    headers = world.partner("job_mbo")

    async def ids(**params):
        answer = (await world.client.get("/referrals", headers=headers, params=params)).json()
        return [item["referralId"] for item in answer["referrals"]], answer["nextAfter"]

    everything = [str(row["referral_id"]) for row in rows]
    assert await ids() == (everything, None)
    assert await ids(limit=2) == (everything[:2], everything[1])
    assert await ids(limit=2, after=everything[1]) == (everything[2:], None)
    assert await ids(status="received") == ([everything[1]], None)


async def test_the_desk_sees_cases_by_holder_and_what_is_overdue(world):
    rows = [await world.offered("slachtofferhulp") for _ in range(3)]
    for row in rows:
        await world.hear("slachtofferhulp", world.answered(row, Answer.ACCEPTED))
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE case_holder SET next_due_at = now() - interval '1 hour' WHERE case_id = $1",
            rows[2]["case_id"],
        )

    async def ids(**params):
        query = {"holder": "slachtofferhulp"} | params
        answer = (await world.client.get("/cases", headers=world.desk, params=query)).json()
        return [item["caseId"] for item in answer["cases"]], answer["nextAfter"]

    first, second, late = (str(row["case_id"]) for row in rows)
    assert await ids() == ([late, first, second], None)
    assert await ids(overdue=True) == ([late], None)
    assert await ids(limit=1) == ([late], late)
    assert await ids(after=late, limit=1) == ([first], first)
    operator = world.headers("operations:write")
    one = await world.client.get(f"/cases/{late}", headers=operator)
    assert one.json()["overdue"] is True
    assert one.json()["holder"] == "slachtofferhulp"
    assert one.json()["reference"].startswith("MP-")
    assert (await world.client.get(f"/cases/{uuid4()}", headers=world.desk)).status_code == 404


async def test_the_desk_takes_back_what_a_partner_accepted(world):
    row = await world.offered("lkc")
    await world.say("lkc", row, "accepted")

    path = f"/referrals/{row['referral_id']}/_withdraw"
    taken = await world.client.post(path, headers=world.desk)
    again = await world.client.post(path, headers=world.desk)

    assert taken.json()["holder"] == "vangnet"
    assert taken.json()["handoff"] == again.json()["handoff"] == 2
    assert taken.json()["nextStep"]["action"] == "assign"
    late = await world.say("lkc", row, "accepted")
    assert late.json()["type"].endswith("withdrawn")
    assert (await world.client.post(path, headers=world.partner("lkc"))).status_code == 403


async def test_the_published_document_names_every_operation(world):
    document = (await world.client.get("/openapi.json")).json()
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert {"answerReferral", "listPartnerEvents", "createContentCapability", "getCase"} <= {
        item["operationId"] for item in operations
    }
    assert all(item.get("description") and item.get("tags") for item in operations)
