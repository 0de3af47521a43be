"""Routes that the meldpunt's desk reads: who holds a case, what is overdue."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from contracts.situation import OrganisationId
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral import records, store
from services.referral.desk_models import Cases, CaseView, case_summary, case_view

_READER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR))]
_LIMIT_MAX = 500


def router() -> APIRouter:
    """What the desk and operators read; what the desk does is in `desk_actions`."""
    routes = APIRouter(tags=["desk"])
    _add_cases(routes)
    return routes


def _add_cases(routes: APIRouter) -> None:
    @routes.get("/cases", operation_id="listCases")
    async def listing(
        request: Request,
        _: _READER,
        holder: OrganisationId | None = None,
        actor: Annotated[
            OrganisationId | None, Query(description="Who acts next; `vangnet` is the desk")
        ] = None,
        overdue: bool = False,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 100,
    ) -> Cases:
        """Open cases, the one that is due first in front.

        What the desk must do is `actor=vangnet`: also calls to a holder that keeps silent, whose
        case it does not hold. With `overdue` only what is late.
        """
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.connection() as connection:
            found = await store.list_cases(
                connection, holder, actor, now if overdue else None, after, limit
            )
        full = len(found) == limit
        return Cases(
            cases=[case_summary(case, now) for case in found],
            next_after=found[-1].case_id if full else None,
        )

    @routes.get("/cases/{caseId}", operation_id="getCase")
    async def one(
        request: Request, _: _READER, case_id: Annotated[UUID, Path(alias="caseId")]
    ) -> CaseView:
        """One case: holder, next step and every referral."""
        runtime: Runtime = request.app.state.runtime
        return await case_document(runtime, case_id, runtime.clock())


async def case_document(runtime: Runtime, case_id: UUID, now: datetime) -> CaseView:
    """One case for the desk; raises Problem 404."""
    async with runtime.database.connection() as connection:
        case = await store.find_case(connection, case_id)
        if case is None:
            raise Problem(404, "case-unknown", "There is no case with this id.")
        return case_view(
            case,
            await store.referrals_of(connection, case_id),
            await records.terms_of(connection, case_id),
            await records.hand_overs_of(connection, case_id),
            now,
        )
