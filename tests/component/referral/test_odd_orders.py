"""What happens seldom, and must not stop the rest: odd orders of events on a real PostgreSQL."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.intake import ReportWithdrawn
from contracts.referral import Answer
from contracts.routing import CaseAssigned, OnwardRefused, Term
from services.chassis.ids import utc_now
from services.referral import answering, conferring, escalation, handlers, legal_terms
from services.referral.deadlines import Deadlines
from services.referral.findings import ladder
from services.referral.findings.deadlines import Findings
from services.referral.handlers import NOTICED
from services.referral.unanswered import Unanswered
from tests.component.referral.test_closed_loop import at, held
from tests.component.referral.test_finding_of_a_case import _activate, _finding
from tests.unit.referral.builders import assigned


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


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def error(self, event, **more) -> None:
        self.lines.append((event, more))


def _breaks(rule, case_id, *, late: bool):
    """A rule that has a defect in one case: found at once, or only by what the commit checks."""

    def broken(standing, *rest):
        if standing.case.case_id != case_id:
            return rule(standing, *rest)
        if not late:
            raise ZeroDivisionError
        outcome = rule(standing, *rest)
        return outcome._replace(case=outcome.case._replace(holder="nobody", handoff=1))

    return broken


@pytest.mark.parametrize("late", [False, True])
async def test_a_case_with_a_defect_holds_up_no_other_case(world, monkeypatch, late):
    bad, good = await world.offered(), await world.offered()
    for row in (bad, good):
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE referral SET due_at = offered_at, received_by = offered_at"
                " WHERE referral_id = $1",
                row["referral_id"],
            )
    log = _Log()
    works = Deadlines(world.database, world.publishing, lambda *_: None, utc_now, 0.0, log=log)
    with monkeypatch.context() as patch:
        broken = _breaks(escalation.expire, bad["case_id"], late=late)
        patch.setattr(escalation, "expire", broken)
        await works.work()
        assert [line for line, _ in log.lines] == ["deadline_defect"]
        assert log.lines[0][1]["case_id"] == str(bad["case_id"])
        assert (await world.referral(good["case_id"]))["status"] == "failed"
        assert (await world.referral(bad["case_id"]))["status"] == "requested"
        await works.work()
        assert len(log.lines) == 1

    later = utc_now() + timedelta(minutes=11)
    await at(world, later)
    assert (await world.referral(bad["case_id"]))["status"] == "failed"


async def test_a_timer_and_a_warning_with_a_defect_are_tried_again(world, monkeypatch):
    last_day = (utc_now() + timedelta(days=2)).date()
    term = Term(
        term="klacht",
        organisation="school",
        length="P1Y",
        starts="incident",
        source="WPO 14",
        last_day=last_day,
    )
    row = await held(world, terms=(term,))
    log = _Log()
    soon = utc_now() + timedelta(seconds=1)
    works = Deadlines(world.database, world.publishing, lambda *_: None, lambda: soon, 0.0, log=log)
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE case_holder SET timer_at = changed_at WHERE case_id = $1", row["case_id"]
        )
    with monkeypatch.context() as patch:
        for place, name in ((escalation, "tick"), (legal_terms, "warn")):
            patch.setattr(place, name, _breaks(getattr(place, name), row["case_id"], late=False))
        await works.work()
    assert len(log.lines) == 2
    assert await _names(world, row) == []
    warned = await world.row("SELECT * FROM legal_term WHERE case_id = $1", row["case_id"])
    assert (warned["warned"], warned["warn_at"]) == (0, soon + timedelta(minutes=10))

    await at(world, soon + timedelta(minutes=11))
    assert sorted(await _names(world, row)) == ["referral-reminded", "term-warned"]


async def _names(world, row):
    told = {"referral-reminded", "term-warned"}
    return [event["name"] for event in await world.events(row["case_id"]) if event["name"] in told]


async def test_a_withdrawal_whose_case_has_a_defect_is_kept(world, monkeypatch):
    event = assigned()
    await world.told(
        ReportWithdrawn(case_id=event.case_id, report_id=event.report_id, withdrawn_at=utc_now())
    )
    await world.decide(event)
    with monkeypatch.context() as patch:
        patch.setitem(
            NOTICED, "withdrawn", _breaks(NOTICED["withdrawn"], event.case_id, late=False)
        )
        log = _Log()
        works = Deadlines(world.database, world.publishing, lambda *_: None, utc_now, 0.0, log=log)
        await works.work()
    assert [line for line, _ in log.lines] == ["deadline_defect"]
    assert (await world.case(event.case_id))["open"]

    await world.deadlines().work()
    assert not (await world.case(event.case_id))["open"]


async def test_one_work_that_fails_stops_no_other(world):
    event = assigned()
    await world.told(
        ReportWithdrawn(case_id=event.case_id, report_id=event.report_id, withdrawn_at=utc_now())
    )
    await world.decide(event)
    done = []

    async def broken(*_) -> int:
        raise ZeroDivisionError

    async def works(*_) -> int:
        done.append(True)
        return 0

    deadlines = Deadlines(
        world.database, world.publishing, lambda *_: None, utc_now, 0.0, [broken, works]
    )
    with pytest.raises(ZeroDivisionError):
        await deadlines.work()
    assert done == [True]
    log = _Log()
    logged = Deadlines(
        world.database, world.publishing, lambda *_: None, utc_now, 0.0, [broken, works], log=log
    )
    await logged.work()
    assert (done, [line for line, _ in log.lines]) == ([True, True], ["deadlines_defect"])
    assert not (await world.case(event.case_id))["open"]


async def test_an_offer_over_another_channel_leaves_no_hole_in_the_topic(world):
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE partner SET fallback = 'email' WHERE organisation = 'school'"
        )
    try:
        row = await world.offered()
        await world.let_expire(row)
    finally:
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE partner SET fallback = NULL WHERE organisation = 'school'"
            )

    assert (await world.referral(row["case_id"]))["channel"] == "email"
    feed = [
        event["topic"]
        for event in await world.events(row["case_id"])
        if event["source"].endswith("partner-school")
    ]
    assert len(feed) == 2
    assert set(feed) == {"meldpunt.partner.school.out"}


async def test_all_that_a_partner_says_of_a_case_at_once_is_one_transaction(world, monkeypatch):
    row, other = await world.offered(), await world.offered("lkc")
    passed_on = await held(world)
    await world.say("school", passed_on, "referred-onward", suggestedOrganisation="lkc")
    next_one = await _agree(world, passed_on)
    batches = []

    async def counted(connection, publishing, partners, submissions, now):
        batches.append(len(submissions))
        return await answering.settle(connection, publishing, partners, submissions, now)

    monkeypatch.setattr(handlers, "settle", counted)
    says = (Answer.RECEIVED, Answer.ACCEPTED, Answer.IN_PROGRESS)
    done = world.answered(row, Answer.COMPLETED, outcome="helped")
    await world.hear("school", *(world.answered(row, said) for said in says), done)
    back = world.answered(other, Answer.RETURNED, reason="capacity")
    await world.hear(
        "lkc",
        *(world.answered(next_one, said) for said in says),
        *(world.answered(other, said) for said in says),
        back,
    )

    assert batches == [4, 7]
    assert (await world.referral(row["case_id"]))["status"] == "completed"
    assert not (await world.case(row["case_id"]))["open"]
    assert (await world.referral(other["case_id"]))["business_status"] == "returned"
    assert (await world.case(passed_on["case_id"]))["holder"] == "lkc"
    assert (await world.referral(passed_on["case_id"]))["status"] == "in-progress"
    told = [
        event["data"]["status"]
        for event in await world.events(row["case_id"])
        if event["name"] == "referral-status-changed"
    ]
    assert told == ["received", "accepted", "in-progress", "completed"]


async def test_a_finding_with_a_defect_is_tried_again(world, monkeypatch):
    await _activate(world)
    row = await world.offered("lkc", kind_at_primary="klacht")
    await world.say("lkc", row, "accepted")
    await world.say("lkc", row, "completed", outcome="decided", decision="upheld")
    await world.client.post(
        f"/cases/{row['case_id']}/findings", json=_finding(), headers=world.partner("lkc")
    )
    query = "SELECT * FROM finding WHERE case_id = $1"
    fires_at = (await world.row(query, row["case_id"]))["fires_at"]
    fire, log = ladder.fire, _Log()

    def broken(finding, *rest):
        if finding.case_id == row["case_id"]:
            raise ZeroDivisionError
        return fire(finding, *rest)

    findings = Findings(world.publishing, log)
    with monkeypatch.context() as patch:
        patch.setattr(ladder, "fire", broken)
        async with world.database.transaction() as connection:
            await findings.fire(connection, fires_at)
    after = await world.row(query, row["case_id"])
    assert [line for line, _ in log.lines] == ["deadline_defect"]
    assert (after["reminders"], after["fires_at"]) == (0, fires_at + timedelta(minutes=10))

    async with world.database.transaction() as connection:
        await findings.fire(connection, after["fires_at"])
    assert (await world.row(query, row["case_id"]))["reminders"] == 1


async def test_a_consultation_with_a_defect_holds_up_no_other_and_is_tried_again(
    world, monkeypatch
):
    bad, good = await _asked(world), await _asked(world)
    request, log = conferring.request, _Log()
    query = "SELECT asked_at, answer_by FROM consultation WHERE case_id = $1"
    asked = await world.row(query, good)
    # Past the half of the time, in which who is asked is reminded, and not near the end of it.
    now = asked["asked_at"] + (asked["answer_by"] - asked["asked_at"]) * 0.6

    def broken(case, item, at):
        if case.case_id == bad:
            raise ZeroDivisionError
        return request(case, item, at)

    async def told(case_id) -> int:
        events = await world.events(case_id)
        return sum(event["name"] == "consultation-request" for event in events)

    async def fire(at) -> int:
        async with world.database.transaction() as connection:
            return await Unanswered(world.publishing, log).fire(connection, at)

    with monkeypatch.context() as patch:
        patch.setattr(conferring, "request", broken)
        assert await fire(now) >= 2
        assert [line for line, _ in log.lines] == ["deadline_defect"]
        assert (await told(bad), await told(good)) == (1, 2)
        assert await fire(now) == 0

    await fire(now + timedelta(minutes=9))
    assert await told(bad) == 1
    await fire(now + timedelta(minutes=10))
    await fire(now + timedelta(minutes=11))
    assert (await told(bad), await told(good)) == (2, 2)


async def _asked(world):
    row = await world.offered("school")
    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    await world.consult(row)
    return row["case_id"]
