"""A partner that is gone: for minutes, a day, five days. Nothing is lost and nobody else waits."""

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import pytest

from contracts.routing import HandlingLimits
from contracts.situation import Urgency
from tests.component.referral.channels_world import Answer, mail_server, until
from tests.component.referral.test_closed_loop import names
from tests.scenarios.simulated import partner
from tests.unit.referral.builders import assigned

ALL_RUNGS = ["other-loket", "other-channel", "next-organisation", "desk"]
MINUTES = HandlingLimits(received_within_minutes=1, accepted_within_minutes=10)
HOUR = HandlingLimits(received_within_minutes=60, accepted_within_minutes=480)
# How long, in which steps, whom and whom next, and the rungs of an acute and of another case.
OUTAGES = {
    "5_minutes": (timedelta(minutes=5), 20, "politie", "jeugdteam", ALL_RUNGS, []),
    "24_hours": (timedelta(hours=24), 1200, "inspectie", "leerplicht_rmc", ALL_RUNGS, ALL_RUNGS),
    "5_days": (timedelta(days=5), 5400, "sbb", "kinderombudsman", ALL_RUNGS, ALL_RUNGS),
}


class Routing:
    """Stands in for routing: a case that came back goes to the next organisation, once."""

    def __init__(self, simulated, organisation: str, urgent) -> None:
        self.simulated, self.organisation = simulated, organisation
        self.cases = {event.case_id: event.limits for event in urgent}

    async def __call__(self) -> None:
        rows = await self.simulated.rows(
            "SELECT case_id FROM case_holder WHERE decision_number = 1 AND returns = 1"
            " AND case_id = ANY($1::uuid[])",
            list(self.cases),
        )
        await self.simulated.world.decide(
            *(
                assigned(
                    self.organisation,
                    number=2,
                    case_id=row["case_id"],
                    limits=self.cases[row["case_id"]],
                )
                for row in rows
            )
        )


@pytest.mark.parametrize("name", OUTAGES)
async def test_a_partner_that_is_gone(simulated, name):
    length, step_seconds, gone, following, acute_rungs, rungs = OUTAGES[name]
    world = simulated.world
    async with partner() as away, mail_server() as sink:
        simulated.worker = simulated.deliveries(smtp_port=sink.port)
        await simulated.partner(gone, away.url, "loket@school.nl", fallback="email")
        held = await world.offered(gone)
        await world.say(gone, held, "accepted")
        await simulated.round()
        assert len(away.requests) == 1
        await away.go()
        lokets = {"loket": "first", "other_lokets": ("second",)}
        acute = assigned(gone, urgency=Urgency.ACUUT, limits=MINUTES, **lokets)
        others = [assigned(gone, limits=HOUR, **lokets) for _ in range(4)]
        await world.decide(acute, *others)
        routing = Routing(simulated, following, [acute, *others])
        await simulated.pass_time(length, timedelta(seconds=step_seconds), routing)

        # What silence led to: as the register says, in its order, none early, nothing closed.
        assert await simulated.rungs(acute.case_id) == acute_rungs
        await check_times(simulated, acute.case_id, timedelta(minutes=1))
        for event in others:
            assert await simulated.rungs(event.case_id) == rungs
            await check_times(simulated, event.case_id, timedelta(hours=1))
            case = await world.case(event.case_id)
            assert case["open"]
            assert case["next_actor"] == ("vangnet" if rungs else gone)
            reminded = (await names(world, event.case_id)).count("referral-reminded")
            assert reminded <= 2 * len(rungs) + 3, "few reminders"
        # It was accepted before; a gone partner keeps what it holds, and the desk calls it.
        assert (await world.case(held["case_id"]))["holder"] == gone
        assert bool(sink.messages) == bool(acute_rungs)

        # It is back: the first event that arrives, here of a new case, frees all that waits.
        await away.come()
        await world.decide(assigned(gone, limits=HOUR))
        await simulated.pass_time(timedelta(minutes=40), timedelta(minutes=10))
        await nothing_is_lost(simulated, gone, away, length)


async def test_silence_on_a_polled_inbox_takes_the_other_channel_too(simulated):
    """A partner that does not read its inbox is told over its fallback, or a person is."""
    world = simulated.world
    async with mail_server() as sink:
        simulated.worker = simulated.deliveries(smtp_port=sink.port)
        await simulated.partner("laks", None, "loket@laks.nl", channel="inbox", fallback="email")
        await simulated.partner("balans", channel="inbox", fallback="email")
        told, untold = assigned("laks", limits=HOUR), assigned("balans", limits=HOUR)
        await world.decide(told, untold)
        await simulated.pass_time(timedelta(minutes=59), timedelta(minutes=59))
        assert not [line for line in sink.receivers if "laks" in line]
        await simulated.pass_time(timedelta(minutes=2), timedelta(minutes=1))
        assert len([line for line in sink.receivers if "laks" in line]) == 1
        for event in (told, untold):
            assert await simulated.rungs(event.case_id) == ["other-channel"]
        tasks = (await simulated.get("/delivery-tasks", world.desk))["tasks"]
        found = {item["organisation"]: item["problem"]["problem"] for item in tasks}
        assert (found.get("balans"), found.get("laks")) == ("no-address", None)


async def check_times(simulated, case_id, least: timedelta) -> None:
    """Each rung came no earlier than the whole time of the one before it."""
    told = await simulated.world.events(case_id)
    [first, *_] = [event for event in told if event["name"] == "referral-offered"]
    steps = [first, *(event for event in told if event["name"] == "referral-escalated")]
    moments = [datetime.fromisoformat(event["data"]["at"]) for event in steps]
    assert all(after - before >= least for before, after in pairwise(moments)), moments


async def nothing_is_lost(simulated, organisation: str, away, length: timedelta) -> None:
    """The whole feed has arrived, each event once, also what had been given up meanwhile."""
    world = simulated.world
    feed = await simulated.feed(organisation)
    wanted = [item["sequence"] for item in feed]
    states = await simulated.states(organisation)
    assert set(states.values()) == {"delivered"}
    assert sorted(states) == wanted
    if length > timedelta(hours=75):
        # Beyond the table of tries a person was asked, and the mailbox was told.
        found = await simulated.rows(
            "SELECT FROM delivery_task WHERE organisation = $1", organisation
        )
        assert len(found) == 1
        assert set((await simulated.states(organisation, "email")).values()) == {"delivered"}
    ids = [request.headers["webhook-id"] for request in away.requests]
    assert sorted(away.sequences) == wanted, "each event once"
    assert len(set(ids)) == len(wanted), "the id of an event stays the same"
    # And who reads the inbox instead finds all of it, without a hole.
    inbox = await world.client.get("/partner-events?limit=500", headers=world.partner(organisation))
    assert [int(item["sequence"]) for item in inbox.json()["events"]] == wanted


async def test_catching_up_is_no_stampede(simulated):
    world = simulated.world
    per_second = 100
    async with partner() as away:
        await simulated.partner("gcbo", away.url, fallback="desk")
        await away.go()
        await world.decide(*(assigned("gcbo") for _ in range(120)))
        for _ in range(24 * 4):
            simulated.shift += timedelta(minutes=15)
            await simulated.worker.work()
        [tried] = await simulated.rows(
            "SELECT sum(attempts) AS n FROM delivery WHERE organisation = 'gcbo'"
        )
        assert tried["n"] <= 110, "one probe in a quarter of an hour, not one per event"
        await world.decide(assigned("gcbo", urgency=Urgency.ACUUT))
        away.answer = lambda _: Answer(seconds=0.01)
        await away.come()
        simulated.shift += timedelta(minutes=20)
        async with simulated.running(sends_per_second_max=per_second):
            await until(lambda: len(away.requests) >= 60)
            await world.decide(assigned("gcbo"))
            await until(lambda: len(away.requests) >= 122)
            while set((await simulated.states("gcbo")).values()) != {"delivered"}:
                await asyncio.sleep(0.05)
        moments = [request.at for request in away.requests]
        assert away.receiver.open_most <= 4
        assert moments[1] - moments[0] >= 0.01, "the first one alone asks whether it is back"
        for first in range(len(moments)):
            within = [at for at in moments if 0 <= at - moments[first] < 0.5]
            assert len(within) <= per_second * 0.5 + 8
    feed = [item["sequence"] for item in await simulated.feed("gcbo")]
    oldest_first = [feed[120], *feed[:120], feed[121]]
    assert sorted(away.sequences) == feed, "each event once"
    places = {sequence: place for place, sequence in enumerate(away.sequences)}
    late = [abs(places[sequence] - place) for place, sequence in enumerate(oldest_first)]
    assert max(late) < 8, "the acute case first, then the oldest"


async def test_nobody_else_is_slower_than_one_and_a_fifth(simulated):
    """A good partner beside one that hangs with a backlog, and beside the same one at rest.

    Measured in turns, so that what else the machine does falls on both; the best of six rounds,
    because a machine that is busy meanwhile says nothing of this program.
    """
    world = simulated.world
    async with partner() as good, partner() as hanging:
        hanging.answer = lambda _: Answer(seconds=60)
        await simulated.partner("lkc", good.url, fallback="desk")
        await simulated.partner("vakbond", hanging.url, fallback="desk")

        async def let(hangs: bool) -> None:
            rested = None if hangs else simulated.clock() + timedelta(hours=1)
            await simulated.execute(
                "UPDATE delivery_lane SET paused_until = $1 WHERE organisation = 'vakbond'", rested
            )
            leased = "SELECT FROM delivery WHERE organisation = 'vakbond' AND leased_until > $1"
            while bool(await simulated.rows(leased, simulated.clock())) != hangs:
                await asyncio.sleep(0.01)

        async def sample(count: int, hangs: bool) -> list[float]:
            found = []
            for _ in range(count):
                await let(hangs)
                before = len(good.requests)
                await world.decide(assigned("lkc"))
                began = time.perf_counter()
                await until(lambda before=before: len(good.requests) > before)
                found.append(good.requests[-1].at - began)
            return found

        ratios: list[float] = []
        async with simulated.running(try_seconds_max=0.5, lease_seconds=5.0):
            await sample(10, False)
            await world.decide(*(assigned("vakbond") for _ in range(200)))
            for _ in range(6):
                beside = await sample(16, True)
                ratios.append(median(beside) / median(await sample(16, False)))
        assert len(hanging.requests) >= 6
        assert min(ratios) <= 1.2, ratios
