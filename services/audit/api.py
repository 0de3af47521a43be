"""What auditors and operators ask: is everything accounted for, and what happened to this case."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from contracts.referral import DeliveryState
from services.audit import chain, completeness, figure_store, log_store, store
from services.audit.domain import Standing, State
from services.audit.figure_views import (
    DeliveriesView,
    FiguresView,
    deliveries_view,
    figures_view,
)
from services.audit.views import (
    CasesView,
    CaseView,
    CompletenessView,
    LogView,
    TrailView,
    UnpickedView,
    case_view,
    cases_view,
    completeness_view,
    log_view,
    trail_view,
    unpicked_view,
)
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.db import Connection
from services.chassis.problem import Problem

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

LOG_PAGE_MAX = 1000
_FIRST = UUID(int=0)
_AUDITOR = Annotated[Principal, Depends(Requires(Scope.AUDITOR, Scope.OPERATOR))]
_LIMIT = Annotated[int, Query(ge=1, le=500, description="At most this many")]
_AFTER = Annotated[UUID, Query(description="Go on after this case: `next` of the last answer")]
_REFERENCE = Annotated[
    str | None,
    Query(pattern=r"^MP-[2-9A-Z]{4}-[2-9A-Z]{4}$", description="Reference, as MP-7K3M-Q9TD"),
]
_STANDINGS = {
    State.CLOSED: ((Standing.CLOSED,), None),
    State.PICKED_UP: ((Standing.PICKED_UP,), False),
    State.HOLDER_OVERDUE: ((Standing.PICKED_UP,), True),
    State.AT_DESK: ((Standing.AT_DESK,), False),
    State.WAITING: ((Standing.WAITING,), False),
    State.OVERDUE: ((Standing.AT_DESK, Standing.WAITING), True),
    State.INCOMPLETE: ((Standing.INCOMPLETE,), None),
    State.PARKED: ((Standing.PARKED,), None),
}


def router() -> APIRouter:
    """Routes under `/v1` that need the scope `audit:read` or `operations:write`."""
    routes = APIRouter(tags=["audit"])

    @routes.get("/completeness", operation_id="getCompleteness")
    async def get_completeness(request: Request, _: _AUDITOR) -> CompletenessView:
        """Every report accounted for: counts, missing events, what no tally vouches for yet."""
        async with _snapshot(request) as connection:
            found = await completeness.measure(connection, _runtime(request).clock())
        return completeness_view(found)

    @routes.get("/cases", operation_id="listCases")
    async def list_cases(
        request: Request,
        _: _AUDITOR,
        after: _AFTER = _FIRST,
        limit: _LIMIT = 100,
        state: State | None = None,
        reference: _REFERENCE = None,
    ) -> CasesView:
        """Cases in the order of their ids, of one state or with one reference if asked."""
        now = _runtime(request).clock()
        standings, late = _STANDINGS[state] if state else ((), None)
        async with _snapshot(request) as connection:
            found = await store.cases(
                connection,
                after,
                limit,
                standings=standings,
                late=late,
                reference=reference,
                now=now,
            )
        return cases_view(found, limit, now)

    @routes.get("/unpicked-cases", operation_id="listUnpickedCases")
    async def list_unpicked(
        request: Request, _: _AUDITOR, after: _AFTER = _FIRST, limit: _LIMIT = 100
    ) -> UnpickedView:
        """Overdue, incomplete and parked cases, with who must act; empty when all is well."""
        now = _runtime(request).clock()
        async with _snapshot(request) as connection:
            found = await store.unpicked(connection, after, limit, now)
            parked = await store.parked_without_case(connection)
        return unpicked_view(found, limit, parked, now)

    _add_single_case(routes)
    _add_figures(routes)
    _add_log(routes)
    return routes


def _add_single_case(routes: APIRouter) -> None:
    @routes.get("/cases/{caseId}/trail", operation_id="getTrail")
    async def get_trail(request: Request, _: _AUDITOR, caseId: UUID) -> TrailView:
        """All that happened to a case, its handoffs numbered, and how it stands now."""
        async with _snapshot(request) as connection:
            picture = await store.picture(connection, caseId)
            logged = await log_store.of_case(connection, caseId)
        if picture is None:
            raise Problem(404, "case-unknown", "Audit has seen no event of this case.")
        return trail_view(picture, logged, _runtime(request).clock())

    @routes.get("/reports/{reportId}", operation_id="getReport")
    async def get_report(request: Request, _: _AUDITOR, reportId: UUID) -> CaseView:
        """The case in which a report is handled, and how it stands now."""
        async with _snapshot(request) as connection:
            case_id = await store.case_of_report(connection, reportId)
            picture = await store.picture(connection, case_id) if case_id else None
        if picture is None:
            raise Problem(404, "report-unknown", "Audit has not seen this report.")
        return case_view(picture, _runtime(request).clock())


def _add_figures(routes: APIRouter) -> None:
    @routes.get("/figures", operation_id="getFigures")
    async def get_figures(request: Request, _: _AUDITOR) -> FiguresView:
        """How often what happened, per organisation and in all; no percentages, only numbers."""
        async with _snapshot(request) as connection:
            found = await figure_store.figures(connection)
            findings = await figure_store.finding_figures(connection)
        return figures_view(found, findings, _runtime(request).clock())

    @routes.get("/deliveries", operation_id="listDeliveries")
    async def list_deliveries(
        request: Request, _: _AUDITOR, state: DeliveryState | None = None
    ) -> DeliveriesView:
        """Which organisations get what is sent to them, and which do not; the longest first."""
        async with _snapshot(request) as connection:
            found = await figure_store.deliveries(connection, state)
        return deliveries_view(found, _runtime(request).clock())


def _add_log(routes: APIRouter) -> None:
    @routes.get("/log-entries", operation_id="listLogEntries")
    async def list_log(
        request: Request,
        _: _AUDITOR,
        first: Annotated[int, Query(alias="from", ge=0, description="First log index")] = 0,
        limit: Annotated[int, Query(ge=1, le=LOG_PAGE_MAX)] = LOG_PAGE_MAX,
    ) -> LogView:
        """The log itself with all that its hashes are made of, so that anybody can recompute it."""
        async with _snapshot(request) as connection:
            head = await log_store.head(connection)
            logged = await log_store.page(connection, first, limit)
        return log_view(head.size, head.chain, [chain.link(item) for item in logged])


def _runtime(request: Request) -> "Runtime":
    runtime: Runtime = request.app.state.runtime
    return runtime


@asynccontextmanager
async def _snapshot(request: Request) -> AsyncIterator[Connection]:
    """A read-only view of one moment, so that what is read in several steps belongs together."""
    async with (
        _runtime(request).database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
