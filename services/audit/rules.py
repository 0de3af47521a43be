"""From pictures to judgements: where a case stands, what is missing, what it counts as. Pure."""

from datetime import datetime, timedelta

from contracts.referral import DESK, ClosedBecause
from services.audit.domain import Picture, Standing

# Routing and referral act at once; a case that has no step of referral after this long is late.
FIRST_STEP_WITHIN = timedelta(minutes=1)


def missing(picture: Picture) -> tuple[str, ...]:
    """Events that must exist because of those that were seen, but were not seen themselves."""
    found = []
    if picture.received_at is None:
        found.append("report-received")
    if not picture.decisions and picture.handoff >= 0:
        found.append("case-assigned")
    found += [f"case-assigned {n}" for n in _holes(picture.decisions_seen)]
    found += [f"handoff {n}" for n in _holes(picture.handoffs_seen)]
    if picture.holder not in (None, DESK) and picture.accepted_by != picture.holder:
        found.append(f"accepted by {picture.holder}")
    return tuple(found)


def _whole(picture: Picture) -> bool:
    """Whether nothing is missing; the same as `not missing(picture)`, but for every event."""
    return (
        picture.received_at is not None
        and (picture.decisions_seen != 0 or picture.handoff < 0)
        and _contiguous(picture.decisions_seen)
        and _contiguous(picture.handoffs_seen)
        and (picture.holder is None or picture.holder in (DESK, picture.accepted_by))
    )


def standing(picture: Picture) -> Standing:
    """Where a case stands; depends on the events alone, so it can be stored and counted."""
    if picture.parked_open > 0:
        return Standing.PARKED
    if not _whole(picture):
        return Standing.INCOMPLETE
    if picture.closed_sequence and picture.next_due_at is None:
        return Standing.CLOSED
    if picture.holder not in (None, DESK):
        return Standing.PICKED_UP
    if picture.desk_sequence > picture.offer_sequence and picture.next_due_at is not None:
        return Standing.AT_DESK
    return Standing.WAITING


def due_at(picture: Picture) -> datetime | None:
    """When somebody must have acted; None for a closed case. Before referral named a step: soon
    after the last event; if referral named none, at once, because an open case without a next
    step is a fault.
    """
    if picture.closed_sequence and picture.next_due_at is None:
        return None
    if picture.holder is not None:
        return picture.next_due_at or picture.holder_at
    begun = picture.assigned_at or picture.received_at
    return begun + FIRST_STEP_WITHIN if begun else None


FACTS = (
    *("cases", "received", "assigned", "offered", "receivedByPartner", "withdrawn"),
    *Standing,
    *(f"closed {because}" for because in ClosedBecause),
)
"""What is counted, in the order of `counted`: facts that stay true, then one standing per case, and
of a closed case the reason."""


Traits = tuple[bool, bool, bool, bool, bool, Standing, str | None]


def traits(picture: Picture, own: Standing) -> Traits:
    """All that is counted of a picture; many cases share the same. `own` is its standing."""
    return (
        picture.received_at is not None,
        picture.decisions_seen != 0,
        picture.offered_at is not None,
        picture.referral_received_at is not None,
        picture.withdrawn_at is not None,
        own,
        picture.closed_because if own is Standing.CLOSED else None,
    )


def counted(shared: Traits) -> tuple[int, ...]:
    """1 or 0 per fact for a case with these traits; summed over all cases: the completeness."""
    *facts, own, because = shared
    return (1, *map(int, facts), *_ONE_OF[own], *_BECAUSE[because])


_ONE_OF = {own: tuple(int(own is other) for other in Standing) for own in Standing}
_BECAUSE = {
    own: tuple(int(own == other.value) for other in ClosedBecause)
    for own in (None, *(because.value for because in ClosedBecause))
}


def _holes(seen: int) -> list[int]:
    """Numbers from 1 below the highest one that were not seen."""
    return [n for n in range(1, seen.bit_length()) if not seen >> n & 1]


def _contiguous(seen: int) -> bool:
    """Whether no number from 1 up to the highest is absent; 0 may be."""
    seen |= 1
    return seen & (seen + 1) == 0
