"""A holder asks, the reporter answers with the code, the holder fetches the answer."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.intake import ContentDisclosed, ContentField, QuestionAnswered, QuestionAsked
from contracts.referral import Status
from contracts.situation import Urgency
from services.chassis.ids import utc_now
from services.intake import store
from tests.component.intake.conftest import Service, World
from tests.component.intake.events import (
    BODY,
    WORDS,
    assigned,
    changed,
    events,
    follow,
    held,
    offered,
    problem,
    received,
    reported,
    shown,
)

ASKED = "Bij welke groep hoort uw kind?"
ANSWER = "Groep zeven, bij meester Kanarie."
ALL = ["narrative", "identity", "answers"]


async def asked(service: Service, world: World, sequence: int) -> tuple[UUID, UUID, str, UUID]:
    case, referral, code = await held(service, sequence)
    question = uuid4()
    capability = world.capability(case, referral, fields=ALL)
    answer = await service.ask(case, capability, ASKED, question=question)
    assert answer.status_code == 201, answer.text
    return case, referral, code, question


async def answered(service: Service, code: str, question: UUID, text: str = ANSWER) -> Any:
    return await service.act("report-answers", code, questionId=str(question), text=text)


async def test_a_question_reaches_the_reporter_and_the_answer_the_holder(
    service: Service, world: World
) -> None:
    case, referral, code, question = await asked(service, world, 2000)
    status = await shown(service, code)
    assert (status["state"], status["nextActor"]) == ("question-open", "reporter")
    assert status["nextAction"] == "answer-question"
    [shown_question] = status["questions"]
    assert (shown_question["questionId"], shown_question["text"]) == (str(question), ASKED)
    assert status["nextBy"] == shown_question["answerBy"]
    assert "stelt u een vraag" in status["text"]
    assert "De volgende stap is aan u" in status["text"]
    first, second = await asyncio.gather(
        answered(service, code, question), answered(service, code, question, f" {ANSWER} ")
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["questions"] == []
    assert first.json()["state"] == "picked-up"
    [told] = await events(world, case, QuestionAnswered)
    assert told.question_id == question
    content = await service.content(case, world.capability(case, referral, fields=ALL))
    [found] = content.json()["answers"]
    assert found.pop("answeredAt").endswith("Z")
    assert found == {
        "questionId": str(question), "organisation": "lkc", "question": ASKED, "answer": ANSWER,
    }  # fmt: skip
    [disclosed] = await events(world, case, ContentDisclosed)
    assert disclosed.fields == tuple(ContentField)
    # Without the right to answers they stay away, and so does the record of them.
    content = await service.content(case, world.capability(case, referral))
    assert content.json() == {"narrative": WORDS, "identity": BODY["identity"]}
    assert problem(await answered(service, code, question, "Anders."))[1] == "question-answered"


async def test_no_word_of_question_or_answer_stands_in_the_clear(
    service: Service, world: World
) -> None:
    case, _, code, question = await asked(service, world, 2020)
    await answered(service, code, question)
    [row] = await world.rows("SELECT * FROM question WHERE case_id = $1", case)
    texts = [*row.values(), *(await events(world, case, QuestionAsked))]
    journal = await world.rows("SELECT data FROM event WHERE key = $1", case)
    stored = "\n".join(map(str, [*texts, *(item["data"] for item in journal)]))
    for word in ("groep", "Groep", "Kanarie", code):
        assert word not in stored
    assert row["answered_at"] is not None


async def test_a_repeated_question_is_the_same_question(service: Service, world: World) -> None:
    case, referral, code, question = await asked(service, world, 2040)
    capability = world.capability(case, referral)
    again = await service.ask(case, capability, f" {ASKED} ", question=question)
    assert again.status_code == 200, again.text
    [event] = await events(world, case, QuestionAsked)
    assert again.json()["answerBy"] == event.model_dump(mode="json")["answer_by"]
    other = await service.ask(case, capability, "Iets anders?", question=question)
    assert problem(other) == (409, "question-id-reused")
    assert len((await shown(service, code))["questions"]) == 1


@pytest.mark.parametrize(
    ("urgency", "within"),
    [
        (Urgency.ACUUT, timedelta(hours=4)),
        (Urgency.SPOED, timedelta(days=3)),
        (Urgency.NORMAAL, timedelta(days=14)),
    ],
)
async def test_the_urgency_tells_how_long_the_reporter_has(
    service: Service, world: World, urgency: Urgency, within: timedelta
) -> None:
    case, _ = await reported(service)
    referral = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    decided = assigned(case, urgency=urgency)
    # Two topics: what referral says may be read first, also in another batch.
    await follow(service, [received(accepted, 2060)])
    await follow(service, [received(decided, 1, "routing")])
    await service.ask(case, world.capability(case, referral), ASKED)
    [event] = await events(world, case, QuestionAsked)
    assert abs(event.answer_by - event.asked_at - within) < timedelta(seconds=2)
    assert (event.organisation, event.referral_id) == ("lkc", referral)
    assert abs(event.asked_at - utc_now()) < timedelta(minutes=1)


async def test_only_the_holder_asks(service: Service, world: World) -> None:
    case, referral, code = await held(service, 2080)
    other = uuid4()
    onward = offered(case, other, organisation="gcbo", holder="lkc", handoff=1, attempt=2)
    await follow(service, [received(onward, 2081)])
    theirs = world.capability(case, other, sub="gcbo", attempt=2)
    assert problem(await service.ask(case, theirs, ASKED, "gcbo")) == (409, "not-holder")
    mine = world.capability(case, referral)
    refused = await service.ask(case, mine, ASKED, "gcbo")
    assert problem(refused) == (403, "capability-of-another-organisation")
    assert problem(await service.ask(uuid4(), mine, ASKED)) == (403, "capability-for-another-case")
    assert problem(await service.ask(case, None, ASKED)) == (400, "capability-missing")
    done = changed(case, referral, Status.COMPLETED, holder="gcbo", handoff=2)
    await follow(service, [received(done, 2082)])
    assert problem(await service.ask(case, mine, ASKED)) == (403, "referral-closed")
    assert (await shown(service, code))["questions"] == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
async def test_a_question_has_a_size(service: Service, world: World, text: str) -> None:
    case, referral, _ = await held(service, 2100)
    assert (await service.ask(case, world.capability(case, referral), text)).status_code == 400


async def test_a_reporter_is_not_buried_in_questions(service: Service, world: World) -> None:
    case, referral, code = await held(service, 2120)
    capability = world.capability(case, referral)
    answers = await asyncio.gather(
        *(service.ask(case, capability, f"Vraag {n}?") for n in range(7))
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 5 + [409] * 2
    status = await shown(service, code)
    assert "stelt u 5 vragen" in status["text"]
    await answered(service, code, UUID(status["questions"][0]["questionId"]))
    assert (await service.ask(case, capability, "Nog een?")).status_code == 201


async def test_an_answer_needs_its_own_open_question(service: Service, world: World) -> None:
    case, referral, code, question = await asked(service, world, 2140)
    _, _, stranger, theirs = await asked(service, world, 2160)
    assert problem(await answered(service, code, theirs)) == (404, "question-unknown")
    assert problem(await answered(service, code, uuid4())) == (404, "question-unknown")
    assert (await answered(service, code, question, "x" * 10_001)).status_code == 400
    assert (await answered(service, code, question, " ")).status_code == 400
    done = changed(case, referral, Status.CANCELLED, holder="vangnet", handoff=2)
    await follow(service, [received(done, 2141)])
    assert problem(await answered(service, code, question)) == (409, "question-closed")
    await service.act("report-withdrawals", stranger)
    assert problem(await answered(service, stranger, theirs)) == (409, "report-withdrawn")
    assert await events(world, case, QuestionAnswered) == []


async def test_the_next_holder_reads_earlier_answers(service: Service, world: World) -> None:
    case, referral, code, question = await asked(service, world, 2180)
    await answered(service, code, question)
    other = uuid4()
    taken = {"organisation": "gcbo", "holder": "gcbo", "handoff": 2}
    await follow(
        service,
        [
            received(changed(case, referral, Status.COMPLETED, holder="gcbo", handoff=2), 2181),
            received(changed(case, other, Status.ACCEPTED, attempt=2, **taken), 2182),
        ],
    )
    capability = world.capability(case, other, sub="gcbo", attempt=2, fields=ALL)
    content = await service.content(case, capability, "gcbo")
    assert [item["answer"] for item in content.json()["answers"]] == [ANSWER]


async def test_erasure_takes_questions_along(service: Service, world: World) -> None:
    case, referral, code, question = await asked(service, world, 2200)
    async with service.runtime.database.transaction() as connection:
        assert await store.erase_case(connection, case, utc_now())
    assert (await shown(service, code))["questions"] == []
    assert problem(await answered(service, code, question)) == (404, "content-erased")
    capability = world.capability(case, referral)
    assert problem(await service.ask(case, capability, "Nog iets?")) == (404, "content-erased")
