"""Under load, a short rest lets a batch grow; a batch costs much the same whatever its size."""

import asyncio

# After a batch a rest of this many times what the batch took. On a machine at leisure a batch takes
# a few milliseconds, and so the rest is not felt; on a busy one both grow, and with them the
# batches.
REST_TIMES = 1.5
REST_SECONDS_MAX = 0.1


class Pace:
    """Rests between batches as long as they take, so that small ones cannot eat up the machine."""

    def __init__(self, batch_max: int) -> None:
        self._enough = batch_max // 2

    async def gather_more(self, handled: int, seconds: float) -> None:
        """Rest after a batch that was not full and took so many seconds."""
        if handled < self._enough:
            await asyncio.sleep(min(seconds * REST_TIMES, REST_SECONDS_MAX))
