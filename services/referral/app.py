"""Puts referral together; the only place that constructs."""

from functools import cache
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import Counter

from contracts import topics
from contracts.event import Catalogue
from contracts.intake import (
    IdentityHidden,
    NotHelped,
    QuestionAnswered,
    QuestionAsked,
    ReportWithdrawn,
)
from contracts.referral import ReferralAnswered
from contracts.routing import CaseAssigned, OnwardRefused, RegisterActivated
from services.chassis.ids import utc_now
from services.chassis.pace import Pace
from services.chassis.runtime import Runtime
from services.referral import api, consulting, desk, desk_actions, inbox, partner_admin
from services.referral.capability import Signer, load_key
from services.referral.channels import app as channels_app
from services.referral.channels.truth import Telling
from services.referral.deadlines import Deadlines
from services.referral.domain import Verdict
from services.referral.effects import Publishing
from services.referral.findings import api as findings_api
from services.referral.findings.deadlines import Findings
from services.referral.handlers import Handlers
from services.referral.partners import Partners, load_partners
from services.referral.portal import routes as portal_routes
from services.referral.portal.routes import Portal
from services.referral.settings import ReferralSettings
from services.referral.steady import SteadyClock
from services.referral.unanswered import Unanswered

ANSWERS_GROUP = "meldpunt-referral-partners"
REPORTER_GROUP = "meldpunt-referral-reporter"


def build(settings: ReferralSettings) -> FastAPI:
    """The service; nothing connects before the application starts."""
    # One clock sets every term and ends it. It believes no jump: an offer made while the wall clock
    # is ten minutes behind would lapse as soon as that is put right.
    runtime = Runtime("referral", topics.REFERRAL, settings, SteadyClock(utc_now))
    publishing = Publishing(topics.REFERRAL, runtime.source, settings.intake_url.rstrip("/"))
    partners = Partners(runtime.database, load_partners(settings.partners_file))
    outcomes = Counter(
        "meldpunt_referral_outcomes",
        "Decisions, answers and expiries, by verdict",
        ["event", "verdict"],
        registry=runtime.metrics.registry,
    )

    # Finding a counter by its labels takes longer than counting; there are few of them.
    @cache
    def counter(event: str, verdict: Verdict) -> Counter:
        return outcomes.labels(event, verdict.value)

    def count(event: str, verdict: Verdict) -> None:
        counter(event, verdict).inc()

    findings = Findings(publishing, runtime.log)
    handlers = Handlers(publishing, partners, count, runtime.clock, findings.on_register)
    deadlines = Deadlines(
        runtime.database,
        publishing,
        count,
        runtime.clock,
        settings.deadline_grace_seconds,
        [findings.fire, Unanswered(publishing, runtime.log).fire],
        runtime.log,
    )
    key = load_key(settings.signing_key_file, create=settings.environment != "production")
    signer = Signer(key, settings.capability_seconds)

    options = settings.channel_options
    channels = channels_app.build(
        options,
        sealing_key=channels_app.sealing_key(options, settings.data_dir, settings.environment),
        database=runtime.database,
        telling=Telling(topics.REFERRAL, runtime.source),
        clock=runtime.clock,
        log=runtime.log,
    )

    runtime.background("partners", partners.run)
    runtime.background("deliveries", channels.deliveries.run)
    runtime.consume(
        handlers.handle_routing,
        Catalogue(CaseAssigned, OnwardRefused, RegisterActivated),
        topics=[topics.ROUTING],
    )
    runtime.consume(
        handlers.handle_answers,
        Catalogue(ReferralAnswered),
        pattern=topics.PARTNER_IN_PATTERN,
        group=ANSWERS_GROUP,
        # An answer that comes late or out of order is told so; one that cannot be read must not
        # hold back the one that corrects it.
        ordered=False,
    )
    runtime.consume(
        handlers.handle_reporter,
        Catalogue(ReportWithdrawn, QuestionAsked, QuestionAnswered, IdentityHidden, NotHelped),
        topics=[topics.INTAKE],
        group=REPORTER_GROUP,
        # Most of what it reads is for others, and a reporter does not wait for what is left.
        pace=Pace(settings.consume_batch_max, rest_seconds_min=0.2, rest_seconds_max=0.2),
    )
    runtime.every("deadlines", settings.deadline_seconds, deadlines.work)
    app = runtime.app(
        title="Meldpunt: referral",
        description="Offers to partners, their answers, and who holds each case.",
        routers=[
            inbox.router(),
            api.router(publishing, partners, signer, count),
            consulting.router(publishing, signer),
            desk.router(),
            desk_actions.router(publishing),
            partner_admin.router(publishing),
            channels.router,
            findings_api.router(publishing),
        ],
        migrations=Path(__file__).parent / "migrations",
    )
    # Beside the API and its version: a page for people.
    portal = Portal(publishing, partners, count, options.desk_phone)
    app.include_router(portal_routes.router(portal))
    return app
