"""Dutch for people: the form of address, dates and enumerations. Knows nothing of the register."""

import re
from collections.abc import Sequence

from contracts.situation import Reporter

PUPILS = frozenset({Reporter.LEERLING_PO, Reporter.LEERLING_VO})
# Verbs that lose a letter before `je`. With other verbs `u` is an object in our texts ("helpt u").
_BEFORE_JE = {
    "kunt": "kun", "gaat": "ga", "bent": "ben", "wilt": "wil", "hebt": "heb", "vindt": "vind",
    "neemt": "neem", "doet": "doe", "belt": "bel", "praat": "praat", "krijgt": "krijg",
}  # fmt: skip
_INVERTED = re.compile(rf"\b({'|'.join(_BEFORE_JE)}) u\b", re.IGNORECASE)
_WORDS = {"u": "je", "uw": "je", "uzelf": "jezelf"}
_WORD = re.compile(r"\b(uzelf|uw|u)\b", re.IGNORECASE)


def address(text: str, reporter: Reporter) -> str:
    """The text in the form for this reporter: `je` for a pupil, `u` for anybody else."""
    return to_je(text) if reporter in PUPILS else text


def to_je(text: str) -> str:
    """A text that says `u`, saying `je`."""
    text = _INVERTED.sub(lambda m: f"{_as(_BEFORE_JE[m[1].lower()], m[1])} je", text)
    return _WORD.sub(lambda m: _as(_WORDS[m[1].lower()], m[1]), text)


def listed(words: Sequence[str]) -> str:
    """`a, b en c`."""
    return " en ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)


def capital(text: str) -> str:
    """The text with a capital at the start."""
    return text[:1].upper() + text[1:]


def _as(word: str, example: str) -> str:
    return capital(word) if example[:1].isupper() else word
