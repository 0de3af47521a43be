"""Capabilities: short-lived signed permissions with which a partner fetches content at intake."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OKPKey

from contracts.intake import ContentField

ISSUER = "urn:meldpunt:referral"
AUDIENCE = "urn:meldpunt:intake"
# The fully specified name of RFC 9864; "EdDSA" does not say which curve.
ALGORITHM = "Ed25519"


@dataclass(frozen=True, slots=True)
class Capability:
    """What the partner gets: the token and when it ends."""

    token: str
    expires_at: datetime


def load_key(file: Path, *, create: bool) -> OKPKey:
    """The Ed25519 signing key; with `create` one is made when the file is not there."""
    if create and not file.exists():
        _create(file)
    return OKPKey.import_key(file.read_bytes())


def _create(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as target:
        target.write(OKPKey.generate_key("Ed25519").as_pem(private=True))
    try:
        # A link fails where a rename would replace the key of an instance that was faster.
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


class Signer:
    """Signs capabilities; intake checks them offline against `key_set`."""

    def __init__(self, key: OKPKey, seconds: int) -> None:
        self._key = key
        self._seconds = seconds
        self._key_id = key.thumbprint()

    def key_set(self) -> dict[str, Any]:
        """The public key as a JWKS."""
        public = self._key.as_dict(private=False)
        return {"keys": [public | {"kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}

    def sign(
        self,
        *,
        organisation: str,
        case_id: UUID,
        referral_id: UUID,
        attempt: int,
        fields: Sequence[ContentField],
        capability_id: UUID,
        now: datetime,
    ) -> Capability:
        """A permission for one organisation, one referral attempt and the given fields."""
        expires_at = (now + timedelta(seconds=self._seconds)).replace(microsecond=0)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": organisation,
            "case": str(case_id),
            "referral": str(referral_id),
            "attempt": attempt,
            "fields": [field.value for field in fields],
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": str(capability_id),
        }
        header = {"alg": ALGORITHM, "kid": self._key_id}
        token = jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])
        return Capability(token, expires_at)
