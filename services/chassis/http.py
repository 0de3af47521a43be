"""The HTTP shell of a service: FastAPI with the rules of the NL API Design Rules 2.2.

`/v1`, problem+json, 400 instead of 422, `API-Version` and security headers on every answer, the
OpenAPI document at `/v1/openapi.json`; and next to the API `/livez`, `/readyz` and `/metrics`.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.errors import TRANSIENT, is_defect
from services.chassis.metrics import Metrics
from services.chassis.problem import Problem, ProblemDocument, describe
from services.chassis.telemetry import Logger

API_VERSION = "1.0.0"
_HEADERS = [
    (b"api-version", API_VERSION.encode()),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
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
_STATUS_CLASSES = {n: f"{n}xx" for n in range(1, 6)}


class Health(Protocol):
    """What the health routes ask of the runtime."""

    def live_problems(self) -> list[str]: ...

    async def ready_problems(self) -> list[str]: ...

    async def refresh_metrics(self) -> None: ...


class _Shell:
    """Outermost layer of ours: headers on every answer, a limit on every body, time measured."""

    def __init__(self, app: ASGIApp, metrics: Metrics, request_bytes_max: int, log: Logger) -> None:
        self._app = app
        self._metrics = metrics
        self._bytes_max = request_bytes_max
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange(scope, receive, send, self._bytes_max)
        try:
            if not exchange.too_large:
                await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # Beyond this layer nobody would add our headers, and a stack trace could quote input.
            self._log.error("request_defect", error=type(error).__name__, route=_route(scope))
            if exchange.status is not None:
                raise
            await exchange.answer(_DEFECT)
        if exchange.too_large and exchange.status is None:
            await exchange.answer(too_large(self._bytes_max))
        self._metrics.requests.labels(_STATUS_CLASSES[(exchange.status or 500) // 100]).inc()
        self._metrics.request_seconds.observe(time.perf_counter() - started)


class _Exchange:
    """One request and its answer; a body over the limit gets 413 whatever the route says of it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, bytes_max: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._bytes_max = bytes_max
        self._bytes_seen = 0
        self.too_large = _declared_length(scope) > bytes_max
        self.status: int | None = None

    async def receive(self) -> Message:
        """The next part of the body; past the limit the client is as good as gone."""
        message = await self._receive()
        self._bytes_seen += len(message.get("body", b""))
        if self._bytes_seen > self._bytes_max:
            # A body in chunks has declared no length.
            self.too_large = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with our headers on its start."""
        if self.too_large:
            return
        await self._pass_on(message)

    async def answer(self, problem: Problem) -> None:
        """Answer with a problem instead of what the route would say."""
        await problem.response(self._scope["path"])(self._scope, self._receive, self._pass_on)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] += [item for item in _HEADERS if item[0] not in present]
        await self._send(message)


_DEFECT = Problem(
    500, "defect", "Something is broken on our side; meldpunt must act. You may try again later."
)


def too_large(bytes_max: int) -> Problem:
    """The answer to a body over the limit."""
    detail = f"The body may hold at most {bytes_max} bytes; shorten the text, send no attachments."
    return Problem(413, "body-too-large", detail)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


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
) -> FastAPI:
    """A FastAPI application in the shell that every service has."""
    app = FastAPI(
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
    app.add_middleware(_Shell, metrics=metrics, request_bytes_max=request_bytes_max, log=log)
    return app


def _add_problem_handlers(app: FastAPI, log: Logger) -> None:
    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response(request.url.path)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            describe(_where(item["loc"]), item["type"], item["msg"], item.get("ctx"))
            for item in error.errors()[:20]
        ]
        problem = Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=errors)
        return problem.response(request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = Problem(
            error.status_code, f"http-{error.status_code}", str(error.detail), headers=error.headers
        )
        return problem.response(request.url.path)

    async def on_away(request: Request, error: Exception) -> Response:
        if is_defect(error):
            raise error
        log.warning("dependency_away", error=type(error).__name__)
        detail = "The database does not answer; nothing was stored. Try again with the same key."
        return Problem(503, "unavailable", detail, retry_after_seconds=5).response(request.url.path)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, on_away)


def _where(parts: Sequence[Any]) -> str:
    names = [str(part) for part in parts if part not in ("body", "query", "path", "header")]
    return ".".join(names) or str(parts[0])


def _route(scope: Scope) -> str:
    # The template, not the path: a path holds ids.
    return getattr(scope.get("route"), "path", "unknown")


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
