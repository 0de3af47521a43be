"""One full example of every event of a finding."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from contracts import finding
from contracts.event import Event
from contracts.referral import DESK, ComplaintDecision, NextAction, NextStep

NOW = datetime(2026, 11, 24, 9, 30, 0, 123000, tzinfo=UTC)
CASE, FINDING, REPLY = (UUID(int=(4 << 76) | (8 << 60) | n) for n in (1, 21, 22))
ISSUED_ON = date(2026, 11, 20)
_NEXT = NextStep(
    actor=finding.BOARD, action=NextAction.REPLY_TO_FINDING, due_at=NOW + timedelta(days=25)
)
_OF = {
    "finding_id": FINDING,
    "case_id": CASE,
    "holder": DESK,
    "handoff": 2,
    "next_step": _NEXT,
    "issued_on": ISSUED_ON,
    "regime": "advies_2015",
    "at": NOW,
}

EXAMPLES: tuple[Event, ...] = (
    finding.FindingIssued(
        **_OF,
        state=finding.FindingState.REPLY_DUE,
        committee="lkc",
        board=finding.BOARD,
        decision=ComplaintDecision.PARTLY_UPHELD,
        advice=True,
        kind="advice",
        register_version="2026-11-25.2",
        reply_due_at=NOW + timedelta(days=25),
    ),
    finding.FindingReplied(
        **_OF,
        state=finding.FindingState.DEVIATION_ANNOUNCED,
        reply_id=REPLY,
        reply=finding.BoardReply.DEVIATES_FROM_TERM,
        replied_on=date(2026, 11, 24),
        reply_days=4,
        late=False,
        on_behalf=True,
        new_date=date(2027, 1, 29),
        measures_by=date(2027, 3, 1),
    ),
    finding.FindingReminded(
        **_OF,
        state=finding.FindingState.REPLY_DUE,
        actor=finding.BOARD,
        action=finding.FindingAction.REPLY,
        number=1,
    ),
    finding.FindingEscalated(
        **_OF,
        state=finding.FindingState.WITH_SUPERVISOR,
        because=finding.EscalatedBecause.SILENCE,
        rung=1,
        organisation="inspectie",
        told_by=finding.ToldBy.FEED,
    ),
    finding.FindingSettled(
        **(_OF | {"next_step": None}),
        state=finding.FindingState.FOLLOWED,
        settlement=finding.Settlement.FOLLOWED,
        settled_by="lkc",
        evidence=2,
        settle_days=40,
    ),
    finding.FindingNotice(
        finding_id=FINDING,
        case_id=CASE,
        reference="MP-2345-6789",
        organisation="veilig_thuis",
        role=finding.NoticeRole.SUPERVISOR,
        committee="lkc",
        decision=ComplaintDecision.UPHELD,
        issued_on=ISSUED_ON,
        state=finding.FindingState.WITH_SUPERVISOR,
        reply=finding.BoardReply.PARTLY,
        reply_due_at=NOW + timedelta(days=25),
        new_date=date(2027, 1, 29),
        because=finding.EscalatedBecause.DEVIATION,
        at=NOW,
    ),
)
