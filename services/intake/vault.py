"""Seals what reporters say and who they are; the only place that holds the master key.

Each case has a random key of its own. It seals narrative, identity and each question and answer
separately (a partner may get only some of them) as compact JWEs, and is stored only wrapped by the
master key. Erasing a case
is forgetting its wrapped key (`store.erase_case`): then nobody can open its content, also not in
a backup of the content.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.intake import ContentField
from services.intake.domain import Sealed

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAP_CONTEXT = b"meldpunt-intake-case-key:"


class SealBroken(Exception):
    """Content or its key was changed, or belongs to another case or master key."""


class Vault:
    """Seals and opens with keys per case, wrapped by one master key of 32 bytes."""

    def __init__(self, master_key: bytes) -> None:
        self._master = AESGCM(master_key)

    def seal(self, case_id: UUID, content: Mapping[ContentField, bytes]) -> Sealed:
        """Seal the content of a new case with a new key."""
        key = os.urandom(KEY_BYTES)
        cipher = AESGCM(key)
        fields = {field: _jwe(cipher, case_id, field, text) for field, text in content.items()}
        salt = os.urandom(KEY_BYTES)
        return Sealed(fields, self._wrap(case_id, key), salt, commitment(salt, fields))

    def seal_more(self, case_id: UUID, wrapped_key: bytes, label: str, text: bytes) -> bytes:
        """Seal another text of a case; only `label` opens it again. Raises SealBroken."""
        try:
            return _jwe(AESGCM(self._unwrap(case_id, wrapped_key)), case_id, label, text)
        except (InvalidTag, ValueError):
            raise SealBroken("the wrapped key does not fit its case") from None

    def open(self, case_id: UUID, wrapped_key: bytes, field: str, sealed: bytes) -> bytes:
        """The content of one sealed field or label; raises SealBroken."""
        try:
            key = self._unwrap(case_id, wrapped_key)
            header, _, nonce_text, text, tag = sealed.split(b".")
            if header != _header(case_id, field):
                raise SealBroken("the sealed field is of another case or another field")
            return AESGCM(key).decrypt(_bytes(nonce_text), _bytes(text) + _bytes(tag), header)
        except (InvalidTag, ValueError):
            raise SealBroken("the seal does not fit its case and key") from None

    def _unwrap(self, case_id: UUID, wrapped_key: bytes) -> bytes:
        nonce, wrapped = wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:]
        return self._master.decrypt(nonce, wrapped, _WRAP_CONTEXT + case_id.bytes)

    def _wrap(self, case_id: UUID, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._master.encrypt(nonce, key, _WRAP_CONTEXT + case_id.bytes)


def commitment(salt: bytes, fields: Mapping[ContentField, bytes]) -> bytes:
    """SHA-256 of the salt and the JWEs, one per line in the order narrative, identity."""
    sealed = [fields[field] for field in ContentField if field in fields]
    return hashlib.sha256(salt + b"\n".join(sealed)).digest()


def question_label(question_id: UUID) -> str:
    """Under which the text of a question is sealed."""
    return f"question-{question_id}"


def answer_label(question_id: UUID) -> str:
    """Under which the answer to a question is sealed."""
    return f"answer-{question_id}"


def _jwe(cipher: AESGCM, case_id: UUID, field: str, text: bytes) -> bytes:
    # Compact JWE (RFC 7516) with "dir": written out here, because the general library takes
    # six times as long and this is done for every report.
    header = _header(case_id, field)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = cipher.encrypt(nonce, text, header)
    parts = (nonce, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    return header + b".." + b".".join(_text(part) for part in parts)


def _header(case_id: UUID, field: str) -> bytes:
    # The protected header is authenticated: a blob cannot be moved to another case or field.
    return _text(b'{"alg":"dir","enc":"A256GCM","kid":"%s/%s"}' % (
        str(case_id).encode(), field.encode()))  # fmt: skip


def _text(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
