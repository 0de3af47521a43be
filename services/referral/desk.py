"""Routes of the meldpunt's desk: who holds a case, what is overdue, taking a referral back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from contracts.situation import OrganisationId
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral import rules, store
from services.referral.domain import Verdict
from services.referral.effects import Effects, Publishing
from services.referral.models import Cases, CaseView, case_summary, case_view

_READER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR))]
_DESK = Annotated[Principal, Depends(Requires(Scope.DESK))]
_LIMIT_MAX = 500


def router(publishing: Publishing) -> APIRouter:
    """Routes with the scope `cases:desk`; an operator may read."""
    routes = APIRouter(tags=["desk"])
    _add_cases(routes)
    _add_withdrawal(routes, publishing)
    return routes


def _add_cases(routes: APIRouter) -> None:
    @routes.get("/cases", operation_id="listCases")
    async def listing(
        request: Request,
        _: _READER,
        holder: OrganisationId | None = None,
        overdue: bool = False,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 100,
    ) -> Cases:
        """Open cases, the one that is due first in front."""
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.connection() as connection:
            found = await store.list_cases(
                connection, holder, now if overdue else None, after, limit
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
        return await _case(runtime, case_id, runtime.clock())


def _add_withdrawal(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post("/referrals/{referralId}/_withdraw", operation_id="withdrawReferral")
    async def withdraw(
        request: Request, _: _DESK, referral_id: Annotated[UUID, Path(alias="referralId")]
    ) -> CaseView:
        """Take a referral back; the desk holds the case then, and must assign it.

        A referral that has ended already stays as it is.
        """
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.transaction() as connection:
            cases, referrals = await store.lock_cases_of(connection, [referral_id])
            referral = referrals.get(referral_id)
            if referral is None:
                raise Problem(404, "referral-unknown", "There is no referral with this id.")
            case = cases[referral.case_id]
            outcome = rules.withdraw(case, referral, now)
            if outcome.verdict is Verdict.APPLIED:
                channels = await store.channels(connection)
                effects = Effects(publishing, channels, cases, referrals.values())
                effects.add(outcome, None)
                await effects.write(connection, now)
        return await _case(runtime, case.case_id, now)


async def _case(runtime: Runtime, case_id: UUID, now: datetime) -> CaseView:
    async with runtime.database.connection() as connection:
        case = await store.find_case(connection, case_id)
        if case is None:
            raise Problem(404, "case-unknown", "There is no case with this id.")
        return case_view(case, await store.referrals_of(connection, case_id), now)
