"""Events of routing and referral as the follower gets them, and reports to follow."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx

from contracts.envelope import Envelope, service_source
from contracts.event import Event
from contracts.referral import (
    CaseAtDesk,
    CaseClosed,
    ClosedBecause,
    DeskReason,
    NextAction,
    NextStep,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Kind, Situation, Urgency
from services.chassis.ids import utc_now
from services.chassis.incoming import Received
from services.chassis.parked import Record
from services.intake.handlers import DecisionSeen, case_follower
from tests.component.intake.conftest import SITUATION, Service, World, at

EventT = TypeVar("EventT", bound=Event)
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


def assigned(
    case: UUID, number: int = 1, mode: Mode = Mode.REFER, urgency: Urgency = Urgency.NORMAAL
) -> DecisionSeen:
    whole = CaseAssigned(
        decision_id=uuid4(), case_id=case, report_id=uuid4(), number=number, mode=mode,
        organisation="lkc", urgency=urgency, kind_at_primary=Kind.KLACHT, rule="r",
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


def closed(case: UUID, because: ClosedBecause, **changes: Any) -> CaseClosed:
    values: dict[str, Any] = {
        "case_id": case, "holder": "lkc", "handoff": 1, "at": at(9, 9), "because": because,
    }  # fmt: skip
    return CaseClosed(**(values | changes))


def at_desk(case: UUID, reason: DeskReason, **changes: Any) -> CaseAtDesk:
    step = NextStep(actor="vangnet", action=NextAction.FIND_PARTY, due_at=at(15))
    values: dict[str, Any] = {
        "case_id": case, "holder": "vangnet", "handoff": 0, "next_step": step, "at": at(9),
        "reason": reason,
    }  # fmt: skip
    return CaseAtDesk(**(values | changes))


async def known_referral(service: Service, **changes: Any) -> tuple[UUID, UUID]:
    case, _ = await reported(service)
    referral = uuid4()
    await follow(service, [received(offered(case, referral, **changes), 1000)])
    return case, referral


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert WORDS not in answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def held(service: Service, sequence: int = 500) -> tuple[UUID, UUID, str]:
    """A case that lkc holds, its referral, and the code of the reporter."""
    case, code = await reported(service)
    referral = uuid4()
    accepted = changed(case, referral, Status.ACCEPTED, holder="lkc", handoff=1)
    await follow(service, [received(accepted, sequence)])
    return case, referral, code


async def events(world: World, case: UUID, kind: type[EventT]) -> list[EventT]:
    """What intake has published of a case, one type of event."""
    rows = await world.rows(
        "SELECT data FROM event WHERE key = $1 AND type = $2 ORDER BY sequence",
        case,
        kind.event_type(),
    )
    return [kind.parse(row["data"]) for row in rows]
