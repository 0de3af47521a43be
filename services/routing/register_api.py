"""HTTP routes of the register: read it, try another one on past cases, activate that one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime

from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.routing import activation, register_store
from services.routing.activation import COUNTEREXAMPLES_MAX, Checker, Registers
from services.routing.domain import Register
from services.routing.register import RegisterInvalid
from services.routing.replay import ReplayTooLong, replay
from services.routing.rules import CompiledRegister, compile_register
from services.routing.views import ActivationsView, ActivationView, RegisterView, ReplayView

DAYS_MAX = 3_700
_Result = TypeVar("_Result")
# A stored version never changes, so whoever has it need not ask again.
_FOR_EVER = "public, max-age=31536000, immutable"
_Operator = Annotated[Principal, Depends(Requires(Scope.OPERATOR))]
_Reader = Annotated[Principal, Depends(Requires(Scope.OPERATOR, Scope.DESK, Scope.AUDITOR))]
_REGISTER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The register document, as JSON or as YAML",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


def router(registers: Registers, check: Checker, replay_seconds_max: float) -> APIRouter:
    """Routes of the register; reading what decides now needs no token."""
    routes = APIRouter(tags=["registers"])
    _add_readers(routes, registers)
    _add_activation(routes, check)
    _add_replay(routes, replay_seconds_max)
    return routes


def _add_readers(routes: APIRouter, registers: Registers) -> None:
    @routes.get("/registers", operation_id="listRegisters")
    async def list_registers(
        request: Request, _: _Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> ActivationsView:
        """Versions that were activated: from when each decides, and who activated it."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await register_store.activations(connection, limit)
            current = await register_store.activation_at(connection, runtime.clock())
        return ActivationsView(registers=[ActivationView.of(row, current) for row in rows])

    @routes.get("/registers/current", operation_id="readRegister")
    async def current(request: Request) -> RegisterView:
        """The register that decides now: public, without a token."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            in_force = await registers.in_force(connection, runtime.clock())
        return RegisterView.of(in_force.register)

    @routes.get(
        "/registers/{hash}",
        operation_id="readRegisterDocument",
        response_class=Response,
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def document(
        request: Request, sha256: Annotated[str, Path(alias="hash", pattern="^[0-9a-f]{64}$")]
    ) -> Response:
        """A version as it was activated, whole: public, without a token."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = await register_store.register_document(connection, sha256)
        if found is None:
            raise Problem(404, "unknown-register", "No register with this hash was activated.")
        return Response(found, media_type="application/json", headers={"Cache-Control": _FOR_EVER})


def _add_activation(routes: APIRouter, check: Checker) -> None:
    checking = asyncio.Lock()

    @routes.post(
        "/registers",
        operation_id="activateRegister",
        status_code=201,
        responses={
            200: {"description": "It decides already; nothing was changed"},
            409: {"description": "It fails a proof, or its version names another document"},
        },
        openapi_extra=_REGISTER_BODY,
    )
    async def activate(
        request: Request,
        response: Response,
        principal: _Operator,
        valid_from: Annotated[AwareDatetime | None, Query(alias="validFrom")] = None,
    ) -> ActivationView:
        """Check a register and let it decide from `validFrom`, or from now, on every instance."""
        runtime: Runtime = request.app.state.runtime
        register = await _alone(checking, lambda: _checked(request, check))
        async with runtime.database.transaction() as connection:
            try:
                activated = await activation.activate(
                    connection,
                    register,
                    valid_from=valid_from,
                    by=principal.client,
                    source=runtime.source,
                    clock=runtime.clock,
                )
            except activation.Refused as error:
                raise Problem(error.status, error.code, str(error)) from None
            row = await register_store.latest_of(connection, register.hash)
            current = await register_store.activation_at(connection, runtime.clock())
        response.status_code = 201 if activated else 200
        response.headers["Location"] = f"/v1/registers/{register.hash}"
        runtime.log.info("register_activated", version=row.version, activated=activated)
        return ActivationView.of(row, current)


def _add_replay(routes: APIRouter, seconds_max: float) -> None:
    replaying = asyncio.Lock()

    @routes.post("/registers/_replay", operation_id="replayRegister", openapi_extra=_REGISTER_BODY)
    async def try_out(
        request: Request,
        _: _Operator,
        days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = 365,
    ) -> ReplayView:
        """Decide again by another register on what was decided lately; nothing is changed."""
        runtime: Runtime = request.app.state.runtime

        async def run() -> ReplayView:
            register = await _compiled(request)
            since = runtime.clock() - timedelta(days=days)
            started = time.monotonic()
            try:
                async with runtime.database.transaction() as connection:
                    found = await replay(connection, register, since, seconds_max)
            except ReplayTooLong:
                detail = f"Not even counting was done in {seconds_max:.0f} s; take fewer days."
                raise Problem(503, "replay-too-long", detail) from None
            return ReplayView.of(register, since, found, time.monotonic() - started)

        return await _alone(replaying, run)


async def _alone(lock: asyncio.Lock, work: Callable[[], Awaitable[_Result]]) -> _Result:
    """One at a time, because each takes a processor for a while."""
    if lock.locked():
        raise Problem(
            429, "one-at-a-time", "Another one is running; try again.", retry_after_seconds=10
        )
    async with lock:
        return await work()


async def _compiled(request: Request) -> CompiledRegister:
    body = await request.body()
    return await asyncio.to_thread(_compile, body)


async def _checked(request: Request, check: Checker) -> CompiledRegister:
    compiled = await _compiled(request)
    found = await asyncio.to_thread(check, compiled.register)
    if found:
        raise Problem(
            409,
            "register-fails-check",
            f"{len(found)} proofs fail; the register was not activated. Mend it and check it with"
            " `meldpunt register check`.",
            errors=[
                FieldProblem(field=item.proof, problem=item.problem, remedy=item.remedy)
                for item in found[:COUNTEREXAMPLES_MAX]
            ],
        )
    return compiled


def _compile(body: bytes) -> CompiledRegister:
    try:
        register: Register = activation.read_register(body)
    except RegisterInvalid as error:
        raise Problem(
            400,
            "register-invalid",
            "The register cannot be used; `errors` names line, fault and remedy of each problem.",
            errors=[
                FieldProblem(
                    field=f"line {item.line}: {item.field}",
                    problem=item.problem,
                    remedy=item.remedy,
                )
                for item in error.problems[:COUNTEREXAMPLES_MAX]
            ],
        ) from None
    return compile_register(register)
