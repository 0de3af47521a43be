import base64
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey, RSAKey
from pydantic import SecretStr

from deploy.local.provision import DatabaseUrls
from deploy.local.stack import ServerAddresses
from services.chassis.runtime import Runtime
from services.intake.app import build
from services.intake.settings import IntakeSettings

NOBODY = "127.0.0.1:1"
SITUATION = {"sector": "po", "reporter": "ouder", "kind": "klacht", "subject": "pesten"}


def secret() -> SecretStr:
    return SecretStr(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="))


@dataclass
class World:
    """Keys, settings and database of the tests; `running` gives a service with a client."""

    urls: DatabaseUrls
    servers: ServerAddresses
    folder: Path
    issuer_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    referral_key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))
    receipt_secret: SecretStr = field(default_factory=secret)
    master_key: SecretStr = field(default_factory=secret)

    def __post_init__(self) -> None:
        self._publish(self.folder / "jwks.json", self.issuer_key)
        # A JWKS location may be a file as well: where referral's URL would be is a folder here.
        self._publish(self.folder / "referral" / "v1" / "keys", self.referral_key)

    @staticmethod
    def _publish(path: Path, key: RSAKey | OKPKey) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        key.ensure_kid()
        path.write_text(json.dumps(KeySet([key]).as_dict(private=False)))

    def settings(self, **changes: Any) -> IntakeSettings:
        values: dict[str, Any] = {
            "environment": "test",
            "http_port": 0,
            "data_dir": self.folder,
            "database_url": SecretStr(self.urls.application),
            "migration_database_url": SecretStr(self.urls.owner),
            "kafka_bootstrap": NOBODY,
            "auth_jwks": str(self.folder / "jwks.json"),
            "auth_issuer": "urn:test",
            "receipt_secret": self.receipt_secret,
            "master_key": self.master_key,
            "referral_url": str(self.folder / "referral"),
            "tally_seconds": 3600.0,
            "drain_seconds_max": 3.0,
            "status_calls_per_minute": 1000,
        }
        return IntakeSettings(**(values | changes))

    def token(self, scope: str, client: str = "school-app", organisation: str | None = None) -> str:
        claims = {
            "iss": "urn:test", "sub": client, "aud": "meldpunt", "azp": client,
            "iat": int(time.time()), "exp": int(time.time()) + 600, "jti": uuid4().hex,
            "scope": scope,
        }  # fmt: skip
        if organisation is not None:
            claims["organisation"] = organisation
        header = {"alg": "RS256", "kid": self.issuer_key.kid}
        return jwt.encode(header, claims, self.issuer_key, algorithms=["RS256"])

    def capability(self, case: UUID, referral: UUID, /, **changes: Any) -> str:
        claims = {
            "iss": "urn:meldpunt:referral", "aud": "urn:meldpunt:intake", "sub": "lkc",
            "case": str(case), "referral": str(referral), "attempt": 1,
            "fields": ["narrative", "identity"], "iat": int(time.time()),
            "exp": int(time.time()) + 240, "jti": uuid4().hex,
        } | changes  # fmt: skip
        header = {"alg": "Ed25519", "kid": self.referral_key.kid}
        return jwt.encode(header, claims, self.referral_key, algorithms=["Ed25519"])

    @contextlib.asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator["Service"]:
        app = build(self.settings(**changes))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
                yield Service(self, app, client)

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.urls.owner)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()


@dataclass
class Service:
    world: World
    app: FastAPI
    client: httpx.AsyncClient

    @property
    def runtime(self) -> Runtime:
        runtime: Runtime = self.app.state.runtime
        return runtime

    async def report(
        self,
        body: Any = None,
        *,
        key: str | None = "",
        scope: str = "reports:write",
        client: str = "school-app",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        sent = {
            "Authorization": f"Bearer {self.world.token(scope, client)}",
            "Content-Type": "application/json",
        }
        if key is not None:
            sent["Idempotency-Key"] = key or uuid4().hex
        content = body if isinstance(body, bytes) else json.dumps(body or {"situation": SITUATION})
        return await self.client.post(
            "/v1/reports", content=content, headers=sent | (headers or {})
        )

    async def status(self, code: str) -> httpx.Response:
        return await self.client.post("/v1/report-statuses", json={"code": code})

    async def act(self, path: str, code: str, **more: Any) -> httpx.Response:
        """What a reporter does with the code."""
        return await self.client.post(f"/v1/{path}", json={"code": code, **more})

    async def ask(
        self,
        case: UUID,
        capability: str | None,
        text: str,
        organisation: str = "lkc",
        question: UUID | None = None,
    ) -> httpx.Response:
        token = self.world.token("referrals:partner", organisation, organisation)
        headers = {"Authorization": f"Bearer {token}"}
        if capability is not None:
            headers["Content-Capability"] = capability
        body = {"questionId": str(question or uuid4()), "text": text}
        return await self.client.post(f"/v1/cases/{case}/questions", json=body, headers=headers)

    async def content(
        self, case: UUID, capability: str | None, organisation: str = "lkc"
    ) -> httpx.Response:
        token = self.world.token("referrals:partner", organisation, organisation)
        headers = {"Authorization": f"Bearer {token}"}
        if capability is not None:
            headers["Content-Capability"] = capability
        return await self.client.get(f"/v1/contents/{case}", headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    servers: ServerAddresses,
    databases: dict[str, DatabaseUrls],
    tmp_path_factory: Any,
) -> World:
    return World(databases["intake"], servers, tmp_path_factory.mktemp("intake"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(world: World) -> AsyncIterator[Service]:
    """Intake with a database and without a broker, which must not matter to a reporter."""
    async with world.running() as running:
        yield running


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=UTC)
