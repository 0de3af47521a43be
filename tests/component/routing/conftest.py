"""Routing on a real PostgreSQL, without a broker: events go straight into the handler."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from contracts.event import Event
from contracts.intake import ContentField, IntakeChannel, KnownDate, ReportReceived
from contracts.referral import DESK, RedecisionRequested
from contracts.routing import CaseAssigned, OnwardRefused, RegisterActivated
from contracts.situation import Situation
from deploy.local.provision import DatabaseUrls
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from services.chassis.runtime import Runtime
from services.routing import activation
from services.routing import app as routing_app
from services.routing.domain import Register
from services.routing.register import load_register
from services.routing.rules import compile_register
from services.routing.settings import RoutingSettings
from tests.component.service import NOW, received

ISSUER = "urn:test:issuer"
REGISTER = compile_register(load_register())
BULLIED = Situation(
    sector="po", reporter="ouder", kind="klacht", subject="pesten", accused="leerling", brin="99XX"
)


def report(
    case_id: UUID, situation: Situation = BULLIED, known_dates: tuple[KnownDate, ...] = ()
) -> ReportReceived:
    return ReportReceived(
        report_id=uuid4(),
        case_id=case_id,
        channel=IntakeChannel.WEB,
        situation=situation,
        received_at=NOW,
        content=(ContentField.NARRATIVE,),
        commitment="0" * 64,
        known_dates=known_dates,
    )


def again(
    case_id: UUID,
    number: int,
    *excluded: str,
    proposed: str | None = None,
    onward: bool = False,
    holder: str = "school",
) -> RedecisionRequested:
    return RedecisionRequested(
        case_id=case_id,
        # Who refers onward holds the case.
        holder=holder if onward else DESK,
        handoff=0,
        at=NOW,
        excluded=excluded,
        decision_number=number,
        reason="referred-onward" if onward else "rejected",
        proposed=proposed,
        onward=onward,
    )


def changed(version: str, **rules: dict[str, Any]) -> dict[str, Any]:
    """The shipped register under another version, with other values in the named rules."""
    document = json.loads(REGISTER.register.model_dump_json(by_alias=True))
    document["version"] = version
    for rule in document["routing_rules"]:
        rule.update(rules.get(rule["id"], {}))
    return document


def sound(_: Register) -> Sequence[activation.Counterexample]:
    """Stands in for the proofs, which take a minute and have tests of their own."""
    return ()


class World:
    """One instance of routing; its handler is called as the chassis calls it."""

    def __init__(
        self, urls: DatabaseUrls, folder: Path, check: activation.Checker | None = None, **more: Any
    ) -> None:
        key_file = folder / "key.json"
        if not key_file.exists():
            key = RSAKey.generate_key(2048, {"kid": "test"})
            key_file.write_text(json.dumps(key.as_dict(private=True)))
            public = {"keys": [key.as_dict(private=False)]}
            (folder / "jwks.json").write_text(json.dumps(public))
        self._key = RSAKey.import_key(json.loads(key_file.read_text()))
        values: dict[str, Any] = {
            "environment": "test",
            "http_port": 0,
            "database_url": SecretStr(urls.application),
            "kafka_bootstrap": "127.0.0.1:1",
            "auth_jwks": str(folder / "jwks.json"),
            "auth_issuer": ISSUER,
        }
        if more.get("environment") == "production":
            values["kafka_security_protocol"] = "SASL_SSL"
        settings = RoutingSettings(**(values | more))
        checks = {"check": check or sound}
        self.app: FastAPI = routing_app.build(settings, **checks)
        self.runtime: Runtime = self.app.state.runtime
        self.database = self.runtime.database
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://routing.test/v1"
        )
        self.handler = self.runtime.processors[0]._handler

    async def start(self) -> None:
        """Open the database and do what comes before any event."""
        await self.database.start(20)
        for first in self.runtime._before:
            await first()

    async def stop(self) -> None:
        await self.client.aclose()
        await self.database.stop()

    def headers(self, scope: str, client: str = "somebody") -> dict[str, str]:
        claims = {
            "iss": ISSUER,
            "sub": client,
            "aud": "meldpunt",
            "exp": int(time.time()) + 600,
            "jti": secrets.token_hex(16),
            "scope": scope,
        }
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        return {"Authorization": f"Bearer {token}"}

    @property
    def operator(self) -> dict[str, str]:
        return self.headers("operations:write", "operator-7")

    @property
    def desk(self) -> dict[str, str]:
        return self.headers("cases:desk")

    async def handle(self, *events: ReportReceived | RedecisionRequested) -> None:
        async with self.database.transaction() as connection:
            await self.handler(connection, [received(event, event.case_id) for event in events])

    async def decided(self, situation: Situation = BULLIED) -> CaseAssigned:
        """What is decided on a new report."""
        case_id = uuid4()
        await self.handle(report(case_id, situation))
        return (await self.assigned(case_id))[0]

    async def events(self, model: type[Event], key: UUID) -> list[Any]:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT data FROM event WHERE key = $1 AND type = $2 ORDER BY sequence",
                key,
                model.event_type(),
            )
        return [model.parse(row["data"]) for row in rows]

    async def assigned(self, case_id: UUID) -> list[CaseAssigned]:
        return await self.events(CaseAssigned, case_id)

    async def refused(self, case_id: UUID) -> list[OnwardRefused]:
        return await self.events(OnwardRefused, case_id)

    async def activated(self, key: UUID) -> list[RegisterActivated]:
        return await self.events(RegisterActivated, key)

    async def activate(
        self, document: dict[str, Any] | str | bytes, valid_from: datetime | None = None
    ) -> httpx.Response:
        content = json.dumps(document) if isinstance(document, dict) else document
        parameters = {} if valid_from is None else {"validFrom": valid_from.isoformat()}
        return await self.client.post(
            "/registers", content=content, params=parameters, headers=self.operator, timeout=60
        )

    async def decisions(self, case_id: UUID) -> dict[str, Any]:
        answer = await self.client.get(
            "/decisions", params={"caseId": str(case_id)}, headers=self.desk
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


MakeWorld = Callable[..., World]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def make_world(
    databases: dict[str, DatabaseUrls], tmp_path_factory
) -> AsyncIterator[MakeWorld]:
    """Instances on one database; each is started by the test and stopped afterwards."""
    urls = databases["routing"]
    await migrate(urls.owner, [CHASSIS_MIGRATIONS, routing_app.MIGRATIONS], 20)
    folder = tmp_path_factory.mktemp("routing")
    worlds: list[World] = []

    def make(check: activation.Checker | None = None, **more: Any) -> World:
        worlds.append(World(urls, folder, check, **more))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(make_world: MakeWorld) -> World:
    """A started instance."""
    made = make_world()
    await made.start()
    return made


def never(_: Register) -> Sequence[activation.Counterexample]:
    """A check that finds a gap in every register."""
    return [
        activation.Counterexample("gap", "a parent of a pupil reaches nobody", "Add a rule for it.")
    ]
