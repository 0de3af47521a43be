"""The wegwijzer over HTTP: public, by the register and the closures of this moment."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.chassis.ids import utc_now
from services.routing.wegwijzer_api import BODY_BYTES_MAX
from tests.component.routing.conftest import World

QUESTIONS_MAX = 10
BULLY = {
    "danger": "nee",
    "sector": "po",
    "reporter": "ouder",
    "kind": "klacht",
    "subject": "pesten",
    "accused": "leerling",
}


async def ask(world: World, answers: dict[str, list[str]]) -> dict[str, Any]:
    answer = await world.client.post("/wegwijzer-steps", json={"answers": answers}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def walk(world: World, choose: dict[str, str]) -> dict[str, Any]:
    """Answer what is asked, with `unknown` where nothing is chosen, until there is a result."""
    answers: dict[str, list[str]] = {}
    while (step := await ask(world, answers))["result"] is None:
        question = step["question"]
        options = [option["id"] for option in question["options"]]
        wanted = choose.get(question["id"], "unknown")
        assert wanted in options
        answers[question["id"]] = [wanted]
        assert len(answers) <= QUESTIONS_MAX
    return step


async def test_help_stands_at_the_first_question_and_no_token_is_needed(world: World) -> None:
    step = await ask(world, {})
    assert step["question"]["id"] == "danger"
    assert step["emergency"]["nl"]
    assert all(line["contact"] for line in step["helpLines"])
    assert len(step["possibleParties"]) > 1
    assert step["result"] is None


async def test_danger_ends_the_questions_at_once(world: World) -> None:
    step = await walk(world, {"danger": "ja"})
    assert (step["asked"], step["result"]["urgency"]) == (1, "acuut")


async def test_not_knowing_anything_leads_to_a_result(world: World) -> None:
    step = await walk(world, {})
    assert step["question"] is None
    assert step["result"]["text"]


async def test_the_result_is_what_a_report_would_get(world: World) -> None:
    step = await walk(world, BULLY)
    answer = await world.client.post(
        "/decision-previews", json=step["situation"], headers=world.desk
    )
    expected = answer.json()
    result = step["result"]
    assert (result["organisation"], result["loket"]) == (
        expected["organisation"],
        expected["loket"],
    )
    assert result["text"] == expected["text"]
    assert step["registerVersion"] == expected["registerVersion"]


async def test_a_closed_party_is_no_result(world: World) -> None:
    chosen = BULLY
    usual = (await walk(world, chosen))["result"]["organisation"]
    until = (utc_now() + timedelta(hours=1)).isoformat()
    closed = await world.client.post(
        "/closures",
        json={"party": usual, "reason": "outage", "until": until},
        headers=world.operator,
    )
    assert closed.status_code == 201
    assert (await walk(world, chosen))["result"]["organisation"] != usual
    await world.client.post(f"/closures/{closed.json()['id']}/_end", headers=world.operator)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"answers": {"danger": "ja"}}',
        b'{"answers": {"danger": ["perhaps"]}}',
        b'{"answers": {"mood": ["good"]}}',
        b'{"answers": {"danger": ["ja", "nee"]}}',
        b'{"answers": {"Jan Jansen": ["ja"]}}',
        b'{"name": "Jan Jansen"}',
    ],
)
async def test_answers_that_do_not_exist_are_told(world: World, content: bytes) -> None:
    answer = await world.client.post("/wegwijzer-steps", content=content)
    assert answer.status_code == 400
    assert answer.json()["errors"]
    if b"Jansen" in content:
        assert "good" not in answer.text


async def test_a_long_body_is_refused_early(world: World) -> None:
    answer: httpx.Response = await world.client.post(
        "/wegwijzer-steps", content=b" " * (BODY_BYTES_MAX + 1)
    )
    assert answer.status_code == 413


async def test_schools_are_looked_up_here_too(world: World) -> None:
    answer = await world.client.get("/schools", params={"query": "montessori"})
    assert answer.status_code == 200
    assert answer.json()["schools"]
