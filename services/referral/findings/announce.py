"""The events and notices that tell what happened to a finding. Pure."""

from datetime import datetime
from typing import Any

from contracts.finding import (
    EscalatedBecause,
    FindingEscalated,
    FindingIssued,
    FindingNotice,
    FindingReminded,
    FindingReplied,
    FindingSettled,
    NoticeRole,
    ToldBy,
)
from contracts.reference import case_reference
from contracts.referral import DESK
from services.referral.findings.domain import Finding, Held, Reply
from services.referral.findings.times import today


def issued(finding: Finding, held: Held, now: datetime) -> FindingIssued:
    """The finding was recorded, or its record was completed."""
    force = finding.regime
    return FindingIssued(
        **_standing(finding, held, now),
        committee=finding.committee,
        board=finding.board,
        decision=finding.decision,
        advice=finding.advice,
        kind=force.regime.finding if force else None,
        register_version=force.register_version if force else None,
        reply_due_at=finding.reply_due_at,
    )


def replied(
    finding: Finding, reply: Reply, *, late: bool, held: Held, now: datetime
) -> FindingReplied:
    """The board replied."""
    return FindingReplied(
        **_standing(finding, held, now),
        reply_id=reply.reply_id,
        reply=reply.reply,
        replied_on=reply.replied_on,
        reply_days=(reply.replied_on - finding.issued_on).days,
        late=late,
        on_behalf=reply.by == DESK,
        new_date=reply.new_date,
        measures_by=reply.measures_by,
    )


def reminded(finding: Finding, held: Held, now: datetime) -> FindingReminded:
    """Who has to act was reminded of it."""
    assert finding.step is not None
    return FindingReminded(
        **_standing(finding, held, now),
        actor=finding.step.actor,
        action=finding.step.action,
        number=finding.reminders,
    )


def escalated(
    finding: Finding,
    organisation: str,
    because: EscalatedBecause,
    told_by: ToldBy,
    held: Held,
    now: datetime,
) -> FindingEscalated:
    """A step up; the rung is the number of supervisors that were told, and 0 for the desk."""
    return FindingEscalated(
        **_standing(finding, held, now),
        because=because,
        rung=0 if organisation == DESK else len(finding.told),
        organisation=organisation,
        told_by=told_by,
    )


def settled(finding: Finding, by: str, held: Held, now: datetime) -> FindingSettled:
    """Nobody has to act any more."""
    assert finding.settlement is not None
    return FindingSettled(
        **_standing(finding, held, now),
        settlement=finding.settlement,
        settled_by=by,
        evidence=finding.evidence,
        settle_days=max(0, (today(now) - finding.issued_on).days),
    )


def notice(
    finding: Finding,
    organisation: str,
    role: NoticeRole,
    now: datetime,
    because: EscalatedBecause | None = None,
) -> FindingNotice:
    """What the board, the committee or a supervisor is told, without content."""
    return FindingNotice(
        finding_id=finding.finding_id,
        case_id=finding.case_id,
        reference=case_reference(finding.case_id),
        organisation=organisation,
        role=role,
        committee=finding.committee,
        decision=finding.decision,
        issued_on=finding.issued_on,
        state=finding.state,
        reply=finding.reply,
        reply_due_at=finding.reply_due_at,
        new_date=finding.deviated_to,
        because=because,
        at=now,
    )


def _standing(finding: Finding, held: Held, now: datetime) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "case_id": finding.case_id,
        "holder": held.holder,
        "handoff": held.handoff,
        "next_step": finding.step.of_case if finding.step else None,
        "state": finding.state,
        "issued_on": finding.issued_on,
        "regime": finding.regime.regime.id if finding.regime else None,
        "at": now,
    }
