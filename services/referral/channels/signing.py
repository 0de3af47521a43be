"""Signatures of webhooks by Standard Webhooks 1.0: made here, checked by the partner.

The content that is signed is `<webhook-id>.<webhook-timestamp>.<body>`. A message carries one
signature per active key, separated by spaces, so that a partner can change keys at its own moment.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix, no secret
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
TOLERANCE = timedelta(minutes=5)
_SECRET_BYTES = 32
_SECRET_BYTES_MIN, _SECRET_BYTES_MAX = 24, 64
_SIGNATURES_MAX = 16


class KeyInvalid(ValueError):
    """A text is no key of Standard Webhooks; its owner must correct it."""


class NotVerified(Exception):
    """A message is not proved to come from the holder of the key; do not act on it."""


class SigningKey(Protocol):
    """Makes one signature with its version in front."""

    def sign(self, content: bytes) -> str:
        """The signature as it stands in the header."""
        ...


class VerifyingKey(Protocol):
    """Checks one signature."""

    @property
    def version(self) -> str:
        """The version that stands before its signatures."""
        ...

    def matches(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature is of this key."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class SharedSecret:
    """A symmetric key (`whsec_...`), for HMAC-SHA256 under `v1`; signs and verifies."""

    key: bytes
    version: str = "v1"

    @classmethod
    def parse(cls, text: str) -> "SharedSecret":
        """Read the text, with or without prefix and padding; raises KeyInvalid."""
        key = _bytes(text.removeprefix(SECRET_PREFIX))
        if not _SECRET_BYTES_MIN <= len(key) <= _SECRET_BYTES_MAX:
            raise KeyInvalid("a shared secret has 24 to 64 bytes")
        return cls(key)

    def sign(self, content: bytes) -> str:
        """`v1,` and the signature."""
        return f"v1,{_text(self._digest(content))}"

    def matches(self, content: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._digest(content), signature)

    def _digest(self, content: bytes) -> bytes:
        return hmac.digest(self.key, content, hashlib.sha256)


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """An ed25519 key (`whsk_...`, 32 bytes, or 64 with the public half), for `v1a`."""

    key: Ed25519PrivateKey

    @classmethod
    def parse(cls, text: str) -> "PrivateKey":
        """Read the text; raises KeyInvalid."""
        key = _bytes(text.removeprefix(PRIVATE_PREFIX))
        if len(key) not in {32, 64}:
            raise KeyInvalid("an ed25519 secret key has 32 or 64 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(key[:32]))

    def sign(self, content: bytes) -> str:
        """`v1a,` and the signature."""
        return f"v1a,{_text(self.key.sign(content))}"

    def public(self) -> str:
        """The public key, to give to the partner."""
        return PUBLIC_PREFIX + _text(self.key.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half (`whpk_...`), with which a partner checks `v1a`."""

    key: Ed25519PublicKey
    version: str = "v1a"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read the text; raises KeyInvalid."""
        key = _bytes(text.removeprefix(PUBLIC_PREFIX))
        if len(key) != 32:
            raise KeyInvalid("an ed25519 public key has 32 bytes")
        return cls(Ed25519PublicKey.from_public_bytes(key))

    def matches(self, content: bytes, signature: bytes) -> bool:
        """Whether the private half made it."""
        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def new_secret() -> str:
    """A new shared secret as text."""
    return SECRET_PREFIX + _text(os.urandom(_SECRET_BYTES))


def new_private_key() -> str:
    """A new ed25519 key as text."""
    return PRIVATE_PREFIX + _text(Ed25519PrivateKey.generate().private_bytes_raw())


def signing_key(text: str) -> SigningKey:
    """The key of either kind; raises KeyInvalid."""
    return (PrivateKey if text.startswith(PRIVATE_PREFIX) else SharedSecret).parse(text)


def verifying_key(text: str) -> VerifyingKey:
    """What a partner has: a shared secret or a public key; raises KeyInvalid."""
    if text.startswith(PRIVATE_PREFIX):
        raise KeyInvalid("a private key stays with the sender")
    if text.startswith(PUBLIC_PREFIX):
        return PublicKey.parse(text)
    return SharedSecret.parse(text)


def signed_headers(
    message_id: str, now: datetime, body: bytes, keys: Sequence[SigningKey]
) -> dict[str, str]:
    """The three headers; `message_id` stays the same over retries, the timestamp does not."""
    timestamp = str(int(now.timestamp()))
    content = _content(message_id, timestamp, body)
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: " ".join(key.sign(content) for key in keys),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[VerifyingKey],
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> str:
    """Check a message and give its id, by which the receiver knows a repeat.

    Raises NotVerified, also when the timestamp lies further from `now` than the tolerance: an old
    message may have been caught and sent again by somebody else.
    """
    named = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = named.get(ID_HEADER, ""), named.get(TIMESTAMP_HEADER, "")
    if not message_id or not timestamp or not named.get(SIGNATURE_HEADER):
        raise NotVerified("a header of Standard Webhooks is missing")
    # isascii too: isdigit alone also takes digits of other scripts.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise NotVerified("webhook-timestamp is no number of seconds")
    if abs(int(timestamp) - now.timestamp()) > tolerance.total_seconds():
        raise NotVerified("webhook-timestamp is too old or too new; check your clock")
    content = _content(message_id, timestamp, body)
    for item in named[SIGNATURE_HEADER].split(" ")[:_SIGNATURES_MAX]:
        version, _, text = item.partition(",")
        for key in keys:
            if key.version == version and _matches(key, content, text):
                return message_id
    raise NotVerified("no signature is of a known key")


def _matches(key: VerifyingKey, content: bytes, text: str) -> bool:
    try:
        return key.matches(content, _bytes(text))
    except KeyInvalid:
        return False


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    # A full stop in an id would let two different messages have the same signed content.
    if "." in message_id:
        raise NotVerified("webhook-id contains a full stop")
    return f"{message_id}.{timestamp}.".encode() + body


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise KeyInvalid("not base64") from None
