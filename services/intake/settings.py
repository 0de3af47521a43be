"""Settings of intake, prefix `MELDPUNT_INTAKE_`."""

import base64
import binascii
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from services.chassis.settings import ServiceSettings, service_config

SECRET_BYTES = 32


def secret_bytes(secret: SecretStr) -> bytes:
    """Bytes of a base64url secret, with or without padding; raises ValueError."""
    text = secret.get_secret_value().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("is not base64url") from None


class IntakeSettings(ServiceSettings):
    """`receipt_secret` and `master_key` are 32 random bytes each as base64url.

    Whoever changes `receipt_secret` makes all codes of earlier receipts unusable; whoever loses
    `master_key` loses all content. `signing_key_file` is an Ed25519 key in PEM (PKCS 8).
    """

    model_config = service_config("intake")

    # A narrative of 20,000 characters may take twelve bytes each when JSON escapes all of them.
    request_bytes_max: Annotated[int, Field(gt=0)] = 262_144

    receipt_secret: SecretStr
    master_key: SecretStr
    referral_url: str
    signing_key_file: Path | None = None

    consumer_group: str = "meldpunt-intake"
    # Larger ones would hold up the receipts, which come from the same process.
    consume_batch_max: Annotated[int, Field(ge=1, le=5000)] = 1000
    commit_batch_max: Annotated[int, Field(ge=1, le=1000)] = 200
    commit_waiting_max: Annotated[int, Field(ge=1)] = 2_000
    commit_seconds_max: Annotated[float, Field(gt=0)] = 10.0
    status_calls_per_minute: Annotated[int, Field(ge=1)] = 30

    @field_validator("receipt_secret", "master_key")
    @classmethod
    def _has_all_bytes(cls, secret: SecretStr) -> SecretStr:
        if len(secret_bytes(secret)) != SECRET_BYTES:
            raise ValueError(f"must be {SECRET_BYTES} random bytes as base64url")
        return secret

    @property
    def signing_key_path(self) -> Path:
        """Where the key that signs receipts is."""
        return self.signing_key_file or self.data_dir / "signing-key.pem"
