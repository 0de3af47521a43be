"""The HTTP shell of a service: FastAPI with the rules of the NL API Design Rules 2.2.

`/v1`, problem+json, 400 instead of 422, `API-Version` and security headers on every answer, the
OpenAPI document at `/v1/openapi.json`; and next to the API `/livez`, `/readyz` and `/metrics`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import asyncpg
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.auth import Principal
from services.chassis.auth import Scope as Right
from services.chassis.errors import TRANSIENT, is_defect
from services.chassis.metrics import Metrics
from services.chassis.problem import (
    FieldProblem,
    Problem,
    ProblemDocument,
    WhoMustAct,
    describe,
)
from services.chassis.shell import API_VERSION, Shell
from services.chassis.telemetry import Logger

_CONTACT = {
    "name": "Meldpunt",
    "url": "https://meldpunt.example/contact",
    "email": "techniek@meldpunt.example",
}
_PROBLEM_RESPONSES = {
    "400": "Bad input",
    "503": "A dependency is away; Retry-After tells when to try again",
    "default": "Any other problem; its status and type tell which",
}
_TOKEN_RESPONSES = {"401": "No valid token", "403": "No right to this"}

_OWN_SCOPES = frozenset({Right.DESK, Right.OPERATOR, Right.AUDITOR})
_AWAY = Problem(
    503,
    "unavailable",
    "The database does not answer; nothing was stored. Try again with the same key.",
    retry_after_seconds=5,
)

# A character that JSON allows and PostgreSQL does not; no text of a person holds it.
_NUL = Problem(
    400,
    "invalid-input",
    "Correct the fields in `errors`.",
    errors=[
        FieldProblem(
            field="body",
            problem="A text holds the character U+0000.",
            remedy="Leave this character out.",
        )
    ],
)

Endpoint = Callable[[Request], Awaitable[Response]]


class Health(Protocol):
    """What the health routes ask of the runtime."""

    def live_problems(self) -> list[str]: ...

    async def ready_problems(self) -> list[str]: ...

    async def refresh_metrics(self) -> None: ...


def make_app(
    *,
    title: str,
    description: str,
    public_url: str,
    routers: Sequence[APIRouter],
    lifespan: Any,
    health: Health,
    metrics: Metrics,
    log: Logger,
    request_bytes_max: int,
    hot_endpoints: Mapping[tuple[str, str], Endpoint] | None = None,
) -> FastAPI:
    """A FastAPI application in the shell that every service has.

    `hot_endpoints`, by method and path, are called without the routing and dependency machinery;
    the routers still declare them, for the OpenAPI document.
    """
    app = _App(
        title=title,
        description=description,
        version=API_VERSION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    for router in routers:
        app.include_router(router, prefix="/v1")
    _add_problem_handlers(app, log)
    _add_operations(app, health, metrics)
    _add_openapi(app, public_url)
    app.add_middleware(Shell, metrics=metrics, request_bytes_max=request_bytes_max, log=log)
    for where, endpoint in (hot_endpoints or {}).items():
        app.hot_routes[where] = Shell(_hot_route(app, endpoint), metrics, request_bytes_max, log)
    return app


class _App(FastAPI):
    """FastAPI, but what is asked most passes none of its layers; only the shell is the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hot_routes: dict[tuple[str, str], ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hot = self.hot_routes.get((scope["method"], scope["path"]))
            if hot is not None:
                return await hot(scope, receive, send)
        return await super().__call__(scope, receive, send)


def _hot_route(app: FastAPI, endpoint: Endpoint) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        try:
            response = await endpoint(Request(scope, receive))
        except Problem as problem:
            response = problem.response(scope["path"])
        except TRANSIENT as error:
            if is_defect(error):
                raise
            response = _AWAY.response(scope["path"])
        await response(scope, receive, send)

    return answer


def _add_problem_handlers(app: FastAPI, log: Logger) -> None:
    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response(request.url.path, _caller(request, error.status))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            describe(_where(item["loc"]), item["type"], item["msg"], item.get("ctx"))
            for item in error.errors()[:20]
        ]
        problem = Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=errors)
        return problem.response(request.url.path, _caller(request, problem.status))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = Problem(
            error.status_code, f"http-{error.status_code}", str(error.detail), headers=error.headers
        )
        return problem.response(request.url.path)

    async def on_nul(request: Request, _: Exception) -> Response:
        return _NUL.response(request.url.path, _caller(request, _NUL.status))

    async def on_away(request: Request, error: Exception) -> Response:
        if is_defect(error):
            raise error
        log.warning("dependency_away", error=type(error).__name__)
        return _AWAY.response(request.url.path)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(asyncpg.CharacterNotInRepertoireError, on_nul)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, on_away)


def _caller(request: Request, status: int) -> WhoMustAct:
    """Who made this call: our own people, a partner's system, or a reporter without a token."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is not None:
        return "meldpunt" if principal.scopes & _OWN_SCOPES else "partner"
    return "partner" if status == 401 else "reporter"


def _where(parts: Sequence[Any]) -> str:
    names = [str(part) for part in parts if part not in ("body", "query", "path", "header")]
    return ".".join(names) or str(parts[0])


def _add_operations(app: FastAPI, health: Health, metrics: Metrics) -> None:
    @app.get("/livez", include_in_schema=False)
    async def live() -> JSONResponse:
        problems = health.live_problems()
        return JSONResponse({"live": not problems, "problems": problems}, 503 if problems else 200)

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> JSONResponse:
        problems = await health.ready_problems()
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        await health.refresh_metrics()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_openapi(app: FastAPI, public_url: str) -> None:
    @app.get("/v1/openapi.json", include_in_schema=False)
    async def document() -> JSONResponse:
        return JSONResponse(
            openapi_document(app, public_url), headers={"Access-Control-Allow-Origin": "*"}
        )


def openapi_document(app: FastAPI, public_url: str) -> dict[str, Any]:
    """The published OpenAPI document: paths relative to a server that names the major version."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": f"{public_url or 'https://meldpunt.example'}/v1"}],
        tags=app.openapi_tags,
    )
    document["info"]["contact"] = _CONTACT
    document["paths"] = {
        path.removeprefix("/v1"): item for path, item in document.get("paths", {}).items()
    }
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDocument"] = problem
    for item in document["paths"].values():
        for operation in item.values():
            _complete_operation(operation)
    return document


def _complete_operation(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status, response in responses.items():
        if status[0] in "23":
            response.setdefault("headers", {})["API-Version"] = {
                "description": "Full version of the API",
                "schema": {"type": "string", "example": API_VERSION},
            }
    content = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    }
    tokens = _TOKEN_RESPONSES if operation.get("security") else {}
    for status, text in (_PROBLEM_RESPONSES | tokens).items():
        responses.setdefault(status, {"description": text, "content": content})
