"""Events that audit publishes on `meldpunt.audit`, next to those of `contracts.operations`."""

from contracts.event import Event

EVENTS: tuple[type[Event], ...] = ()
