"""Composition root of routing: the only place that constructs."""

from pathlib import Path

from fastapi import FastAPI

from contracts import topics
from contracts.event import Catalogue
from contracts.intake import ReportReceived
from contracts.referral import RedecisionRequested
from services.chassis.runtime import Runtime
from services.routing import api, closure_api, register_api, wegwijzer_api
from services.routing.activation import Checker, Registers, activate_shipped
from services.routing.handlers import Handler
from services.routing.places import api as places_api
from services.routing.places.affiliations import committees_of
from services.routing.places.load import load_directory
from services.routing.proofs import prover
from services.routing.questions import load_questions
from services.routing.register import load_register
from services.routing.rules import compile_register
from services.routing.settings import RoutingSettings

MIGRATIONS = Path(__file__).parent / "migrations"
PREPARE_SECONDS = 1.0


def build(settings: RoutingSettings, check: Checker | None = None) -> FastAPI:
    """Routing as an application; raises RegisterInvalid when the register may not be used.

    `check` stands in for the proofs that a register must pass before it is activated.
    """
    shipped = compile_register(load_register(settings.register_file))
    registers = Registers(shipped)
    runtime = Runtime("routing", topics.ROUTING, settings)
    questions = load_questions()
    guides = wegwijzer_api.Guides(questions)
    prove = prover(questions, settings.check_processes) if check is None else check
    places = load_directory(committees_of(shipped.register), runtime.clock().date())

    async def activate_first() -> None:
        async with runtime.database.transaction() as connection:
            activated = await activate_shipped(
                connection,
                shipped,
                over_another=settings.shipped_register_replaces,
                source=runtime.source,
                clock=runtime.clock,
            )
        runtime.log.info("shipped_register", version=shipped.register.version, activated=activated)

    async def prepare() -> None:
        async with runtime.database.connection() as connection:
            await registers.prepare(connection, runtime.clock())
            in_force = await registers.in_force(connection, runtime.clock())
        if settings.wegwijzer_warm:
            await guides.warm(in_force.register)

    runtime.before_work(activate_first)
    runtime.every("registers", PREPARE_SECONDS, prepare)
    runtime.consume(
        Handler(registers, runtime.source, runtime.clock, places.school_region),
        Catalogue(ReportReceived, RedecisionRequested),
        topics=[topics.INTAKE, topics.REFERRAL],
    )
    return runtime.app(
        title="Meldpunt routing",
        description="Assigns the competent organisation from the register and explains why.",
        routers=[
            api.router(registers, questions),
            register_api.router(registers, prove, settings.replay_seconds_max),
            closure_api.router(registers),
            wegwijzer_api.router(registers, guides),
            places_api.router(places),
        ],
        migrations=MIGRATIONS,
    )
