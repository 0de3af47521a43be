"""Events of routing and referral into `case_status` and `referral`."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from contracts.event import Catalogue, Event
from contracts.referral import (
    CaseAtDesk,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import CaseAssigned, Mode
from services.chassis.consumer import Handler
from services.chassis.db import Connection
from services.chassis.ids import Clock
from services.chassis.incoming import Received
from services.intake import store
from services.intake.domain import CaseStanding, ReferralKnown
from services.intake.rules import CaseEvent, assigned_stage, referral_stage
from services.intake.store import DecisionRow, ReferralRow, StandingRow


class DecisionSeen(Event):
    """What the reporter's status needs of `case-assigned`; the rest is not even validated here."""

    event_name: ClassVar[str] = CaseAssigned.event_name
    event_version: ClassVar[int] = CaseAssigned.event_version

    case_id: UUID
    number: int
    mode: Mode


CATALOGUE = Catalogue(
    DecisionSeen, ReferralOffered, ReferralStatusChanged, CaseAtDesk, RedecisionRequested
)


def case_follower(clock: Clock) -> Handler:
    """A handler that keeps for each case the last event, whatever the size of the batch."""

    async def follow(connection: Connection, received: Sequence[Received]) -> None:
        decisions: dict[UUID, DecisionRow] = {}
        standings: dict[UUID, StandingRow] = {}
        referrals: dict[UUID, ReferralRow] = {}
        for item in received:
            event, sequence = item.event, item.envelope.sequence
            match event:
                case DecisionSeen():
                    decisions[event.case_id] = _decision(event)
                case ReferralOffered() | ReferralStatusChanged():
                    standings[event.case_id] = _standing(event, sequence)
                    referrals[event.referral_id] = _referral(event, sequence)
                case CaseAtDesk() | RedecisionRequested():
                    standings[event.case_id] = _standing(event, sequence)
        now = clock()
        if decisions:
            await store.put_decisions(connection, list(decisions.values()), now)
        if standings:
            await store.put_standings(connection, list(standings.values()), now)
        if referrals:
            await store.put_referrals(connection, list(referrals.values()))

    return follow


def _decision(event: DecisionSeen) -> DecisionRow:
    return DecisionRow(event.case_id, event.number, CaseStanding(assigned_stage(event.mode)))


def _standing(event: CaseEvent, sequence: int) -> StandingRow:
    step = event.next_step
    standing = CaseStanding(
        referral_stage(event),
        event.holder,
        step.actor if step else None,
        step.due_at if step else None,
    )
    return StandingRow(event.case_id, event.handoff, sequence, standing)


def _referral(event: ReferralOffered | ReferralStatusChanged, sequence: int) -> ReferralRow:
    status = event.status if isinstance(event, ReferralStatusChanged) else Status.REQUESTED
    known = ReferralKnown(event.case_id, event.organisation, event.attempt, status)
    return ReferralRow(event.referral_id, known, sequence)
