from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain import Progress
from services.audit.sequences import BLOCK, FULL, block_of, mark, missing_ranges, tally

SEQUENCES = st.integers(1, 3 * BLOCK + 5)
BATCHES = st.lists(st.lists(SEQUENCES | st.integers(1, 40), max_size=60), max_size=8)


def run(batches, through=0):
    progress, blocks = Progress("s"), {}
    for batch in batches:
        needed = {n: bits for n, bits in blocks.items() if n in {block_of(s) for s in batch}}
        progress, changed = mark(progress, needed, batch)
        blocks |= changed
    if through:
        progress = tally(progress, through)
    return progress, sorted(blocks.items())


@given(BATCHES, st.integers(0, 4 * BLOCK))
def test_holes_equal_those_of_a_set(batches, through):
    progress, blocks = run(batches, through)
    seen = {s for batch in batches for s in batch}
    highest = max([through, *seen], default=0)
    holes = [(a, b) for a, b in missing_ranges(blocks, progress.highest)]
    assert progress.highest == highest
    assert progress.seen == len(seen)
    assert {s for a, b in holes for s in range(a, b + 1)} == set(range(1, highest + 1)) - seen
    assert progress.missing == highest - len(seen)
    # Ranges are as long as they can be: no two of them touch.
    assert all(left[1] + 1 < right[0] for left, right in pairwise(holes))


@given(BATCHES)
def test_reused_sequences_are_counted_and_change_nothing_else(batches):
    sequences = [s for batch in batches for s in batch]
    progress, blocks = run(batches)
    assert progress.reused == len(sequences) - len(set(sequences))
    again, changed = mark(progress, dict(blocks), sequences)
    assert changed == {}
    assert again == replace(progress, reused=progress.reused + len(sequences))


def test_hole_closes_when_its_event_arrives():
    progress, blocks = run([[1, 2, 4]])
    assert list(missing_ranges(blocks, progress.highest)) == [(3, 3)]
    progress, changed = mark(progress, dict(blocks), [3])
    assert progress.missing == 0
    assert list(missing_ranges(sorted(changed.items()), progress.highest)) == []


def test_tally_shows_that_the_last_events_are_missing():
    progress, blocks = run([[1, 2]], through=5)
    assert list(missing_ranges(blocks, progress.highest)) == [(3, 5)]


@pytest.mark.parametrize(
    ("tallied", "highest", "lags"), [(4, 5, False), (4, 6, True), (0, 1, False)]
)
def test_tally_vouches_for_all_before_its_own_event(tallied, highest, lags):
    assert Progress("s", highest, highest, tallied).tally_lags is lags


def test_a_full_block_has_all_bits():
    progress, blocks = run([range(1, BLOCK + 1)])
    assert blocks == [(0, FULL)]
    assert progress.missing == 0


def test_an_event_without_a_sequence_is_passed_over():
    assert mark(Progress("s"), {}, [0]) == (Progress("s"), {})
