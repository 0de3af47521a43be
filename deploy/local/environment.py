"""The environment of each service's process.

One table, so that a variable is found where it is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import Program
from deploy.local.provision import SERVICES, DatabaseUrls
from deploy.local.stack import ServerAddresses
from deploy.local.state import HOST, Secrets

DEVELOPMENT_ISSUER = "urn:meldpunt:development-issuer"
LOG_LEVEL_VARIABLE = "MELDPUNT_LOG_LEVEL"


@dataclass(frozen=True)
class StackContext:
    """What is known when the services are about to start.

    `databases` has a service's DSNs, `ports` its HTTP port, both by service name; `secrets` makes
    and keeps secrets.
    """

    data_dir: Path
    servers: ServerAddresses
    databases: Mapping[str, DatabaseUrls]
    ports: Mapping[str, int]
    secrets: Secrets

    def base_url(self, service: str) -> str:
        """Where a service's HTTP interface answers."""
        return f"http://{HOST}:{self.ports[service]}"

    @property
    def jwks_path(self) -> Path:
        """Public keys of the local development issuer."""
        return self.data_dir / "auth" / "jwks.json"


def service_environment(service: str, context: StackContext) -> dict[str, str]:
    """All variables of one service's process.

    This process's own, and `MELDPUNT_<SERVICE>_*` from the tables below.
    """
    prefix = f"MELDPUNT_{service.upper()}_"
    table = _common(service, context) | _own(service, context)
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        **{prefix + name: value for name, value in table.items()},
    }


def _common(service: str, context: StackContext) -> dict[str, str]:
    urls = context.databases[service]
    return {
        "DATABASE_URL": urls.application,
        "MIGRATION_DATABASE_URL": urls.owner,
        "KAFKA_BOOTSTRAP": context.servers.kafka_bootstrap,
        "HTTP_HOST": HOST,
        "HTTP_PORT": str(context.ports[service]),
        "AUTH_JWKS": str(context.jwks_path),
        "AUTH_ISSUER": DEVELOPMENT_ISSUER,
        "ENVIRONMENT": "development",
        "DATA_DIR": str(context.data_dir / service),
        "LOG_LEVEL": os.environ.get(LOG_LEVEL_VARIABLE, "info"),
    }


def _own(service: str, context: StackContext) -> dict[str, str]:
    match service:
        case "intake":
            return {
                "RECEIPT_SECRET": context.secrets.get("intake-receipt"),
                "MASTER_KEY": context.secrets.get("intake-master"),
                "REFERRAL_URL": context.base_url("referral"),
            }
        case "referral":
            return {
                "INTAKE_URL": context.base_url("intake"),
                "SIGNING_KEY_FILE": str(context.data_dir / "referral" / "signing-key.pem"),
                # Partners of a local stack run on the same machine.
                "CHANNELS__WEBHOOK_ALLOW_LOOPBACK": "true",
                # The page behind the links of notices is the service's own.
                "CHANNELS__PORTAL_URL": context.base_url("referral"),
            }
        case _:
            return {}


def service_programs(context: StackContext) -> tuple[Program, ...]:
    """The four services as programs for the supervisor."""
    for service in SERVICES:
        (context.data_dir / service).mkdir(mode=0o700, parents=True, exist_ok=True)
    return tuple(_program(service, context) for service in SERVICES)


def _program(service: str, context: StackContext) -> Program:
    url = context.base_url(service)
    return Program(
        name=service,
        command=(sys.executable, "-m", f"services.{service}"),
        environment=service_environment(service, context),
        port=context.ports[service],
        live_url=f"{url}/livez",
        ready_url=f"{url}/readyz",
    )
