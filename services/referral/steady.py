"""A clock that does not believe a sudden jump: deadlines must not lapse by a mistake of time.

A wall clock that jumps, or stands still, beside the monotonic one is distrusted for a minute; in
that time the last believed moment goes on at the monotonic pace. A difference that stays the same
for a minute is the new time: then the machine slept, or its clock was wrong before. One that grows
is a clock that stands still or runs wild, and that is never believed.
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
        # How far the wall clock is off, and since when it has been so.
        self._odd: tuple[float, float] | None = None

    def __call__(self) -> datetime:
        """The present moment, never earlier than the one before it, with one exception.

        When a clock that was ahead has been right for a minute, its time is taken as it is: to wait
        until it has caught up would stop everything for as long as it was ahead.
        """
        wall, at = self._clock(), self._monotonic()
        moment, since = self._anchor
        expected = moment + timedelta(seconds=at - since)
        off = (wall - expected).total_seconds()
        believed = expected
        if abs(off) <= TOLERANCE_SECONDS:
            self._odd, believed = None, wall
        elif self._odd is None or abs(off - self._odd[0]) > TOLERANCE_SECONDS:
            self._odd = (off, at)
        elif at - self._odd[1] >= DISTRUST_SECONDS:
            self._odd, self._anchor, self._last = None, (wall, at), wall
            return wall
        self._last = max(believed, self._last)
        return self._last
