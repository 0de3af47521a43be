"""The keys of an endpoint at rest: sealed with a key of the settings, never logged.

At most two keys are active, so that a partner has a day to change from the old to the new one.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.referral.channels.signing import (
    PRIVATE_PREFIX,
    PrivateKey,
    SigningKey,
    new_private_key,
    new_secret,
    signing_key,
)

KEY_BYTES = 32
_NONCE_BYTES = 12
_CONTEXT = b"meldpunt-referral-endpoint:"


class SealBroken(Exception):
    """Sealed keys were changed, or belong to another organisation or another sealing key."""


class SealingKeyMissing(Exception):
    """There is no sealing key; an operator must put 32 random bytes at the path that is named."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The newest key and, during a rotation, the one before it until `previous_until`."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    @classmethod
    def new(cls, *, asymmetric: bool) -> "Keyring":
        """A first key: a shared secret, or an ed25519 pair."""
        return cls(new_private_key() if asymmetric else new_secret())

    def rotated(self, until: datetime, *, asymmetric: bool) -> "Keyring":
        """A new key beside the present one; a key that was older still ends at once."""
        return Keyring(Keyring.new(asymmetric=asymmetric).current, self.current, until)

    def active(self, now: datetime) -> list[SigningKey]:
        """The keys that sign now, the newest first."""
        keys = [signing_key(self.current)]
        if self.previous is not None and self.previous_until and now < self.previous_until:
            keys.append(signing_key(self.previous))
        return keys

    def shown(self) -> tuple[str | None, str | None]:
        """What the partner gets of the newest key: its secret, or else its public half."""
        if self.asymmetric:
            return None, PrivateKey.parse(self.current).public()
        return self.current, None

    @property
    def asymmetric(self) -> bool:
        """Whether the newest key is an ed25519 pair."""
        return self.current.startswith(PRIVATE_PREFIX)


class KeySafe:
    """Seals keyrings; a sealed one opens only for its own organisation."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, organisation: str, keyring: Keyring) -> bytes:
        """Bytes for the table."""
        until = keyring.previous_until
        text = json.dumps([keyring.current, keyring.previous, until and until.isoformat()])
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), _CONTEXT + organisation.encode())

    def open(self, organisation: str, sealed: bytes) -> Keyring:
        """The keyring; raises SealBroken."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            opened = self._cipher.decrypt(nonce, text, _CONTEXT + organisation.encode())
        except (InvalidTag, ValueError):
            raise SealBroken("the keys of this endpoint cannot be opened; rotate them") from None
        current, previous, until = json.loads(opened)
        return Keyring(current, previous, datetime.fromisoformat(until) if until else None)


def load_sealing_key(file: Path, *, create: bool) -> bytes:
    """Read the 32 bytes, or make them where that is allowed; raises SealingKeyMissing."""
    if create and not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        # Written aside first: a second instance must never read half a key.
        part = file.with_suffix(f".{os.getpid()}")
        part.touch(0o600)
        part.write_bytes(os.urandom(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
        part.unlink()
    try:
        key = file.read_bytes()
    except OSError:
        raise SealingKeyMissing(
            f"{file} cannot be read; put {KEY_BYTES} random bytes there"
        ) from None
    if len(key) != KEY_BYTES:
        raise SealingKeyMissing(f"{file} must hold exactly {KEY_BYTES} bytes")
    return key
