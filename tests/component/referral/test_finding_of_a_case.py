"""From a complaint to its finding in the whole service, under the regimes of the real register."""

from uuid import uuid4

from contracts import topics
from contracts.envelope import Envelope, service_source, to_headers
from contracts.routing import RegisterActivated, register_key
from services.chassis.ids import new_id, utc_now
from services.chassis.parked import Record
from services.routing.regimes import regimes_of
from services.routing.register import load_register


async def _activate(world):
    """What routing publishes of the register that it ships with."""
    register = load_register()
    event = RegisterActivated(
        version=register.version,
        hash="cd" * 32,
        valid_from=utc_now(),
        activated_at=utc_now(),
        activated_by="test",
        regimes=regimes_of(register),
    )
    key = str(register_key(event.version))
    envelope = Envelope(
        id=str(new_id()),
        source=service_source("routing"),
        type=event.event_type(),
        time=utc_now(),
        subject=key,
        sequence=1,
        data=event.encode(),
    )
    record = Record(topics.ROUTING, 0, 9999, key, tuple(to_headers(envelope)), envelope.data)
    await world.runtime.processors[0].process([record])


async def test_a_decided_complaint_goes_to_its_finding_and_closes_when_followed(world):
    await _activate(world)
    row = await world.offered("lkc", kind_at_primary="klacht")
    await world.say("lkc", row, "accepted")
    held = await world.client.post(
        f"/cases/{row['case_id']}/findings", json=_finding(), headers=world.partner("lkc")
    )
    assert held.json()["type"].endswith("not-decided")
    await world.say("lkc", row, "completed", outcome="decided", decision="upheld")
    given = await world.client.post(
        f"/cases/{row['case_id']}/findings", json=_finding(), headers=world.partner("lkc")
    )

    assert given.status_code == 201, given.text
    finding = given.json()["finding"]
    case = await world.case(row["case_id"])
    assert (case["next_actor"], case["next_action"]) == ("bevoegd_gezag", "reply-to-finding")
    stored = await world.row("SELECT * FROM finding WHERE case_id = $1", row["case_id"])
    # The only regime that is in force; the others of the register have no date.
    assert stored["regime"] == "advies_2015"
    assert stored["referral_id"] == row["referral_id"]

    path = f"/findings/{finding['findingId']}"
    replied = await world.client.post(
        f"{path}/replies",
        json={"replyId": str(uuid4()), "reply": "follows"},
        headers=world.partner("bevoegd_gezag"),
    )
    assert replied.json()["finding"]["state"] == "replied-following"
    shown = {
        "evidenceId": str(uuid4()),
        "kind": "document",
        "day": utc_now().date().isoformat(),
        "digest": "ab" * 32,
        "confirms": True,
    }
    await world.client.post(f"{path}/evidence", json=shown, headers=world.partner("lkc"))
    case = await world.case(row["case_id"])
    assert (case["open"], case["holder"], case["next_actor"]) == (False, "vangnet", None)


def _finding():
    return {
        "findingId": str(uuid4()),
        "decision": "upheld",
        "advice": True,
        "issuedOn": utc_now().date().isoformat(),
    }
