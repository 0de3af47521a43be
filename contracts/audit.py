"""Events that audit publishes on `meldpunt.audit`: until the proof deepens, those of its own work."""

from contracts.event import Event

EVENTS: tuple[type[Event], ...] = ()
