"""Prometheus metrics: every name in one table, with its kind and meaning beside it."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Outcome = Literal["handled", "repeated", "ignored", "parked"]
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one process, on a registry of its own."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        prefix = f"meldpunt_{service}"
        self.events = Counter(
            f"{prefix}_events", "Events read, by outcome", ["outcome"], registry=self.registry
        )
        self.batch_seconds = Histogram(
            f"{prefix}_batch_seconds",
            "Time from a batch read to its commit",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_retries = Counter(
            f"{prefix}_batch_retries",
            "Batches tried again after a transient error",
            registry=self.registry,
        )
        self.published = Counter(
            f"{prefix}_published", "Events acknowledged by the broker", registry=self.registry
        )
        self.publish_failures = Counter(
            f"{prefix}_publish_failures",
            "Relay rounds that failed and were tried again",
            registry=self.registry,
        )
        self.outbox_pending = Gauge(
            f"{prefix}_outbox_pending", "Events that wait for the broker", registry=self.registry
        )
        self.parked_open = Gauge(
            f"{prefix}_parked_open", "Events put aside and not re-driven", registry=self.registry
        )
        self.requests = Counter(
            f"{prefix}_requests",
            "HTTP requests, by status class",
            ["status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time to answer an HTTP request",
            buckets=_SECONDS,
            registry=self.registry,
        )
