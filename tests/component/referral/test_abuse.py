"""What a partner with a valid token tries that it may not, and texts that no table can hold."""

import asyncio
from uuid import uuid4

import pytest

from tests.component.referral.test_closed_loop import held, names


def question(**changes):
    return {"consultationId": str(uuid4()), "organisation": "lkc", "question": "Wat nu?"} | changes


async def ask(world, row, body, organisation="school"):
    path = f"/referrals/{row['referral_id']}/consultations"
    return await world.client.post(path, json=body, headers=world.partner(organisation))


async def test_a_consultation_cannot_take_the_id_of_a_referral(world):
    """Intake keeps both under their id: such a consultation would open a closed referral again."""
    closed = await held(world)
    await world.say("school", closed, "returned", reason="capacity")
    row = await held(world)
    for taken in (closed, row):
        body = question(consultationId=str(taken["referral_id"]))
        refused = await ask(world, row, body)
        assert refused.status_code == 409
        assert refused.json()["type"].endswith("consultation-id-reused")
    assert "consultation-asked" not in await names(world, row["case_id"])


async def test_one_consultation_id_in_two_cases_at_once_is_one_consultation(world):
    rows = [await held(world) for _ in range(4)]
    body = question()
    answers = await asyncio.gather(*(ask(world, row, body) for row in rows))
    asked = [await names(world, row["case_id"]) for row in rows]
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert sum(found.count("consultation-asked") for found in asked) == 1


@pytest.mark.parametrize("accused", ["school", "school/mentor_leerkracht"])
async def test_nobody_asks_advice_of_who_the_case_is_about(world, accused):
    row = await held(world, "lkc", never=(accused,))
    refused = await ask(world, row, question(organisation="school"), "lkc")
    assert (refused.status_code, refused.json()["type"].split(":")[-1]) == (409, "never")
    # Lines that are only shown are no partners, and so cannot be asked either.
    shown = await ask(world, row, question(organisation="kindertelefoon"), "lkc")
    assert (shown.status_code, shown.json()["type"].split(":")[-1]) == (409, "no-channel")


async def test_a_partner_that_was_switched_off_reads_nothing_as_an_adviser(world):
    row = await held(world)
    body = question(organisation="balans")
    assert (await ask(world, row, body)).status_code == 201
    content = f"/consultations/{body['consultationId']}/content-capabilities"
    assert (await world.client.post(content, headers=world.partner("balans"))).status_code == 201
    await world.client.post("/partners/balans/_suspend", headers=world.desk)
    try:
        refused = await world.client.post(content, headers=world.partner("balans"))
        assert refused.status_code == 409
    finally:
        await world.client.post("/partners/balans/_resume", headers=world.desk)


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
async def test_a_text_that_no_table_holds_is_bad_input(world, text):
    row = await held(world)
    asked = await ask(world, row, question(question=text))
    body = question()
    await ask(world, row, body)
    advice = f"/consultations/{body['consultationId']}/advice"
    advised = await world.client.post(advice, json={"advice": text}, headers=world.partner("lkc"))
    said = await world.say("school", row, "returned", reason="other", reasonText=text)
    item = {"handOverId": str(uuid4()), "how": "phone", "handedAt": "2026-11-24T10:00:00Z"}
    handed = await world.client.post(
        f"/referrals/{row['referral_id']}/hand-overs",
        json=item | {"spokenWith": text},
        headers=world.desk,
    )
    named = await world.client.put(
        "/partners/nieuw",
        json={"name": text, "channel": "inbox"},
        headers=world.headers("operations:write"),
    )
    for answer in (asked, advised, said, handed, named):
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"]
