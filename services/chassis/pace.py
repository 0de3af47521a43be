"""Under load, a short rest lets a batch grow; a batch costs much the same whatever its size."""

import asyncio
from dataclasses import dataclass

# What each record of a batch adds to the rest after it. A calm reader has batches of one and hardly
# rests; as the rate grows towards the inverse of this, batch and rest grow together and steadily.
REST_SECONDS_EACH = 0.002


@dataclass(frozen=True, slots=True)
class Pace:
    """Rests between batches in proportion to their size: small ones cannot eat up the machine.

    The time a batch took is not looked at: after a stall the next record should wait less, not
    more. The nearer a batch is to `batch_max`, the more waits already: after a full one there is
    no rest. `rest_seconds_max` is what nobody minds to wait under load; with `rest_seconds_min` a
    reader that nobody waits for takes little also when there is little to do.
    """

    batch_max: int
    rest_seconds_min: float = 0.0
    rest_seconds_max: float = 0.25

    async def gather_more(self, handled: int) -> None:
        """Rest after a batch of `handled` records."""
        room = 1 - handled / self.batch_max
        if handled and room > 0:
            rest_seconds = max(handled * REST_SECONDS_EACH, self.rest_seconds_min)
            await asyncio.sleep(min(rest_seconds, self.rest_seconds_max) * room)
