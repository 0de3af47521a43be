"""A migrated audit database per test module, and the API on top of it with the tokens of a test issuer."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from pydantic import SecretStr

import services.audit
from contracts.event import Catalogue
from deploy.local.provision import DatabaseUrls
from services.audit.app import CATALOGUE, build
from services.audit.handlers import handle
from services.audit.settings import AuditSettings
from services.chassis.auth import ROLES
from services.chassis.consumer import Processor
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from tests.unit.audit.builders import at

MIGRATIONS = Path(services.audit.__file__).parent / "migrations"
TABLES = ("trail", "case_picture", "report", "counter", "source_progress", "sequence_block")
TABLES += (
    "parked_event",
    "figure",
    "finding",
    "delivery",
    "inbox",
    "parked",
    "outbox",
    "event",
    "source",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def audit_urls(databases) -> DatabaseUrls:
    urls = databases["audit"]
    await migrate(urls.owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 10)
    return urls


@pytest_asyncio.fixture(loop_scope="session")
async def superuser(servers, audit_urls):
    """A connection that may do anything: what an attacker or a careless administrator could have."""
    name = audit_urls.owner.rpartition("/")[2]
    connection = await asyncpg.connect(f"{servers.postgres_admin_url.rpartition('/')[0]}/{name}")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def connection(audit_urls, superuser) -> AsyncIterator[asyncpg.Connection]:
    """The application's own connection to an empty audit database."""
    await superuser.execute(f"TRUNCATE {', '.join(TABLES)}")
    await superuser.execute("UPDATE log_head SET size = 0, chain = sha256('')")
    connection = await asyncpg.connect(audit_urls.application)
    yield connection
    await connection.close()


@pytest.fixture
def store_events(connection):
    """Give events to the handler, in one transaction per call, as the chassis does."""

    async def store(received) -> None:
        async with connection.transaction():
            await handle(connection, list(received))

    return store


@dataclass
class Audit:
    """The running service without its consumers: its API, and its processor for records."""

    client: httpx.AsyncClient
    processor: Processor
    catalogue: Catalogue
    key: RSAKey
    settings: AuditSettings
    now: datetime

    def token(self, role: str) -> str:
        claims = {"iss": "urn:test", "sub": role, "aud": "meldpunt", "exp": time.time() + 600}
        claims |= {"jti": uuid4().hex, "scope": ROLES[role].value}
        if role == "partner":
            claims["organisation"] = "lkc"
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    async def get(self, path: str, role: str = "auditor", **query):
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return await self.client.get(f"/v1{path}", params=query, headers=headers)


@pytest_asyncio.fixture(loop_scope="session")
async def audit(connection, audit_urls, tmp_path) -> AsyncIterator[Audit]:
    key = RSAKey.generate_key(2048, {"kid": "test"}, auto_kid=False)
    jwks = tmp_path / "jwks.json"
    jwks.write_text(httpx.Response(200, json=KeySet([key]).as_dict(private=False)).text)
    settings = AuditSettings(
        environment="test",
        http_port=0,
        database_url=SecretStr(audit_urls.application),
        kafka_bootstrap="127.0.0.1:1",
        auth_jwks=str(jwks),
        auth_issuer="urn:test",
    )
    app = build(settings)
    runtime = app.state.runtime
    await runtime.database.start(10)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://audit") as client:
        running = Audit(client, runtime.processors[0], CATALOGUE, key, settings, at(10))
        runtime.clock = lambda: running.now
        yield running
    await runtime.database.stop()
