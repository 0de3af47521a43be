"""The reporter's code: shown once, derivable for a repeat, stored only as a keyed hash."""

import base64
import hmac
from uuid import UUID

# Crockford's base 32: no I, L, O and U; what people misread is understood.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 20
_CODE_BYTES = 15
_GROUP = 4
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class Codes:
    """Derives codes of 100 bits and all keyed hashes of intake from one secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        # A key for each use, so that one value can never stand for another.
        self._code_key = _mac(secret, b"meldpunt-intake:code")
        self._hash_key = _mac(secret, b"meldpunt-intake:code-hash")
        self._body_key = _mac(secret, b"meldpunt-intake:body")
        self._text_key = _mac(secret, b"meldpunt-intake:question-text")

    def code(self, case_id: UUID, report_id: UUID) -> str:
        """The code of a report, in groups of four; both ids are random, so it cannot be guessed."""
        mac = _mac(self._code_key, case_id.bytes + report_id.bytes)
        letters = (
            base64.b32encode(mac[:_CODE_BYTES]).translate(_CROCKFORD)[:CODE_CHARACTERS].decode()
        )
        return "-".join(letters[i : i + _GROUP] for i in range(0, CODE_CHARACTERS, _GROUP))

    def code_mac(self, code: str) -> bytes | None:
        """What is stored of a code; None for a text that can be no code."""
        letters = code.upper().translate(_MISREAD)
        if len(letters) != CODE_CHARACTERS or not set(letters) <= set(ALPHABET):
            return None
        return _mac(self._hash_key, letters.encode())

    def body_mac(self, canonical: bytes) -> bytes:
        """Tells whether a repeat has the same body, without letting anybody test guesses."""
        return _mac(self._body_key, canonical)

    def text_mac(self, question_id: UUID, text: str) -> bytes:
        """Tells whether a question or an answer is a repeat, without opening the seal."""
        return _mac(self._text_key, question_id.bytes + text.encode())


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
