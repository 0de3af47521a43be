"""What the API shows: JSON in camelCase, made of what the rules and the store give."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.envelope import name_and_version
from services.audit.completeness import Completeness
from services.audit.domain import Link, Logged, Picture, Standing, State
from services.audit.verdicts import verdict


class View(BaseModel):
    """JSON in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class MissingSequences(View):
    """Events that a source published, or says it did, and that audit never saw."""

    source: str
    first: int = Field(alias="from")
    last: int = Field(alias="to")


class NotTallied(View):
    """A source whose newest events no tally vouches for yet."""

    source: str
    tallied: int
    seen: int


class SourceView(View):
    """How far a source has come."""

    source: str
    last_sequence: int
    tallied: int
    missing: int
    reused: int


class ClosedView(View):
    """Closed cases by why they were closed."""

    completed: int
    withdrawn: int
    entered_in_error: int


class CompletenessView(View):
    """Every report accounted for. `accepted`, `atDesk`, `closed` and `open` add up to `cases`.

    `complete`: nothing is known to be missing, put aside or half seen. `settled`: complete, and
    tallies prove that nothing came after. `reusedSequences`: events under a number that another
    event of their source had, because that source was set back; what is missing cannot be told.
    `unpicked`: cases that nobody has and on which somebody must act now. `holderOverdue`: accepted
    cases whose holder let the time of its next step go by. `failingDeliveries`: channels over which
    an organisation does not get what is sent to it.
    """

    as_of: datetime
    cases: int
    received: int
    assigned: int
    offered: int
    received_by_partner: int
    accepted: int
    at_desk: int
    closed: int
    closed_because: ClosedView
    withdrawn: int
    open: int
    overdue: int
    holder_overdue: int
    failing_deliveries: int
    incomplete: int
    parked: int
    unpicked: int
    missing_events: int
    missing_sequences: list[MissingSequences]
    reused_sequences: int
    not_tallied: list[NotTallied]
    complete: bool
    settled: bool
    sources: list[SourceView]


class NextStepView(View):
    """Who must do what by when."""

    actor: str
    action: str | None
    due_at: datetime | None


class CaseView(View):
    """A case as audit sees it; `explanation` is Dutch for a reader, `missing` names events that
    must exist but were not seen.
    """

    case_id: UUID
    reference: str
    report_id: UUID | None
    received_at: datetime | None
    kind: str | None
    first_channel: str | None
    assigned_at: datetime | None
    organisation: str | None
    mode: str | None
    offered_at: datetime | None
    referral_received_at: datetime | None
    accepted_at: datetime | None
    accepted_by: str | None
    holder: str | None
    handoff: int | None
    at_desk_reason: str | None
    decisions: int
    returns: int
    reminders: int
    escalations: int
    withdrawn_at: datetime | None
    closed_at: datetime | None
    closed_because: str | None
    closed_outcome: str | None
    last_event_at: datetime | None
    state: State
    explanation: str
    missing: list[str]
    next_step: NextStepView | None


class CasesView(View):
    """A page of cases; ask again with `after` set to `next` until that is null."""

    cases: list[CaseView]
    next: UUID | None


class ParkedView(View):
    """An event that a service put aside and that belongs to no case that can be told."""

    parked_id: UUID
    service: str
    reason: str | None
    parked_at: datetime


class UnpickedView(CasesView):
    """Cases that nobody picked up in time; with no case and nothing parked, all is well."""

    parked_without_case: list[ParkedView]


class EntryView(View):
    """One event of a case; `entry` is the order in which audit saw it."""

    log_index: int
    entry: int | None
    event: str
    source: str
    sequence: int
    event_id: str
    at: datetime
    time: datetime
    holder: str | None
    handoff: int | None
    organisation: str | None
    referral_id: str | None
    attempt: int | None
    status: str | None
    reason: str | None
    next_step: NextStepView | None
    data_digest: str
    leaf_hash: str


class HandoffView(View):
    """A change of holder, with its number in the events."""

    number: int
    holder: str
    at: datetime


class TrailView(View):
    """All that happened to a case, in the order in which it happened."""

    case: CaseView
    handoffs: list[HandoffView]
    entries: list[EntryView]


class LogEntryView(View):
    """An entry with everything that its hashes are made of; `entry` is hashed as sorted JSON."""

    log_index: int
    entry: dict[str, str | int]
    data_digest: str
    leaf_hash: str
    chain: str


class LogView(View):
    """Entries of the log in order, and where the log ended when they were read."""

    size: int
    chain: str
    entries: list[LogEntryView]


def completeness_view(found: Completeness) -> CompletenessView:
    """All counts under their public names."""
    facts = found.counters
    return CompletenessView(
        as_of=found.as_of,
        cases=facts["cases"],
        received=facts["received"],
        assigned=facts["assigned"],
        offered=facts["offered"],
        received_by_partner=facts["receivedByPartner"],
        accepted=found.standing(Standing.PICKED_UP),
        at_desk=found.standing(Standing.AT_DESK),
        closed=found.standing(Standing.CLOSED),
        closed_because=ClosedView(
            completed=facts["closed completed"],
            withdrawn=facts["closed withdrawn"],
            entered_in_error=facts["closed entered-in-error"],
        ),
        withdrawn=facts["withdrawn"],
        open=found.open,
        overdue=found.overdue,
        holder_overdue=found.holder_overdue,
        failing_deliveries=found.failing_deliveries,
        incomplete=found.standing(Standing.INCOMPLETE),
        parked=found.parked,
        unpicked=found.unpicked,
        missing_events=found.missing_events,
        missing_sequences=[
            MissingSequences(source=hole.source, first=hole.first, last=hole.last)
            for hole in found.holes
        ],
        reused_sequences=found.reused_sequences,
        not_tallied=[
            NotTallied(source=s.source, tallied=s.tallied, seen=s.highest)
            for s in found.not_tallied
        ],
        complete=found.complete,
        settled=found.settled,
        sources=[
            SourceView(
                source=s.source,
                last_sequence=s.highest,
                tallied=s.tallied,
                missing=s.missing,
                reused=s.reused,
            )
            for s in found.sources
        ],
    )


def case_view(picture: Picture, now: datetime) -> CaseView:
    """A case with the judgement on it at a moment."""
    judged = verdict(picture, now)
    step = None
    if judged.actor is not None:
        step = NextStepView(actor=judged.actor, action=judged.action, due_at=judged.due_at)
    own = {name: getattr(picture, name) for name in _SHOWN}
    return CaseView(
        **own,
        handoff=picture.handoff if picture.handoff >= 0 else None,
        state=judged.state,
        explanation=judged.explanation,
        missing=list(judged.missing),
        next_step=step,
    )


_DERIVED = {"handoff", "state", "explanation", "missing", "next_step"}
_SHOWN = tuple(CaseView.model_fields.keys() - _DERIVED)


def cases_view(pictures: list[Picture], limit: int, now: datetime) -> CasesView:
    """A page; a full one may have a successor."""
    return CasesView(
        cases=[case_view(picture, now) for picture in pictures], next=_next(pictures, limit)
    )


def unpicked_view(
    pictures: list[Picture], limit: int, parked: list[Any], now: datetime
) -> UnpickedView:
    """A page of cases that need action, with parked events that belong to no case."""
    return UnpickedView(
        cases=[case_view(picture, now) for picture in pictures],
        next=_next(pictures, limit),
        parked_without_case=[
            ParkedView(
                parked_id=row["parked_id"],
                service=row["consumer"],
                reason=row["reason"],
                parked_at=row["parked_at"],
            )
            for row in parked
        ],
    )


def _next(pictures: list[Picture], limit: int) -> UUID | None:
    return pictures[-1].case_id if len(pictures) == limit else None


def trail_view(picture: Picture, logged: list[Logged], now: datetime) -> TrailView:
    """A case, its changes of holder and its events; `logged` in the order of happening."""
    handoffs: dict[int, HandoffView] = {}
    for item in logged:
        entry = item.entry
        if entry.handoff is not None and entry.holder is not None:
            handoffs.setdefault(
                entry.handoff,
                HandoffView(number=entry.handoff, holder=entry.holder, at=entry.at),
            )
    return TrailView(
        case=case_view(picture, now),
        handoffs=[handoffs[number] for number in sorted(handoffs)],
        entries=[_entry_view(item) for item in logged],
    )


def _entry_view(item: Logged) -> EntryView:
    entry = item.entry
    step = None
    if entry.next_actor is not None:
        step = NextStepView(
            actor=entry.next_actor, action=entry.next_action, due_at=entry.next_due_at
        )
    return EntryView(
        log_index=item.log_index,
        event=name_and_version(entry.type)[0],
        referral_id=entry.referral,
        next_step=step,
        data_digest=entry.digest.hex(),
        leaf_hash=item.leaf.hex(),
        **{name: getattr(entry, name) for name in _ENTRY_SHOWN},
    )


_ENTRY_SHOWN = (
    *("entry", "source", "sequence", "event_id", "at", "time", "holder", "handoff"),
    *("organisation", "attempt", "status", "reason"),
)


def log_view(size: int, chain: bytes, links: list[Link]) -> LogView:
    """A page of the log for whoever wants to recompute it."""
    return LogView(
        size=size,
        chain=chain.hex(),
        entries=[
            LogEntryView(
                log_index=item.log_index,
                entry=dict(item.metadata),
                data_digest=item.digest.hex(),
                leaf_hash=item.leaf.hex(),
                chain=item.chain.hex(),
            )
            for item in links
        ],
    )
