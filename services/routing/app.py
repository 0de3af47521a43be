"""Composition root of routing: the only place that constructs."""

from pathlib import Path

from fastapi import FastAPI

from contracts import topics
from contracts.event import Catalogue
from contracts.intake import ReportReceived
from contracts.referral import RedecisionRequested
from services.chassis.runtime import Runtime
from services.routing import api, store
from services.routing.handlers import Handler
from services.routing.register import load_register
from services.routing.rules import compile_register
from services.routing.settings import RoutingSettings

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: RoutingSettings) -> FastAPI:
    """Routing as an application; raises RegisterInvalid when the register may not be used."""
    register = compile_register(load_register(settings.register_file))
    runtime = Runtime("routing", topics.ROUTING, settings)

    async def remember() -> None:
        async with runtime.database.transaction() as connection:
            await store.remember_register(
                connection,
                register.hash,
                register.register.version,
                register.register.model_dump_json(by_alias=True),
                runtime.clock(),
            )

    runtime.before_work(remember)
    runtime.consume(
        Handler(register, runtime.source, runtime.clock),
        Catalogue(ReportReceived, RedecisionRequested),
        topics=[topics.INTAKE, topics.REFERRAL],
    )
    return runtime.app(
        title="Meldpunt routing",
        description="Assigns the competent organisation from the register and explains why.",
        routers=[api.router(register)],
        migrations=MIGRATIONS,
    )
