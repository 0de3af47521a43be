"""How a finding begins and ends: pure functions from a finding and a command to an Outcome.

Nothing here reads a clock or makes an id. The board's words are in `replying`, what time does in
`ladder`; every change of state goes through `moves.moved`, which knows the table of transitions.
"""

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from contracts.finding import BOARD, FindingState, Settlement
from contracts.referral import DESK, ComplaintDecision
from services.referral.findings import announce, times
from services.referral.findings.domain import (
    AWAITS_REPLY,
    ON_THE_MERITS,
    TRANSITIONS,
    Evidence,
    Finding,
    Held,
    InForce,
    Outcome,
    Verdict,
)
from services.referral.findings.moves import begun, ended_as, next_rung

_ALWAYS_ENDS = frozenset({Settlement.WITHDRAWN, Settlement.ENTERED_IN_ERROR})


def asks_reply(decision: ComplaintDecision) -> bool:
    """Whether a decision opens a finding: not when a complaint is withdrawn or inadmissible."""
    return decision in ON_THE_MERITS


def issue(
    *,
    finding_id: UUID,
    case_id: UUID,
    referral_id: UUID | None,
    committee: str,
    decision: ComplaintDecision,
    advice: bool,
    issued_on: date,
    in_force: InForce | None,
    held: Held,
    now: datetime,
) -> Outcome:
    """A finding begins: the board's term runs from its day, by the regime in force on that day.

    Without a regime it waits as `issued` for the register. A decision that is not on the merits is
    ILLEGAL, a day in the future or more than a year ago DATE_REFUSED.
    """
    finding = Finding(
        finding_id=finding_id,
        case_id=case_id,
        referral_id=referral_id,
        committee=committee,
        board=BOARD,
        decision=decision,
        advice=advice,
        issued_on=issued_on,
        regime=None,
        state=FindingState.ISSUED,
        step=None,
        fires_at=None,
        opened_at=now,
        changed_at=now,
    )
    if not asks_reply(decision):
        return Outcome(Verdict.ILLEGAL, finding)
    if not times.recent(issued_on, times.today(now)):
        return Outcome(Verdict.DATE_REFUSED, finding)
    return begun(finding, in_force, held, now)


def evidence(finding: Finding, shown: Evidence, held: Held, now: datetime) -> Outcome:
    """Somebody recorded what shows whether the finding was followed; confirmed, it settles it."""
    if not finding.open:
        return Outcome(Verdict.ENDED, finding)
    if shown.day > times.today(now):
        return Outcome(Verdict.DATE_REFUSED, finding)
    known = replace(finding, evidence=finding.evidence + 1, changed_at=now)
    if not shown.confirms:
        return Outcome(Verdict.APPLIED, known)
    if shown.by not in {DESK, finding.committee}:
        return Outcome(Verdict.ILLEGAL, finding)
    if FindingState.FOLLOWED not in TRANSITIONS[finding.state]:
        return Outcome(Verdict.REPLY_MISSING, finding)
    ended = ended_as(known, FindingState.FOLLOWED, Settlement.FOLLOWED, now)
    return Outcome(Verdict.APPLIED, ended, (announce.settled(ended, shown.by, held, now),))


def settle(finding: Finding, settlement: Settlement, held: Held, now: datetime) -> Outcome:
    """The desk ends a finding that was not, or not wholly, followed.

    Only when everybody whom the regime names was told: nothing ends by silence. `withdrawn` and
    `entered-in-error` end any open finding.
    """
    if not finding.open:
        same = finding.settlement is settlement
        return Outcome(Verdict.DUPLICATE if same else Verdict.ENDED, finding)
    verdict = Verdict.APPLIED if settlement in _ALWAYS_ENDS else _may_settle(finding, settlement)
    if verdict is not Verdict.APPLIED:
        return Outcome(verdict, finding)
    ended = ended_as(finding, FindingState.CLOSED, settlement, now)
    return Outcome(Verdict.APPLIED, ended, (announce.settled(ended, DESK, held, now),))


def _may_settle(finding: Finding, settlement: Settlement) -> Verdict:
    if settlement is Settlement.FOLLOWED:
        return Verdict.EVIDENCE_MISSING
    if finding.state in AWAITS_REPLY or finding.state is FindingState.ISSUED:
        return Verdict.REPLY_MISSING
    if finding.state is FindingState.REPLIED_FOLLOWING:
        return Verdict.EVIDENCE_MISSING
    if next_rung(finding) is not None:
        return Verdict.LADDER_NOT_DONE
    replied = finding.reply is not None
    match settlement:
        case Settlement.PARTLY_FOLLOWED:
            return Verdict.APPLIED if finding.evidence else Verdict.EVIDENCE_MISSING
        case Settlement.NOT_FOLLOWED:
            return Verdict.APPLIED if replied else Verdict.REPLY_MISSING
        case _:
            return Verdict.ILLEGAL if replied else Verdict.APPLIED
