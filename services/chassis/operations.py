"""Routes that every service has for its operators: parked events, and the outbox after a wipe."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from services.chassis import journal, parked
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.errors import Rejected
from services.chassis.problem import Problem

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

_OPERATOR = Annotated[Principal, Depends(Requires(Scope.OPERATOR))]


class ParkedEvent(BaseModel):
    """An event that waits for an operator; `problem` tells what is wrong, never what was said."""

    id: UUID
    service: str
    reason: str
    problem: str
    topic: str
    partition: int
    offset: int
    caseId: str | None
    parkedAt: datetime


class ParkedEvents(BaseModel):
    """Open parked events, oldest first, and how many there are in all."""

    total: int
    parkedEvents: list[ParkedEvent]


class Redriven(BaseModel):
    """How many events were handled after all."""

    handled: int


class Republished(BaseModel):
    """How many events were queued for Kafka once more."""

    queued: int


def operations_router(service: str) -> APIRouter:
    """Routes under `/v1` that need the scope `operations:write`."""
    router = APIRouter(tags=["operations"])

    @router.get("/parked-events", operation_id="listParkedEvents")
    async def list_parked(
        request: Request, _: _OPERATOR, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> ParkedEvents:
        """Events that could not be handled, with the reason."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await parked.listing(connection, limit)
            total = await parked.count_open(connection)
        return ParkedEvents(total=total, parkedEvents=[_shown(service, row) for row in rows])

    @router.post("/parked-events/{parkedId}/_redrive", operation_id="redriveParkedEvent")
    async def redrive(request: Request, _: _OPERATOR, parkedId: UUID) -> Redriven:
        """Handle a parked event again, and after it those that waited behind it."""
        runtime: Runtime = request.app.state.runtime
        try:
            handled = await runtime.redrive(parkedId)
        except Rejected as error:
            raise Problem(
                409, "still-unfit", f"It still cannot be handled: {error}. Meldpunt must act."
            ) from error
        if not handled:
            raise Problem(404, "not-parked", "No open parked event has this id.")
        return Redriven(handled=handled)

    @router.post("/outbox/_rebuild", operation_id="rebuildTopics")
    async def rebuild(request: Request, _: _OPERATOR) -> Republished:
        """Publish every event once more, after the topics were wiped and created anew."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            queued = await journal.republish_everything(connection)
        return Republished(queued=queued)

    return router


def _shown(service: str, row: parked.Parked) -> ParkedEvent:
    return ParkedEvent(
        id=row.id,
        service=service,
        reason=row.reason.value,
        problem=row.problem,
        topic=row.record.topic,
        partition=row.record.partition,
        offset=row.record.offset,
        caseId=row.record.key,
        parkedAt=row.parked_at,
    )
