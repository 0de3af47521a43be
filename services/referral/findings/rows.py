"""Rows and values of findings: the columns in one place, and the statements made of them."""

from dataclasses import fields
from typing import Any

import asyncpg

from contracts.finding import (
    BoardReply,
    EvidenceKind,
    FindingAction,
    FindingState,
    Settlement,
)
from contracts.referral import ComplaintDecision
from contracts.routing import Regime
from services.referral.findings.domain import Evidence, Finding, InForce, Reply, Step

_PLAIN = tuple(
    field.name
    for field in fields(Finding)
    if field.name not in {"regime", "step", "told", "finding_id"}
)
_COLUMNS = (
    "finding_id",
    *_PLAIN,
    "told",
    "register_version",
    "regime",
    "next_actor",
    "next_action",
    "next_due_at",
)

SELECT = (
    "SELECT f.*, r.position, r.valid_from, r.valid_to, r.kind, r.board_response_weeks,"
    " r.after_silence, r.after_deviation, r.source, r.to_verify"
    " FROM finding f LEFT JOIN finding_regime r USING (register_version, regime)"
)
INSERT = (
    f"INSERT INTO finding ({', '.join(_COLUMNS)})"  # noqa: S608 - names of columns, no input.
    f" VALUES ({', '.join(f'${n}' for n in range(1, len(_COLUMNS) + 1))})"
)
UPDATE = (
    "UPDATE finding SET "  # noqa: S608 - names of columns, no input.
    + ", ".join(f"{name} = ${n}" for n, name in enumerate(_COLUMNS[1:], 2))
    + " WHERE finding_id = $1"
)

FIGURES = """
SELECT regime, extract(year FROM issued_on)::integer AS year,
    count(*) AS findings,
    count(*) FILTER (WHERE settlement = 'followed') AS followed,
    count(*) FILTER (WHERE settlement = 'partly-followed') AS partly,
    count(*) FILTER (WHERE settlement = 'not-followed') AS not_followed,
    count(*) FILTER (WHERE settlement = 'no-reply') AS no_reply,
    count(*) FILTER (WHERE settlement = 'withdrawn') AS withdrawn,
    count(*) FILTER (WHERE settlement IS NULL) AS open,
    count(*) FILTER (WHERE silent_at IS NOT NULL) AS silent,
    count(*) FILTER (WHERE reply IN ('partly', 'does-not-follow')) AS deviated,
    count(*) FILTER (WHERE deviated_to IS NOT NULL) AS deviated_from_term,
    count(first_replied_on) AS replied,
    count(settled_at) AS settled,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY first_replied_on - issued_on)
        AS median_reply_days,
    percentile_cont(0.5) WITHIN GROUP (
        ORDER BY (settled_at AT TIME ZONE 'Europe/Amsterdam')::date - issued_on)
        AS median_settle_days
FROM finding WHERE settlement IS DISTINCT FROM 'entered-in-error'
GROUP BY regime, year ORDER BY year, regime
"""


def values_of(finding: Finding) -> tuple[Any, ...]:
    """A finding as values for INSERT and UPDATE."""
    force, step = finding.regime, finding.step
    return (
        finding.finding_id,
        *(getattr(finding, name) for name in _PLAIN),
        " ".join(finding.told),
        force.register_version if force else None,
        force.regime.id if force else None,
        step.actor if step else None,
        step.action if step else None,
        step.due_at if step else None,
    )


def finding_of(row: asyncpg.Record) -> Finding:
    """A finding from a row of SELECT."""
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    reply, settlement, due_at = row["reply"], row["settlement"], row["next_due_at"]
    step = due_at and Step(row["next_actor"], FindingAction(row["next_action"]), due_at)
    values |= {
        "decision": ComplaintDecision(row["decision"]),
        "state": FindingState(row["state"]),
        "reply": BoardReply(reply) if reply else None,
        "settlement": Settlement(settlement) if settlement else None,
        "told": tuple(row["told"].split()),
        "regime": in_force_of(row) if row["regime"] else None,
        "step": step,
    }
    return Finding(finding_id=row["finding_id"], **values)


def in_force_of(row: asyncpg.Record) -> InForce:
    """A regime with its register version."""
    regime = Regime(
        id=row["regime"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        finding=row["kind"],
        board_response_weeks=row["board_response_weeks"],
        after_silence=tuple(row["after_silence"].split()),
        after_deviation=tuple(row["after_deviation"].split()),
        source=row["source"],
        to_verify=row["to_verify"],
    )
    return InForce(row["register_version"], regime)


def reply_of(row: asyncpg.Record) -> Reply:
    """A reply with its reasons."""
    return Reply(
        reply_id=row["reply_id"],
        reply=BoardReply(row["reply"]),
        replied_on=row["replied_on"],
        by=row["brought_by"],
        reasons=row["reasons"],
        new_date=row["new_date"],
        measures_by=row["measures_by"],
        digest=row["digest"],
    )


def evidence_of(row: asyncpg.Record) -> Evidence:
    """An entry of evidence with its text."""
    return Evidence(
        evidence_id=row["evidence_id"],
        kind=EvidenceKind(row["kind"]),
        day=row["day"],
        by=row["brought_by"],
        digest=row["digest"],
        text=row["text"],
        confirms=row["confirms"],
    )
