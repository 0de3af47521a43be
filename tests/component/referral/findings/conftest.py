"""Findings on a real PostgreSQL with a clock that the test moves; no broker."""

import hashlib
import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from contracts import topics
from contracts.routing import RegisterActivated
from deploy.local.provision import drop_databases, provision_databases
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from services.chassis.runtime import Runtime
from services.referral import app as referral_app
from services.referral.effects import Publishing
from services.referral.findings.api import router
from services.referral.findings.deadlines import Findings
from services.referral.settings import ReferralSettings
from tests.unit.referral.findings.builders import ADVICE, BINDING, COMPLY, NOW

ISSUER = "urn:test:issuer"
MIGRATIONS = Path(referral_app.__file__).parent / "migrations"
DIGEST = hashlib.sha256(b"letter").hexdigest()

_CASE = """
INSERT INTO case_holder (case_id, report_id, holder, handoff, decision_id, decision_number, attempts,
    returns, returned_by, desk_reason, next_actor, next_action, next_due_at, open, kind, urgency,
    situation, content, first_received_at, opened_at, changed_at, limits)
VALUES ($1, $1, 'vangnet', 2, $1, 1, 1, 0, '', $2, 'vangnet', 'check-finding', $3, true, 'klacht',
    'normaal', '{}', 'narrative', $3, $3, $3,
    '{"received_within_minutes":1440,"accepted_within_minutes":7200}')
"""
_REFERRAL = """
INSERT INTO referral (referral_id, case_id, attempt, organisation, decision_id, signal, status,
    channel, offered_at, received_by, accepted_by, due_at)
VALUES ($1, $2, 1, $3, $1, false, 'requested', 'inbox', $4, $4, $4, $4)
"""


class World:
    def __init__(self, urls, folder: Path) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "test"})
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        settings = ReferralSettings(
            environment="test",
            http_port=0,
            database_url=SecretStr(urls.application),
            kafka_bootstrap="127.0.0.1:1",
            auth_jwks=str(jwks),
            auth_issuer=ISSUER,
            intake_url="http://intake.test/",
            signing_key_file=folder / "keys" / "signing.pem",
        )
        self.now = NOW
        self.runtime = Runtime("referral", topics.REFERRAL, settings, lambda: self.now)
        self.database = self.runtime.database
        publishing = Publishing(topics.REFERRAL, self.runtime.source, "http://intake.test")
        self.findings = Findings(publishing)
        app = self.runtime.app(
            title="x", description="x", routers=[router(publishing)], migrations=MIGRATIONS
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://referral.test/v1"
        )

    def headers(self, who: str) -> dict[str, str]:
        scopes = {"desk": "cases:desk", "auditor": "audit:read", "operator": "operations:write"}
        claims = {
            "iss": ISSUER,
            "sub": who,
            "aud": "meldpunt",
            "exp": int(time.time()) + 600,
            "jti": secrets.token_hex(16),
            "scope": scopes.get(who, "referrals:partner"),
        }
        if who not in scopes:
            claims["organisation"] = who
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        return {"Authorization": f"Bearer {token}"}

    async def get(self, who: str, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self.headers(who))

    async def post(self, who: str, path: str, **body) -> httpx.Response:
        return await self.client.post(path, json=body, headers=self.headers(who))

    async def case(self, committee: str = "lkc", *, decided: bool = True):
        """A case at the desk whose committee has decided, or still holds nothing."""
        case_id, referral_id = uuid4(), uuid4()
        async with self.database.transaction() as connection:
            reason = "finding" if decided else "no-competent-party"
            await connection.execute(_CASE, case_id, reason, self.now)
            await connection.execute(_REFERRAL, referral_id, case_id, committee, self.now)
            changes = ["accepted", "completed"] if decided else ["rejected"]
            for status in changes:
                await connection.execute(
                    "UPDATE referral SET status = $2, accepted_at = $3, due_at = NULL,"
                    " reason = 'capacity', outcome = CASE WHEN $2 = 'completed' THEN 'decided' END,"
                    " decision = CASE WHEN $2 = 'completed' THEN 'upheld' END"
                    " WHERE referral_id = $1",
                    referral_id,
                    status,
                    self.now,
                )
        return case_id

    async def issue(self, case_id, who: str = "lkc", **changes) -> httpx.Response:
        body = {
            "findingId": str(uuid4()),
            "decision": "upheld",
            "advice": True,
            "issuedOn": self.now.date().isoformat(),
        } | changes
        return await self.post(who, f"/cases/{case_id}/findings", **body)

    async def finding(self, **changes) -> str:
        answer = await self.issue(await self.case(), **changes)
        assert answer.status_code == 201, answer.text
        return answer.json()["finding"]["findingId"]

    async def reply(self, finding_id: str, reply: str, who: str = "bevoegd_gezag", **changes):
        body = {"replyId": str(uuid4()), "reply": reply}
        if reply != "follows":
            body["reasons"] = "Wij zien het anders."
        return await self.post(who, f"/findings/{finding_id}/replies", **(body | changes))

    async def show(self, finding_id: str, who: str = "lkc", **changes) -> httpx.Response:
        body = {
            "evidenceId": str(uuid4()),
            "kind": "document",
            "day": self.now.date().isoformat(),
            "digest": DIGEST,
            "text": "Het nieuwe pestprotocol.",
            "confirms": True,
        } | changes
        return await self.post(who, f"/findings/{finding_id}/evidence", **body)

    async def fire(self) -> int:
        async with self.database.transaction() as connection:
            return await self.findings.fire(connection, self.now)

    async def let_pass(self, finding_id: str) -> None:
        """Move the clock to the finding's next moment and let time do its work."""
        self.now = (await self.row(finding_id))["fires_at"]
        while await self.fire():
            pass

    async def row(self, finding_id: str):
        return await self.fetchrow("SELECT * FROM finding WHERE finding_id = $1", finding_id)

    async def case_row(self, finding_id: str):
        return await self.fetchrow(
            "SELECT c.* FROM case_holder c JOIN finding f USING (case_id) WHERE finding_id = $1",
            finding_id,
        )

    async def fetchrow(self, query: str, *values):
        async with self.database.connection() as connection:
            return await connection.fetchrow(query, *values)

    async def events(self, case_id) -> list[tuple[str, str, dict]]:
        """Name, source and data of every event of a case, in the order of writing."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT s.urn, e.type, e.data FROM event e JOIN source s ON s.id = e.source_id"
                " WHERE key = $1 ORDER BY e.id",
                case_id,
            )
        return [(r["type"].split(".")[-2], r["urn"], json.loads(r["data"])) for r in rows]

    async def activate(self, version: str, *regimes, valid_from: datetime | None = None) -> None:
        event = RegisterActivated(
            version=version,
            hash="cd" * 32,
            valid_from=valid_from or datetime(2026, 1, 1, tzinfo=UTC),
            activated_at=self.now,
            activated_by="operator",
            regimes=regimes,
        )
        async with self.database.transaction() as connection:
            await self.findings.on_register(connection, [event], self.now)

    async def under(self, regime) -> None:
        """From now on this regime is the law, of every day."""
        self.now += timedelta(seconds=1)
        await self.activate(f"v-{uuid4().hex[:8]}", regime, valid_from=self.now)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def database_world(servers, tmp_path_factory):
    """One set of databases for all modules here: to make one takes longer than its tests."""
    prefix = f"test_{secrets.token_hex(4)}"
    urls = (await provision_databases(servers.postgres_admin_url, prefix))["referral"]
    made = World(urls, tmp_path_factory.mktemp("findings"))
    await migrate(urls.owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 20)
    await made.database.start(20)
    async with made.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO partner (organisation, name, channel) VALUES ('lkc', 'LKC', 'inbox'),"
            " ('bevoegd_gezag', 'Bestuur', 'kafka'), ('inspectie', 'Inspectie', 'inbox'),"
            " ('raad_van_toezicht', 'Raad van toezicht', 'desk')"
        )
    yield made
    await made.client.aclose()
    await made.database.stop()
    await drop_databases(servers.postgres_admin_url, prefix)


@pytest_asyncio.fixture(loop_scope="session")
async def world(database_world):
    """The world at its first moment, under the law as it is."""
    database_world.now = NOW
    async with database_world.database.transaction() as connection:
        # Past findings keep their regime; the next test begins with nothing that is due.
        await connection.execute(
            "UPDATE finding SET fires_at = 'infinity' WHERE fires_at IS NOT NULL"
        )
        await connection.execute("UPDATE finding_register SET valid_from = 'infinity'")
    await database_world.activate(f"first-{uuid4().hex[:8]}", ADVICE)
    return database_world


__all__ = ["ADVICE", "BINDING", "COMPLY", "DIGEST", "NOW"]
