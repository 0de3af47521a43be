"""Wiring of intake: the only place that constructs."""

from pathlib import Path

from fastapi import FastAPI

from contracts import topics
from services.chassis.auth import JwksSource
from services.chassis.pace import Pace
from services.chassis.runtime import Runtime
from services.chassis.throttle import Throttle
from services.intake import api, content_api, return_api
from services.intake.asking import Asker
from services.intake.capability import CapabilityReader
from services.intake.codes import Codes
from services.intake.committer import Committer
from services.intake.disclosure import Discloser
from services.intake.handlers import CATALOGUE, case_follower
from services.intake.receipts import ReceiptSigner, load_key
from services.intake.receiving import Receiver
from services.intake.returning import Returner
from services.intake.settings import IntakeSettings, secret_bytes
from services.intake.vault import Vault


def build(settings: IntakeSettings) -> FastAPI:
    """The whole service; raises SigningKeyMissing in production without a signing key."""
    runtime = Runtime("intake", topics.INTAKE, settings)
    runtime.ready_without_broker()
    runtime.consume(
        case_follower(runtime.clock),
        CATALOGUE,
        topics=[topics.ROUTING, topics.REFERRAL],
        group=settings.consumer_group,
        # A reporter looks later, and under load a partner that fetches content at once may be told
        # to come back.
        pace=Pace(settings.consume_batch_max, rest_seconds_min=0.03, rest_seconds_max=0.2),
    )
    committer = Committer(
        runtime.database,
        runtime.clock,
        runtime.log,
        source=runtime.source,
        topic=runtime.topic,
        batch_max=settings.commit_batch_max,
        waiting_max=settings.commit_waiting_max,
        seconds_max=settings.commit_seconds_max,
    )
    runtime.background("committer", committer.run)
    vault = Vault(secret_bytes(settings.master_key))
    key = load_key(settings.signing_key_path, create=settings.environment != "production")
    codes = Codes(secret_bytes(settings.receipt_secret))
    receiver = Receiver(
        vault,
        codes,
        ReceiptSigner(key, runtime.source),
        settings.public_url.rstrip("/"),
    )
    reader = CapabilityReader(JwksSource(f"{settings.referral_url.rstrip('/')}/v1/keys"))
    discloser = Discloser(
        runtime.database, reader, vault, source=runtime.source, topic=runtime.topic
    )
    asker = Asker(
        runtime.database, reader, codes, vault, source=runtime.source, topic=runtime.topic
    )
    returner = Returner(runtime.database, codes, vault, source=runtime.source, topic=runtime.topic)
    throttle = Throttle(settings.status_calls_per_minute)
    endpoint = api.report_endpoint(receiver, committer)
    return runtime.app(
        title="Meldpunt intake",
        description="Takes reports, gives signed receipts, tells how a report stands.",
        routers=[
            api.router(receiver, endpoint),
            content_api.router(discloser, asker),
            return_api.router(returner, throttle),
        ],
        migrations=Path(__file__).parent / "migrations",
        hot_endpoints={("POST", "/v1/reports"): endpoint},
    )
