"""Hard scenarios about recipients: each has its own truth, and none is silently empty."""

from contextlib import asynccontextmanager
from datetime import timedelta

from contracts.referral import Answer
from tests.component.referral.channels_world import Answer as Reply
from tests.component.referral.channels_world import answering
from tests.component.referral.test_closed_loop import held, onward
from tests.scenarios.simulated import partner
from tests.unit.referral.builders import assigned


@asynccontextmanager
async def two_recipients(simulated):
    """A holder and the party that it refers to: one transaction tells both, one of them fails."""
    async with partner() as holder, partner() as target:
        await simulated.partner("school", holder.url, fallback="desk")
        await simulated.partner("lkc", target.url, fallback="desk")
        yield holder, target


async def test_01_two_recipients_one_fails(simulated):
    world = simulated.world
    async with two_recipients(simulated) as (school, lkc):
        row = await held(world)
        await simulated.round()
        number = await onward(world, row)
        lkc.answer = answering(503)
        school.requests.clear()
        await world.decide(assigned("lkc", number=number, case_id=row["case_id"], onward=True))
        for _ in range(4):
            await simulated.round()
            simulated.shift += timedelta(seconds=20)
        assert len(school.requests) == 1, "who has it is not told again"
        assert 2 <= len(lkc.requests) <= 4, "only the one that failed is tried again"
        assert len({request.headers["webhook-id"] for request in lkc.requests}) == 1
        # The API shows the truth of each, to the partner itself and to the operator.
        operator = world.headers("operations:write")
        good = await simulated.get("/partners/school/deliveries", world.partner("school"))
        assert {item["state"] for item in good["deliveries"]} == {"delivered"}
        [bad] = (await simulated.get("/partners/lkc/deliveries", operator))["deliveries"]
        assert (bad["state"], bad["deliveredAt"]) == ("waiting", None)
        assert (bad["attempts"], bad["problem"]["whoMustAct"]) == (len(lkc.requests), "partner")
        lanes = (await simulated.get("/partners/lkc/endpoint", operator))["lanes"]
        assert [(lane["state"], lane["waiting"]) for lane in lanes] == [("retrying", 1)]
        forbidden = await simulated.client.get(
            "/partners/lkc/deliveries", headers=world.partner("school")
        )
        assert forbidden.status_code == 403
        lkc.answer = lambda _: Reply()
        await simulated.pass_time(timedelta(minutes=10), timedelta(minutes=5))
        [bad] = (await simulated.get("/partners/lkc/deliveries", operator))["deliveries"]
        assert (bad["state"], bad["problem"]) == ("delivered", None)
        assert len(school.requests) == 1


async def test_02_status_changes_while_unsent(simulated):
    world = simulated.world
    async with partner() as gcbo:
        await simulated.partner("gcbo", gcbo.url, fallback="desk")
        await gcbo.go()
        # Accepted over the inbox and given back over it, while the webhook cannot be reached.
        row = await world.offered("gcbo")
        await simulated.round()
        assert (await world.say("gcbo", row, "accepted")).status_code == 200
        await world.say("gcbo", row, "returned", reason="capacity")
        # A second case is offered and taken back before the first offer was ever sent.
        taken = await world.offered("gcbo")
        path = f"/referrals/{taken['referral_id']}/_withdraw"
        assert (await world.client.post(path, headers=world.desk)).status_code == 200
        await world.hear("gcbo", world.answered(taken, Answer.ACCEPTED))
        await simulated.round()
        assert gcbo.requests == []
        await gcbo.come()
        await simulated.pass_time(timedelta(minutes=20), timedelta(minutes=10))
        feed = await simulated.feed("gcbo")
        of_taken = [item["name"] for item in feed if item["case"] == taken["case_id"]]
        assert of_taken == ["referral-offer", "referral-withdrawn", "answer-refused"]
        assert sorted(gcbo.sequences) == [item["sequence"] for item in feed], "all, each once"
        order = {sequence: place for place, sequence in enumerate(gcbo.sequences)}
        for case_id in (row["case_id"], taken["case_id"]):
            places = [order[item["sequence"]] for item in feed if item["case"] == case_id]
            assert places == sorted(places), "the changes of a case arrive in their order"


async def tasks(simulated) -> dict[str, dict]:
    found = await simulated.get("/delivery-tasks", simulated.world.desk)
    return {item["organisation"]: item for item in found["tasks"]}


async def test_16_silently_empty_recipient(simulated):
    """A channel that leads nowhere is a task of the desk, and the case moves on in its time."""
    world = simulated.world
    async with partner() as somewhere:
        # Nothing was ever set; only the other address was set; the address was taken back.
        await simulated.partner("laks", channel="webhook", fallback="desk")
        await simulated.partner("vakbond", channel="email", fallback="desk")
        await simulated.partner("balans", somewhere.url, channel="email", fallback="desk")
        await simulated.partner("job_mbo", None, "a@b.nl", channel="webhook", fallback="desk")
        rows = {
            name: await world.offered(name) for name in ("laks", "vakbond", "balans", "job_mbo")
        }
        await simulated.round()
        opened = await tasks(simulated)
        assert set(rows) <= set(opened)
        for name in rows:
            assert opened[name]["problem"]["problem"] == "no-address"
            assert opened[name]["problem"]["remedy"]
            case = await world.case(rows[name]["case_id"])
            assert (case["open"], case["next_actor"]) == (True, name)
        await simulated.pass_time(timedelta(hours=2), timedelta(minutes=30))
        for row in rows.values():
            assert "other-channel" in await simulated.rungs(row["case_id"])
            case = await world.case(row["case_id"])
            assert case["holder"] == "vangnet"
            assert case["next_actor"] == "vangnet"
        # An address, however late, brings everything and closes the task.
        operator = world.headers("operations:write")
        given = {
            "vakbond": {"email": "loket@vakbond.nl", "fallback": "desk"},
            "job_mbo": {"url": somewhere.url, "channel": "webhook", "fallback": "desk"},
        }
        for name, body in given.items():
            path = f"/partners/{name}/endpoint"
            await simulated.post(path, operator, method="PUT", **body)
        somewhere.requests.clear()
        await simulated.round()
        for item in await simulated.feed("job_mbo"):
            assert item["id"] in {request.headers["webhook-id"] for request in somewhere.requests}
        assert {"laks", "vakbond", "balans", "job_mbo"} & set(await tasks(simulated)) == {
            "laks",
            "balans",
        }


async def test_16_an_organisation_without_a_row_is_handed_the_case_by_the_desk(simulated):
    world = simulated.world
    event = assigned("nobody_knows_it")
    await world.decide(event)
    case = await world.case(event.case_id)
    assert (case["next_actor"], case["next_action"]) == ("vangnet", "hand-over")
    assert case["next_due_at"] <= simulated.clock() + timedelta(hours=1), "as its limits say"
    listed = (await world.client.get("/cases", headers=world.desk)).json()["cases"]
    assert str(event.case_id) in {item["caseId"] for item in listed}
    await simulated.pass_time(timedelta(hours=4), timedelta(minutes=30))
    told = [item for item in await world.events(event.case_id) if "reminded" in item["name"]]
    assert [item["data"]["actor"] for item in told] == ["vangnet"] * 3
    late = (await world.client.get("/cases?overdue=true", headers=world.desk)).json()["cases"]
    assert str(event.case_id) in {item["caseId"] for item in late}
    assert (await world.case(event.case_id))["open"]
