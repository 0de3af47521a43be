"""Who calls: JWT bearer tokens (RFC 9068 claims) checked against a JWKS, with scopes per role."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, Field, ValidationError

from contracts.situation import OrganisationId
from services.chassis.allowance import Allowance
from services.chassis.problem import Problem
from services.chassis.settings import ServiceSettings

ALGORITHMS = ["RS256", "PS256"]
_CACHE_MAX = 10_000
_LEEWAY_SECONDS = 30
_REFRESH_SECONDS = 300.0
_UNKNOWN_KEY_REFRESH_SECONDS = 10.0


class Scope(StrEnum):
    """What a token may do; one per role."""

    CHANNEL = "reports:write"
    PARTNER = "referrals:partner"
    DESK = "cases:desk"
    AUDITOR = "audit:read"
    OPERATOR = "operations:write"


ROLES = {
    "channel": Scope.CHANNEL,
    "partner": Scope.PARTNER,
    "desk": Scope.DESK,
    "auditor": Scope.AUDITOR,
    "operator": Scope.OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: its client id, scopes and, for a partner, its organisation."""

    client: str
    scopes: frozenset[str]
    organisation: str | None
    expires_at: float


class _Claims(BaseModel):
    iss: str
    sub: Annotated[str, Field(min_length=1, max_length=200)]
    aud: str | list[str]
    exp: float
    jti: Annotated[str, Field(min_length=16)]
    scope: str
    organisation: OrganisationId | None = None


class JwksSource:
    """A key set from a file or a URL, kept and refreshed; URL answers are limited to 5 seconds."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._keys: KeySet | None = None
        self._loaded_at = 0.0
        self._lock = asyncio.Lock()

    async def keys(self, *, key_missing: bool = False) -> KeySet:
        """The present keys; with `key_missing` reloaded, at most once per ten seconds."""
        age = time.monotonic() - self._loaded_at
        limit = _UNKNOWN_KEY_REFRESH_SECONDS if key_missing else _REFRESH_SECONDS
        if self._keys is None or age > limit:
            async with self._lock:
                if self._keys is None or time.monotonic() - self._loaded_at > limit:
                    await self._load()
        if self._keys is None:
            raise Problem(
                503,
                "keys-unavailable",
                "The keys to check a token or capability cannot be read; meldpunt must act.",
                retry_after_seconds=5,
            )
        return self._keys

    async def _load(self) -> None:
        try:
            if self._location.startswith(("http://", "https://")):
                async with httpx.AsyncClient(timeout=5.0) as client:
                    response = await client.get(self._location)
                    response.raise_for_status()
                    found = response.json()
            else:
                found = json.loads(Path(self._location).read_text(encoding="utf-8"))
            self._keys = KeySet.import_key_set(found)
            self._loaded_at = time.monotonic()
        except (httpx.HTTPError, OSError, ValueError, JoseError):
            # Old keys keep working; without any, `keys` says so.
            self._loaded_at = time.monotonic() - _REFRESH_SECONDS + _UNKNOWN_KEY_REFRESH_SECONDS


class Authenticator:
    """Checks tokens; remembers checked ones until they expire, because RSA costs more.

    `allowance` is what each organisation may ask of this service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._issuer = settings.auth_issuer
        self._audience = settings.auth_audience
        self._source = JwksSource(settings.auth_jwks)
        self.allowance = Allowance(
            settings.partner_calls_per_minute, settings.partner_calls_at_once_max
        )
        self._checked: dict[str, Principal] = {}

    async def principal(self, authorization: str | None) -> Principal:
        """Caller of a request by its Authorization header; raises Problem 401."""
        if authorization is None or not authorization.lower().startswith("bearer "):
            raise _unauthorised("Send a bearer token in the Authorization header.")
        token = authorization[7:].strip()
        known = self._checked.get(token)
        now = time.time()
        if known is not None:
            if known.expires_at < now:
                del self._checked[token]
                raise _unauthorised("The token has expired; ask the issuer for a new one.")
            return known
        principal = await self._check(token, now)
        if len(self._checked) >= _CACHE_MAX:
            self._checked.clear()
        self._checked[token] = principal
        return principal

    async def _check(self, token: str, now: float) -> Principal:
        try:
            claims = _Claims.model_validate(await self._decode(token))
        except (JoseError, ValueError, ValidationError):
            raise _unauthorised("The token is not valid here; ask the issuer for one.") from None
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if claims.iss != self._issuer or self._audience not in audiences:
            raise _unauthorised("The token is of another issuer or for another audience.")
        if claims.exp + _LEEWAY_SECONDS < now:
            raise _unauthorised("The token has expired; ask the issuer for a new one.")
        return Principal(
            claims.sub, frozenset(claims.scope.split()), claims.organisation, claims.exp
        )

    async def _decode(self, token: str) -> dict[str, Any]:
        try:
            return dict(jwt.decode(token, await self._source.keys(), algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError):
            # Perhaps signed with a key that was added after the last load.
            keys = await self._source.keys(key_missing=True)
            return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)


def _unauthorised(detail: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": "Bearer"})


_BEARER = HTTPBearer(auto_error=False, description="JWT of the identity provider")


def authorised(principal: Principal, *scopes: Scope) -> Principal:
    """The principal, if it has one of the scopes; raises Problem 403."""
    if not principal.scopes.intersection(scopes):
        needed = " or ".join(scope.value for scope in scopes)
        raise Problem(403, "forbidden", f"This call needs the scope {needed}.")
    if principal.scopes.intersection(scopes) == {Scope.PARTNER} and not principal.organisation:
        raise Problem(403, "forbidden", "A partner's token must name its organisation.")
    return principal


class Requires:
    """FastAPI dependency: the caller, who must have one of the scopes.

    What a partner asks is counted until its answer is ready; see `Allowance`.
    """

    def __init__(self, *scopes: Scope) -> None:
        self._scopes = scopes

    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
    ) -> AsyncIterator[Principal]:
        authenticator: Authenticator = request.app.state.authenticator
        principal = await authenticator.principal(request.headers.get("authorization"))
        request.state.principal = principal
        authorised(principal, *self._scopes)
        if principal.organisation is None:
            yield principal
            return
        with authenticator.allowance.call(principal.organisation):
            yield principal
