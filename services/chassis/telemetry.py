"""Structured logs and traces. Neither ever holds a narrative, a name or an address.

A trace context travels with every event. An unsampled one is passed on as text, which costs
nothing; spans are made only for sampled ones, so a sample ratio is also a cost ratio.
"""

import json
import logging
import os
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.settings import ServiceSettings

Logger = structlog.stdlib.BoundLogger
_PROPAGATOR = TraceContextTextMapPropagator()
# Version 00 of W3C Trace Context; ids of only zeros are no ids.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")
_SAMPLED = 1


def configure_logging(level: str) -> None:
    """JSON lines on standard output; the libraries' own logs pass through the same renderer."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stdout,
        format='{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}',
    )


def logger(service: str) -> Logger:
    """A logger that names its service in each line."""
    return cast("Logger", structlog.get_logger(service=service))


class _FileExporter(SpanExporter):
    """One JSON line per span, for development and for the test of the trace."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a", encoding="utf-8") as file:
            for span in spans:
                line = json.loads(span.to_json())
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
        return SpanExportResult.SUCCESS


class Work:
    """One piece of traced work; `traceparent` is what its events carry on."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, traceparent: str, span: Span | None) -> None:
        self.traceparent = traceparent
        self._span = span

    def end(self) -> None:
        """Close the span, if there is one."""
        if self._span is not None:
            self._span.end()


class Tracing:
    """Starts spans for sampled work, passes the context on for all other work."""

    def __init__(self, service: str, settings: ServiceSettings) -> None:
        self._ratio = settings.trace_sample_ratio
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": f"meldpunt-{service}"})
        )
        if settings.trace_file is not None:
            exporter: SpanExporter = _FileExporter(settings.trace_file)
            self._provider.add_span_processor(SimpleSpanProcessor(exporter))
        if settings.trace_otlp_endpoint is not None:
            exporter = OTLPSpanExporter(endpoint=settings.trace_otlp_endpoint)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("meldpunt")

    def start(self, name: str, parent: str | None, kind: SpanKind = SpanKind.INTERNAL) -> Work:
        """Begin work under a parent context, or under a new one when there is none.

        What has not the form of a context is no parent: it came from outside, and would else travel
        on in every event of the case, whatever it says.
        """
        known = _TRACEPARENT.fullmatch(parent) if parent else None
        if known is None:
            parent = None
            if random.random() >= self._ratio:  # noqa: S311  # sampling, no secret
                return Work(f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00", None)
        elif not int(known[1], 16) & _SAMPLED:
            return Work(known[0], None)
        context = _PROPAGATOR.extract({"traceparent": parent}) if parent else None
        span = self._tracer.start_span(name, context=context, kind=kind)
        here = span.get_span_context()
        return Work(f"00-{here.trace_id:032x}-{here.span_id:016x}-01", span)

    def stop(self) -> None:
        """Flush what waits to be exported."""
        self._provider.shutdown()
