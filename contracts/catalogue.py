"""Who publishes which event where: the one table that the schemas and AsyncAPI are made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from contracts import audit, finding, intake, operations, referral, routing, topics
from contracts.event import Event

PARTNER = "partner"
# The topic functions give the address patterns too: an organisation fills the braces.
PARTNER_OUT = topics.partner_out("{organisation}")
PARTNER_IN = topics.partner_in("{organisation}")


class Direction(StrEnum):
    """Whose code reads an event, and so what a change may not do to it."""

    PUBLISHED = "published"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Publication:
    """One event on one topic; `publisher` is a service or `partner`, `topic` may be a pattern."""

    publisher: str
    topic: str
    model: type[Event]

    @property
    def direction(self) -> Direction:
        """Received when a partner writes it and we read it."""
        return Direction.RECEIVED if self.publisher == PARTNER else Direction.PUBLISHED


_OWN_EVENTS = {
    topics.INTAKE: intake.EVENTS,
    topics.ROUTING: routing.EVENTS,
    topics.REFERRAL: (*referral.EVENTS, *finding.EVENTS),
    topics.AUDIT: audit.EVENTS,
}


def _publications() -> Iterator[Publication]:
    for spec in topics.CORE_TOPICS:
        # Every service tells of its own work on its own topic.
        for model in (*_OWN_EVENTS[spec.name], *operations.EVENTS):
            yield Publication(spec.publisher, spec.name, model)
    for model in (*referral.FEED_EVENTS, *finding.FEED_EVENTS):
        yield Publication("referral", PARTNER_OUT, model)
    for model in referral.PARTNER_EVENTS:
        yield Publication(PARTNER, PARTNER_IN, model)


PUBLICATIONS: tuple[Publication, ...] = tuple(_publications())
MODELS: tuple[type[Event], ...] = tuple(dict.fromkeys(item.model for item in PUBLICATIONS))


def publications_of(model: type[Event]) -> tuple[Publication, ...]:
    """Every place where an event is published."""
    return tuple(item for item in PUBLICATIONS if item.model is model)


def direction_of(model: type[Event]) -> Direction:
    """Direction of an event; an event that anybody else reads counts as published."""
    directions = {item.direction for item in publications_of(model)}
    return Direction.PUBLISHED if Direction.PUBLISHED in directions else Direction.RECEIVED
