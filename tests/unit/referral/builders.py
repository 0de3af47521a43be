from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.intake import ContentField
from contracts.referral import DESK, Answer, NextAction, NextStep, ReferralAnswered, Status
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Accused, Kind, Reporter, Sector, Situation, Subject, Urgency
from services.referral.domain import HOLDING, Case, Channel, Outcome, Referral
from services.referral.rules import Offering, assign

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SITUATION = Situation(
    sector=Sector.PO,
    reporter=Reporter.OUDER,
    kind=Kind.MELDING,
    subject=Subject.PESTEN,
    accused=Accused.LEERLING,
)


def assigned(
    organisation: str = "school",
    number: int = 1,
    mode: Mode = Mode.REFER,
    case_id: UUID | None = None,
    **changes: Any,
) -> CaseAssigned:
    values: dict[str, Any] = {
        "decision_id": uuid4(),
        "case_id": case_id or uuid4(),
        "report_id": uuid4(),
        "number": number,
        "mode": mode,
        "organisation": organisation,
        "urgency": Urgency.SPOED,
        "kind_at_primary": Kind.MELDING,
        "rule": "R23",
        "why": "De school is aan zet.",
        "limits": HandlingLimits(received_within_minutes=60, accepted_within_minutes=480),
        "situation": SITUATION,
        "content": (ContentField.NARRATIVE, ContentField.IDENTITY),
        "received_at": NOW,
        "decided_at": NOW,
        "register_version": "1",
        "register_hash": "00",
    }
    return CaseAssigned(**(values | changes))


def offering(channel: Channel | None = Channel.KAFKA) -> Offering:
    return Offering(channel, uuid4())


def first(mode: Mode = Mode.REFER, organisation: str = "school", **changes: Any) -> Outcome:
    return assign(None, None, assigned(organisation, mode=mode, **changes), offering(), NOW)


def in_status(status: Status, holder: str | None = None) -> tuple[Case, Referral]:
    """A case whose one referral is in this status."""
    outcome = first()
    case, referral = outcome.case, outcome.referrals[0]
    referral = replace(referral, status=status)
    if status in HOLDING:
        case = replace(case, holder=referral.organisation, handoff=1)
    if holder is not None:
        step = NextStep(actor=holder, action=NextAction.HANDLE, due_at=NOW)
        case = replace(case, holder=holder, handoff=1, next_step=step)
    return case, referral


def answered(referral: Referral, answer: Answer, **changes: Any) -> ReferralAnswered:
    values: dict[str, Any] = {
        "answer_id": uuid4(),
        "referral_id": referral.referral_id,
        "case_id": referral.case_id,
        "attempt": referral.attempt,
        "answer": answer,
        "reason": "capacity" if answer is Answer.REJECTED else None,
        "at": NOW,
    }
    return ReferralAnswered(**(values | changes))


def after(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


__all__ = ["DESK", "NOW", "after", "answered", "assigned", "first", "in_status", "offering"]
