"""Which sequences of a source were seen: bits in blocks, so that any order of arrival is cheap.

Partitions are read one after the other, so sequences arrive full of holes that close later; a
block of bits takes them at the cost of one row per `BLOCK` events. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from services.audit.domain import Progress

BLOCK = 1024
FULL = (1 << BLOCK) - 1

Blocks = Mapping[int, int]
"""Bits per block number; bit i of block b is sequence b * BLOCK + i + 1."""


def block_of(sequence: int) -> int:
    """Number of the block that holds a sequence (1 or more)."""
    return (sequence - 1) // BLOCK


def mark(
    progress: Progress, blocks: Blocks, sequences: Iterable[int]
) -> tuple[Progress, dict[int, int]]:
    """Note the sequences of new events as seen; gives the new progress and the changed blocks.

    `blocks` must hold each block that was ever written and that a sequence falls in. The inbox
    keeps out an event that comes again, so that a repeated sequence is one that was reused. One
    below 1 is no sequence and is passed over.
    """
    changed: dict[int, int] = {}
    highest, given = progress.highest, 0
    for sequence in sequences:
        if sequence < 1:
            continue
        number = block_of(sequence)
        bits = changed.get(number, blocks.get(number, 0))
        changed[number] = bits | 1 << (sequence - 1) % BLOCK
        highest = max(highest, sequence)
        given += 1
    added = sum(
        bits.bit_count() - blocks.get(number, 0).bit_count() for number, bits in changed.items()
    )
    changed = {n: bits for n, bits in changed.items() if bits != blocks.get(n, 0)}
    seen, reused = progress.seen + added, progress.reused + given - added
    return replace(progress, highest=highest, seen=seen, reused=reused), changed


def tally(progress: Progress, through_sequence: int) -> Progress:
    """Note that the source vouches for this many events: what was not seen of them is missing."""
    return replace(
        progress,
        highest=max(progress.highest, through_sequence),
        tallied=max(progress.tallied, through_sequence),
    )


def missing_ranges(blocks: Iterable[tuple[int, int]], highest: int) -> Iterator[tuple[int, int]]:
    """First and last sequence of each hole up to `highest`; blocks in ascending order."""
    start = 1
    for number, bits in blocks:
        base = number * BLOCK
        for first, last in _runs(bits):
            if base + first > start:
                yield start, min(base + first - 1, highest)
            start = base + last + 1
    if start <= highest:
        yield start, highest


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """Runs of set bits as first and last sequence within the block, from 1."""
    if bits == FULL:
        yield 1, BLOCK
        return
    position = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        yield position + zeros + 1, position + zeros + ones
        bits >>= ones
        position += zeros + ones
