"""A reporter who returns with the code: withdraw, hide the identity, say that no help came."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.intake import IdentityHidden, KnownDate, NotHelped, ReportReceived, ReportWithdrawn
from contracts.referral import ClosedBecause, CompletedAs, DeskReason, Status
from services.chassis.ids import utc_now
from tests.component.intake.conftest import SITUATION, Service, World
from tests.component.intake.events import (
    BODY,
    WORDS,
    at_desk,
    changed,
    closed,
    events,
    follow,
    held,
    problem,
    received,
    reported,
    shown,
)

ACTIONS = ("report-withdrawals", "report-identity-removals", "report-not-helped-notices")


async def test_known_dates_are_published(service: Service, world: World) -> None:
    dates = [
        {"starts": "decision", "day": "2026-01-31"},
        {"starts": "absence", "day": "2025-12-01"},
    ]
    answer = await service.report({"situation": SITUATION, "knownDates": dates})
    assert answer.status_code == 201, answer.text
    [event] = await events(world, answer.json()["caseId"], ReportReceived)
    assert event.known_dates == tuple(KnownDate.model_validate(item) for item in dates)


@pytest.mark.parametrize(
    ("dates", "field"),
    [
        ([{"starts": "decision", "day": "9999-12-31"}], "knownDates.0.day"),
        ([{"starts": "decision", "day": "1899-12-31"}], "knownDates.0.day"),
        ([{"starts": "decision", "day": 1764000000}], "knownDates.0.day"),
        ([{"starts": "decision", "day": "gisteren"}], "knownDates.0.day"),
        ([{"starts": "Het besluit", "day": "2026-01-01"}], "knownDates.0.starts"),
        ([{"starts": "decision", "day": "2026-01-01", "note": "x"}], "knownDates.0.note"),
        ([{"starts": "decision", "day": "2026-01-01"}] * 2, "knownDates"),
        ([{"starts": f"s{n}", "day": "2026-01-01"} for n in "abcdefghijk"], "knownDates"),
    ],
)
async def test_dates_that_cannot_be_are_refused(
    service: Service, dates: list[dict[str, object]], field: str
) -> None:
    answer = await service.report({"situation": SITUATION, "knownDates": dates})
    assert answer.status_code == 400
    found = answer.json()["errors"]
    assert [item["field"] for item in found] == [field]
    assert all(item["remedy"] for item in found)
    assert "besluit" not in answer.text
    assert "gisteren" not in answer.text


async def test_withdrawing_is_published_once_and_told_in_plain_words(
    service: Service, world: World
) -> None:
    case, _, code = await held(service, 1500)
    answers = await asyncio.gather(*(service.act("report-withdrawals", code) for _ in range(4)))
    again = await service.act("report-withdrawals", code.lower().replace("-", " "))
    assert [answer.status_code for answer in (*answers, again)] == [200] * 5
    [event] = await events(world, case, ReportWithdrawn)
    status = again.json()
    assert status["state"] == "withdrawn"
    assert status["withdrawnAt"] == event.model_dump(mode="json")["withdrawn_at"]
    # The party that has the case is still the one that acts next (P3).
    assert (status["holder"], status["nextActor"]) == ("lkc", "lkc")
    assert "U hebt uw klacht ingetrokken." in status["text"]
    assert "meldplicht of een aangifteplicht" in status["text"]
    await follow(service, [received(closed(case, ClosedBecause.WITHDRAWN, handoff=2), 1501)])
    status = await shown(service, code)
    assert (status["state"], status["nextActor"]) == ("withdrawn", None)
    assert (await service.act("report-withdrawals", code)).status_code == 200
    assert len(await events(world, case, ReportWithdrawn)) == 1
    assert problem(await service.act("report-not-helped-notices", code)) == (
        409,
        "report-withdrawn",
    )


async def test_what_is_closed_cannot_be_withdrawn(service: Service, world: World) -> None:
    case, _, code = await held(service, 1520)
    await follow(service, [received(closed(case, ClosedBecause.COMPLETED), 1521)])
    assert problem(await service.act("report-withdrawals", code)) == (409, "case-closed")
    assert await events(world, case, ReportWithdrawn) == []


async def test_a_hidden_identity_is_given_to_nobody_any_more(
    service: Service, world: World
) -> None:
    """Hard scenario 14: the reporter asks for it after the report was forwarded."""
    case, referral, code = await held(service, 1540)
    capability = world.capability(case, referral)
    before = await service.content(case, capability)
    assert before.json()["identity"] == BODY["identity"]
    assert (await shown(service, code))["identity"] == "available"
    for _ in range(2):
        answer = await service.act("report-identity-removals", code)
        assert answer.status_code == 200
        assert answer.json()["identity"] == "hidden"
        assert "geven wij aan niemand meer door" in answer.json()["text"]
    after = await service.content(case, capability)
    assert after.json() == {"narrative": WORDS}
    assert len(await events(world, case, IdentityHidden)) == 1


async def test_no_disclosure_is_under_way_when_hiding_is_confirmed(
    service: Service, world: World
) -> None:
    case, referral, code = await held(service, 1560)
    capability = world.capability(case, referral)
    calls = [service.content(case, capability) for _ in range(12)]
    calls.insert(4, service.act("report-identity-removals", code))
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    rows = await world.rows(
        "SELECT type, convert_from(data, 'UTF8') AS text FROM event WHERE key = $1"
        " AND type LIKE ANY (ARRAY['%disclosed%', '%hidden%']) ORDER BY sequence",
        case,
    )
    hidden = [n for n, row in enumerate(rows) if "identity-hidden" in row["type"]]
    assert len(hidden) == 1
    assert not any('"identity"' in row["text"] for row in rows[hidden[0] :])


async def test_hiding_what_was_never_given_is_harmless(service: Service, world: World) -> None:
    receipt = (await service.report({"situation": SITUATION})).json()
    answer = await service.act("report-identity-removals", receipt["code"])
    assert (answer.status_code, answer.json()["identity"]) == (200, "none")
    assert await events(world, receipt["caseId"], IdentityHidden) == []


async def test_not_helped_opens_what_was_closed(service: Service, world: World) -> None:
    case, referral, code = await held(service, 1580)
    done = changed(
        case, referral, Status.COMPLETED, holder="lkc", handoff=1, next_step=None,
        outcome=CompletedAs.HELPED,
    )  # fmt: skip
    end = closed(case, ClosedBecause.COMPLETED, outcome=CompletedAs.HELPED)
    await follow(service, [received(done, 1581), received(end, 1582)])
    status = await shown(service, code)
    assert "Volgens de organisatie bent u geholpen. Bent u niet geholpen?" in status["text"]
    answers = await asyncio.gather(
        *(service.act("report-not-helped-notices", code) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {200}
    [event] = await events(world, case, NotHelped)
    status = await shown(service, code)
    assert (status["state"], status["nextActor"]) == ("not-helped", "vangnet")
    assert status["nextBy"] > event.at.isoformat()
    await follow(service, [received(at_desk(case, DeskReason.NOT_HELPED, handoff=2), 1583)])
    status = await shown(service, code)
    assert (status["state"], status["holder"]) == ("at-desk", "vangnet")
    assert "hebt u laten weten dat u niet bent geholpen" in status["text"]
    # Later it is news, not a repeat.
    await world.rows(
        "UPDATE report SET not_helped_at = $2 WHERE case_id = $1", case,
        utc_now() - timedelta(hours=2),
    )  # fmt: skip
    await service.act("report-not-helped-notices", code)
    assert len(await events(world, case, NotHelped)) == 2


async def test_no_action_works_without_the_code(service: Service) -> None:
    for path in ACTIONS:
        for code in ("0000-0000-0000-0000-0000", "nonsense"):
            assert problem(await service.act(path, code)) == (404, "code-unknown")
        assert (await service.act(path, "x" * 61)).status_code == 400
        assert (await service.act(path, "")).status_code == 400
    answer = await service.act(
        "report-answers", "0000-0000-0000-0000-0000", questionId=str(uuid4()), text="Ja."
    )
    assert problem(answer) == (404, "code-unknown")


async def test_guessing_is_limited_over_all_routes_together(world: World) -> None:
    async with world.running(status_calls_per_minute=4) as service:
        _, code = await reported(service)
        for path in (*ACTIONS, "report-statuses"):
            assert (await service.act(path, "nonsense")).status_code == 404
        for path in (*ACTIONS, "report-statuses"):
            answer = await service.act(path, code)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        body = {"questionId": str(uuid4()), "text": "Ja."}
        assert (await service.act("report-answers", code, **body)).status_code == 429
