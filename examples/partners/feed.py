"""Events of your feed, as the inbox and a webhook give them: structured CloudEvents."""

import json
from collections.abc import Mapping
from typing import Any

from contracts.event import EventInvalid
from contracts.referral import FEED_EVENTS
from examples.partners.journal import FeedEvent

_MODELS = {model.event_type(): model for model in FEED_EVENTS}


def read_event(item: Mapping[str, Any]) -> FeedEvent | None:
    """The event, or None for one that this version does not know or cannot read.

    A later version may bring new types and new fields; neither may stop you. Set aside what you
    cannot read, tell meldpunt, and go on.
    """
    model = _MODELS.get(str(item.get("type")))
    try:
        event = None if model is None else model.model_validate(item.get("data"))
    except (EventInvalid, ValueError):
        return None
    return event  # type: ignore[return-value] # FeedEvent is the union of FEED_EVENTS.


def read_body(body: bytes) -> FeedEvent | None:
    """The event of a message, or None where `read_event` gives none or it is no JSON object."""
    try:
        item = json.loads(body)
    except ValueError:
        return None
    return read_event(item) if isinstance(item, dict) else None
