"""Cases in every state, reached by the rules themselves and never by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.intake import ContentField
from contracts.referral import DESK, Answer, CompletedAs, ReferralAnswered, Status
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Accused, Kind, Reporter, Sector, Situation, Subject, Urgency
from services.referral.domain import HOLDING, OPEN, Channel, Outcome, Referral, Standing, Verdict
from services.referral.escalation import Reach, expire
from services.referral.rules import Offering, answer, assign, withdraw

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(days=10)
SITUATION = Situation(
    sector=Sector.PO,
    reporter=Reporter.OUDER,
    kind=Kind.MELDING,
    subject=Subject.PESTEN,
    accused=Accused.LEERLING,
)
_ALONG: dict[Answer, dict[str, Any]] = {
    Answer.REJECTED: {"reason": "capacity"},
    Answer.RETURNED: {"reason": "not-eligible"},
    Answer.ON_HOLD: {"until": UNTIL},
    Answer.COMPLETED: {"outcome": CompletedAs.HELPED},
    Answer.REFERRED_ONWARD: {"suggested_organisation": "lkc"},
}
_WAYS: dict[Status, tuple[Answer, ...]] = {
    Status.REQUESTED: (),
    Status.RECEIVED: (Answer.RECEIVED,),
    Status.ACCEPTED: (Answer.ACCEPTED,),
    Status.IN_PROGRESS: (Answer.ACCEPTED, Answer.IN_PROGRESS),
    Status.ON_HOLD: (Answer.ACCEPTED, Answer.ON_HOLD),
    Status.COMPLETED: (Answer.ACCEPTED, Answer.COMPLETED),
    Status.REJECTED: (Answer.REJECTED,),
    Status.ENTERED_IN_ERROR: (Answer.ACCEPTED, Answer.ENTERED_IN_ERROR),
}


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


def again(standing: Standing, organisation: str, **changes: Any) -> CaseAssigned:
    """Routing's next decision of a case."""
    case = standing.case
    return assigned(organisation, case.decision_number + 1, case_id=case.case_id, **changes)


def offering(channel: Channel | None = Channel.KAFKA) -> Offering:
    return Offering(channel, uuid4())


def reach(fallback: Channel | None = None) -> Reach:
    return Reach(fallback, uuid4())


def first(
    mode: Mode = Mode.REFER,
    organisation: str = "school",
    channel: Channel | None = Channel.KAFKA,
    **changes: Any,
) -> Outcome:
    return assign(None, assigned(organisation, mode=mode, **changes), offering(channel), NOW)


def stands(outcome: Outcome, before: Standing | None = None) -> Standing:
    """What an outcome leaves behind, as the store would read it."""
    places: dict[str, Referral | None] = {
        "request": before.request if before else None,
        "holding": before.holding if before else None,
    }
    for item in outcome.referrals:
        for place, among in (("request", OPEN), ("holding", HOLDING)):
            known = places[place]
            if item.status in among:
                places[place] = item
            elif known is not None and known.referral_id == item.referral_id:
                places[place] = None
    return Standing(outcome.case, **places)


def live(standing: Standing) -> Referral:
    """The one referral that lives; the request when there are two."""
    found = standing.request or standing.holding
    assert found is not None
    return found


def answered(referral: Referral, said: Answer, **changes: Any) -> ReferralAnswered:
    """An answer with all that it needs."""
    values: dict[str, Any] = {
        "answer_id": uuid4(),
        "referral_id": referral.referral_id,
        "case_id": referral.case_id,
        "attempt": referral.attempt,
        "answer": said,
        "at": NOW,
    }
    return ReferralAnswered(**(values | _ALONG.get(said, {}) | changes))


def said(
    standing: Standing,
    says: Answer,
    at: datetime = NOW,
    referral: Referral | None = None,
    **changes: Any,
) -> Outcome:
    """An answer of a referral, or of the one that lives."""
    referral = referral or live(standing)
    return answer(standing, referral, answered(referral, says, **changes), at)


def go(standing: Standing, says: Answer, at: datetime = NOW, **changes: Any) -> Standing:
    """What an answer that counts leaves behind."""
    outcome = said(standing, says, at, **changes)
    assert outcome.verdict is Verdict.APPLIED, outcome.verdict
    return stands(outcome, standing)


def in_status(status: Status, **changes: Any) -> tuple[Standing, Referral]:
    """A case whose one referral is in this status, with that referral."""
    standing = stands(first(**changes))
    if status is Status.FAILED:
        outcome = expire(standing, live(standing), reach(), after(60))
        return stands(outcome, standing), outcome.referrals[0]
    if status is Status.CANCELLED:
        outcome = withdraw(standing, live(standing), NOW)
        return stands(outcome, standing), outcome.referrals[0]
    referral = live(standing)
    for says in _WAYS[status]:
        outcome = said(standing, says)
        standing, referral = stands(outcome, standing), outcome.referrals[-1]
    assert referral.status is status
    return standing, referral


def held(organisation: str = "school", **changes: Any) -> Standing:
    """A case that an organisation holds."""
    return in_status(Status.ACCEPTED, organisation=organisation, **changes)[0]


def onward(target: str = "lkc", **changes: Any) -> Standing:
    """A case whose holder `school` refers onward, and routing agreed: `target` is asked."""
    standing = go(held(**changes), Answer.REFERRED_ONWARD, suggested_organisation=target)
    outcome = assign(standing, again(standing, target, onward=True, **changes), offering(), NOW)
    assert outcome.verdict is Verdict.APPLIED
    return stands(outcome, standing)


def found(**changes) -> Standing:
    """A complaint on which a committee decided: the case is at the desk for its finding."""
    standing = held(kind_at_primary=Kind.KLACHT, **changes)
    return go(standing, Answer.COMPLETED, outcome="decided", decision="upheld")


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def agrees(outcome: Outcome) -> None:
    """Every event of the main topic tells of the case as the outcome leaves it."""
    case = outcome.case
    for event in outcome.events:
        told = vars(event)
        assert told["case_id"] == case.case_id
        assert (told["holder"], told["handoff"]) == (case.holder, case.handoff)
        assert told["next_step"] == case.next_step
    assert case.open == (case.next_step is not None)
    assert case.open or case.timer_at is None


__all__ = ["DESK", "NOW", "UNTIL"]
