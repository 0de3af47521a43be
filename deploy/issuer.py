"""The local development issuer: tokens for the roles that an identity provider gives in production.

It keeps one RSA key in `<data>/auth/` and writes the public half beside it, where the services of
the same data folder read it. It refuses to work in an environment that calls itself production.
"""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import RSAKey

from deploy.local.environment import DEVELOPMENT_ISSUER
from deploy.local.state import production_variable, write_private

AUDIENCE = "meldpunt"
KEY_BITS = 2048
LIFETIME = timedelta(hours=1)
LIFETIME_MAX = timedelta(hours=24)


class IssuerRefused(RuntimeError):
    """The issuer may not or cannot give this token; the text says who must do what."""


@dataclass(frozen=True)
class Issuer:
    """Signs tokens with the key of one data folder."""

    key: RSAKey

    @classmethod
    def open(cls, data_dir: Path, environment: Mapping[str, str] | None = None) -> "Issuer":
        """The issuer of a data folder; makes its key and publishes the JWKS at first use.

        Raises `IssuerRefused` when the environment (of the whole or of any service) is production.
        """
        _refuse_production(os.environ if environment is None else environment)
        folder = data_dir / "auth"
        key_file, jwks_file = folder / "issuer-key.json", folder / "jwks.json"
        try:
            key = RSAKey.import_key(json.loads(key_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = RSAKey.generate_key(KEY_BITS, {"kid": uuid.uuid4().hex, "use": "sig"})
            write_private(key_file, key.as_dict(private=True))
            jwks_file.unlink(missing_ok=True)
        except ValueError:
            raise IssuerRefused(
                f"{key_file} cannot be read as a key. Remove it and start the services anew; tokens"
                " that were given before then stop working."
            ) from None
        if not jwks_file.exists():
            write_private(jwks_file, {"keys": [key.as_dict(private=False)]})
        return cls(key)

    def issue(
        self,
        role: str,
        organisation: str | None = None,
        client: str = "meldpunt-cli",
        lifetime: timedelta = LIFETIME,
    ) -> str:
        """A signed JWT for a role: channel, partner, desk, auditor or operator.

        `organisation` is required for a partner and refused for every other role. Raises
        `IssuerRefused` for an unknown role or a lifetime of more than a day.
        """
        # Imported here: a web framework comes along that most commands do not need.
        from services.chassis.auth import ROLES

        if role not in ROLES:
            raise IssuerRefused(f"There is no role {role}; choose one of: {', '.join(ROLES)}.")
        if (role == "partner") != bool(organisation):
            raise IssuerRefused(
                "A partner's token names its organisation: add --organisation ID."
                if role == "partner"
                else f"Only a partner's token names an organisation; leave it out for {role}."
            )
        if not timedelta(0) < lifetime <= LIFETIME_MAX:
            raise IssuerRefused("A token lives more than 0 and at most 1440 minutes.")
        now = datetime.now(UTC)
        claims = {
            "iss": DEVELOPMENT_ISSUER,
            "sub": client,
            "azp": client,
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": uuid.uuid4().hex,
            "scope": ROLES[role].value,
        }
        if organisation:
            claims["organisation"] = organisation
        header = {"alg": "RS256", "kid": str(self.key.kid), "typ": "at+jwt"}
        return jwt.encode(header, claims, self.key, algorithms=["RS256"])


def _refuse_production(environment: Mapping[str, str]) -> None:
    name = production_variable(environment)
    if name:
        raise IssuerRefused(
            f"{name}=production: the development issuer gives no tokens for production. Ask"
            " your identity provider for one, or set it to development for a local stack."
        )
