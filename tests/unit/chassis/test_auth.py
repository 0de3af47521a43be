"""Tokens: only those of the issuer, for us, unexpired, with the scope."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ValidationError

from services.chassis.auth import Authenticator, Scope, authorised
from services.chassis.problem import Problem
from services.chassis.settings import DEVELOPMENT_ISSUER, ServiceSettings, service_config

KEY = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, parameters={"kid": "two", "use": "sig"})


class Settings(ServiceSettings):
    model_config = service_config("probe")


def settings(jwks: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "environment": "test",
        "http_port": 0,
        "database_url": "postgresql://x",
        "kafka_bootstrap": "x:1",
        "auth_jwks": str(jwks),
        "auth_issuer": "https://issuer.example",
    }
    return Settings(**(values | changes))


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    return write(tmp_path / "jwks.json", KEY)


def write(path: Path, *keys: RSAKey) -> Path:
    path.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}))
    return path


def token(key: RSAKey = KEY, **changes: Any) -> str:
    claims = {
        "iss": "https://issuer.example",
        "sub": "client-1",
        "aud": "meldpunt",
        "exp": int(time.time()) + 60,
        "jti": "0123456789abcdef",
        "scope": "reports:write cases:desk",
    }
    claims |= changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


async def test_a_good_token_gives_its_client_and_scopes(jwks: Path) -> None:
    authenticator = Authenticator(settings(jwks))
    principal = await authenticator.principal(f"Bearer {token()}")
    assert principal.client == "client-1"
    assert authorised(principal, Scope.CHANNEL) is principal
    with pytest.raises(Problem) as refused:
        authorised(principal, Scope.AUDITOR)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "something-else"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"sub": ""},
        {"jti": "short"},
        {"scope": None},
        {"organisation": "NOT AN ID"},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(jwks: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        await Authenticator(settings(jwks)).principal(f"Bearer {token(**changes)}")
    assert refused.value.status == 401


async def test_a_token_of_another_key_or_altered_is_refused(jwks: Path) -> None:
    authenticator = Authenticator(settings(jwks))
    head, body, signature = token().split(".")
    other = token(sub="client-2").split(".")[1]
    unsigned = jwt.encode({"alg": "HS256"}, {"iss": "x"}, _secret())
    for text in (token(OTHER_KEY), f"{head}.{other}.{signature}", f"{head}.{body}.", unsigned, "x"):
        with pytest.raises(Problem) as refused:
            await authenticator.principal(f"Bearer {text}")
        assert refused.value.status == 401
    for header in (None, "", "Basic x", token()):
        with pytest.raises(Problem):
            await authenticator.principal(header)


def _secret() -> Any:
    from joserfc.jwk import OctKey

    return OctKey.generate_key(256)


async def test_a_remembered_token_still_expires(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(settings(jwks))
    text = f"Bearer {token()}"
    await authenticator.principal(text)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Problem) as refused:
        await authenticator.principal(text)
    assert refused.value.status == 401


async def test_a_new_key_is_found_without_a_restart(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(settings(jwks))
    await authenticator.principal(f"Bearer {token()}")
    write(jwks, KEY, OTHER_KEY)
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)
    principal = await authenticator.principal(f"Bearer {token(OTHER_KEY)}")
    assert principal.client == "client-1"


async def test_without_keys_the_answer_is_503_and_not_401(tmp_path: Path) -> None:
    authenticator = Authenticator(settings(tmp_path / "absent.json"))
    with pytest.raises(Problem) as refused:
        await authenticator.principal(f"Bearer {token()}")
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"]


async def test_a_partner_without_an_organisation_is_refused(jwks: Path) -> None:
    authenticator = Authenticator(settings(jwks))
    lost = await authenticator.principal(f"Bearer {token(scope='referrals:partner')}")
    with pytest.raises(Problem) as refused:
        authorised(lost, Scope.PARTNER)
    assert refused.value.status == 403


def test_production_refuses_the_development_issuer(jwks: Path) -> None:
    with pytest.raises(ValidationError, match="development issuer"):
        settings(jwks, environment="production", auth_issuer=DEVELOPMENT_ISSUER)
    settings(jwks, environment="production", kafka_security_protocol="SASL_SSL")
    settings(jwks, environment="development", auth_issuer=DEVELOPMENT_ISSUER)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kafka_security_protocol": "PLAINTEXT"}, "kafka_security_protocol"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "kafka_security_protocol"),
        ({"auth_jwks": "http://idp.example/jwks"}, "auth_jwks"),
    ],
)
def test_production_speaks_to_nobody_unprotected(
    jwks: Path, changes: dict[str, str], named: str
) -> None:
    production = {"environment": "production", "kafka_security_protocol": "SSL"}
    with pytest.raises(ValidationError, match=f"{named} must be"):
        settings(jwks, **(production | changes))
    settings(jwks, **(production | {"auth_jwks": "https://idp.example/jwks"}))


def test_settings_never_print_a_password(jwks: Path) -> None:
    made = settings(jwks, database_url="postgresql://u:geheim@h/d", kafka_password="geheim")
    assert "geheim" not in repr(made)
    assert "geheim" not in str(made.model_dump())
