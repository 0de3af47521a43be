from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts.finding import BoardReply, EvidenceKind
from contracts.referral import DESK, ComplaintDecision
from contracts.routing import Regime
from services.referral.findings import rules
from services.referral.findings.domain import Evidence, Finding, Held, InForce, Outcome, Reply

# A Monday; the finding is of that day.
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)
HELD = Held(DESK, 2)
BOARD = "bevoegd_gezag"
FEEDS = frozenset({"lkc", BOARD, "inspectie", "raad_van_toezicht", "kinderombudsman"})

ADVICE = Regime(
    id="advice_law",
    valid_from=date(1998, 8, 1),
    finding="advice",
    board_response_weeks=4,
    after_silence=("inspectie", "raad_van_toezicht", "rechter"),
    after_deviation=("raad_van_toezicht", "rechter"),
    source="W_WPO14",
)
COMPLY = ADVICE.model_copy(
    update={
        "id": "comply_law",
        "finding": "comply-or-report",
        "after_deviation": ("inspectie", "kinderombudsman"),
    }
)
BINDING = ADVICE.model_copy(
    update={
        "id": "binding_law",
        "finding": "binding",
        "after_silence": ("inspectie", "rechter"),
        "after_deviation": ("rechter",),
    }
)


def in_force(regime: Regime = ADVICE) -> InForce:
    return InForce("2026-1", regime)


def issued(
    regime: Regime | None = ADVICE, issued_on: date = TODAY, now: datetime = NOW, **changes: Any
) -> Outcome:
    values: dict[str, Any] = {
        "finding_id": uuid4(),
        "case_id": uuid4(),
        "referral_id": None,
        "committee": "lkc",
        "decision": ComplaintDecision.UPHELD,
        "advice": True,
        "issued_on": issued_on,
        "in_force": in_force(regime) if regime else None,
        "held": HELD,
        "now": now,
    }
    return rules.issue(**(values | changes))


def finding(regime: Regime | None = ADVICE, **changes: Any) -> Finding:
    return issued(regime, **changes).finding


def said(reply: BoardReply, on: date = TODAY, **changes: Any) -> Reply:
    values: dict[str, Any] = {
        "reply_id": uuid4(),
        "reply": reply,
        "replied_on": on,
        "by": BOARD,
        "reasons": None if reply is BoardReply.FOLLOWS else "Wij zien het anders.",
    }
    if reply is BoardReply.DEVIATES_FROM_TERM:
        values["new_date"] = on + timedelta(weeks=10)
    return Reply(**(values | changes))


def shown(by: str = "lkc", *, confirms: bool = True) -> Evidence:
    return Evidence(
        uuid4(), EvidenceKind.DOCUMENT, TODAY, by, "ab" * 32, "Het nieuwe beleid.", confirms
    )
