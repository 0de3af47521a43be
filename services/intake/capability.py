"""Checks the capability that referral signs: offline, against referral's published keys."""

from typing import Annotated
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.intake import ContentField
from contracts.situation import OrganisationId
from services.chassis.auth import JwksSource
from services.chassis.problem import Problem
from services.intake.rules import Capability

ISSUER = "urn:meldpunt:referral"
AUDIENCE = "urn:meldpunt:intake"
# The fully specified name of RFC 9864, and the older one for the same key type.
_ALGORITHMS = ["Ed25519", "EdDSA"]
_CHARACTERS_MAX = 4_000


class _Claims(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    iss: str
    aud: str
    sub: OrganisationId
    case: UUID
    referral: UUID
    attempt: Annotated[int, Field(ge=1)]
    fields: tuple[ContentField, ...]
    exp: float
    jti: Annotated[str, Field(min_length=16, max_length=200)]


class CapabilityReader:
    """Reads capabilities; keeps referral's keys, so that referral may be away for a while."""

    def __init__(self, keys: JwksSource) -> None:
        self._keys = keys

    async def read(self, text: str | None) -> tuple[Capability, tuple[ContentField, ...]]:
        """The capability and its fields; raises Problem 400 or 403, or 503 without any keys."""
        if not text or len(text) > _CHARACTERS_MAX:
            raise Problem(
                400,
                "capability-missing",
                "Send the header Content-Capability with the capability that"
                " POST /v1/referrals/{referralId}/content-capabilities of referral gives.",
            )
        claims = await self._claims(text)
        if claims is None or (claims.iss, claims.aud) != (ISSUER, AUDIENCE):
            raise Problem(
                403,
                "capability-invalid",
                "This is no capability of referral for intake; ask referral for a new one.",
            )
        capability = Capability(
            claims.sub, claims.case, claims.referral, claims.attempt, claims.exp
        )
        return capability, claims.fields

    async def _claims(self, text: str) -> _Claims | None:
        found = _checked(text, await self._keys.keys())
        if found is None:
            # Perhaps signed with a key that was added after the last load.
            found = _checked(text, await self._keys.keys(key_missing=True))
        return found


def _checked(text: str, keys: KeySet) -> _Claims | None:
    try:
        return _Claims.model_validate(jwt.decode(text, keys, algorithms=_ALGORITHMS).claims)
    except (JoseError, ValueError, ValidationError):
        return None
