"""The reporter's code: shown once, derivable for a repeat, stored only as a keyed hash."""

import hmac
from uuid import UUID

# Crockford's base 32: no I, L, O and U; what people misread is understood.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 20
_LETTERS = frozenset(ALPHABET)
_CODE_BYTES = 15
# Base 32 of Python works through bytes; with the 1,024 pairs a code is ten looks.
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_PAIR_MASK = 0x3FF
# The places of the groups of four in the first 100 of the 120 bits.
_GROUPS = (100, 80, 60, 40, 20)
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
        bits = int.from_bytes(mac[:_CODE_BYTES])
        return "-".join(
            [
                _PAIRS[bits >> place + 10 & _PAIR_MASK] + _PAIRS[bits >> place & _PAIR_MASK]
                for place in _GROUPS
            ]
        )

    def code_mac(self, code: str) -> bytes | None:
        """What is stored of a code; None for a text that can be no code."""
        letters = code.upper().translate(_MISREAD)
        if len(letters) != CODE_CHARACTERS or not _LETTERS.issuperset(letters):
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
