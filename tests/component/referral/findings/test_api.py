"""Who may do what with a finding over HTTP, and what everybody is told."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.component.referral.findings.conftest import ADVICE, COMPLY, DIGEST

BOARD = "bevoegd_gezag"


async def test_a_repeat_is_harmless_and_a_reused_id_is_refused(world):
    case_id = await world.case()
    body = {"findingId": str(uuid4()), "advice": False}
    first, second = await world.issue(case_id, **body), await world.issue(case_id, **body)
    other = await world.issue(case_id, **body | {"advice": True})
    assert [first.status_code, second.status_code, other.status_code] == [201, 200, 409]
    assert second.json()["duplicate"]
    assert other.json()["type"].endswith("id-reused")
    finding_id = body["findingId"]

    same = str(uuid4())
    answers = [
        await world.reply(finding_id, "follows", replyId=same),
        await world.reply(finding_id, "follows", replyId=same),
        await world.reply(finding_id, "does-not-follow", replyId=same),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert [answer.json().get("duplicate") for answer in answers] == [False, True, None]

    shown = [await world.show(finding_id, evidenceId=same, confirms=False) for _ in range(2)]
    assert [answer.json()["duplicate"] for answer in shown] == [False, True]
    view = (await world.get("desk", f"/findings/{finding_id}")).json()
    assert (len(view["replies"]), len(view["evidence"])) == (1, 1)


async def test_an_id_of_another_case_tells_nothing_of_it(world):
    theirs = await world.finding()
    own = await world.case("gcbo")
    guessed = await world.issue(own, "gcbo", findingId=theirs)
    assert (guessed.status_code, guessed.json()["type"].split(":")[-1]) == (409, "id-reused")
    assert "findingState" not in guessed.json()
    assert "dueAt" not in guessed.json()


async def test_two_at_once_make_one_finding(world):
    case_id = await world.case()
    answers = await asyncio.gather(*(world.issue(case_id) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert all(a.json()["type"].endswith("finding-exists") for a in answers if a.status_code == 409)


async def test_only_the_committee_that_decided_or_the_desk_records(world):
    undecided, decided = await world.case(decided=False), await world.case()

    early = await world.issue(undecided)
    assert (early.status_code, early.json()["type"].split(":")[-1]) == (409, "not-decided")
    assert "completed" in early.json()["detail"]
    assert (await world.issue(decided, "gcbo")).status_code == 404
    assert (await world.issue(uuid4())).status_code == 404
    assert (await world.issue(decided, "auditor")).status_code == 403

    unnamed = await world.issue(decided, "desk")
    assert [item["field"] for item in unnamed.json()["errors"]] == ["committee"]
    # A committee that works by letter: the desk records what it decided.
    named = await world.issue(undecided, "desk", committee="klachtencommissie_overig")
    assert named.status_code == 201
    assert (await world.case_row(named.json()["finding"]["findingId"]))["desk_reason"] == "finding"


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"decision": "inadmissible"}, 409, "illegal"),
        ({"decision": "maybe"}, 400, "invalid-input"),
        ({"issuedOn": "2026-03-03"}, 400, "invalid-input"),
        ({"issuedOn": "2024-03-03"}, 400, "invalid-input"),
        ({"findingId": "x"}, 400, "invalid-input"),
        ({"mood": "good"}, 400, "invalid-input"),
    ],
)
async def test_what_is_no_finding_is_refused(world, changes, status, told):
    answer = await world.issue(await world.case(), **changes)
    assert (answer.status_code, answer.json()["type"].split(":")[-1]) == (status, told)


async def test_a_case_that_somebody_has_gets_no_finding(world):
    case_id = await world.case()
    async with world.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO referral (referral_id, case_id, attempt, organisation, decision_id, signal,"
            " status, channel, offered_at, received_by, accepted_by, due_at)"
            " VALUES (gen_random_uuid(), $1, 2, 'school', $1, false, 'requested', 'inbox', $2, $2, $2, $2)",
            case_id,
            world.now,
        )
    answer = await world.issue(case_id)
    assert answer.json()["type"].endswith("case-not-at-desk")


async def test_only_the_board_or_the_desk_for_it_replies(world):
    finding_id = await world.finding()
    assert (await world.reply(finding_id, "follows", "lkc")).status_code == 403
    assert (await world.reply(finding_id, "follows", "school")).status_code == 404
    assert (await world.reply(finding_id, "follows", "operator")).status_code == 403
    assert (await world.reply(str(uuid4()), "follows")).status_code == 404

    world.now += timedelta(days=10)
    bare = await world.reply(finding_id, "follows", "desk")
    assert [item["field"] for item in bare.json()["errors"]] == ["digest"]
    letter = await world.reply(finding_id, "follows", "desk", digest=DIGEST, repliedOn="2026-03-05")
    assert letter.json()["finding"]["reply"] == "follows"
    view = (await world.get("desk", f"/findings/{finding_id}")).json()
    assert view["replies"][0]["onBehalf"]
    assert view["replies"][0]["repliedOn"] == "2026-03-05"


async def test_a_reply_that_is_repeated_after_midnight_is_the_same_reply(world):
    finding_id = await world.finding()
    reply_id = str(uuid4())
    assert (await world.reply(finding_id, "follows", replyId=reply_id)).status_code == 200
    world.now += timedelta(days=1)
    repeat = await world.reply(finding_id, "follows", replyId=reply_id)
    assert (repeat.status_code, repeat.json()["duplicate"]) == (200, True)
    other = await world.reply(finding_id, "partly", replyId=reply_id)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("reply", "changes", "field"),
    [
        ("partly", {"reasons": None}, "reasons"),
        ("does-not-follow", {"reasons": "x" * 2001}, "reasons"),
        ("deviates-from-term", {}, "date"),
        ("deviates-from-term", {"until": "2026-03-20"}, "date"),
        ("follows", {"measuresBy": "2030-01-01"}, "date"),
        ("follows", {"digest": "abc"}, "digest"),
        ("perhaps", {}, "reply"),
    ],
)
async def test_a_bad_reply_names_the_field(world, reply, changes, field):
    answer = await world.reply(await world.finding(), reply, **changes)
    assert answer.status_code == 400
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_a_refusal_tells_the_state_and_who_must_act(world):
    finding_id = await world.finding()
    for _ in range(2):
        await world.let_pass(finding_id)
    late = await world.reply(finding_id, "deviates-from-term", until="2026-06-01")
    problem = late.json()
    assert late.headers["content-type"] == "application/problem+json"
    assert (late.status_code, problem["type"].split(":")[-1]) == (409, "deviation-too-late")
    assert problem["findingState"] == "silent"
    assert (problem["whoMustAct"], problem["nextActor"]) == ("meldpunt", "vangnet")
    assert problem["dueAt"] == "2026-04-09T22:00:00Z"  # five working days, over Easter

    early = await world.post("desk", f"/findings/{finding_id}/_settle", settlement="no-reply")
    assert early.json()["type"].endswith("ladder-not-done")
    assert (
        await world.post("lkc", f"/findings/{finding_id}/_settle", settlement="no-reply")
    ).status_code == 403


async def test_words_are_for_desk_committee_and_supervisor(world):
    finding_id = await world.finding()
    await world.reply(finding_id, "does-not-follow", reasons="Onze reden.")
    await world.show(finding_id, "desk", text="Gesprek gehad.", confirms=False)
    path = f"/findings/{finding_id}"

    assert (await world.get("raad_van_toezicht", path)).status_code == 404
    await world.let_pass(finding_id)
    for reader in ("desk", "lkc", "raad_van_toezicht"):
        text = (await world.get(reader, path)).text
        assert "Onze reden." in text
        assert "Gesprek gehad." in text
    board = await world.get(BOARD, path)
    assert board.status_code == 200
    assert "reden" not in board.text
    assert "Gesprek" not in board.text
    for stranger in ("school", "inspectie"):
        assert (await world.get(stranger, path)).status_code == 404
    assert (await world.get("operator", path)).status_code == 403


async def test_who_shows_evidence(world):
    finding_id = await world.finding()
    await world.reply(finding_id, "partly")
    await world.let_pass(finding_id)
    assert (await world.show(finding_id, BOARD)).status_code == 403
    assert (await world.show(finding_id, "inspectie")).status_code == 404
    inspected = await world.show(finding_id, "raad_van_toezicht", kind="inspection", confirms=False)
    assert inspected.status_code == 200
    claimed = await world.show(finding_id, "raad_van_toezicht")
    assert claimed.json()["type"].endswith("illegal")
    settled = await world.show(finding_id, "desk", kind="statement")
    assert settled.json()["finding"]["settlement"] == "followed"
    after = await world.show(finding_id, "desk")
    assert after.json()["type"].endswith("finding-ended")


async def test_the_list_has_what_is_open_and_overdue(world):
    finding_id = await world.finding()
    assert finding_id not in (await world.get("desk", "/findings?overdue=true")).text
    world.now = (await world.row(finding_id))["next_due_at"]
    overdue = (await world.get("operator", "/findings?overdue=true&limit=500")).json()["findings"]
    found = next(item for item in overdue if item["findingId"] == finding_id)
    assert found["overdue"]
    assert found["nextStep"]["action"] == "reply"

    page, seen, after = None, [], ""
    while page is None or page["nextAfter"]:
        page = (await world.get("desk", f"/findings?limit=3{after}")).json()
        seen += [item["findingId"] for item in page["findings"]]
        after = f"&after={page['nextAfter']}"
    assert len(seen) == len(set(seen))
    assert finding_id in seen
    assert (await world.get("lkc", "/findings")).status_code == 403


async def test_figures_count_per_regime_and_hide_small_numbers(world):
    async with world.database.transaction() as connection:
        regimes = [
            ADVICE.model_copy(update={"id": "counted_a"}),
            COMPLY.model_copy(update={"id": "counted_c"}),
        ]
        await connection.execute("UPDATE finding_register SET valid_from = 'infinity'")
    await world.under(regimes[0])
    followed = [await world.finding() for _ in range(6)]
    silent = [await world.finding() for _ in range(5)]
    world.now += timedelta(days=20)
    for finding_id in followed:
        await world.reply(finding_id, "follows")
    world.now += timedelta(days=10)
    for finding_id in followed:
        await world.show(finding_id)
    await world.let_pass(silent[0])
    await world.let_pass(silent[0])
    for finding_id in silent:
        assert (await world.row(finding_id))["silent_at"]
    world.now += timedelta(seconds=1)
    await world.under(regimes[1])
    await world.reply(await world.finding(), "does-not-follow")

    rows = await _figures(world, "/finding-figures")
    row = rows["counted_a", 2026]
    assert row["findings"] == 11
    assert (row["followed"], row["open"], row["silent"], row["deviated"]) == (6, 5, 5, 0)
    assert (row["medianReplyDays"], row["medianSettleDays"]) == (20, 30)
    assert row["followedOfSettled"] == {"part": 6, "whole": 6, "percent": 100.0}
    assert rows["counted_c", 2026]["deviated"] == 1
    assert rows["counted_c", 2026]["followedOfSettled"] is None

    public = await _figures(world, "/finding-figures?public=true")
    assert public["counted_a", 2026]["followed"] == 6
    hidden = public["counted_c", 2026]
    assert hidden["suppressed"]
    assert hidden["findings"] is hidden["open"] is hidden["medianReplyDays"] is None
    assert (await world.get("lkc", "/finding-figures")).status_code == 403


async def _figures(world, path):
    answer = await world.get("auditor", path)
    return {(row["regime"], row["year"]): row for row in answer.json()["rows"]}
