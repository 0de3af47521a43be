"""HTTP routes of routing: decisions with their explanation, the register, and a preview."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from contracts.situation import Situation
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.routing import store
from services.routing.explain import explain_citizen, explain_line, explanation_document
from services.routing.rules import CompiledRegister, decide

EXCLUDED_MAX = 60


class DecisionShown(BaseModel):
    """One decision of a case; `explanation` names what matched and who else was weighed."""

    decisionId: UUID
    number: int
    organisation: str
    excluded: list[str]
    explanation: dict[str, Any]
    registerHash: str
    decidedAt: datetime


class Decisions(BaseModel):
    """The chain of decisions of one case, first one first."""

    caseId: UUID
    decisions: list[DecisionShown]


class Preview(BaseModel):
    """What would be decided on a situation; nothing is stored."""

    organisation: str
    loket: str | None
    mode: str
    text: str
    line: str
    explanation: dict[str, Any]


class OrganisationShown(BaseModel):
    """An organisation as people reach it; `toVerify` marks what somebody still has to check."""

    id: str
    name: str
    loketten: list[str]
    showOnly: bool
    feedback: str
    phone: str | None
    web: str | None
    hours: str | None
    toVerify: bool


class RegisterShown(BaseModel):
    """The register that decides now."""

    version: str
    hash: str
    organisations: list[OrganisationShown]


def router(register: CompiledRegister) -> APIRouter:
    """Routes that read; nothing here changes a decision."""
    routes = APIRouter(tags=["routing"])
    reader = Requires(Scope.DESK, Scope.AUDITOR)
    caller = Requires(Scope.CHANNEL, Scope.DESK, Scope.AUDITOR)

    @routes.get("/decisions", operation_id="listDecisions")
    async def list_decisions(
        request: Request,
        _: Annotated[Principal, Depends(reader)],
        case_id: Annotated[UUID, Query(alias="caseId")],
    ) -> Decisions:
        """All decisions of a case with their explanation."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await store.decisions_of(connection, case_id)
        if not rows:
            raise Problem(404, "unknown-case", "Routing knows no case with this id (yet).")
        return Decisions(caseId=case_id, decisions=[_shown(row, text) for row, text in rows])

    @routes.post("/decision-previews", operation_id="previewDecision")
    async def preview(
        situation: Situation,
        _: Annotated[Principal, Depends(caller)],
        excluded: Annotated[list[str], Query(max_length=EXCLUDED_MAX)] = [],  # noqa: B006  # FastAPI copies it
    ) -> Preview:
        """Decide on a situation without a report, by the same rules."""
        decision = decide(register, situation, frozenset(excluded))
        return Preview(
            organisation=decision.primary,
            loket=decision.loket,
            mode=decision.mode,
            text=explain_citizen(decision),
            line=explain_line(decision),
            explanation=orjson.loads(explanation_document(decision)),
        )

    @routes.get("/registers/current", operation_id="readRegister")
    async def current() -> RegisterShown:
        """The register that decides now: public, without a token."""
        return RegisterShown(
            version=register.register.version,
            hash=register.hash,
            organisations=[_organisation(item) for item in register.register.organisations],
        )

    return routes


def _shown(row: store.DecisionRow, explanation: str) -> DecisionShown:
    return DecisionShown(
        decisionId=row.decision_id,
        number=row.number,
        organisation=row.organisation,
        excluded=orjson.loads(row.excluded),
        explanation=orjson.loads(explanation),
        registerHash=row.register_hash,
        decidedAt=row.decided_at,
    )


def _organisation(item: Any) -> OrganisationShown:
    channels = item.channels
    return OrganisationShown(
        id=item.id,
        name=item.name,
        loketten=[loket.id for loket in item.loketten],
        showOnly=item.referral_mode == "show_only",
        feedback=item.feedback,
        phone=channels.phone,
        web=channels.web,
        hours=channels.hours,
        toVerify=channels.to_verify,
    )
