"""Runs one service process: `python -m services.<name>` ends here."""

import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from services.chassis.settings import ServiceSettings
from services.chassis.telemetry import configure_logging

S = TypeVar("S", bound=ServiceSettings)
_EXIT_CONFIGURATION = 78


def serve(service: str, settings_class: type[S], build: Callable[[S], FastAPI]) -> None:
    """Read the settings, build the service, serve until SIGTERM or SIGINT."""
    try:
        settings = settings_class()
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in item["loc"]).upper()
            variable = f"MELDPUNT_{service.upper()}_{name}" if name else "settings"
            sys.stderr.write(f"{variable}: {item['msg']}\n")
        sys.exit(_EXIT_CONFIGURATION)
    configure_logging(settings.log_level)
    app = build(settings)
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        loop="auto",
        http="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=int(settings.drain_seconds_max),
    )
    server = uvicorn.Server(config)
    app.state.runtime.stopping = lambda: server.should_exit
    _end_in_order(server)
    server.run()
    if not server.started:
        sys.exit(1)


def _end_in_order(server: uvicorn.Server) -> None:
    """Let SIGTERM and SIGINT end the process with status 0, once everything has stopped.

    uvicorn sends itself the signal once more at its very end; without a handler of ours that would
    end an orderly stop as if the process had been killed.
    """

    def stop(_: int, __: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
