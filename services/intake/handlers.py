"""Events of routing and referral into `case_status`, `referral` and `term_warning`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol, TypeVar
from uuid import UUID

from contracts.event import Catalogue, Event
from contracts.finding import FindingEscalated, FindingIssued, FindingReplied, FindingSettled
from contracts.referral import (
    CaseAtDesk,
    CaseClosed,
    ConsultationAnswered,
    ConsultationAsked,
    RedecisionRequested,
    ReferralEscalated,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
    TermWarned,
)
from contracts.routing import CaseAssigned, Mode
from contracts.situation import Urgency
from services.chassis.consumer import Handler
from services.chassis.db import Connection
from services.chassis.ids import Clock
from services.chassis.incoming import Received
from services.intake import follow_store
from services.intake.domain import CaseStanding, ReferralKnown, TermEnds
from services.intake.follow_store import (
    DecisionRow,
    FindingRow,
    ReferralRow,
    StandingRow,
    StepRow,
    TermRow,
)
from services.intake.rules import CaseEvent, assigned_stage, referral_standing


class DecisionSeen(Event):
    """What the reporter's status needs of `case-assigned`; the rest is not even validated here."""

    event_name: ClassVar[str] = CaseAssigned.event_name
    event_version: ClassVar[int] = CaseAssigned.event_version

    case_id: UUID
    number: int
    mode: Mode
    urgency: Urgency


class Ordered(Protocol):
    """A row that knows whether it is newer than another one of its key."""

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens."""
        ...


K = TypeVar("K")
R = TypeVar("R", bound=Ordered)

CATALOGUE = Catalogue(
    DecisionSeen,
    ReferralOffered,
    ReferralStatusChanged,
    CaseAtDesk,
    RedecisionRequested,
    CaseClosed,
    ReferralEscalated,
    TermWarned,
    ConsultationAsked,
    ConsultationAnswered,
    FindingIssued,
    FindingReplied,
    FindingEscalated,
    FindingSettled,
)


def case_follower(clock: Clock) -> Handler:
    """A handler that keeps for each case the last event, whatever the size of the batch."""

    async def follow(connection: Connection, received: Sequence[Received]) -> None:
        news = _News()
        for item in received:
            news.take(item.event, item.envelope.sequence)
        now = clock()
        if news.decisions:
            await follow_store.put_decisions(connection, list(news.decisions.values()), now)
        if news.standings:
            await follow_store.put_standings(connection, list(news.standings.values()), now)
        if news.referrals:
            await follow_store.put_referrals(connection, list(news.referrals.values()))
        await _put_seldom(connection, news, now)

    return follow


async def _put_seldom(connection: Connection, news: "_News", now: datetime) -> None:
    """What most batches do not have, so that it costs them no statement."""
    if news.steps:
        await follow_store.put_steps(connection, list(news.steps.values()), now)
    if news.terms:
        await follow_store.put_terms(connection, list(news.terms.values()))
    if news.findings:
        await follow_store.put_findings(connection, list(news.findings.values()))


@dataclass(slots=True)
class _News:
    """What a batch leaves to be written: one row per key, because a statement cannot write a row
    twice.
    """

    decisions: dict[UUID, DecisionRow] = field(default_factory=dict)
    standings: dict[UUID, StandingRow] = field(default_factory=dict)
    referrals: dict[UUID, ReferralRow] = field(default_factory=dict)
    steps: dict[UUID, StepRow] = field(default_factory=dict)
    terms: dict[tuple[UUID, str, str], TermRow] = field(default_factory=dict)
    findings: dict[UUID, FindingRow] = field(default_factory=dict)

    def take(self, event: Event, sequence: int) -> None:
        match event:
            case DecisionSeen():
                _keep(self.decisions, event.case_id, _decision(event))
            case ReferralOffered() | ReferralStatusChanged():
                _keep(self.standings, event.case_id, _standing(event, sequence))
                _keep(self.referrals, event.referral_id, _referral(event, sequence))
            case CaseAtDesk() | RedecisionRequested() | CaseClosed():
                _keep(self.standings, event.case_id, _standing(event, sequence))
            case ReferralEscalated():
                # The stage is told by other events; this one may have set another next step.
                _keep(self.steps, event.case_id, _step(event, sequence))
            case _:
                self._take_seldom(event, sequence)

    def _take_seldom(self, event: Event, sequence: int) -> None:
        match event:
            case ConsultationAsked() | ConsultationAnswered():
                _keep(self.referrals, event.consultation_id, _consultation(event, sequence))
            case TermWarned():
                ends = TermEnds(event.term, event.organisation, event.last_day)
                key = (event.case_id, event.organisation, event.term)
                _keep(self.terms, key, TermRow(event.case_id, ends, sequence))
            case FindingIssued() | FindingReplied() | FindingEscalated() | FindingSettled():
                row = FindingRow(event.case_id, event.state, sequence)
                _keep(self.findings, event.case_id, row)


def _keep(rows: dict[K, R], key: K, row: R) -> None:
    """Of two events of a batch the later one: what was redriven may come after what follows it."""
    known = rows.get(key)
    if known is None or known.order < row.order:
        rows[key] = row


def _standing(event: CaseEvent, sequence: int) -> StandingRow:
    return StandingRow(event.case_id, event.handoff, sequence, referral_standing(event))


def _decision(event: DecisionSeen) -> DecisionRow:
    standing = CaseStanding(assigned_stage(event.mode))
    return DecisionRow(event.case_id, event.number, standing, event.urgency)


def _step(event: ReferralEscalated, sequence: int) -> StepRow:
    step = event.next_step
    return StepRow(
        event.case_id,
        event.handoff,
        sequence,
        step.actor if step else None,
        step.due_at if step else None,
        step.action if step else None,
    )


def _referral(event: ReferralOffered | ReferralStatusChanged, sequence: int) -> ReferralRow:
    status = event.status if isinstance(event, ReferralStatusChanged) else Status.REQUESTED
    known = ReferralKnown(event.case_id, event.organisation, event.attempt, status)
    return ReferralRow(event.referral_id, known, sequence)


def _consultation(event: ConsultationAsked | ConsultationAnswered, sequence: int) -> ReferralRow:
    """The right to read begins with the request and ends with the answer to it."""
    status = Status.REQUESTED if isinstance(event, ConsultationAsked) else Status.COMPLETED
    known = ReferralKnown(event.case_id, event.organisation, 1, status, consulted=True)
    return ReferralRow(event.consultation_id, known, sequence)
