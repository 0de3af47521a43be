"""Referral on a real PostgreSQL, without a broker: records go straight into the processors."""

import asyncio
import contextlib
import json
import secrets
import time
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from contracts import topics
from contracts.envelope import Envelope, partner_source, service_source, to_headers
from contracts.referral import Answer, ReferralAnswered
from contracts.routing import Mode
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from services.chassis.ids import new_id, utc_now
from services.chassis.parked import Record
from services.referral import app as referral_app
from services.referral.deadlines import Deadlines
from services.referral.effects import Publishing
from services.referral.settings import ReferralSettings
from tests.unit.referral.builders import assigned

ISSUER = "urn:test:issuer"
MIGRATIONS = Path(referral_app.__file__).parent / "migrations"


class World:
    def __init__(
        self, urls, folder: Path, bootstrap: str = "127.0.0.1:1", *, owner: bool = False
    ) -> None:
        self.owner_url = urls.owner
        self._key = RSAKey.generate_key(2048, {"kid": "test"})
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        self.settings = ReferralSettings(
            environment="test",
            http_port=0,
            database_url=SecretStr(urls.application),
            migration_database_url=SecretStr(urls.owner) if owner else None,
            kafka_bootstrap=bootstrap,
            auth_jwks=str(jwks),
            auth_issuer=ISSUER,
            intake_url="http://intake.test/",
            signing_key_file=folder / "keys" / "signing.pem",
        )
        self.app = referral_app.build(self.settings)
        self.runtime = self.app.state.runtime
        self.database = self.runtime.database
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://referral.test/v1"
        )
        self.publishing = Publishing(topics.REFERRAL, self.runtime.source, "http://intake.test")
        self._offset = 0

    def headers(self, scope: str, organisation: str | None = None) -> dict[str, str]:
        claims = {
            "iss": ISSUER,
            "sub": organisation or scope,
            "aud": "meldpunt",
            "exp": int(time.time()) + 600,
            "jti": secrets.token_hex(16),
            "scope": scope,
        }
        if organisation:
            claims["organisation"] = organisation
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        return {"Authorization": f"Bearer {token}"}

    def partner(self, organisation: str) -> dict[str, str]:
        return self.headers("referrals:partner", organisation)

    @property
    def desk(self) -> dict[str, str]:
        return self.headers("cases:desk")

    def record(self, event, topic: str, source: str, event_id: UUID | None = None) -> Record:
        envelope = Envelope(
            id=str(event_id or new_id()),
            source=source,
            type=event.event_type(),
            time=utc_now(),
            subject=str(event.case_id),
            sequence=1,
            data=event.encode(),
        )
        self._offset += 1
        headers = tuple(to_headers(envelope))
        return Record(topic, 0, self._offset, str(event.case_id), headers, envelope.data)

    async def decide(self, *events) -> None:
        records = [self.record(e, topics.ROUTING, service_source("routing")) for e in events]
        await self.runtime.processors[0].process(records)

    async def hear(self, organisation: str, *events, source: str | None = None) -> None:
        source = source or partner_source(organisation)
        records = [self.record(e, topics.partner_in(organisation), source) for e in events]
        await self.runtime.processors[1].process(records)

    async def told(self, *events) -> None:
        """Events of intake: what the reporter did."""
        records = [self.record(e, topics.INTAKE, service_source("intake")) for e in events]
        await self.runtime.processors[2].process(records)

    async def offered(self, organisation: str = "school", mode: Mode = Mode.REFER, **changes):
        """A new case with one referral, as its row."""
        event = assigned(organisation, mode=mode, **changes)
        await self.decide(event)
        return await self.referral(event.case_id)

    async def referral(self, case_id: UUID):
        return await self.row(
            "SELECT * FROM referral WHERE case_id = $1 ORDER BY attempt DESC LIMIT 1", case_id
        )

    async def case(self, case_id: UUID):
        return await self.row("SELECT * FROM case_holder WHERE case_id = $1", case_id)

    async def row(self, query: str, *values):
        async with self.database.connection() as connection:
            return await connection.fetchrow(query, *values)

    async def events(self, case_id: UUID) -> list[dict]:
        """All events of a case in the order of their writing, with name, feed and data."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT s.urn, e.* FROM event e JOIN source s ON s.id = e.source_id"
                " WHERE key = $1 ORDER BY e.id",
                case_id,
            )
        return [
            {
                "name": row["type"].split(".")[-2],
                "source": row["urn"],
                "topic": row["topic"],
                "dataref": row["dataref"],
                "data": json.loads(row["data"]),
            }
            for row in rows
        ]

    def answered(self, row, said: Answer, **changes) -> ReferralAnswered:
        values = {
            "answer_id": uuid4(),
            "referral_id": row["referral_id"],
            "case_id": row["case_id"],
            "attempt": row["attempt"],
            "answer": said,
            "reason": "capacity" if said is Answer.REJECTED else None,
            "at": utc_now(),
        }
        return ReferralAnswered(**(values | changes))

    async def say(self, organisation: str, row, said: str, **changes) -> httpx.Response:
        body = {"answerId": str(uuid4()), "attempt": row["attempt"], "answer": said} | changes
        return await self.client.post(
            f"/referrals/{row['referral_id']}/answers",
            json=body,
            headers=self.partner(organisation),
        )

    async def consult(self, row) -> str:
        """The holder `school` asks the `lkc` for advice; gives the id of the consultation."""
        body = {"consultationId": str(uuid4()), "organisation": "lkc", "question": "Wat nu?"}
        path = f"/referrals/{row['referral_id']}/consultations"
        asked = await self.client.post(path, json=body, headers=self.partner("school"))
        assert asked.status_code == 201, asked.text
        return body["consultationId"]

    async def let_expire(self, row, instances: int = 1) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(
                "UPDATE referral SET received_by = offered_at, accepted_by = offered_at,"
                " due_at = offered_at WHERE referral_id = $1",
                row["referral_id"],
            )
        await asyncio.gather(*(self.deadlines().work() for _ in range(instances)))

    def deadlines(self) -> Deadlines:
        return Deadlines(self.database, self.publishing, lambda *_: None, utc_now, 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(databases, tmp_path_factory):
    made = World(databases["referral"], tmp_path_factory.mktemp("referral"))
    await migrate(made.owner_url, [CHASSIS_MIGRATIONS, MIGRATIONS], 20)
    await made.database.start(20)
    seeding = asyncio.create_task(made.runtime._background["partners"]())
    yield made
    seeding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await seeding
    await made.client.aclose()
    await asyncio.sleep(0.1)
    await made.database.stop()
