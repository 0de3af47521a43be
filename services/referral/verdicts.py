"""Whether an answer may change a referral now, and if not, why: one place for all pairs. Pure."""

from datetime import datetime, timedelta

from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CompletedAs,
    DeclineReason,
    NextAction,
    ReferralAnswered,
    Status,
)
from services.referral.domain import HOLDING, OPEN, TRANSITIONS, Case, Referral, Standing, Verdict

HOLD_DAYS_MAX = 180

_STATUS_OF = {
    Answer.RECEIVED: Status.RECEIVED,
    Answer.ACCEPTED: Status.ACCEPTED,
    Answer.REJECTED: Status.REJECTED,
}
_ENDED_AS = {
    Status.FAILED: Verdict.EXPIRED,
    Status.CANCELLED: Verdict.WITHDRAWN,
    Status.ENTERED_IN_ERROR: Verdict.WITHDRAWN,
}


def judged(
    standing: Standing,
    referral: Referral,
    event: ReferralAnswered,
    now: datetime,
    *,
    text_given: bool,
) -> Verdict:
    """APPLIED when the answer may change the state now, else why not."""
    unfit = _unfit(referral, event, now, text_given=text_given)
    if unfit is not None:
        return unfit
    if _says_nothing_new(standing.case, referral, event):
        return Verdict.DUPLICATE
    if event.answer in _STATUS_OF:
        if _STATUS_OF[event.answer] in TRANSITIONS[referral.status]:
            return Verdict.APPLIED
    elif referral.status in HOLDING:
        return _of_holder(standing, referral, event, now)
    return _too_late(standing.case, referral)


def _too_late(case: Case, referral: Referral) -> Verdict:
    if referral.status in OPEN:
        # Nothing is lost: the offer stands and waits for another answer first.
        return Verdict.ILLEGAL
    if case.holder not in {DESK, referral.organisation}:
        return Verdict.HELD_BY_OTHER
    if referral.business_status is BusinessStatus.RETURNED:
        return Verdict.ILLEGAL
    return _ENDED_AS.get(referral.status, Verdict.ILLEGAL)


def _of_holder(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime
) -> Verdict:
    """Whether the holder may say this: all but a referral onward in a circle or beside another.

    One that routing has left without an answer is not waited for longer: another takes its place.
    """
    if event.answer is not Answer.REFERRED_ONWARD:
        return Verdict.APPLIED
    target = event.suggested_organisation or ""
    case = standing.case
    if target in {referral.organisation, DESK} or target in case.returned_by:
        return Verdict.LOOP
    if case.refuses(target):
        return Verdict.NEVER
    asked = referral.onward_to is not None and case.seeks(now)
    return Verdict.BUSY if asked or standing.request is not None else Verdict.APPLIED


def _unfit(
    referral: Referral, event: ReferralAnswered, now: datetime, *, text_given: bool
) -> Verdict | None:
    if event.attempt != referral.attempt:
        return Verdict.WRONG_ATTEMPT
    match event.answer:
        case Answer.REJECTED | Answer.RETURNED:
            if event.reason is None:
                return Verdict.REASON_MISSING
            lacks_text = event.reason is DeclineReason.OTHER and not text_given
            return Verdict.TEXT_MISSING if lacks_text else None
        case Answer.ON_HOLD:
            return _unfit_date(event.until, now)
        case Answer.COMPLETED:
            if event.outcome is None:
                return Verdict.OUTCOME_MISSING
            lacks = event.outcome is CompletedAs.DECIDED and event.decision is None
            return Verdict.DECISION_MISSING if lacks else None
        case Answer.REFERRED_ONWARD:
            return Verdict.TARGET_MISSING if event.suggested_organisation is None else None
        case _:
            return None


def _unfit_date(until: datetime | None, now: datetime) -> Verdict | None:
    if until is None:
        return Verdict.UNTIL_MISSING
    fits = now < until <= now + timedelta(days=HOLD_DAYS_MAX)
    return None if fits else Verdict.UNTIL_UNFIT


def _says_nothing_new(case: Case, referral: Referral, event: ReferralAnswered) -> bool:
    """Whether a referral in this state already holds what is said, also when it comes too late."""
    status, business = referral.status, referral.business_status
    match event.answer:
        case Answer.RECEIVED:
            return status in HOLDING | {Status.RECEIVED, Status.REJECTED, Status.COMPLETED}
        case Answer.ACCEPTED:
            return status in HOLDING | {Status.COMPLETED}
        case Answer.REJECTED:
            return status is Status.REJECTED
        case Answer.ON_HOLD:
            return status is Status.ON_HOLD and referral.until == event.until
        case Answer.COMPLETED:
            # Another outcome than the first is news that comes too late, not a repeat.
            same = (referral.outcome, referral.decision) == (event.outcome, event.decision)
            return status is Status.COMPLETED and business is None and same
        case Answer.RETURNED:
            return status is Status.FAILED and business is BusinessStatus.RETURNED
        case Answer.REFERRED_ONWARD:
            passed_on = status is Status.COMPLETED and business is BusinessStatus.REFERRED_ONWARD
            return passed_on or (
                referral.onward_to is not None
                and referral.onward_to == event.suggested_organisation
            )
        case Answer.NO_CONTACT:
            # Once the desk has asked the reporter, the holder may lose contact again.
            asking = case.next_step is not None and (
                case.next_step.action is NextAction.ASK_REPORTER
            )
            return asking and status is Status.ON_HOLD and business is BusinessStatus.NO_CONTACT
        case Answer.ENTERED_IN_ERROR:
            return status is Status.ENTERED_IN_ERROR
        case _:
            return False
