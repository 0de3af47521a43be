"""The closed loop on a real PostgreSQL: what holders, reporters, the desk and time do to a case."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts.intake import (
    IdentityHidden,
    NotHelped,
    QuestionAnswered,
    QuestionAsked,
    ReportWithdrawn,
)
from contracts.referral import Answer
from contracts.routing import CaseAssigned, OnwardRefused, Term
from services.chassis.ids import utc_now
from services.referral.deadlines import Deadlines
from tests.unit.referral.builders import assigned


async def held(world, organisation="school", **changes):
    """A case that an organisation holds, as the row of its referral."""
    row = await world.offered(organisation, **changes)
    answer = await world.say(organisation, row, "accepted")
    assert answer.status_code == 200, answer.text
    return row


async def names(world, case_id):
    return [event["name"] for event in await world.events(case_id)]


async def at(world, moment: datetime) -> None:
    """One round of the deadlines as if it were that moment."""
    await Deadlines(world.database, world.publishing, lambda *_: None, lambda: moment, 0.0).work()


async def test_a_holder_tells_how_it_goes_until_the_end(world):
    row = await held(world)
    case_id = row["case_id"]
    for said in ("in-progress", "in-progress"):
        assert (await world.say("school", row, said)).status_code == 200
    until = (utc_now() + timedelta(days=20)).isoformat()
    body = (await world.say("school", row, "on-hold", until=until)).json()
    assert (body["referral"]["status"], body["referral"]["nextStep"]["dueAt"][:10]) == (
        "on-hold",
        until[:10],
    )
    body = (await world.say("school", row, "no-contact")).json()
    assert body["referral"]["businessStatus"] == "no-contact"
    assert body["referral"]["whoMustAct"] == "reporter"
    body = (await world.say("school", row, "completed", outcome="helped")).json()
    assert body["referral"]["outcome"] == "helped"
    case = await world.case(case_id)
    assert (case["open"], case["holder"], case["next_actor"], case["timer_at"]) == (
        False,
        "school",
        None,
        None,
    )
    assert (await names(world, case_id))[-1] == "case-closed"


async def test_what_is_missing_is_asked_for_by_field(world):
    row = await held(world)
    for said, field in (
        ("on-hold", "until"),
        ("completed", "outcome"),
        ("referred-onward", "suggestedOrganisation"),
        ("returned", "reason"),
    ):
        answer = await world.say("school", row, said)
        assert answer.status_code == 400, answer.text
        assert [item["field"] for item in answer.json()["errors"]] == [field]
    answer = await world.say("school", row, "completed", outcome="decided")
    assert answer.json()["errors"][0]["field"] == "decision"


async def test_a_committee_that_has_decided_leaves_the_case_with_the_desk(world):
    row = await held(world, "lkc", kind_at_primary="klacht")
    await world.say("lkc", row, "completed", outcome="decided", decision="upheld")
    case = await world.case(row["case_id"])
    assert (case["open"], case["holder"], case["desk_reason"]) == (True, "vangnet", "finding")
    assert case["next_action"] == "check-finding"


async def onward(world, row, target="lkc"):
    answer = await world.say("school", row, "referred-onward", suggestedOrganisation=target)
    assert answer.status_code == 200, answer.text
    asked = [e for e in await world.events(row["case_id"]) if e["name"] == "redecision-requested"][
        -1
    ]
    assert (asked["data"]["proposed"], asked["data"]["onward"]) == (target, True)
    assert (await world.case(row["case_id"]))["holder"] == "school"
    return asked["data"]["decision_number"]


async def test_a_warm_handoff_keeps_the_holder_until_the_next_accepts(world):
    row = await held(world)
    number = await onward(world, row)
    await world.decide(assigned("lkc", number=number, case_id=row["case_id"], onward=True))
    offered = await world.referral(row["case_id"])
    assert (offered["organisation"], offered["onward_of"]) == ("lkc", row["referral_id"])
    assert (await world.case(row["case_id"]))["holder"] == "school"
    assert (await world.say("lkc", offered, "accepted")).status_code == 200
    case = await world.case(row["case_id"])
    assert (case["holder"], case["handoff"]) == ("lkc", 2)
    before = await world.row("SELECT * FROM referral WHERE referral_id = $1", row["referral_id"])
    assert (before["status"], before["business_status"]) == ("completed", "referred-onward")
    # The first holder is told who has it now, and A to B to A is refused.
    late = await world.say("school", row, "in-progress")
    assert (late.status_code, late.json()["holder"]) == (409, "lkc")
    back = await world.say("lkc", offered, "referred-onward", suggestedOrganisation="school")
    assert (back.status_code, back.json()["type"].rpartition(":")[2]) == (409, "loop")


async def test_a_declined_handoff_leaves_the_holder_and_tells_it(world):
    row = await held(world)
    number = await onward(world, row)
    await world.decide(assigned("lkc", number=number, case_id=row["case_id"], onward=True))
    offered = await world.referral(row["case_id"])
    await world.say("lkc", offered, "rejected", reason="not-competent")
    case = await world.case(row["case_id"])
    assert (case["holder"], case["returns"], case["next_action"]) == ("school", 0, "handle")
    news = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert [item["news"] for item in news] == ["onward-offered", "onward-declined"]


async def test_a_register_that_disagrees_leaves_the_holder_and_says_why(world):
    row = await held(world)
    number = await onward(world, row)
    await world.decide(
        OnwardRefused(
            case_id=row["case_id"],
            asked_number=number,
            organisation="lkc",
            problem="not-competent",
            why="Deze commissie gaat hier niet over.",
            decided_at=utc_now(),
        )
    )
    case = await world.case(row["case_id"])
    assert (case["holder"], case["next_action"]) == ("school", "handle")
    news = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert (news[-1]["news"], news[-1]["problem"]) == ("onward-refused", "not-competent")


async def test_a_holder_gives_back_with_a_reason_and_a_better_party(world):
    row = await held(world)
    answer = await world.say(
        "school", row, "returned", reason="conflict-of-interest", suggestedOrganisation="lkc"
    )
    assert answer.status_code == 200
    case = await world.case(row["case_id"])
    assert (case["holder"], case["handoff"], case["returns"]) == ("vangnet", 2, 1)
    asked = [
        e["data"] for e in await world.events(row["case_id"]) if e["name"] == "redecision-requested"
    ]
    assert (asked[-1]["proposed"], asked[-1]["excluded"]) == ("lkc", ["school"])


async def test_a_withdrawal_before_the_decision_is_applied_after_it(world):
    event = assigned("school")
    gone = ReportWithdrawn(report_id=event.report_id, case_id=event.case_id, withdrawn_at=utc_now())
    await world.told(gone)
    await world.decide(event)
    assert (await world.case(event.case_id))["open"] is True
    await at(world, utc_now())
    case = await world.case(event.case_id)
    assert (case["open"], case["holder"]) == (False, "vangnet")
    assert (await world.referral(event.case_id))["status"] == "cancelled"
    assert "referral-withdrawn" in await names(world, event.case_id)
    # An accept that was under way gets the true state.
    late = await world.say("school", await world.referral(event.case_id), "accepted")
    assert (late.status_code, late.json()["referralStatus"]) == (409, "cancelled")


async def test_a_question_waits_for_the_reporter_and_comes_back(world):
    row = await held(world)
    question, answer_by = uuid4(), utc_now() + timedelta(days=3)
    asked = QuestionAsked(
        question_id=question,
        case_id=row["case_id"],
        referral_id=row["referral_id"],
        organisation="school",
        answer_by=answer_by,
        asked_at=utc_now(),
    )
    await world.told(asked)
    case = await world.case(row["case_id"])
    assert (case["next_actor"], case["holder"]) == ("reporter", "school")
    await world.told(
        QuestionAnswered(question_id=question, case_id=row["case_id"], answered_at=utc_now())
    )
    case = await world.case(row["case_id"])
    assert (case["next_actor"], case["next_action"]) == ("school", "handle")
    news = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert news[-1]["reference_id"] == str(question)


async def test_a_hidden_identity_is_in_no_capability_any_more(world):
    row = await held(world)
    path = f"/referrals/{row['referral_id']}/content-capabilities"
    before = (await world.client.post(path, headers=world.partner("school"))).json()
    assert set(before["fields"]) == {"narrative", "identity", "answers"}
    hidden = IdentityHidden(report_id=uuid4(), case_id=row["case_id"], hidden_at=utc_now())
    await world.told(hidden)
    after = (await world.client.post(path, headers=world.partner("school"))).json()
    assert after["fields"] == ["narrative", "answers"]


async def test_not_helped_opens_a_closed_case_again(world):
    row = await held(world)
    await world.say("school", row, "completed", outcome="advised")
    await world.told(NotHelped(report_id=uuid4(), case_id=row["case_id"], at=utc_now()))
    case = await world.case(row["case_id"])
    assert (case["open"], case["holder"], case["desk_reason"]) == (True, "vangnet", "not-helped")


async def test_a_silent_holder_is_reminded_then_called_and_stays_holder(world):
    row = await held(world)
    case = await world.case(row["case_id"])
    while case["next_action"] == "handle":
        await at(world, case["timer_at"] - timedelta(seconds=1))
        assert (await world.case(row["case_id"]))["reminders"] == case["reminders"], "none early"
        await at(world, case["timer_at"])
        case = await world.case(row["case_id"])
    assert (case["next_actor"], case["next_action"], case["holder"]) == (
        "vangnet",
        "call-holder",
        "school",
    )
    seen = await names(world, row["case_id"])
    assert seen.count("referral-reminder") == 2
    assert seen[-1] == "referral-escalated"
    assert case["open"] is True
    called = await world.client.post(f"/cases/{row['case_id']}/_resume", headers=world.desk)
    assert called.json()["nextStep"]["actor"] == "school"


async def test_a_timer_fires_once_whatever_the_number_of_instances(world):
    row = await held(world)
    moment = (await world.case(row["case_id"]))["timer_at"]
    await asyncio.gather(*(at(world, moment) for _ in range(5)))
    assert (await names(world, row["case_id"])).count("referral-reminder") == 1


async def test_a_legal_term_is_warned_of_twice_and_never_after_it(world):
    last_day = (datetime.now(UTC) + timedelta(days=40)).date()
    term = Term(
        term="gpo_indienen",
        organisation="school",
        length="42 days",
        starts="decision",
        source="S",
        last_day=last_day,
    )
    row = await held(world, terms=(term,))
    view = (await world.client.get(f"/cases/{row['case_id']}", headers=world.desk)).json()
    assert view["terms"][0]["lastDay"] == last_day.isoformat()
    for days in (15, 14, 13, 3, 1, -1, -5):
        await at(
            world,
            datetime(last_day.year, last_day.month, last_day.day, 12, tzinfo=UTC)
            - timedelta(days=days),
        )
    assert (await names(world, row["case_id"])).count("term-warned") == 2
    news = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert {item["term"] for item in news} == {"gpo_indienen"}


async def test_who_accepts_later_hears_of_a_term_that_was_warned_of_before(world):
    last_day = (datetime.now(UTC) + timedelta(days=9)).date()
    term = Term(
        term="gpo_indienen",
        organisation="school",
        length="42 days",
        starts="decision",
        source="S",
        last_day=last_day,
    )
    row = await world.offered("school", terms=(term,))
    await at(world, datetime.now(UTC))
    assert (await names(world, row["case_id"])).count("term-warned") == 1
    assert "case-news" not in await names(world, row["case_id"])
    for _ in range(2):
        assert (await world.say("school", row, "accepted")).status_code == 200
    await world.say("school", row, "in-progress")
    [news] = [e["data"] for e in await world.events(row["case_id"]) if e["name"] == "case-news"]
    assert (news["news"], news["term"], news["organisation"]) == (
        "term-ends",
        "gpo_indienen",
        "school",
    )
    assert news["last_day"] == last_day.isoformat()


async def test_a_party_without_a_channel_is_handed_the_case_by_the_desk(world):
    event = assigned("unheard_of")
    await world.decide(event)
    row = await world.referral(event.case_id)
    case = await world.case(event.case_id)
    assert (row["channel"], case["next_actor"], case["next_action"]) == (
        "desk",
        "vangnet",
        "hand-over",
    )
    assert row["due_at"] is None, "nobody fails for what the desk has not brought yet"
    body = {
        "handOverId": str(uuid4()),
        "how": "letter",
        "accepted": False,
        "handedAt": utc_now().isoformat(),
    }
    path = f"/referrals/{row['referral_id']}/hand-overs"
    for _ in range(2):
        answer = await world.client.post(path, json=body, headers=world.desk)
        assert answer.status_code == 201, answer.text
    assert answer.json()["holder"] == "vangnet", "a letter proves no acceptance"
    phone = body | {
        "handOverId": str(uuid4()),
        "how": "phone",
        "accepted": True,
        "spokenWith": "secretariaat",
    }
    view = (await world.client.post(path, json=phone, headers=world.desk)).json()
    assert (view["holder"], len(view["handOvers"])) == ("unheard_of", 2)
    assert view["handOvers"][0]["recordedBy"]
    assert "secretariaat" not in str(await world.events(event.case_id))


async def test_a_decline_by_phone_counts_as_any_other(world):
    event = assigned("unheard_of")
    await world.decide(event)
    row = await world.referral(event.case_id)
    body = {
        "handOverId": str(uuid4()),
        "how": "phone",
        "declined": "wrong-region",
        "handedAt": utc_now().isoformat(),
    }
    path = f"/referrals/{row['referral_id']}/hand-overs"
    view = (await world.client.post(path, json=body, headers=world.desk)).json()
    assert (view["returns"], view["referrals"][0]["status"]) == (1, "rejected")
    assert "redecision-requested" in await names(world, event.case_id)


async def test_the_desk_ends_a_case_by_what_came_of_it_and_not_without(world):
    event = assigned("hulpdiensten_112", mode="show")
    await world.decide(event)
    path = f"/cases/{event.case_id}/_end"
    refused = await world.client.post(path, json={"outcome": "not-helped"}, headers=world.desk)
    assert (refused.status_code, refused.json()["whoMustAct"]) == (409, "meldpunt")
    ended = await world.client.post(path, json={"outcome": "helped"}, headers=world.desk)
    assert (ended.json()["open"], ended.json()["nextStep"]) == (False, None)
    assert (await names(world, event.case_id))[-1] == "case-closed"


async def test_a_partner_is_added_and_changed_over_the_api(world):
    operator = world.headers("operations:write")
    body = {"name": "Loket Nieuw", "channel": "inbox", "fallback": "desk"}
    put = await world.client.put("/partners/loket_nieuw", json=body, headers=operator)
    assert put.status_code == 200, put.text
    wrong = await world.client.put(
        "/partners/loket_nieuw", json=body | {"fallback": "inbox"}, headers=operator
    )
    assert wrong.json()["errors"][0]["field"] == "fallback"
    listed = (await world.client.get("/partners", headers=operator)).json()["partners"]
    empty = {"lastSequence": 0, "acknowledged": 0, "acknowledgedAt": None}
    assert body | {"organisation": "loket_nieuw", "active": True, "feed": empty} in listed
    event = assigned("loket_nieuw")
    await world.decide(event)
    row = await world.referral(event.case_id)
    assert row["channel"] == "inbox"
    await at(world, row["due_at"])
    case, again = await world.case(event.case_id), await world.referral(event.case_id)
    assert (again["channel"], again["rung"], case["next_action"]) == (
        "desk",
        "other-channel",
        "hand-over",
    )


async def test_the_desk_assigns_but_never_to_whom_it_is_about(world):
    event = assigned("vangnet", mode="desk", never=("school",))
    await world.decide(event)
    path = f"/cases/{event.case_id}/assignments"
    refused = await world.client.post(path, json={"organisation": "school"}, headers=world.desk)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "never")
    taken = await world.client.post(path, json={"organisation": "lkc"}, headers=world.desk)
    assert taken.status_code == 201, taken.text
    again = await world.client.post(path, json={"organisation": "gcbo"}, headers=world.desk)
    assert again.status_code == 409


async def test_an_organisation_that_is_switched_off_loses_its_cases_at_once(world):
    asked = await world.offered("sbb")
    holds = await held(world, "sbb")
    answer = await world.client.post("/partners/sbb/_suspend", headers=world.desk)
    assert answer.json()["moved"] == 2
    for row in (asked, holds):
        case = await world.case(row["case_id"])
        assert (case["holder"], case["returns"], case["returned_by"]) == ("vangnet", 0, "sbb")
        assert "redecision-requested" in await names(world, row["case_id"])
    late = await world.say("sbb", asked, "accepted")
    assert late.status_code == 409
    await world.client.post("/partners/sbb/_resume", headers=world.desk)


async def test_conferring_leaves_the_case_where_it_is_and_no_text_in_events(world):
    row = await held(world)
    secret = "Mag een school dit vragen"
    body = {"consultationId": str(uuid4()), "organisation": "lkc", "question": secret}
    path = f"/referrals/{row['referral_id']}/consultations"
    asked = await world.client.post(path, json=body, headers=world.partner("school"))
    assert asked.status_code == 201, asked.text
    repeat = await world.client.post(path, json=body, headers=world.partner("school"))
    assert repeat.json()["consultationId"] == body["consultationId"]
    stranger = await world.client.get(
        f"/consultations/{body['consultationId']}", headers=world.partner("gcbo")
    )
    assert stranger.status_code == 404
    advice = f"/consultations/{body['consultationId']}/advice"
    given = await world.client.post(
        advice, json={"advice": "Ja dat mag"}, headers=world.partner("lkc")
    )
    assert given.status_code == 201, given.text
    seen = (
        await world.client.get(
            f"/consultations/{body['consultationId']}", headers=world.partner("school")
        )
    ).json()
    assert (seen["advised"], seen["advice"]) == (True, "Ja dat mag")
    told = str(await world.events(row["case_id"]))
    assert secret not in told
    assert "dat mag" not in told
    assert (await world.case(row["case_id"]))["holder"] == "school"


async def test_what_a_former_holder_asked_ends_with_its_hold(world):
    row = await held(world)
    consultation_id = await world.consult(row)
    content = f"/consultations/{consultation_id}/content-capabilities"
    given = await world.client.post(content, headers=world.partner("lkc"))
    assert (given.status_code, given.json()["fields"]) == (201, ["narrative"])
    assert (await world.client.post(content, headers=world.partner("school"))).status_code == 404
    await world.say("school", row, "returned", reason="capacity")
    assert (await world.client.post(content, headers=world.partner("lkc"))).status_code == 409
    assert "consultation-answered" in await names(world, row["case_id"])
    # Who was asked would else go on working on an answer that nobody reads.
    [ended] = [
        event
        for event in await world.events(row["case_id"])
        if event["name"] == "consultation-ended"
    ]
    assert ended["source"].endswith("lkc")
    assert ended["data"]["consultation_id"] == consultation_id


async def test_an_answered_consultation_is_not_ended_once_more(world):
    row = await held(world)
    consultation_id = await world.consult(row)
    advice = f"/consultations/{consultation_id}/advice"
    await world.client.post(advice, json={"advice": "Bel elkaar"}, headers=world.partner("lkc"))
    await world.say("school", row, "returned", reason="capacity")
    assert "consultation-ended" not in await names(world, row["case_id"])


async def test_silence_goes_to_the_other_loket_first(world):
    event: CaseAssigned = assigned(
        "school", loket="mentor_leerkracht", other_lokets=("schoolleiding",)
    )
    await world.decide(event)
    row = await world.referral(event.case_id)
    await at(world, row["due_at"] - timedelta(seconds=1))
    assert (await world.referral(event.case_id))["status"] == "requested", "none early"
    await at(world, row["due_at"])
    again = await world.referral(event.case_id)
    assert (again["organisation"], again["loket"], again["attempt"]) == (
        "school",
        "schoolleiding",
        2,
    )
    assert (await world.case(event.case_id))["returns"] == 0
    fenced = await world.say("school", row, "accepted")
    assert fenced.status_code == 409, "the first attempt is fenced off"
    assert (await world.say("school", again, "accepted")).status_code == 200


async def test_the_same_answer_meanwhile_is_told_that_it_is_being_handled(world):
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
        second = await world.say("school", row, "accepted", answerId=answer_id)
        assert (second.status_code, second.json()["whoMustAct"]) == (425, "meldpunt")
        assert int(second.headers["retry-after"]) >= 1
        await transaction.rollback()
    assert (await first).status_code == 200
    third = await world.say("school", row, "accepted", answerId=answer_id)
    assert (third.status_code, third.json()["duplicate"]) == (200, True)


async def test_two_accepts_that_race_have_one_winner(world):
    row = await held(world)
    number = await onward(world, row)
    await world.decide(assigned("lkc", number=number, case_id=row["case_id"], onward=True))
    offered = await world.referral(row["case_id"])
    done, accepted = await asyncio.gather(
        world.say("school", row, "completed", outcome="helped"),
        world.say("lkc", offered, "accepted"),
    )
    case = await world.case(row["case_id"])
    winner = "lkc" if accepted.status_code == 200 else "school"
    assert case["holder"] == winner
    # Whoever lost is told the true state, and who holds the case.
    assert sorted((done.status_code, accepted.status_code)) == [200, 409]
    lost = accepted if winner == "school" else done
    assert lost.json()["holder"] == winner


async def test_an_answer_of_the_partner_topic_takes_the_same_path(world):
    row = await held(world, "veilig_thuis")
    await world.hear("veilig_thuis", world.answered(row, Answer.COMPLETED, outcome="helped"))
    assert (await world.case(row["case_id"]))["open"] is False
