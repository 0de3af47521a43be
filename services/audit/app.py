"""Wires audit together; the only place that constructs."""

from pathlib import Path

from fastapi import FastAPI

from contracts import audit, finding, intake, operations, referral, routing, topics
from contracts.event import Catalogue
from services.audit import api
from services.audit.handlers import handle
from services.audit.settings import AuditSettings
from services.chassis.pace import Pace
from services.chassis.runtime import Runtime

CATALOGUE = Catalogue(
    *intake.EVENTS,
    *routing.EVENTS,
    *referral.EVENTS,
    *finding.EVENTS,
    *audit.EVENTS,
    *operations.EVENTS,
)
TOPICS = (topics.INTAKE, topics.ROUTING, topics.REFERRAL, topics.AUDIT)


def build(settings: AuditSettings) -> FastAPI:
    """The service as an application; nothing connects before its lifespan begins."""
    runtime = Runtime("audit", topics.AUDIT, settings)
    # Nobody minds a picture that is a second old. Under load a batch then holds most of what
    # happens to a case, and writes it once.
    pace = Pace(settings.consume_batch_max, rest_seconds_min=0.1, rest_seconds_max=1.0)
    # The picture does not depend on order: one event that cannot be read holds back no other.
    runtime.consume(handle, CATALOGUE, topics=TOPICS, ordered=False, pace=pace)
    return runtime.app(
        title="Meldpunt audit",
        description="What happened to every report, counted and proved from the events alone.",
        routers=[api.router()],
        migrations=Path(__file__).parent / "migrations",
    )
