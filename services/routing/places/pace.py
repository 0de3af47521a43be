"""A limit on public look-ups that keeps no address."""

import time
from collections.abc import Callable


class Pace:
    """At most `calls_per_second` in the long run and `burst` at once, whoever asks.

    The look-ups share their process with the consumers; this bounds what strangers can take of it.
    """

    def __init__(
        self,
        calls_per_second: float = 50.0,
        burst: int = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls_per_second = calls_per_second
        self._burst = float(burst)
        self._clock = clock
        self._left = self._burst
        self._at = clock()

    def allows(self) -> bool:
        """Count a call; False when it is one too many."""
        now = self._clock()
        grown = self._left + (now - self._at) * self._calls_per_second
        self._left, self._at = min(self._burst, grown), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
