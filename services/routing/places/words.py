"""Words of names: what people type and what a register writes become the same tokens."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_APOSTROPHES = re.compile("['\u2018\u2019`\u00b4]")
_WORD = re.compile(r"[a-z0-9]+")
# They are in so many names, and left out by so many people, that they tell nothing.
_FILLERS = frozenset(
    {
        "de", "het", "een", "den", "der", "t", "n", "s", "van", "voor", "en", "in", "op", "te",
        "ter", "ten", "bij", "aan", "met", "school", "scholen", "onderwijs", "gem",
    }
)  # fmt: skip
_KINDS = {
    "openbare": "openbaar", "openbaar": "openbaar", "openb": "openbaar",
    "basisschool": "basis", "basissch": "basis", "basisonderwijs": "basis", "bs": "basis",
    "christelijke": "christelijk", "christelijk": "christelijk", "chr": "christelijk",
    "protestants": "protestants", "prot": "protestants", "protestante": "protestants",
    "katholieke": "katholiek", "katholiek": "katholiek", "kath": "katholiek",
    "rk": "katholiek", "rooms": "katholiek",
    "gereformeerde": "gereformeerd", "gereformeerd": "gereformeerd", "geref": "gereformeerd",
    "islamitische": "islamitisch", "islamitisch": "islamitisch",
    "reformatorische": "reformatorisch", "reformatorisch": "reformatorisch",
    "bijzondere": "bijzonder", "bijzonder": "bijzonder", "algemeen": "bijzonder",
    "kindcentrum": "kindcentrum", "kc": "kindcentrum", "ikc": "kindcentrum",
    "integraal": "kindcentrum",
}  # fmt: skip
_ABBREVIATIONS = {
    "obs": ("openbare", "basisschool"),
    "cbs": ("christelijke", "basisschool"),
    "ckc": ("christelijk", "kindcentrum"),
    "pcb": ("protestants", "christelijke", "basisschool"),
    "pc": ("protestants", "christelijk"),
    "pcbs": ("protestants", "christelijke", "basisschool"),
    "pcbo": ("protestants", "christelijk", "basisonderwijs"),
    "kbs": ("katholieke", "basisschool"),
    "rkbs": ("katholieke", "basisschool"),
    "gbs": ("gereformeerde", "basisschool"),
    "bbs": ("bijzondere", "basisschool"),
    "abbs": ("bijzondere", "basisschool"),
    "ods": ("openbare", "dalton"),
    "st": ("sint",),
    "kon": ("koningin",),
    "pr": ("prins",),
    "burg": ("burgemeester",),
    "dokter": ("dr",),
    "doctor": ("dr",),
    "dominee": ("ds",),
}
# Two towns that nobody calls by the name in the register.
_TOWNS = {("den", "haag"): "gravenhage", ("den", "bosch"): "hertogenbosch"}
_ENDINGS = ("basisschool", "school")
_STEM_LENGTH_MIN = 4


class Words(NamedTuple):
    """`tokens` tell one name from another; `kinds` (openbaar, basis ...) only tip the scale."""

    tokens: tuple[str, ...]
    kinds: frozenset[str]


def plain(text: str) -> str:
    """Lower case, without accents and apostrophes."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    # A few schools write `P@rk`.
    return _APOSTROPHES.sub(" ", text.lower()).replace("@", "a")


def words_of(text: str) -> Words:
    """The words of a name or a query; a name of fillers and kinds only keeps them as tokens."""
    written = _WORD.findall(plain(text))
    tokens: list[str] = []
    kinds: set[str] = set()
    for word in _with_towns(written):
        for part in _ABBREVIATIONS.get(word, (word,)):
            kind = _KINDS.get(part)
            if kind is not None:
                kinds.add(kind)
            elif part not in _FILLERS:
                tokens.append(_stem(part, kinds))
    return Words(tuple(dict.fromkeys(tokens or written)), frozenset(kinds))


def _with_towns(written: list[str]) -> list[str]:
    for index in range(len(written) - 1):
        town = _TOWNS.get((written[index], written[index + 1]))
        if town is not None:
            return [*written[:index], town, *written[index + 2 :]]
    return written


def _stem(word: str, kinds: set[str]) -> str:
    """`lindelaarschool` is written as `lindelaar` as often."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_LENGTH_MIN:
            if ending == "basisschool":
                kinds.add("basis")
            return word[: -len(ending)]
    return word


def also_written(tokens: Iterable[str]) -> Iterator[str]:
    """`wijzer` is written as `wyzer` too, and the other way round."""
    for token in tokens:
        if "ij" in token:
            yield token.replace("ij", "y")
        elif "y" in token:
            yield token.replace("y", "ij")


_SMALL = frozenset(
    ("aan", "bij", "de", "den", "der", "en", "gem", "het", "in", "op", "te", "ten", "ter", "van")
)
# Provinces, by which the register tells towns of one name apart.
_CAPITALS = frozenset(("FR", "GLD", "GN", "LB", "NB", "NH", "OV", "UT", "ZH"))
_PART = re.compile(r"[^\s-]+|[\s-]+")


def presentable(place: str) -> str:
    """`ALPHEN AAN DEN RIJN` as a person writes it: `Alphen aan den Rijn`."""
    if place.startswith(("S GRAVEN", "S HERTOGEN")):
        place = f"'S-{place[2:]}"
    parts = _PART.findall(place)
    return "".join(_written(part, first=index == 0) for index, part in enumerate(parts))


def _written(part: str, *, first: bool) -> str:
    lower = part.lower()
    if part in _CAPITALS:
        return part
    if lower == "ca":
        return "c.a."
    if lower in {"'s", "'t"} or (lower in _SMALL and not first):
        return lower
    return "IJ" + lower[2:] if lower.startswith("ij") else lower.capitalize()


def within_one_typo(left: str, right: str) -> bool:
    """Whether one letter more, less, other or two swapped make the one into the other."""
    if left == right:
        return True
    if len(left) > len(right):
        left, right = right, left
    if len(right) - len(left) > 1:
        return False
    at = 0
    while at < len(left) and left[at] == right[at]:
        at += 1
    if len(left) < len(right):
        return left[at:] == right[at + 1 :]
    swapped = left[at : at + 2] == right[at : at + 2][::-1] and left[at + 2 :] == right[at + 2 :]
    return swapped or left[at + 1 :] == right[at + 1 :]
