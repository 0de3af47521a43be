"""Signed receipts: a report that was lost can be proved against us."""

import base64
import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.envelope import rfc3339
from services.intake.domain import StoredReport

# RFC 9864; the older name "EdDSA" does not say which curve.
ALGORITHM = "Ed25519"
TYPE = "meldpunt-receipt+jws"


class SigningKeyMissing(Exception):
    """There is no usable signing key; the operator must put one at the path that the text names."""


class ReceiptSigner:
    """Signs receipts as compact JWS over issuer, case, report, time of receipt and commitment."""

    def __init__(self, key: Ed25519PrivateKey, issuer: str) -> None:
        self._key = key
        self._issuer = issuer
        self._public = key.public_key().public_bytes_raw()
        self.key_id = _thumbprint(self._public)
        self._header = _text(orjson.dumps({"alg": ALGORITHM, "kid": self.key_id, "typ": TYPE}))

    def sign(self, report: StoredReport) -> str:
        """The same text for the same report, because Ed25519 draws no random number."""
        payload = {
            "iss": self._issuer,
            "case": str(report.case_id),
            "report": str(report.report_id),
            "receivedAt": rfc3339(report.received_at),
            "commitment": report.commitment.hex(),
        }
        signed = self._header + b"." + _text(orjson.dumps(payload))
        return (signed + b"." + _text(self._key.sign(signed))).decode()

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public key as a JWK set."""
        key = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": _text(self._public).decode(),
            "kid": self.key_id,
            "use": "sig",
            "alg": ALGORITHM,
        }
        return {"keys": [key]}


def load_key(path: Path, *, create: bool) -> Ed25519PrivateKey:
    """Read the PEM key; with `create` make one (mode 0600) when there is none.

    Raises SigningKeyMissing.
    """
    if create and not path.exists():
        _create(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyMissing(f"put an Ed25519 key in PEM (PKCS 8) at {path}")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(pem)
    # Linked, not renamed: of two processes that start together one key stays.
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


def _thumbprint(public: bytes) -> str:
    # RFC 7638: the required members in the order of their names.
    members = b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % _text(public)
    return _text(hashlib.sha256(members).digest()).decode()


def _text(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
