"""The outermost layer of every API: headers on each answer, limits, and where defects end."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.metrics import Metrics
from services.chassis.problem import Problem
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


class Shell:
    """Outermost layer of ours: headers on every answer, a limit on every body, time measured."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        request_bytes_max: int,
        log: Logger,
    ) -> None:
        self._app = app
        self._statuses = {n: metrics.requests.labels(f"{n}xx") for n in range(1, 6)}
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
            # A route takes a body over the limit for a client that has gone; that is no defect.
            if not exchange.too_large:
                # Beyond this layer nobody would add our headers, and a stack trace could quote
                # input.
                self._log.error("request_defect", error=type(error).__name__, route=_route(scope))
                if exchange.status is not None:
                    raise
                await exchange.answer(_DEFECT)
        if exchange.too_large and exchange.status is None:
            await exchange.answer(too_large(self._bytes_max))
        self._statuses[(exchange.status or 500) // 100].inc()
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


def _route(scope: Scope) -> str:
    # The template, not the path: a path holds ids.
    return getattr(scope.get("route"), "path", "unknown")
