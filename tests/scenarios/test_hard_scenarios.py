"""The hard scenarios: what went wrong in comparable systems, played here, one test for each.

Numbered as in the survey of comparable systems; every test ends in a case with one holder and a
next step, because that is what went missing there.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts.intake import IdentityHidden
from contracts.limits import limits_due
from contracts.referral import Answer
from contracts.routing import HandlingLimits
from services.chassis.ids import utc_now
from services.referral.deadlines import Deadlines
from tests.component.referral.test_closed_loop import held, names, onward
from tests.unit.referral.builders import assigned


async def at(world, moment: datetime) -> None:
    """One round of the deadlines as if it were that moment."""
    await Deadlines(world.database, world.publishing, lambda *_: None, lambda: moment, 0.0).work()


async def stands(world, case_id) -> dict:
    """The case, after a check of what must always hold of one."""
    case = dict(await world.case(case_id))
    live = await world.row(
        "SELECT count(*) FILTER (WHERE status IN ('requested', 'received')) AS asked,"
        " count(*) FILTER (WHERE status IN ('accepted', 'in-progress', 'on-hold')) AS holding"
        " FROM referral WHERE case_id = $1",
        case_id,
    )
    assert live["asked"] <= 1
    assert live["holding"] <= 1
    assert (case["next_due_at"] is not None) == case["open"]
    return case


async def test_03_receiver_accepts_and_is_silent_30_days(world):
    row = await held(world)
    begin = (await world.case(row["case_id"]))["step_since"]
    for day in range(1, 61):
        await at(world, begin + timedelta(days=day / 2))
    case = await stands(world, row["case_id"])
    assert case["open"], "silence closes nothing"
    assert case["holder"] == "school", "what was accepted is not taken away by a clock"
    assert (case["next_actor"], case["next_action"]) == ("vangnet", "call-holder")
    seen = await names(world, row["case_id"])
    # Reminders wait for a working day, so that two can fall together.
    assert 1 <= seen.count("referral-reminder") <= 2, "few reminders"
    assert "referral-escalated" in seen


async def test_04_routing_inputs_change_twice_in_one_update(world):
    row = await world.offered("school")
    first, second = uuid4(), uuid4()
    # Two answers in one batch that would each make routing decide again.
    await world.hear(
        "school",
        world.answered(row, Answer.REJECTED, answer_id=first),
        world.answered(row, Answer.REJECTED, answer_id=second, reason="wrong-region"),
    )
    seen = await names(world, row["case_id"])
    assert seen.count("redecision-requested") == 1, "one request, so one decision"
    decision = assigned("lkc", number=2, case_id=row["case_id"])
    await world.decide(decision, decision)
    assert (await names(world, row["case_id"])).count("referral-offered") == 2
    # Nor does that decision count once more when what it led to is over.
    await world.say("lkc", await world.referral(row["case_id"]), "rejected", reason="capacity")
    await world.decide(decision)
    assert (await names(world, row["case_id"])).count("referral-offered") == 2
    await stands(world, row["case_id"])


async def test_06_recipient_deactivated_while_referral_pending(world):
    row = await world.offered("laks")
    answer = await world.client.post("/partners/laks/_suspend", headers=world.desk)
    assert answer.json()["moved"] >= 1
    case = await stands(world, row["case_id"])
    assert (case["returned_by"], case["returns"]) == ("laks", 0)
    assert "redecision-requested" in await names(world, row["case_id"])
    await world.decide(assigned("lkc", number=2, case_id=row["case_id"]))
    offered = await world.referral(row["case_id"])
    assert offered["organisation"] == "lkc"
    # Revoking stays possible whatever the state of the recipient.
    path = f"/referrals/{offered['referral_id']}/_withdraw"
    assert (await world.client.post(path, headers=world.desk)).status_code == 200
    await stands(world, row["case_id"])
    await world.client.post("/partners/laks/_resume", headers=world.desk)


async def test_08_ack_lost_and_resent_counts_as_proof_of_receipt(world):
    row = await world.offered("school")
    answer_id = str(uuid4())
    assert (await world.say("school", row, "received", answerId=answer_id)).status_code == 200
    before = len(await world.events(row["case_id"]))
    # The partner never saw that answer, and sends the same one again.
    again = await world.say("school", row, "received", answerId=answer_id)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.json()["referral"]["receivedAt"] is not None
    assert len(await world.events(row["case_id"])) == before


async def test_09_resend_while_the_first_is_still_processing(world):
    row = await world.offered("school")
    answer_id = str(uuid4())
    async with world.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "SELECT 1 FROM case_holder WHERE case_id = $1 FOR UPDATE", row["case_id"]
        )
        first = asyncio.create_task(world.say("school", row, "accepted", answerId=answer_id))
        await asyncio.sleep(0.3)
        try:
            async with asyncio.timeout(5):
                meanwhile = await world.say("school", row, "accepted", answerId=answer_id)
        finally:
            await transaction.rollback()
    assert meanwhile.status_code == 425
    assert "nothing is lost" in meanwhile.json()["detail"]
    assert (await first).status_code == 200
    assert (await stands(world, row["case_id"]))["handoff"] == 1


async def test_10_update_races_with_a_local_change(world):
    row = await held(world)
    path = f"/referrals/{row['referral_id']}/_withdraw"
    taken, done = await asyncio.gather(
        world.client.post(path, headers=world.desk),
        world.say("school", row, "completed", outcome="helped"),
    )
    assert taken.status_code == 200
    case = await stands(world, row["case_id"])
    if done.status_code == 200:
        assert (case["open"], case["holder"]) == (False, "school")
    else:
        # A conflict that tells the true state, and overwrites nothing.
        assert (done.status_code, done.json()["referralStatus"]) == (409, "cancelled")
        assert (case["open"], case["holder"]) == (True, "vangnet")


async def test_11_a_refers_to_b_and_b_back_to_a(world):
    row = await held(world)
    number = await onward(world, row)
    await world.decide(assigned("lkc", number=number, case_id=row["case_id"], onward=True))
    offered = await world.referral(row["case_id"])
    await world.say("lkc", offered, "accepted")
    back = await world.say("lkc", offered, "referred-onward", suggestedOrganisation="school")
    assert (back.status_code, back.json()["type"].rpartition(":")[2]) == (409, "loop")
    # Also a decision that would close the circle is not followed: people decide.
    await world.say("lkc", offered, "returned", reason="not-competent")
    await world.decide(assigned("school", number=number + 1, case_id=row["case_id"]))
    case = await stands(world, row["case_id"])
    assert (case["holder"], case["next_actor"]) == ("vangnet", "vangnet")


async def test_13_out_of_order_accept_after_revoke(world):
    row = await world.offered("veilig_thuis")
    path = f"/referrals/{row['referral_id']}/_withdraw"
    assert (await world.client.post(path, headers=world.desk)).status_code == 200
    await world.hear("veilig_thuis", world.answered(row, Answer.ACCEPTED))
    case = await stands(world, row["case_id"])
    assert case["holder"] == "vangnet"
    refused = (await world.events(row["case_id"]))[-1]
    assert (refused["name"], refused["data"]["problem"]) == ("answer-refused", "withdrawn")
    assert refused["data"]["status"] == "cancelled"


async def test_14_reporter_asks_identity_to_be_hidden_after_forwarding(world):
    row = await held(world)
    path = f"/referrals/{row['referral_id']}/content-capabilities"
    hidden = IdentityHidden(report_id=uuid4(), case_id=row["case_id"], hidden_at=utc_now())
    await world.told(hidden)
    given = (await world.client.post(path, headers=world.partner("school"))).json()
    assert "identity" not in given["fields"]
    told = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert told[-1]["news"] == "identity-hidden"
    # A later decision that was made from older facts does not bring it back.
    await world.say("school", row, "returned", reason="capacity")
    await world.decide(
        assigned("lkc", number=2, case_id=row["case_id"], content=("narrative", "identity"))
    )
    assert (await stands(world, row["case_id"]))["content"] == "narrative"


async def test_15_receiver_answers_that_the_reporter_cannot_be_reached(world):
    row = await held(world)
    body = (await world.say("school", row, "no-contact")).json()
    assert body["referral"]["businessStatus"] == "no-contact"
    case = await stands(world, row["case_id"])
    assert (case["holder"], case["next_actor"]) == ("school", "vangnet")
    assert case["next_action"] == "ask-reporter"
    # Ended without contact is not helped: the desk has the case, it is not closed.
    await world.say("school", row, "completed", outcome="no-contact")
    case = await stands(world, row["case_id"])
    assert (case["open"], case["holder"], case["desk_reason"]) == (True, "vangnet", "no-contact")


async def test_17_deadline_over_christmas_and_summer_holidays(world):
    limits = HandlingLimits(
        received_within_minutes=1440,
        accepted_within_minutes=7200,
        received_within_working_days=1,
        accepted_within_working_days=5,
        region="midden",
    )
    event = assigned("school", limits=limits)
    await world.decide(event)
    row = await world.referral(event.case_id)
    assert row["received_by"] > utc_now()
    # Reported on the Friday before Christmas: school begins again on Monday 4 January 2027.
    received_by, accepted_by = limits_due(limits, datetime(2026, 12, 18, 14, 0, tzinfo=UTC))
    assert received_by == datetime(2027, 1, 4, 23, 0, tzinfo=UTC)
    assert accepted_by == datetime(2027, 1, 8, 23, 0, tzinfo=UTC)
    # An acute case knows no holidays.
    acute = limits.model_copy(
        update={
            "received_within_minutes": 5,
            "received_within_working_days": None,
            "accepted_within_working_days": None,
        }
    )
    at_night = datetime(2026, 12, 25, 2, 0, tzinfo=UTC)
    assert limits_due(acute, at_night)[0] == at_night + timedelta(minutes=5)
