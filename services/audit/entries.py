"""From an event to its entry in the log: metadata only, whatever the event. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

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

# Where an event model keeps the moment at which it happened.
_MOMENTS = (
    *("at", "received_at", "decided_at", "disclosed_at", "withdrawn_at", "asked_at"),
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


def entry_of(event: Event, seen: Envelope, number: int | None) -> Entry:
    """The entry of an event; `number` counts the events of its case from 1."""
    known = vars(event)
    given = known.get
    step: NextStep | None = given("next_step")
    return Entry(
        case_id=given("case_id"),
        entry=number,
        source=seen.source,
        sequence=seen.sequence,
        event_id=seen.id,
        type=seen.type,
        time=seen.time,
        at=_happened_at(known) or seen.time,
        holder=given("holder"),
        handoff=given("handoff"),
        organisation=given("organisation"),
        referral=_text(given("referral_id")),
        attempt=given("attempt"),
        status=_first(known, _STATUS),
        reason=_first(known, _REASON),
        next_actor=step.actor if step else None,
        next_action=_text(step.action) if step else None,
        next_due_at=step.due_at if step else None,
        digest=hashlib.sha256(seen.data).digest(),
        facts=_facts(known, _FACTS.get(type(event), ())),
    )


def _facts(known: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Those of these that the event has; what is absent or not so is left out."""
    given = {name: known[name] for name in names}
    # A number may be 0, which equals False and yet says something.
    found = {n: value for n, value in given.items() if value is not None and value is not False}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None


def _happened_at(known: Mapping[str, Any]) -> datetime | None:
    for name in _MOMENTS:
        moment: datetime | None = known.get(name)
        if moment is not None:
            return moment
    return None


def _first(known: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = known.get(name)
        if value is not None:
            return str(value)
    return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
