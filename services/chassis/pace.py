"""Under load, a short pause lets a batch grow; a batch costs much the same whatever its size."""

import asyncio

# At this many a pause pays; fewer come at a calm pace, where a pause would only be felt.
BUSY_FROM = 12
PAUSE_SECONDS = 0.015


async def gather_more(handled: int, batch_max: int) -> None:
    """Pause after a batch that shows load and was not full, so that the next one is larger."""
    if BUSY_FROM <= handled < batch_max // 2:
        await asyncio.sleep(PAUSE_SECONDS)
