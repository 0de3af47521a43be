"""Under load, a short rest lets a batch grow; a batch costs much the same whatever its size."""

import asyncio

# What each record of a batch adds to the rest after it. A calm reader has batches of one and hardly
# rests; as the rate grows towards the inverse of this, batch and rest grow together and steadily.
REST_SECONDS_EACH = 0.001
REST_SECONDS_MAX = 0.1


class Pace:
    """Rests between batches in proportion to their size, so that small ones cannot eat up the machine.

    The time a batch took is not looked at: after a stall the next record should wait less, not more.
    """

    def __init__(self, batch_max: int) -> None:
        self._enough = batch_max // 2

    async def gather_more(self, handled: int) -> None:
        """Rest after a batch of `handled` records; not at all after one that was nearly full."""
        if handled < self._enough:
            await asyncio.sleep(min(handled * REST_SECONDS_EACH, REST_SECONDS_MAX))
