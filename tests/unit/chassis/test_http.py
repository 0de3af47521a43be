"""The shell of every API: headers, problem+json, 400 and not 422, limits, health."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from services.chassis.errors import Unavailable
from services.chassis.http import make_app, openapi_document
from services.chassis.metrics import Metrics
from services.chassis.problem import Problem
from services.chassis.telemetry import logger


class Health:
    live: Sequence[str] = ()
    ready: Sequence[str] = ()

    def live_problems(self) -> list[str]:
        return list(self.live)

    async def ready_problems(self) -> list[str]:
        return list(self.ready)

    async def refresh_metrics(self) -> None: ...


class Body(BaseModel):
    number: int
    name: str = "x"


def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/bodies")
    async def take(body: Body) -> Body:
        return body

    @router.get("/away")
    async def away() -> None:
        raise Unavailable("x")

    @router.get("/wrong-argument")
    async def wrong() -> None:
        from asyncpg.exceptions._base import DataError

        raise DataError("geheim")

    @router.get("/defect")
    async def defect() -> None:
        raise ZeroDivisionError("geheim")

    @router.get("/conflict")
    async def conflict() -> None:
        raise Problem(409, "held-by-other", "Another holds it.", extra={"holder": "lkc"})

    return router


@contextlib.asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
def app() -> FastAPI:
    return make_app(
        title="Test",
        description="A test",
        public_url="https://x.example",
        routers=[routes()],
        lifespan=_nothing,
        health=Health(),
        metrics=Metrics("probe"),
        log=logger("probe"),
        request_bytes_max=1000,
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as made:
        yield made


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["api-version"]
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert "geheim" not in answer.text
    return document


async def test_every_answer_has_the_headers_of_the_api_rules(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/bodies", json={"number": 1})
    assert answer.status_code == 200
    for name in (
        "api-version",
        "cache-control",
        "content-security-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
    ):
        assert answer.headers[name]


async def test_invalid_input_is_400_and_names_field_and_remedy(client: httpx.AsyncClient) -> None:
    document = assert_problem(await client.post("/v1/bodies", json={"number": "geheim"}), 400)
    assert document["errors"][0]["field"] == "number"
    assert document["errors"][0]["remedy"]
    assert_problem(await client.post("/v1/bodies", content=b"{geheim"), 400)
    assert_problem(await client.post("/v1/bodies", json={}), 400)


async def test_a_large_body_is_413_also_without_a_declared_length(
    client: httpx.AsyncClient,
) -> None:
    big = b'{"number": 1, "name": "' + b"a" * 2000 + b'"}'
    assert_problem(await client.post("/v1/bodies", content=big), 413)

    async def chunks() -> AsyncIterator[bytes]:
        yield big[:500]
        yield big[500:]

    headers = {"content-type": "application/json"}
    assert_problem(await client.post("/v1/bodies", content=chunks(), headers=headers), 413)


async def test_outage_and_defect_are_told_apart(client: httpx.AsyncClient) -> None:
    away = await client.get("/v1/away")
    assert_problem(away, 503)
    assert away.headers["retry-after"]
    assert_problem(await client.get("/v1/wrong-argument"), 500)
    assert_problem(await client.get("/v1/defect"), 500)


async def test_a_problem_can_hold_the_present_state(client: httpx.AsyncClient) -> None:
    assert assert_problem(await client.get("/v1/conflict"), 409)["holder"] == "lkc"
    assert_problem(await client.get("/v1/nothing-here"), 404)
    assert_problem(await client.delete("/v1/bodies"), 405)


async def test_health_tells_why(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    monkeypatch.setattr(Health, "live", ["relay has ended"])
    monkeypatch.setattr(Health, "ready", ["the database does not answer"])
    assert (await client.get("/livez")).json()["problems"] == ["relay has ended"]
    assert (await client.get("/readyz")).status_code == 503
    assert "meldpunt_probe_requests_total" in (await client.get("/metrics")).text


def test_the_document_names_the_version_and_no_422(app: FastAPI) -> None:
    document = openapi_document(app, "https://x.example")
    assert document["servers"] == [{"url": "https://x.example/v1"}]
    responses = document["paths"]["/bodies"]["post"]["responses"]
    assert "422" not in responses
    assert "application/problem+json" in responses["400"]["content"]
    assert "API-Version" in responses["200"]["headers"]
