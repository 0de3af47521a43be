"""From events to pictures. Pure, and blind to the order of arrival.

Events of different topics overtake each other, so each merge is a minimum, a maximum, a union or
a sum: any order gives the same picture. Of two events of referral the one with the higher handoff
counts, then the one with the higher sequence in referral's source.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.envelope import Envelope
from contracts.event import Event
from contracts.finding import (
    FindingEscalated,
    FindingIssued,
    FindingReminded,
    FindingReplied,
    FindingSettled,
)
from contracts.intake import ReportReceived, ReportWithdrawn
from contracts.operations import EventParked, EventRedriven
from contracts.reference import case_reference
from contracts.referral import (
    DESK,
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    ConsultationAnswered,
    ConsultationAsked,
    DeskReason,
    RedecisionRequested,
    ReferralEscalated,
    ReferralOffered,
    ReferralReminded,
    ReferralStatusChanged,
    Status,
    TermWarned,
)
from contracts.routing import CaseAssigned
from services.audit.domain import Picture

_BITS_MAX = 62
# A partner that said any of these has the referral in its hands: it knows of the case.
_PROVE_RECEIPT = frozenset(
    {
        Status.RECEIVED,
        Status.ACCEPTED,
        Status.REJECTED,
        Status.IN_PROGRESS,
        Status.ON_HOLD,
        Status.COMPLETED,
    }
)
# A decline, and silence beyond the term: either way the case came back.
_RETURN = frozenset({Status.REJECTED, Status.FAILED})
_Changes = dict[str, Any]
_PLACES = {name: place for place, name in enumerate(Picture._fields)}
_ReferralEvent = (
    ReferralOffered
    | ReferralStatusChanged
    | CaseAtDesk
    | RedecisionRequested
    | CaseClosed
    | ReferralReminded
    | ReferralEscalated
    | TermWarned
    | ConsultationAsked
    | ConsultationAnswered
    | FindingIssued
    | FindingReplied
    | FindingReminded
    | FindingEscalated
    | FindingSettled
)


def case_of(event: Event) -> UUID | None:
    """Case that an event is about; None for a tally, a register version, a delivery, or a record
    too broken to tell.

    Only the data says so: the key of an event that is about no case is a UUID as well.
    """
    # A model's fields as a mapping: asking the model itself for a field it lacks is slow.
    case_id: UUID | None = vars(event).get("case_id")
    return case_id


def blank(case_id: UUID) -> Picture:
    """The picture of a case before its first event."""
    return Picture(case_id, case_reference(case_id))


def merge(picture: Picture, event: Event, seen: Envelope) -> Picture:
    """The picture with one more event; each event may be given once."""
    # By class in a table: a match on models asks each abstract class in turn, per event.
    own = _MERGES.get(type(event))
    # An event without a merge counts in the trail; the picture does not need it.
    changes = own(picture, event, seen) if own else {}
    changes["entries"] = picture.entries + 1
    changes["last_event_at"] = _latest(picture.last_event_at, seen.time)
    # By place: `_replace` asks for each of forty fields whether it changes.
    values = list(picture)
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return Picture._make(values)


def _reported(picture: Picture, event: ReportReceived, _: Envelope) -> _Changes:
    if picture.received_at is not None and picture.report_id is not None:
        known = (picture.received_at, picture.report_id)
        if known <= (event.received_at, event.report_id):
            return {}
    return {
        "report_id": event.report_id,
        "received_at": event.received_at,
        "kind": event.situation.kind.value,
        "first_channel": event.channel.value,
    }


def _assigned(picture: Picture, event: CaseAssigned, _: Envelope) -> _Changes:
    fields: _Changes = {
        "decisions_seen": picture.decisions_seen | _bit(event.number),
        "assigned_at": _earliest(picture.assigned_at, event.decided_at),
    }
    if _bit(event.number) > picture.decisions_seen:
        fields |= {"organisation": event.organisation, "mode": event.mode.value}
    return fields


def _held(picture: Picture, event: _ReferralEvent, seen: Envelope) -> _Changes:
    """Who holds the case and what comes next, if this event is later than what was seen."""
    fields: _Changes = {"handoffs_seen": picture.handoffs_seen | _bit(event.handoff)}
    known = (picture.handoff, picture.holder_sequence)
    if (event.handoff, seen.sequence) <= known:
        return fields
    step = event.next_step
    return fields | {
        "holder": event.holder,
        "handoff": event.handoff,
        "holder_sequence": seen.sequence,
        "holder_at": event.at,
        "next_actor": step.actor if step else None,
        "next_action": step.action.value if step else None,
        "next_due_at": step.due_at if step else None,
    }


def _offered(picture: Picture, event: ReferralOffered, seen: Envelope) -> _Changes:
    offered = _held(picture, event, seen)
    offered["offered_at"] = _earliest(picture.offered_at, event.at)
    if event.signal:
        # A signal asks nothing of the party: the desk keeps the case for its own reason.
        return offered
    return offered | {"offer_sequence": max(picture.offer_sequence, seen.sequence)}


def _answered(picture: Picture, event: ReferralStatusChanged, seen: Envelope) -> _Changes:
    fields = _held(picture, event, seen)
    if event.status in _PROVE_RECEIPT:
        fields["referral_received_at"] = _earliest(picture.referral_received_at, event.at)
    if event.status in _RETURN or event.business_status is BusinessStatus.RETURNED:
        fields["returns"] = picture.returns + 1
    if event.status is Status.CANCELLED and _rests_at_desk(event):
        # The desk took the case back; should an event tell why, then that comes later and counts.
        fields |= _desk_because(picture, DeskReason.TAKEN_BACK, seen)
    if event.status is Status.ACCEPTED:
        fields["accepted_at"] = _earliest(picture.accepted_at, event.at)
        if (event.handoff, event.organisation) > (
            picture.accept_handoff,
            picture.accepted_by or "",
        ):
            fields |= {"accepted_by": event.organisation, "accept_handoff": event.handoff}
    return fields


def _desk(picture: Picture, event: CaseAtDesk, seen: Envelope) -> _Changes:
    return _held(picture, event, seen) | _desk_because(picture, event.reason, seen)


def _desk_because(picture: Picture, reason: DeskReason, seen: Envelope) -> _Changes:
    if seen.sequence <= picture.desk_sequence:
        return {}
    return {"at_desk_reason": reason.value, "desk_sequence": seen.sequence}


def _rests_at_desk(event: ReferralStatusChanged) -> bool:
    step = event.next_step
    return event.holder == DESK and step is not None and step.actor == DESK


def _closed(picture: Picture, event: CaseClosed, seen: Envelope) -> _Changes:
    fields = _held(picture, event, seen)
    if seen.sequence > picture.closed_sequence:
        fields |= {
            "closed_at": event.at,
            "closed_because": event.because.value,
            "closed_outcome": event.outcome.value if event.outcome else None,
            "closed_sequence": seen.sequence,
        }
    return fields


def _withdrawn(picture: Picture, event: ReportWithdrawn, _: Envelope) -> _Changes:
    return {"withdrawn_at": _earliest(picture.withdrawn_at, event.withdrawn_at)}


def _reminded(picture: Picture, event: ReferralReminded, seen: Envelope) -> _Changes:
    return _held(picture, event, seen) | {"reminders": picture.reminders + 1}


def _escalated(picture: Picture, event: ReferralEscalated, seen: Envelope) -> _Changes:
    return _held(picture, event, seen) | {"escalations": picture.escalations + 1}


def _parked(picture: Picture, _: EventParked, __: Envelope) -> _Changes:
    return {"parked_open": picture.parked_open + 1}


def _redriven(picture: Picture, _: EventRedriven, __: Envelope) -> _Changes:
    return {"parked_open": picture.parked_open - 1}


_MERGES: dict[type[Event], Callable[[Picture, Any, Envelope], _Changes]] = {
    ReportReceived: _reported,
    CaseAssigned: _assigned,
    ReferralOffered: _offered,
    ReferralStatusChanged: _answered,
    CaseAtDesk: _desk,
    RedecisionRequested: _held,
    CaseClosed: _closed,
    ReferralReminded: _reminded,
    ReferralEscalated: _escalated,
    TermWarned: _held,
    ConsultationAsked: _held,
    ConsultationAnswered: _held,
    FindingIssued: _held,
    FindingReplied: _held,
    FindingReminded: _held,
    FindingEscalated: _held,
    FindingSettled: _held,
    ReportWithdrawn: _withdrawn,
    EventParked: _parked,
    EventRedriven: _redriven,
}


def _bit(number: int) -> int:
    # Nobody decides or hands over this often; the last bit then stands for all that follow.
    return 1 << min(number, _BITS_MAX)


def _earliest(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else min(known, new)


def _latest(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else max(known, new)
