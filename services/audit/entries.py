"""From an event to its entry in the log: metadata only, whatever the event. Pure."""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson

from contracts.envelope import Envelope
from contracts.event import Event
from contracts.finding import (
    FindingEscalated,
    FindingIssued,
    FindingReminded,
    FindingReplied,
    FindingSettled,
)
from contracts.operations import EventParked, EventRedriven, TallyPublished
from contracts.referral import (
    ConsultationAnswered,
    DeliveryChanged,
    NextStep,
    ReferralOffered,
    ReferralReminded,
    ReferralStatusChanged,
)
from services.audit.domain import Entry

# Where an event model keeps the moment at which it happened. A decision tells the first receipt of
# its case as well, so that its own moment stands first.
_MOMENTS = (
    *("at", "decided_at", "received_at", "disclosed_at", "withdrawn_at", "asked_at"),
    *("answered_at", "hidden_at", "activated_at"),
)
# What an event says of a state, and of the reason for it, under the names that events have for it.
_STATUS = ("status", "mode", "state", "because")
_REASON = (*("reason", "business_status", "outcome", "rung", "term", "problem", "action"),)
# What figures count and no other field of an entry tells: codes, numbers and ids, never content.
_FINDING = ("finding_id", "regime")
_FACTS: dict[type[Event], tuple[str, ...]] = {
    ReferralOffered: ("signal",),
    ReferralStatusChanged: ("handed_over_by",),
    ReferralReminded: ("actor",),
    ConsultationAnswered: ("advised",),
    DeliveryChanged: ("channel",),
    FindingIssued: _FINDING,
    FindingReplied: (*_FINDING, "reply", "reply_days"),
    FindingReminded: (*_FINDING, "actor"),
    FindingEscalated: _FINDING,
    FindingSettled: (*_FINDING, "settlement"),
    EventParked: ("parked_id",),
    EventRedriven: ("parked_id",),
    TallyPublished: ("tallied_source", "through_sequence"),
}


class _Names(NamedTuple):
    """Which of the names above the events of one class have; looked up once, not per event."""

    moments: tuple[str, ...]
    status: tuple[str, ...]
    reason: tuple[str, ...]
    facts: tuple[str, ...]


@cache
def _names_of(model: type[Event]) -> _Names:
    def own(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in model.model_fields)

    return _Names(own(_MOMENTS), own(_STATUS), own(_REASON), _FACTS.get(model, ()))


def entry_of(event: Event, seen: Envelope, number: int | None) -> Entry:
    """The entry of an event; `number` counts the events of its case from 1."""
    names = _names_of(type(event))
    known = vars(event)
    given = known.get
    step: NextStep | None = given("next_step")
    # In the order of its fields; by keyword this would cost a quarter more.
    return Entry(
        given("case_id"),
        number,
        seen.source,
        seen.sequence,
        seen.id,
        seen.type,
        seen.time,
        _first(known, names.moments) or seen.time,
        given("holder"),
        given("handoff"),
        given("organisation"),
        _text(given("referral_id")),
        given("attempt"),
        _text(_first(known, names.status)),
        _text(_first(known, names.reason)),
        step.actor if step else None,
        _text(step.action) if step else None,
        step.due_at if step else None,
        hashlib.sha256(seen.data).digest(),
        _facts(known, names.facts) if names.facts else None,
    )


def _facts(known: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Those of these that the event has; what is absent or not so is left out."""
    given = {name: known[name] for name in names}
    # A number may be 0, which equals False and yet says something.
    found = {n: value for n, value in given.items() if value is not None and value is not False}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None


def _first(known: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these that the event tells."""
    for name in names:
        value = known[name]
        if value is not None:
            return value
    return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
