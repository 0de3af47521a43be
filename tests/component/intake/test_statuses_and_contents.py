"""What a reporter and a partner get back, driven by the events of routing and referral."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.envelope import Envelope, service_source
from contracts.event import Event
from contracts.intake import ContentDisclosed, ContentField
from contracts.referral import (
    CaseAtDesk,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Kind, Situation, Urgency
from services.chassis.ids import utc_now
from services.chassis.incoming import Received
from services.chassis.parked import Record
from services.intake import store
from services.intake.handlers import DecisionSeen, case_follower
from tests.component.intake.conftest import SITUATION, Service, World, at

WORDS = "Zij liet hem niet met rust."
BODY = {
    "situation": SITUATION,
    "narrative": WORDS,
    "identity": {"name": "Jo Jansen", "email": "jo@voorbeeld.nl"},
}


def received(event: Event, sequence: int, source: str = "referral") -> Received:
    case = str(getattr(event, "case_id", ""))
    envelope = Envelope(
        str(uuid4()), service_source(source), event.event_type(), utc_now(), case, sequence,
        event.encode(),
    )  # fmt: skip
    return Received(envelope, event, Record("t", 0, sequence, case, (), event.encode()), "")


async def follow(service: Service, items: Sequence[Received]) -> None:
    async with service.runtime.database.transaction() as connection:
        await case_follower(utc_now)(connection, items)


def assigned(case: UUID, number: int = 1, mode: Mode = Mode.REFER) -> DecisionSeen:
    whole = CaseAssigned(
        decision_id=uuid4(), case_id=case, report_id=uuid4(), number=number, mode=mode,
        organisation="lkc", urgency=Urgency.NORMAAL, kind_at_primary=Kind.KLACHT, rule="r",
        why="w", limits=HandlingLimits(received_within_minutes=5, accepted_within_minutes=9),
        situation=Situation.model_validate(SITUATION), content=(), received_at=at(9),
        decided_at=at(9), register_version="1", register_hash="0",
    )  # fmt: skip
    return DecisionSeen.parse(whole.encode())


def offered(case: UUID, referral: UUID, **changes: Any) -> ReferralOffered:
    values: dict[str, Any] = {
        "case_id": case, "holder": "vangnet", "handoff": 0, "at": at(9),
        "next_step": NextStep(actor="lkc", action=NextAction.ACKNOWLEDGE, due_at=at(10)),
        "referral_id": referral, "attempt": 1, "organisation": "lkc", "channel": "kafka",
        "decision_id": uuid4(),
    }  # fmt: skip
    return ReferralOffered(**(values | changes))


def changed(case: UUID, referral: UUID, status: Status, **changes: Any) -> ReferralStatusChanged:
    values: dict[str, Any] = {
        "case_id": case, "holder": "vangnet", "handoff": 0, "at": at(9, 5),
        "next_step": NextStep(actor="lkc", action=NextAction.DECIDE, due_at=at(11)),
        "referral_id": referral, "attempt": 1, "organisation": "lkc", "status": status,
    }  # fmt: skip
    return ReferralStatusChanged(**(values | changes))


async def reported(service: Service) -> tuple[UUID, str]:
    receipt = (await service.report(BODY)).json()
    return UUID(receipt["caseId"]), receipt["code"]


async def shown(service: Service, code: str) -> dict[str, Any]:
    answer = await service.status(code)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_without_a_broker_the_reporter_hears_that_forwarding_waits(
    service: Service, world: World
) -> None:
    case, code = await reported(service)
    status = await shown(service, code)
    assert status["forwarding"] == "waiting"
    assert status["state"] == "received"
    assert status["holder"] == status["nextActor"] == "vangnet"
    assert status["nextBy"] > status["receivedAt"]
    await world.rows(
        "UPDATE report SET committed_at = now() - interval '1 hour' WHERE case_id = $1", case
    )
    await world.rows("UPDATE event SET time = now() - interval '2 hours'")
    status = await shown(service, code)
    assert status["text"].startswith("Uw klacht is veilig opgeslagen. Het doorsturen wacht op een")


async def test_the_status_follows_the_case(service: Service) -> None:
    case, code = await reported(service)
    referral = uuid4()
    steps = [
        (received(assigned(case), 1, "routing"), "assigned", "vangnet"),
        (received(offered(case, referral), 10), "offered", "vangnet"),
        (received(changed(case, referral, Status.RECEIVED), 11), "seen", "vangnet"),
        (
            received(changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1), 12),
            "picked-up",
            "lkc",
        ),
        (
            received(
                changed(case, referral, Status.COMPLETED, holder="lkc", handoff=1, next_step=None),
                13,
            ),
            "finished",
            "lkc",
        ),
    ]
    for item, state, holder in steps:
        await follow(service, [item])
        status = await shown(service, code)
        assert (status["state"], status["holder"]) == (state, holder)
        assert status["forwarding"] == "done"


async def test_an_older_event_never_overwrites_a_newer_one(service: Service) -> None:
    case, code = await reported(service)
    referral = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    await follow(service, [received(accepted, 22)])
    await follow(service, [received(offered(case, referral), 21)])
    await follow(service, [received(changed(case, referral, Status.RECEIVED), 30)])
    await follow(service, [received(assigned(case), 5, "routing")])
    assert (await shown(service, code))["state"] == "picked-up"


async def test_a_later_decision_replaces_an_earlier_one_only(service: Service) -> None:
    case, code = await reported(service)
    await follow(service, [received(assigned(case, 2, Mode.DESK), 2, "routing")])
    await follow(service, [received(assigned(case, 1), 1, "routing")])
    assert (await shown(service, code))["state"] == "at-desk"


async def test_one_batch_holds_many_cases_and_many_events_of_one(service: Service) -> None:
    cases = [await reported(service) for _ in range(12)]
    referrals = [uuid4() for _ in cases]
    batch = [received(assigned(case), n, "routing") for n, (case, _) in enumerate(cases)]
    for n, ((case, _), referral) in enumerate(zip(cases, referrals, strict=True)):
        batch.append(received(offered(case, referral), 100 + 4 * n))
        batch.append(received(changed(case, referral, Status.REJECTED), 101 + 4 * n))
        redecision = RedecisionRequested(
            case_id=case, holder="vangnet", handoff=0, at=at(9), excluded=("lkc",),
            decision_number=2, reason="rejected",
        )  # fmt: skip
        batch.append(received(redecision, 102 + 4 * n))
        if n % 2:
            step = NextStep(actor="vangnet", action=NextAction.FIND_PARTY, due_at=at(15))
            desk = CaseAtDesk(
                case_id=case, holder="vangnet", handoff=0, next_step=step, at=at(9),
                reason=DeskReason.SECOND_RETURN,
            )  # fmt: skip
            batch.append(received(desk, 103 + 4 * n))
    await follow(service, batch)
    states = [(await shown(service, code))["state"] for _, code in cases]
    assert states == ["searching", "at-desk"] * 6


async def test_an_unknown_code_is_404_and_many_questions_429(world: World) -> None:
    async with world.running(status_calls_per_minute=3) as service:
        for code in ("0000-0000-0000-0000-0000", "nonsense", "UUUU"):
            answer = await service.status(code)
            assert answer.status_code == 404
            assert answer.json()["type"].endswith("code-unknown")
        answer = await service.status("0000-0000-0000-0000-0000")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "60"
        assert (await service.status("x" * 61)).status_code == 400


async def known_referral(service: Service, **changes: Any) -> tuple[UUID, UUID]:
    case, _ = await reported(service)
    referral = uuid4()
    await follow(service, [received(offered(case, referral, **changes), 1000)])
    return case, referral


async def disclosures(world: World, case: UUID) -> list[ContentDisclosed]:
    rows = await world.rows(
        "SELECT data FROM event WHERE key = $1 AND type = $2 ORDER BY sequence",
        case,
        ContentDisclosed.event_type(),
    )
    return [ContentDisclosed.parse(row["data"]) for row in rows]


async def test_content_is_given_as_far_as_allowed_and_recorded(
    service: Service, world: World
) -> None:
    case, referral = await known_referral(service)
    whole = await service.content(case, world.capability(case, referral))
    assert whole.status_code == 200, whole.text
    assert whole.json() == {"narrative": WORDS, "identity": BODY["identity"]}
    part = await service.content(case, world.capability(case, referral, fields=["narrative"]))
    assert part.json() == {"narrative": WORDS}
    events = await disclosures(world, case)
    assert [event.fields for event in events] == [
        (ContentField.NARRATIVE, ContentField.IDENTITY), (ContentField.NARRATIVE,),
    ]  # fmt: skip
    assert {(event.organisation, event.referral_id, event.attempt) for event in events} == {
        ("lkc", referral, 1)
    }


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert WORDS not in answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": 1_700_000_000}, (403, "capability-expired")),
        ({"exp": 4_000_000_000}, (403, "capability-lives-too-long")),
        ({"sub": "gcbo"}, (403, "capability-of-another-organisation")),
        ({"case": str(uuid4())}, (403, "capability-for-another-case")),
        ({"aud": "urn:meldpunt:audit"}, (403, "capability-invalid")),
        ({"iss": "urn:somebody"}, (403, "capability-invalid")),
        ({"fields": ["everything"]}, (403, "capability-invalid")),
        ({"jti": "short"}, (403, "capability-invalid")),
        ({"attempt": 2}, (503, "referral-not-known-yet")),
        ({"referral": str(uuid4())}, (503, "referral-not-known-yet")),
    ],
)
async def test_a_capability_that_does_not_fit_gives_nothing(
    service: Service, world: World, claims: dict[str, Any], expected: tuple[int, str]
) -> None:
    case, referral = await known_referral(service)
    answer = await service.content(case, world.capability(case, referral, **claims))
    assert problem(answer) == expected
    assert await disclosures(world, case) == []


async def test_a_forged_or_missing_capability_gives_nothing(service: Service, world: World) -> None:
    case, referral = await known_referral(service)
    good = world.capability(case, referral)
    forged = good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB")
    assert problem(await service.content(case, forged)) == (403, "capability-invalid")
    assert problem(await service.content(case, "x.y.z")) == (403, "capability-invalid")
    missing = await service.content(case, None)
    assert problem(missing) == (400, "capability-missing")
    assert "Content-Capability" in missing.json()["detail"]
    channel = {"Authorization": f"Bearer {world.token('reports:write')}"}
    refused = await service.client.get(f"/v1/contents/{case}", headers=channel)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "status", [Status.REJECTED, Status.FAILED, Status.CANCELLED, Status.COMPLETED]
)
async def test_a_withdrawn_or_lost_referral_gives_nothing(
    service: Service, world: World, status: Status
) -> None:
    case, referral = await known_referral(service)
    await follow(service, [received(changed(case, referral, status), 1001)])
    answer = await service.content(case, world.capability(case, referral))
    assert problem(answer) == (403, "referral-closed")


async def test_a_holder_keeps_its_right_while_another_is_asked(
    service: Service, world: World
) -> None:
    case, referral = await known_referral(service)
    other = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    onward = offered(case, other, organisation="gcbo", holder="lkc", handoff=1, attempt=2)
    await follow(service, [received(accepted, 1001), received(onward, 1002)])
    assert (await service.content(case, world.capability(case, referral))).status_code == 200
    theirs = world.capability(case, other, sub="gcbo", attempt=2)
    assert (await service.content(case, theirs, "gcbo")).status_code == 200


async def test_an_older_attempt_of_a_referral_is_superseded(service: Service, world: World) -> None:
    case, referral = await known_referral(service, attempt=3)
    answer = await service.content(case, world.capability(case, referral, attempt=2))
    assert problem(answer) == (403, "attempt-superseded")


async def test_an_erased_case_has_no_content_any_more(service: Service, world: World) -> None:
    case, referral = await known_referral(service)
    async with service.runtime.database.transaction() as connection:
        assert await store.erase_case(connection, case, utc_now())
        assert not await store.erase_case(connection, case, utc_now())
    answer = await service.content(case, world.capability(case, referral))
    assert problem(answer) == (404, "content-erased")
    assert await disclosures(world, case) == []


async def test_without_referrals_keys_the_partner_is_asked_to_try_again(world: World) -> None:
    async with world.running(referral_url=str(world.folder / "away")) as service:
        case, referral = await known_referral(service)
        answer = await service.content(case, world.capability(case, referral))
        assert problem(answer) == (503, "keys-unavailable")
        assert "Retry-After" in answer.headers


async def test_times_are_utc(service: Service) -> None:
    case, code = await reported(service)
    await follow(service, [received(offered(case, uuid4()), 5)])
    status = await shown(service, code)
    assert status["nextBy"] == "2026-11-24T10:00:00Z"
    assert status["receivedAt"].endswith("Z")
    assert "uiterlijk op 24 november 2026 om 11:00 uur" in status["text"]
