"""Bad input over HTTP: what is wrong, with which field, and what to do; and nothing is stored."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from contracts.situation import Sector
from tests.flow.stack import SITUATION, Stack, report

SECRET = "Wilhelmina-van-Oranje-06"
JSON = {"content-type": "application/json"}


def changed(**situation: Any) -> dict[str, Any]:
    return report(situation=SITUATION | situation)


async def post(stack: Stack, body: Any, **headers: str | None) -> httpx.Response:
    """A report that would be good but for what is given; a header of None is left out."""
    sent: dict[str, str | None] = {"Idempotency-Key": uuid.uuid4().hex}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"json": body} if isinstance(body, dict) else {"content": body}
    if "json" not in content:
        sent = JSON | sent
    async with stack.client("intake", "channel") as channel:
        if "Authorization" in sent:
            del channel.headers["Authorization"]
        named = {name: value for name, value in sent.items() if value is not None}
        return await channel.post("/reports", headers=named, **content)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["api-version"]
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:meldpunt:problem:")
    assert found["instance"] == "/v1/reports"
    assert len(found["detail"]) > 20
    return found


@pytest.mark.parametrize(
    ("body", "field", "remedy"),
    [
        ('{"narrative": "' + SECRET, "body", "Send valid JSON."),
        (f'"{SECRET}"', "body", "Correct it"),
        ({"narrative": SECRET}, "situation", "Send this field."),
        (changed(sector=SECRET), "situation.sector", "'po'"),
        (changed(flags=[SECRET]), "situation.flags.0", "'danger_now'"),
        (changed(brin=SECRET), "situation.brin", "12AB03"),
        (changed(age=SECRET), "situation.age", "integer"),
        (changed(name=SECRET), "situation.name", "Leave this field out"),
        (report(channel=SECRET), "channel", "'web'"),
        (report(narrative="x" * 20_001), "narrative", "Shorten the text."),
        (report(identity={}), "identity", "at least one of name, email and phone"),
        (report(identity={"email": SECRET}), "identity.email", "naam@voorbeeld.nl"),
        (report(identity={"phone": SECRET}), "identity.phone", "6 to 30 digits"),
    ],
)
async def test_bad_field_is_named_with_its_remedy(
    stack: Stack, body: Any, field: str, remedy: str
) -> None:
    [error] = problem(await post(stack, body), 400)["errors"]
    assert error["field"] == field
    assert remedy in error["remedy"]
    assert error["problem"]


async def test_an_unknown_value_is_told_the_whole_list(stack: Stack) -> None:
    [error] = problem(await post(stack, changed(sector=SECRET)), 400)["errors"]
    assert all(f"'{sector.value}'" in error["remedy"] for sector in Sector)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "words"),
    [
        (report(), {"Idempotency_Key": None}, 400, "idempotency-key-missing", "Idempotency-Key"),
        (report(), {"Idempotency_Key": "short"}, 400, "idempotency-key-invalid", "8 to 200"),
        (report(), {"content_type": "text/plain"}, 415, "unsupported-media-type", "Content-Type"),
        (report(), {"Authorization": None}, 401, "unauthorised", "Authorization header"),
        (report(), {"Authorization": "Bearer x.y.z"}, 401, "unauthorised", "ask the issuer"),
        ("x" * 300_000, {}, 413, "body-too-large", "262144 bytes"),
    ],
)
async def test_bad_request_says_what_to_do(
    stack: Stack, body: Any, headers: dict[str, str | None], status: int, code: str, words: str
) -> None:
    answer = await post(stack, body, **headers)
    found = problem(answer, status)
    assert found["type"].endswith(f":{code}")
    assert words in found["detail"]
    if status == 400:
        assert found["errors"][0]["field"] == "Idempotency-Key"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_a_large_body_in_chunks_is_refused_too(stack: Stack) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 40_000

    found = problem(await post(stack, chunks()), 413)
    assert found["type"].endswith(":body-too-large")


@pytest.mark.parametrize("role", ["partner", "auditor", "operator"])
async def test_a_token_of_another_role_is_told_the_scope(stack: Stack, role: str) -> None:
    token = stack.token(role, "lkc" if role == "partner" else None)
    found = problem(await post(stack, report(), Authorization=f"Bearer {token}"), 403)
    assert "reports:write" in found["detail"]


async def test_a_key_serves_one_report(stack: Stack) -> None:
    key = uuid.uuid4().hex
    first = await post(stack, report(), Idempotency_Key=key)
    again = await post(stack, report(), Idempotency_Key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    other = await post(stack, report(narrative=SECRET), Idempotency_Key=key)
    found = problem(other, 409)
    assert found["type"].endswith(":idempotency-key-reused")
    assert "new key" in found["detail"]
