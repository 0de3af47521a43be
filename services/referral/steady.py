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
        self._believed = clock()
        self._at = monotonic()
        self._odd_since: float | None = None

    def __call__(self) -> datetime:
        """The present moment, never earlier than the one before it."""
        wall, at = self._clock(), self._monotonic()
        expected = self._believed + timedelta(seconds=at - self._at)
        off_seconds = abs((wall - expected).total_seconds())
        if off_seconds <= TOLERANCE_SECONDS:
            self._odd_since = None
            return self._believe(max(wall, self._believed), at)
        if self._odd_since is None:
            self._odd_since = at
        if at - self._odd_since >= DISTRUST_SECONDS:
            self._odd_since = None
            return self._believe(wall, at)
        return self._believe(expected, at)

    def _believe(self, moment: datetime, at: float) -> datetime:
        self._believed, self._at = moment, at
        return moment
