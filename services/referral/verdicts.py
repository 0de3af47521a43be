"""Whether an answer may change a referral now, and if not, why: one place for all pairs."""

from contracts.referral import DESK, Answer, DeclineReason, ReferralAnswered, Status
from services.referral.domain import HOLDING, TRANSITIONS, Case, Referral, Verdict

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


def judged(case: Case, referral: Referral, event: ReferralAnswered, *, text_given: bool) -> Verdict:
    """APPLIED when the answer may change the state now, else why not."""
    unfit = _unfit(referral, event, text_given=text_given)
    if unfit is not None:
        return unfit
    if _STATUS_OF[event.answer] in TRANSITIONS[referral.status]:
        return Verdict.APPLIED
    if _says_nothing_new(referral.status, event.answer):
        return Verdict.DUPLICATE
    if case.holder not in {DESK, referral.organisation}:
        return Verdict.HELD_BY_OTHER
    return _ENDED_AS.get(referral.status, Verdict.ILLEGAL)


def _unfit(referral: Referral, event: ReferralAnswered, *, text_given: bool) -> Verdict | None:
    if event.attempt != referral.attempt:
        return Verdict.WRONG_ATTEMPT
    if event.answer is not Answer.REJECTED:
        return None
    if event.reason is None:
        return Verdict.REASON_MISSING
    lacks_text = event.reason is DeclineReason.OTHER and not text_given
    return Verdict.TEXT_MISSING if lacks_text else None


def _says_nothing_new(status: Status, said: Answer) -> bool:
    """Whether a referral in this state already holds what is said, also when it comes too late."""
    match said:
        case Answer.RECEIVED:
            return status in HOLDING | {Status.RECEIVED, Status.REJECTED, Status.COMPLETED}
        case Answer.ACCEPTED:
            return status in HOLDING | {Status.COMPLETED}
        case Answer.REJECTED:
            return status is Status.REJECTED
