"""A clock that does not believe a sudden jump: deadlines must not lapse by a mistake of time.

A wall clock that jumps, or stands still, beside the monotonic one is distrusted for a minute; in
that time the last believed moment goes on at the monotonic pace. What stays so for a minute is the
new time: then the machine slept, or its clock was wrong before.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from services.chassis.ids import Clock

TOLERANCE_SECONDS = 2.0
DISTRUST_SECONDS = 60.0


class SteadyClock:
    """Call it for the moment that may be believed (aware, UTC)."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._last = clock()
        self._anchor = (self._last, monotonic())
        self._odd_since: float | None = None

    def __call__(self) -> datetime:
        """The present moment, never earlier than the one before it."""
        wall, at = self._clock(), self._monotonic()
        moment, since = self._anchor
        expected = moment + timedelta(seconds=at - since)
        if abs((wall - expected).total_seconds()) <= TOLERANCE_SECONDS:
            self._odd_since = None
            believed = wall
        elif self._odd_since is not None and at - self._odd_since >= DISTRUST_SECONDS:
            self._odd_since = None
            self._anchor = (wall, at)
            believed = wall
        else:
            self._odd_since = at if self._odd_since is None else self._odd_since
            believed = expected
        self._last = max(believed, self._last)
        return self._last
