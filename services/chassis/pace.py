"""Under load, a short pause lets a batch grow; a batch costs much the same whatever its size."""

import asyncio
import time

# From this many a second a pause pays; below it nothing is gained and it would only be felt.
BUSY_PER_SECOND = 200
PAUSE_SECONDS = 0.08


class Pace:
    """Measures how fast work comes in, and lets it gather when it comes fast.

    By the rate and not by the size of a batch: after a stall a batch is large as well, and what
    waited then must not wait longer.
    """

    def __init__(self, batch_max: int) -> None:
        self._enough = batch_max // 2
        self._at = time.monotonic()

    async def gather_more(self, handled: int) -> None:
        """Pause after a batch that was not full, if the last ones came fast enough for it."""
        now = time.monotonic()
        seconds, self._at = now - self._at, now
        if handled < self._enough and handled > BUSY_PER_SECOND * seconds:
            await asyncio.sleep(PAUSE_SECONDS)
