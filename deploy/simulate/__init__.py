"""The pure core under a hostile scheduler, in memory: one seed is one small world, replayable."""
