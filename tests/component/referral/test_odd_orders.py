"""What happens seldom, and must not stop the rest: odd orders of events on a real PostgreSQL."""

from uuid import uuid4

from contracts.routing import CaseAssigned, OnwardRefused
from services.chassis.ids import utc_now
from tests.component.referral.test_closed_loop import held
from tests.component.referral.test_finding_of_a_case import _activate, _finding


async def _without_contact_onward(world, *, offered: bool):
    """A holder that could not reach the reporter refers onward; with the offer when agreed."""
    row = await held(world)
    await world.say("school", row, "no-contact")
    await world.say("school", row, "referred-onward", suggestedOrganisation="lkc")
    if offered:
        await _agree(world, row)
    return row


async def _agree(world, row, target="lkc"):
    asked = next(
        event["data"]
        for event in reversed(await world.events(row["case_id"]))
        if event["name"] == "redecision-requested"
    )
    await world.decide(_decision(row["case_id"], asked["decision_number"], target))
    return await world.referral(row["case_id"])


def _decision(case_id, number, target, **changes) -> CaseAssigned:
    from tests.unit.referral.builders import assigned

    return assigned(target, number, case_id=case_id, **({"onward": True} | changes))


async def _is_held(world, case_id):
    case = await world.case(case_id)
    held = await world.row(
        "SELECT * FROM referral WHERE case_id = $1 AND status = 'on-hold'", case_id
    )
    return case["holder"], held["business_status"], held["onward_to"], case["next_action"]


async def test_a_register_that_disagrees_does_not_stop_a_holder_without_contact(world):
    row = await _without_contact_onward(world, offered=False)
    asked = next(
        event["data"]
        for event in await world.events(row["case_id"])
        if event["name"] == "redecision-requested"
    )
    refused = OnwardRefused(
        case_id=row["case_id"],
        asked_number=asked["decision_number"],
        organisation="lkc",
        problem="not-competent",
        why="Niet bevoegd.",
        decided_at=utc_now(),
    )
    await world.decide(refused)

    assert await _is_held(world, row["case_id"]) == ("school", "no-contact", None, "handle")


async def test_silence_of_the_next_does_not_stop_the_deadlines(world):
    row = await _without_contact_onward(world, offered=True)
    offer = await world.referral(row["case_id"])
    await world.let_expire(offer)

    assert await _is_held(world, row["case_id"]) == ("school", "no-contact", None, "handle")


async def test_a_finding_leaves_the_timer_of_a_holder_alone(world):
    await _activate(world)
    row = await world.offered("lkc", kind_at_primary="klacht")
    await world.say("lkc", row, "accepted")
    await world.say("lkc", row, "completed", outcome="decided", decision="upheld")
    given = await world.client.post(
        f"/cases/{row['case_id']}/findings", json=_finding(), headers=world.partner("lkc")
    )
    assert given.status_code == 201
    await world.client.post(
        f"/cases/{row['case_id']}/assignments", json={"organisation": "school"}, headers=world.desk
    )
    await world.say("school", await world.referral(row["case_id"]), "accepted")
    before = await world.case(row["case_id"])
    assert before["timer_at"] is not None
    replied = await world.client.post(
        f"/findings/{given.json()['finding']['findingId']}/replies",
        json={"replyId": str(uuid4()), "reply": "follows"},
        headers=world.partner("bevoegd_gezag"),
    )

    assert replied.status_code == 200
    after = await world.case(row["case_id"])
    assert (after["holder"], after["timer_at"]) == ("school", before["timer_at"])
