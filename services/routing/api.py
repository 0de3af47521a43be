"""HTTP routes of routing: decisions with their explanation, and a preview."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request

from contracts.situation import OrganisationId, Situation
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.routing import store
from services.routing.activation import Registers
from services.routing.answers import answer, deciding
from services.routing.chain import chain_text, told
from services.routing.explain import explain_line
from services.routing.questions import Questions
from services.routing.reproduction import reproduce
from services.routing.rules import Proposed
from services.routing.views import DecisionsView, DecisionView, PreviewView

EXCLUDED_MAX = 60


def router(registers: Registers, questions: Questions) -> APIRouter:
    """Routes that read; nothing here changes a decision."""
    routes = APIRouter(tags=["routing"])
    reader = Requires(Scope.DESK, Scope.AUDITOR)
    caller = Requires(Scope.CHANNEL, Scope.DESK, Scope.AUDITOR)

    @routes.get("/decisions", operation_id="listDecisions")
    async def list_decisions(
        request: Request,
        _: Annotated[Principal, Depends(reader)],
        case_id: Annotated[UUID, Query(alias="caseId")],
    ) -> DecisionsView:
        """All decisions of a case as one explanation, each made again from what was stored."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            decisions = await store.decisions_of(connection, case_id)
            if not decisions:
                raise Problem(404, "unknown-case", "Routing knows no case with this id (yet).")
            found = await reproduce(connection, registers, decisions)
        now = runtime.clock()
        return DecisionsView(
            case_id=case_id,
            first_received_at=decisions[0].received_at,
            text=chain_text(questions, found),
            decisions=[DecisionView.of(item, told(questions, item, now)) for item in found],
        )

    @routes.post("/decision-previews", operation_id="previewDecision")
    async def preview(
        request: Request,
        situation: Situation,
        _: Annotated[Principal, Depends(caller)],
        excluded: Annotated[list[str], Query(max_length=EXCLUDED_MAX)] = [],  # noqa: B006  # FastAPI copies it
        proposed: Annotated[OrganisationId | None, Query()] = None,
    ) -> PreviewView:
        """Decide on a situation without a report, as a report that comes now would be.

        With `proposed`, `explanation.proposal` says whether the register lets that party have it.
        """
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            in_force = await registers.in_force(connection, runtime.clock())
        out = in_force.closed.union(excluded)
        named = None if proposed is None else Proposed(proposed)
        found = answer(in_force.register, deciding(situation), out, named)
        return PreviewView(
            organisation=found.decision.primary,
            loket=found.decision.loket,
            mode=found.decision.mode,
            text=found.why,
            line=explain_line(found.decision),
            register_version=found.decision.register_version,
            closed=sorted(in_force.closed),
            explanation=orjson.loads(found.document),
        )

    return routes
