"""Many seeds on all cores; the first that fails is kept whole, with its trace."""

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from deploy.simulate.core import Subject
from deploy.simulate.defects import DEFECTS
from deploy.simulate.scheduler import Result, run_seed

CHUNK_SEEDS = 25
Show = Callable[[int, int], None]
"""Told how many seeds of how many are done."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a run; `failures` are in the order of their seeds, the first with its trace."""

    seeds: int
    steps: int
    seconds: float
    failures: tuple[Result, ...]


def simulate(
    first: int, count: int, defect: str | None, show: Show, *, until: str | None = None
) -> Summary:
    """Run seeds `first` to `first + count - 1`; with `until` only until one breaks that promise.

    A failure's seed alone gives the same failure again.
    """
    begun = time.monotonic()
    done = steps = 0
    failures: list[Result] = []
    for results in _chunks(first, count, defect):
        for result in results:
            done += 1
            steps += result.steps
            if result.promise is not None:
                failures.append(result)
        show(done, count)
        if until is not None and any(item.promise == until for item in failures):
            break
    seconds = time.monotonic() - begun
    return Summary(done, steps, seconds, tuple(failures))


def one(seed: int, defect: str | None) -> Result:
    """A single seed with its trace."""
    return run_seed(seed, _subject(defect))


def _subject(defect: str | None) -> Subject:
    return Subject() if defect is None else DEFECTS[defect].subject


def _chunks(first: int, count: int, defect: str | None) -> Iterator[list[Result]]:
    """Results in the order of the seeds, chunk by chunk, so that a run is the same each time."""
    work = [
        (start, min(CHUNK_SEEDS, first + count - start), defect)
        for start in range(first, first + count, CHUNK_SEEDS)
    ]
    cores = min(os.cpu_count() or 1, len(work))
    if cores <= 1:
        yield from map(_chunk, work)
        return
    # Forking keeps the imports; nothing here has threads or connections.
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(cores, mp_context=fork, initializer=_begin)
    try:
        yield from pool.map(_chunk, work)
    finally:
        # Workers end after their chunk; a signal could meet one that has not begun and be lost.
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """A worker ends silently with its parent, which speaks to the user."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()


def _chunk(work: tuple[int, int, str | None]) -> list[Result]:
    start, count, defect = work
    results = []
    for seed in range(start, start + count):
        result = one(seed, defect)
        # A trace is made again from its seed; passing all of them around would cost more.
        results.append(replace(result, lines=()))
    return results
