"""Puts the channels together for the service; the only place here that constructs."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from services.chassis.db import Database
from services.chassis.ids import Clock
from services.chassis.telemetry import Logger
from services.referral.channels import api
from services.referral.channels.domain import Push
from services.referral.channels.email import EmailSender, MailServer
from services.referral.channels.keyring import KeySafe, load_sealing_key
from services.referral.channels.network import Resolver
from services.referral.channels.options import ChannelOptions
from services.referral.channels.truth import Telling
from services.referral.channels.webhook import WebhookSender
from services.referral.channels.worker import Deliveries, Sender
from services.referral.portal.links import Links


@dataclass(frozen=True, slots=True)
class Channels:
    """The worker to run in the background and the routes to serve."""

    deliveries: Deliveries
    router: APIRouter


def build(
    options: ChannelOptions,
    *,
    sealing_key: bytes,
    database: Database,
    telling: Telling,
    clock: Clock,
    log: Logger,
) -> Channels:
    """The channels of one instance; nothing connects before `deliveries` runs."""
    policy = options.policy()
    safe = KeySafe(sealing_key)
    webhooks = WebhookSender(
        policy,
        safe,
        Resolver(),
        tls=_tls(options.webhook_ca_file),
        connections_max=options.in_flight_per_partner_max + 1,
        seconds_max=options.try_seconds_max,
        answer_bytes_max=options.answer_bytes_max,
    )
    mails = EmailSender(
        _mail_server(options),
        Links(database, options.portal_url).make,
        seconds_max=options.try_seconds_max,
    )
    senders: dict[Push, Sender] = {Push.WEBHOOK: webhooks, Push.EMAIL: mails}
    parts = api.Parts(telling, senders, safe, policy, options.rotation_overlap_hours)
    return Channels(Deliveries(database, senders, telling, options, clock, log), api.router(parts))


def sealing_key(options: ChannelOptions, data_dir: Path, environment: str) -> bytes:
    """The key of the settings; made at the first start, but never in production."""
    file = options.sealing_key_file or data_dir / "endpoint-key"
    return load_sealing_key(file, create=environment != "production")


def _mail_server(options: ChannelOptions) -> MailServer:
    password = options.smtp_password
    return MailServer(
        host=options.smtp_host,
        port=options.smtp_port,
        sender=options.mail_from,
        tls=_tls(options.smtp_ca_file) if options.smtp_starttls else None,
        username=options.smtp_username,
        password=password.get_secret_value() if password else None,
    )


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
