"""HTTP routes for parties that take no cases for a while: new decisions leave them out."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from services.chassis.auth import Principal, Requires, Scope
from services.chassis.ids import new_id
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.routing import register_store
from services.routing.activation import Registers
from services.routing.register_store import Closure
from services.routing.rules import CompiledRegister
from services.routing.views import ClosuresView, ClosureView, NewClosure

# A party that closes for longer leaves the register.
CLOSED_DAYS_MAX = 366
_Writer = Annotated[Principal, Depends(Requires(Scope.OPERATOR, Scope.DESK))]
_Reader = Annotated[Principal, Depends(Requires(Scope.OPERATOR, Scope.DESK, Scope.AUDITOR))]


def router(registers: Registers) -> APIRouter:
    """Note, end and list closures. Cases that wait at a closed party are referral's."""
    routes = APIRouter(tags=["closures"])

    @routes.get("/closures", operation_id="listClosures")
    async def listing(
        request: Request, _: _Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> ClosuresView:
        """Closures that run or are to come."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await register_store.closures(connection, runtime.clock(), limit)
        return ClosuresView(closures=[ClosureView.of(row) for row in rows])

    @routes.post("/closures", operation_id="closeParty", status_code=201)
    async def close(request: Request, principal: _Writer, body: NewClosure) -> ClosureView:
        """Leave an organisation or loket out of new decisions for a while."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            await register_store.lock_register(connection)
            now = runtime.clock()
            in_force = await registers.in_force(connection, now)
            row = Closure(
                id=new_id(),
                party=body.party,
                reason=body.reason.value,
                # A closure of the past would contradict what was decided since.
                valid_from=max(body.start or now, now),
                valid_until=body.until,
                noted_at=now,
                noted_by=principal.client,
            )
            _check(row, in_force.register)
            await register_store.insert_closure(connection, row)
        return ClosureView.of(row)

    @routes.post("/closures/{id}/_end", operation_id="reopenParty")
    async def reopen(request: Request, _: _Writer, id: UUID) -> ClosureView:  # noqa: A002  # the name in the path
        """End a closure before its time."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            await register_store.lock_register(connection)
            row = await register_store.end_closure(connection, id, runtime.clock())
        if row is None:
            raise Problem(404, "unknown-closure", "No closure with this id runs or is to come.")
        return ClosureView.of(row)

    return routes


def _check(closure: Closure, compiled: CompiledRegister) -> None:
    """Raises Problem for a party that is not there or cannot close, and for an odd period."""
    organisation, _, loket = closure.party.partition("/")
    party = compiled.by_id.get(organisation)
    if party is None or (loket and loket not in party.loketten):
        raise _bad("party", "the register has no such party", "Use an id of the register.")
    if organisation == compiled.register.desk:
        raise _bad("party", "the desk holds what nobody else takes", "The desk cannot close.")
    if closure.valid_until <= closure.valid_from:
        raise _bad("until", "it has passed, or is not after `from`", "Send a later moment.")
    if closure.valid_until - closure.valid_from > timedelta(days=CLOSED_DAYS_MAX):
        raise _bad(
            "until",
            f"a closure lasts at most {CLOSED_DAYS_MAX} days",
            "Take the party out of the register instead.",
        )


def _bad(field: str, problem: str, remedy: str) -> Problem:
    return Problem(
        400,
        "invalid-input",
        "Correct the fields in `errors`.",
        errors=[FieldProblem(field=field, problem=problem, remedy=remedy)],
    )
