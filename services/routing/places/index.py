"""An inverted index of words that forgives a word not finished and one typo."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice

from services.routing.places.words import within_one_typo

TYPO_LENGTH_MIN = 3
# A shorter word that is not finished either would fit almost anything.
UNFINISHED_LENGTH_MIN = 5
# No word of a query may cost more than this many words of the index.
WORDS_MAX = 400


class WordIndex:
    """Which entries hold a word; built once, then only read.

    Words are kept sorted, forwards and backwards: one typo leaves the first or the last half of a
    word whole, so the candidates stand next to each other in one of the two.
    """

    __slots__ = ("_backwards", "_entries", "_words")

    def __init__(self, entries: Iterable[tuple[int, Iterable[str]]]) -> None:
        found: dict[str, array[int]] = {}
        for number, words in entries:
            for word in words:
                if word in found:
                    found[word].append(number)
                else:
                    found[word] = array("H", (number,))
        self._words = sorted(found)
        self._entries = [found[word] for word in self._words]
        self._backwards = sorted((word[::-1], at) for at, word in enumerate(self._words))

    def starting_with(self, start: str) -> Iterator[tuple[str, "array[int]"]]:
        """Words that begin so, the word itself first, with the entries that hold them."""
        first = bisect_left(self._words, start)
        last = bisect_left(self._words, start + "\uffff", first)
        for at in islice(range(first, last), WORDS_MAX):
            yield self._words[at], self._entries[at]

    def close_to(self, word: str) -> Iterator[tuple[str, "array[int]"]]:
        """Words, and beginnings of words, within one typo; each once."""
        if len(word) < TYPO_LENGTH_MIN:
            return
        half = (len(word) - 1) // 2
        seen: set[int] = set()
        for at in (*self._range(word[:half]), *self._range_backwards(word[: -half - 1 : -1])):
            known = self._words[at]
            # Most candidates have another length, which is cheaper to see than a typo.
            if len(known) - len(word) < -1 or at in seen:
                continue
            seen.add(at)
            if _is_meant(word, known):
                yield known, self._entries[at]

    def _range(self, start: str) -> range:
        first = bisect_left(self._words, start)
        return range(first, bisect_left(self._words, start + "\uffff", first))

    def _range_backwards(self, start: str) -> Iterator[int]:
        first = bisect_left(self._backwards, (start, -1))
        last = bisect_left(self._backwards, (start + "\uffff", -1), first)
        return (at for _, at in self._backwards[first:last])


def _is_meant(word: str, known: str) -> bool:
    if len(known) - len(word) <= 1:
        return within_one_typo(word, known)
    return len(word) >= UNFINISHED_LENGTH_MIN and within_one_typo(word, known[: len(word)])
