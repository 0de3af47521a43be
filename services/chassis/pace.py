"""Under load, a short pause lets a batch grow; a batch costs much the same whatever its size."""

import asyncio
import time

# From this many a second a pause pays; below it nothing is gained and it would only be felt.
BUSY_PER_SECOND = 200
PAUSE_SECONDS = 0.08
_WINDOW_SECONDS = 0.25


class Pace:
    """Measures how fast work comes in, and lets it gather when it comes fast.

    By the rate over a while and not by the size of one batch: after a stall a batch is large as
    well, and what waited then must not wait longer.
    """

    def __init__(self, batch_max: int) -> None:
        self._enough = batch_max // 2
        self._since = time.monotonic()
        self._handled = 0
        self._busy = False

    async def gather_more(self, handled: int) -> None:
        """Pause after a batch that was not full, when much has come of late."""
        self._note(handled)
        if self._busy and handled < self._enough:
            await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, handled: int) -> None:
        self._handled += handled
        now = time.monotonic()
        seconds = now - self._since
        if seconds >= _WINDOW_SECONDS:
            self._busy = self._handled >= BUSY_PER_SECOND * seconds
            self._since, self._handled = now, 0
