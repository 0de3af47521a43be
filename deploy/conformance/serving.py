"""Serves an ASGI application inside a running event loop; its calls may cut their connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deploy.commands.base import CommandError
from deploy.local.state import HOST, is_free

_STOP_SECONDS_MAX = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the command that runs the loop.
        yield


class _CuttableProtocol(H11Protocol):
    """Puts the connection into the scope as `transport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await inner({**scope, "transport": transport}, receive, send)

        self.app = app


@contextlib.asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[None]:
    """Serve on this port of 127.0.0.1 during the block. Raises `CommandError` when it is taken."""
    if not is_free(port):
        raise CommandError(
            f"Port {port} of 127.0.0.1 is in use. You must act: stop the other sandbox or"
            " conformance run of this partner first."
        )
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        http=_CuttableProtocol,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=_STOP_SECONDS_MAX,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event.
            await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await task
