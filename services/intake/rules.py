"""Pure decisions of intake: stage of a case, what a reporter may do, who may fetch content."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.calendar import local_day
from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    ClosedBecause,
    DeskReason,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import Mode
from contracts.situation import Urgency
from services.intake.domain import (
    CaseAsked,
    CaseStanding,
    NewReport,
    QuestionKnown,
    ReferralKnown,
    ReportFound,
    Stage,
)

CaseEvent = ReferralOffered | ReferralStatusChanged | CaseAtDesk | RedecisionRequested | CaseClosed

CAPABILITY_SECONDS_MAX = 300
CLOCK_LEEWAY_SECONDS = 30
QUESTIONS_MAX = 50
QUESTIONS_OPEN_MAX = 5
# Who says twice within an hour that no help came repeats the request; later it is news.
NOT_HELPED_REPEAT = timedelta(hours=1)
ANSWER_WITHIN = {
    Urgency.ACUUT: timedelta(hours=4),
    Urgency.SPOED: timedelta(days=3),
    Urgency.NORMAAL: timedelta(days=14),
}

HOLDING = frozenset({Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD})
LIVE = HOLDING | {Status.REQUESTED, Status.RECEIVED}
_ENDED = frozenset({Status.COMPLETED, Status.CANCELLED, Status.ENTERED_IN_ERROR})
_CLOSED_STAGES = {
    ClosedBecause.COMPLETED: Stage.FINISHED,
    ClosedBecause.WITHDRAWN: Stage.WITHDRAWN,
    ClosedBecause.ENTERED_IN_ERROR: Stage.CLOSED,
}
_DESK_STAGES = {
    DeskReason.FINDING: Stage.FINDING,
    DeskReason.NO_CONTACT: Stage.NO_CONTACT,
    DeskReason.NO_FEEDBACK_PARTY: Stage.SIGNALLED,
}


def future_dates(report: NewReport, now: datetime) -> list[int]:
    """Positions of known dates that have not come yet in the Netherlands."""
    if not report.known_dates:
        return []
    today = local_day(now)
    return [n for n, item in enumerate(report.known_dates) if item.day > today]


def assigned_stage(mode: Mode) -> Stage:
    """Stage after a decision of routing, until referral has said something."""
    return Stage.ASSIGNED if mode in (Mode.REFER, Mode.SIGNAL) else Stage.AT_DESK


def referral_standing(event: CaseEvent) -> CaseStanding:
    """How a case stands after an event of referral."""
    stage, step = referral_stage(event), event.next_step
    until, outcome = None, None
    if isinstance(event, ReferralStatusChanged):
        until = event.until if stage is Stage.ON_HOLD else None
        outcome = event.outcome
    elif isinstance(event, CaseClosed):
        outcome = event.outcome
    return CaseStanding(
        stage,
        event.holder,
        step.actor if step else None,
        step.due_at if step else None,
        step.action if step else None,
        until,
        _onward_to(event) if stage is Stage.ONWARD else None,
        outcome,
    )


def referral_stage(event: CaseEvent) -> Stage:
    """Stage after an event of referral.

    A case that a partner holds stays picked up whatever happens to an offer at another partner.
    """
    match event:
        case CaseClosed():
            return _CLOSED_STAGES[event.because]
        case CaseAtDesk():
            return _DESK_STAGES.get(event.reason, Stage.AT_DESK)
        case ReferralStatusChanged(next_step=None) if event.status in _ENDED:
            return Stage.FINISHED
        case _ if event.holder != DESK:
            return _stage_of_held(event)
        case _:
            return _stage_of_offer(event)


def _stage_of_held(event: CaseEvent) -> Stage:
    match event:
        case RedecisionRequested(onward=True):
            return Stage.ONWARD
        case ReferralOffered(signal=False) if event.organisation != event.holder:
            return Stage.ONWARD
        case ReferralStatusChanged() if event.organisation != event.holder:
            waits = event.status in {Status.REQUESTED, Status.RECEIVED}
            return Stage.ONWARD if waits else Stage.PICKED_UP
        case ReferralStatusChanged(business_status=BusinessStatus.NO_CONTACT):
            return Stage.NO_CONTACT
        case ReferralStatusChanged(status=Status.ON_HOLD):
            return Stage.ON_HOLD
        case ReferralStatusChanged() if event.onward_to and event.status in HOLDING:
            return Stage.ONWARD
        case _:
            return Stage.PICKED_UP


def _stage_of_offer(event: CaseEvent) -> Stage:
    match event:
        case ReferralOffered(signal=True):
            return Stage.SIGNALLED
        case ReferralOffered() | ReferralStatusChanged(status=Status.REQUESTED):
            return Stage.OFFERED
        case ReferralStatusChanged(status=Status.RECEIVED):
            return Stage.SEEN
        case ReferralStatusChanged(status=Status.COMPLETED):
            # The desk goes on with it: nobody declined.
            return Stage.AT_DESK
        case _:
            return Stage.SEARCHING


def _onward_to(event: CaseEvent) -> str | None:
    match event:
        case RedecisionRequested():
            return event.proposed
        case ReferralStatusChanged() if event.organisation == event.holder:
            return event.onward_to
        case ReferralOffered() | ReferralStatusChanged():
            return event.organisation
        case _:
            return None


class Denied(StrEnum):
    """Why a reporter or a holder cannot do something now; the value ends the problem's type."""

    CASE_CLOSED = "case-closed"
    WITHDRAWN = "report-withdrawn"
    QUESTION_UNKNOWN = "question-unknown"
    QUESTION_CLOSED = "question-closed"
    QUESTION_ANSWERED = "question-answered"
    QUESTION_ID_REUSED = "question-id-reused"
    NOT_HOLDER = "not-holder"
    TOO_MANY_QUESTIONS = "too-many-questions"
    CONTENT_ERASED = "content-erased"


def withdrawal_denied(found: ReportFound) -> Denied | None:
    """Why a report cannot be taken back; None also for one that was taken back before."""
    open_or_withdrawn = found.withdrawn_at is not None or not found.standing.closed
    return None if open_or_withdrawn else Denied.CASE_CLOSED


def not_helped_repeats(found: ReportFound, now: datetime) -> bool:
    """Whether the reporter said only just that no help came."""
    last = found.not_helped_at
    return last is not None and now - last < NOT_HELPED_REPEAT


def answer_denied(known: QuestionKnown | None, answer_mac: bytes) -> Denied | None:
    """Why an answer is refused; None also for a repeat of the same answer.

    A late answer is welcome as long as the asker has the case.
    """
    if known is None:
        return Denied.QUESTION_UNKNOWN
    if known.answer_mac is not None:
        return None if known.answer_mac == answer_mac else Denied.QUESTION_ANSWERED
    return None if known.status in HOLDING else Denied.QUESTION_CLOSED


def question_denied(known: ReferralKnown, case: CaseAsked | None) -> Denied | None:
    """Why a new question is refused: only who has the case asks, and not without end."""
    if known.consulted or known.status not in HOLDING:
        return Denied.NOT_HOLDER
    if case is None or case.wrapped_key is None:
        return Denied.CONTENT_ERASED
    if case.withdrawn:
        return Denied.WITHDRAWN
    full = case.questions >= QUESTIONS_MAX or case.questions_open >= QUESTIONS_OPEN_MAX
    return Denied.TOO_MANY_QUESTIONS if full else None


class Refusal(StrEnum):
    """Why content is not handed over; the value ends the problem's type."""

    LIFE_TOO_LONG = "capability-lives-too-long"
    EXPIRED = "capability-expired"
    OTHER_ORGANISATION = "capability-of-another-organisation"
    OTHER_CASE = "capability-for-another-case"
    CLOSED = "referral-closed"
    SUPERSEDED = "attempt-superseded"
    NOT_KNOWN_YET = "referral-not-known-yet"


@dataclass(frozen=True, slots=True)
class Capability:
    """What referral allows: this organisation, for this attempt, until `expires_at` (epoch s)."""

    organisation: str
    case_id: UUID
    referral_id: UUID
    attempt: int
    expires_at: float


def capability_refusal(
    capability: Capability, organisation: str | None, case_id: UUID, now: datetime
) -> Refusal | None:
    """Why the capability does not serve this call, or None."""
    left = capability.expires_at - now.timestamp()
    if left < -CLOCK_LEEWAY_SECONDS:
        return Refusal.EXPIRED
    if left > CAPABILITY_SECONDS_MAX + CLOCK_LEEWAY_SECONDS:
        return Refusal.LIFE_TOO_LONG
    if capability.organisation != organisation:
        return Refusal.OTHER_ORGANISATION
    if capability.case_id != case_id:
        return Refusal.OTHER_CASE
    return None


def referral_refusal(capability: Capability, known: ReferralKnown | None) -> Refusal | None:
    """Why the referral gives no right any more; what intake has not heard of yet may come."""
    if known is None or known.attempt < capability.attempt:
        return Refusal.NOT_KNOWN_YET
    if (known.case_id, known.organisation) != (capability.case_id, capability.organisation):
        return Refusal.OTHER_CASE
    if known.attempt > capability.attempt:
        return Refusal.SUPERSEDED
    return None if known.status in LIVE else Refusal.CLOSED


def fields_allowed(known: ReferralKnown, asked: Iterable[ContentField]) -> frozenset[ContentField]:
    """What may be read of what the capability names.

    Who is consulted reads the narrative alone, and answers are for who has the case: also when a
    capability was signed with more.
    """
    allowed = {ContentField.NARRATIVE}
    if not known.consulted:
        allowed.add(ContentField.IDENTITY)
    if not known.consulted and known.status in HOLDING:
        allowed.add(ContentField.ANSWERS)
    return frozenset(allowed.intersection(asked))
