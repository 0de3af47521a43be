"""The ladder on the real database: regimes, silence, deviation, the case that rests for it."""

import asyncio
from datetime import date, timedelta

import pytest

from contracts.calendar import end_of_day
from contracts.envelope import feed_source
from tests.component.referral.findings.conftest import ADVICE, BINDING, COMPLY, NOW

BOARD = "bevoegd_gezag"


async def _story(world, finding_id):
    """What happened, as (event, what matters)."""
    row = await world.row(finding_id)
    told = []
    for name, source, data in await world.events(row["case_id"]):
        if source == world.runtime.source and name.startswith("finding"):
            told.append((name, data.get("organisation") or data.get("actor") or data["state"]))
    return told


async def test_a_finding_runs_and_its_case_shows_who_must_reply(world):
    case_id = await world.case()
    answer = await world.issue(case_id)
    finding = answer.json()["finding"]

    assert answer.status_code == 201
    assert finding["state"] == "reply-due"
    assert finding["replyDueAt"] == "2026-03-30T22:00:00Z"
    assert finding["nextStep"]["actor"] == BOARD
    assert finding["whoMustAct"] == "partner"
    case = await world.case_row(finding["findingId"])
    assert (case["next_actor"], case["next_action"]) == (BOARD, "reply-to-finding")
    assert case["next_due_at"] == end_of_day(date(2026, 3, 30))
    assert (case["holder"], case["desk_reason"], case["open"]) == ("vangnet", "finding", True)

    events = await world.events(case_id)
    issued = next(data for name, _, data in events if name == "finding-issued")
    assert issued["regime"] == "advice_law"
    assert issued["register_version"].startswith("first-")
    assert issued["next_step"]["action"] == "reply-to-finding"
    [notice] = [(source, data) for name, source, data in events if name == "finding-notice"]
    assert notice[0] == feed_source(BOARD)
    assert notice[1]["role"] == "board"


async def test_silence_climbs_step_by_step_and_the_case_stays_open(world):
    finding_id = await world.finding()
    for _ in range(7):
        await world.let_pass(finding_id)

    assert await _story(world, finding_id) == [
        ("finding-issued", "reply-due"),
        ("finding-reminded", BOARD),
        ("finding-escalated", "vangnet"),
        ("finding-escalated", "inspectie"),
        ("finding-escalated", "raad_van_toezicht"),
        ("finding-escalated", "rechter"),
        ("finding-reminded", "vangnet"),
        ("finding-reminded", "vangnet"),
    ]
    row, case = await world.row(finding_id), await world.case_row(finding_id)
    assert (row["state"], row["told"]) == ("with-supervisor", "inspectie raad_van_toezicht rechter")
    assert case["open"]
    assert case["next_action"] == "check-finding"
    # Only who has a feed got a notice; the desk tells the others.
    feeds = {s for n, s, _ in await world.events(row["case_id"]) if n == "finding-notice"}
    assert feeds == {feed_source(BOARD), feed_source("lkc"), feed_source("inspectie")}


@pytest.mark.parametrize(
    ("regime", "first_actor", "rungs"),
    [
        (ADVICE, "vangnet", ["raad_van_toezicht", "rechter"]),
        (COMPLY, BOARD, ["inspectie", "kinderombudsman"]),
        (BINDING, "vangnet", ["rechter"]),
    ],
    ids=["advice", "comply-or-report", "binding"],
)
async def test_the_same_case_takes_its_own_path_under_each_regime(
    world, regime, first_actor, rungs
):
    await world.under(regime)
    finding_id = await world.finding()
    answer = await world.reply(finding_id, "does-not-follow")

    finding = answer.json()["finding"]
    assert (answer.status_code, finding["state"]) == (200, "not-followed")
    assert finding["nextStep"]["actor"] == first_actor
    for _ in rungs:
        await world.let_pass(finding_id)
    escalated = [
        told for name, told in await _story(world, finding_id) if name.endswith("escalated")
    ]
    assert escalated == rungs
    shown = await world.get("desk", f"/findings/{finding_id}")
    assert shown.json()["regime"]["kind"] == regime.finding

    ended = await world.post("desk", f"/findings/{finding_id}/_settle", settlement="not-followed")
    assert ended.status_code == 200
    case = await world.case_row(finding_id)
    assert not case["open"]
    assert case["next_actor"] is None


async def test_the_regime_of_the_day_of_the_finding_decides(world):
    old = ADVICE.model_copy(update={"valid_to": date(2026, 2, 28)})
    new = BINDING.model_copy(update={"valid_from": date(2026, 3, 1)})
    planned = COMPLY.model_copy(update={"valid_from": None})
    await world.activate("dated", old, new, planned, valid_from=NOW - timedelta(days=1))

    for day, expected in (("2026-02-28", "advice_law"), ("2026-03-01", "binding_law")):
        row = await world.row(await world.finding(issuedOn=day))
        assert (row["regime"], row["register_version"]) == (expected, "dated")


async def test_a_register_that_comes_later_changes_no_running_finding(world):
    finding_id = await world.finding()
    before = await world.row(finding_id)
    await world.under(BINDING)
    await world.reply(finding_id, "partly")
    after = await world.row(finding_id)
    assert (after["regime"], after["register_version"]) == (
        before["regime"],
        before["register_version"],
    )


async def test_a_register_that_is_not_in_force_yet_decides_nothing(world):
    await world.activate("next-year", BINDING, valid_from=NOW + timedelta(days=300))
    row = await world.row(await world.finding())
    assert row["regime"] == "advice_law"


async def test_a_finding_waits_for_the_register(world):
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE finding_register SET valid_from = 'infinity'")
    finding_id = await world.finding()
    row = await world.row(finding_id)
    assert (row["state"], row["next_action"]) == ("issued", "find-regime")
    case = await world.case_row(finding_id)
    assert (case["next_actor"], case["next_action"]) == ("vangnet", "check-finding")

    await world.under(COMPLY)
    assert await world.fire() == 1
    row = await world.row(finding_id)
    assert (row["state"], row["regime"]) == ("reply-due", "comply_law")
    assert row["reply_due_at"] == end_of_day(date(2026, 3, 30))


async def test_a_motivated_deviation_moves_the_term(world):
    finding_id = await world.finding()
    answer = await world.reply(finding_id, "deviates-from-term", until="2026-05-01")
    assert answer.json()["finding"]["state"] == "deviation-announced"
    assert (await world.case_row(finding_id))["next_due_at"] == end_of_day(date(2026, 5, 1))

    world.now = end_of_day(date(2026, 4, 1))
    assert await world.fire() == 0
    await world.let_pass(finding_id)
    await world.let_pass(finding_id)
    row = await world.row(finding_id)
    assert row["state"] == "silent"
    assert row["silent_at"] == end_of_day(date(2026, 5, 1))


async def test_a_deadline_fires_once_and_never_early(world):
    ids = [await world.finding() for _ in range(12)]
    world.now = (await world.row(ids[0]))["fires_at"] - timedelta(milliseconds=1)
    assert await world.fire() == 0

    world.now += timedelta(milliseconds=1)
    claimed = await asyncio.gather(*(world.fire() for _ in range(4)))
    while await world.fire():
        pass
    assert sum(claimed) <= len(ids)
    for finding_id in ids:
        assert (await world.row(finding_id))["reminders"] == 1
        story = await _story(world, finding_id)
        assert [name for name, _ in story].count("finding-reminded") == 1


async def test_a_reply_races_with_its_deadline_and_one_wins(world):
    finding_id = await world.finding()
    await world.let_pass(finding_id)
    world.now = (await world.row(finding_id))["fires_at"]

    await asyncio.gather(world.fire(), world.reply(finding_id, "follows"))
    row = await world.row(finding_id)
    # In either order the reply counts; silence may stand before it.
    assert row["state"] == "replied-following"
    assert row["reply"] == "follows"


async def test_followed_with_evidence_closes_the_case(world):
    finding_id = await world.finding()
    await world.reply(finding_id, "follows", measuresBy="2026-05-01")
    world.now += timedelta(days=40)
    answer = await world.show(finding_id)

    assert answer.json()["finding"]["settlement"] == "followed"
    case = await world.case_row(finding_id)
    assert not case["open"]
    events = await world.events(case["case_id"])
    names = [name for name, source, _ in events if source == world.runtime.source]
    assert names[-2:] == ["finding-settled", "case-closed"]
    closed = events[-1][2]
    assert (closed["because"], closed["outcome"]) == ("completed", "decided")


async def test_a_finding_entered_in_error_leaves_the_case_open(world):
    finding_id = await world.finding()
    await world.post("desk", f"/findings/{finding_id}/_settle", settlement="entered-in-error")
    case = await world.case_row(finding_id)
    assert case["open"]
    assert case["next_actor"] == "vangnet"
    again = await world.issue(case["case_id"])
    assert again.status_code == 201


async def test_the_board_must_still_reply_when_the_reporter_stops(world):
    finding_id = await world.finding()
    before = await world.case_row(finding_id)
    assert before["timer_at"] is None
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE case_holder SET open = false, desk_reason = NULL, next_actor = NULL,"
            " next_action = NULL, next_due_at = NULL WHERE case_id = $1",
            before["case_id"],
        )
    for _ in range(3):
        await world.let_pass(finding_id)
    assert (await world.row(finding_id))["told"] == "inspectie"
    await world.post("desk", f"/findings/{finding_id}/_settle", settlement="withdrawn")
    assert (await world.row(finding_id))["state"] == "closed"
    names = [name for name, _, _ in await world.events(before["case_id"])]
    assert "case-closed" not in names


async def test_no_event_holds_what_was_said(world):
    finding_id = await world.finding()
    await world.reply(finding_id, "partly", reasons="Het gezin is bekend bij ons.")
    await world.show(finding_id, "desk", text="Mevrouw heeft gebeld.", confirms=False)
    row = await world.row(finding_id)
    async with world.database.connection() as connection:
        data = await connection.fetch("SELECT data FROM event WHERE key = $1", row["case_id"])
    text = b" ".join(item["data"] for item in data).decode()
    assert "gezin" not in text
    assert "Mevrouw" not in text
