"""Every answer in every state has one verdict, and who is refused gets the true present state."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.referral import Answer, AnswerRefused, BusinessStatus, CompletedAs, Status
from services.referral import announce, rules
from services.referral.domain import Standing, Verdict
from services.referral.verdicts import HOLD_DAYS_MAX
from tests.unit.referral.builders import (
    NOW,
    UNTIL,
    agrees,
    answered,
    go,
    held,
    in_status,
    onward,
    said,
    stands,
)

CODES = {
    "+": Verdict.APPLIED,
    "=": Verdict.DUPLICATE,
    "!": Verdict.ILLEGAL,
    "e": Verdict.EXPIRED,
    "w": Verdict.WITHDRAWN,
    "o": Verdict.HELD_BY_OTHER,
}
# In the order of Answer: received, accepted, rejected, in-progress, on-hold, no-contact,
# completed, returned, referred-onward, entered-in-error.
MATRIX = {
    "requested": "+++!!!!!!!",
    "received": "=++!!!!!!!",
    "accepted": "==!+++++++",
    "in-progress": "==!+++++++",
    "on-hold": "==!+=+++++",
    "on-hold without contact": "==!++=++++",
    "completed": "==!!!!=!!!",
    "passed on": "==oooooo=o",
    "rejected": "=!=!!!!!!!",
    "failed": "eeeeeeeeee",
    "returned": "!!!!!!!=!!",
    "cancelled": "wwwwwwwwww",
    "entered-in-error": "wwwwwwwww=",
    "asked by a holder": "+++!!!!!!!",
    "rejected, another holds": "=o=ooooooo",
    "failed, another holds": "oooooooooo",
    "cancelled, another holds": "oooooooooo",
}
PAIRS = [
    (state, says, CODES[code])
    for state, row in MATRIX.items()
    for says, code in zip(Answer, row, strict=True)
]


def _state(name):
    match name.split(", "):
        case [status, _]:
            standing, referral = in_status(Status(status))
            other = standing.case._replace(holder="bevoegd_gezag", handoff=5)
            return Standing(other), referral
        case ["on-hold without contact"]:
            standing = go(held(), Answer.NO_CONTACT)
            return standing, standing.holding
        case ["passed on"]:
            before = onward()
            outcome = said(before, Answer.ACCEPTED)
            return stands(outcome, before), outcome.referrals[0]
        case ["returned"]:
            before = held()
            outcome = said(before, Answer.RETURNED)
            return stands(outcome, before), outcome.referrals[0]
        case ["asked by a holder"]:
            standing = onward()
            return standing, standing.request
        case _:
            return in_status(Status(name))


@pytest.mark.parametrize(("state", "says", "verdict"), PAIRS)
def test_every_answer_in_every_state(state, says, verdict):
    standing, referral = _state(state)
    event = answered(referral, says)

    outcome = rules.answer(standing, referral, event, NOW)

    assert outcome.verdict is verdict
    if verdict is Verdict.APPLIED:
        agrees(outcome)
        assert outcome.events
        return
    assert outcome.case == standing.case
    assert not outcome.referrals
    assert not outcome.events
    assert not outcome.feed
    refused = announce.refusal(event, verdict, standing.case, referral, NOW)
    assert refused.status is referral.status
    assert refused.business_status is referral.business_status
    assert refused.problem == verdict.value
    assert refused.who_must_act == standing.case.who_must_act.value


def test_the_matrix_has_every_status():
    assert {name.split(",")[0] for name in MATRIX} >= set(Status)


def test_a_completion_that_says_otherwise_is_no_repeat():
    standing, referral = in_status(Status.COMPLETED)

    outcome = said(standing, Answer.COMPLETED, referral=referral, outcome=CompletedAs.NOT_HELPED)

    assert outcome.verdict is Verdict.ILLEGAL


@pytest.mark.parametrize(
    ("says", "changes", "text", "verdict"),
    [
        (Answer.REJECTED, {"reason": None}, True, Verdict.REASON_MISSING),
        (Answer.REJECTED, {"reason": "other"}, False, Verdict.TEXT_MISSING),
        (Answer.REJECTED, {"reason": "other"}, True, Verdict.APPLIED),
        (Answer.RETURNED, {"reason": None}, True, Verdict.REASON_MISSING),
        (Answer.RETURNED, {"reason": "other"}, False, Verdict.TEXT_MISSING),
        (Answer.RETURNED, {"reason": "other"}, True, Verdict.APPLIED),
        (Answer.ON_HOLD, {"until": None}, False, Verdict.UNTIL_MISSING),
        (Answer.ON_HOLD, {"until": NOW}, False, Verdict.UNTIL_UNFIT),
        (Answer.ON_HOLD, {"until": NOW - timedelta(days=1)}, False, Verdict.UNTIL_UNFIT),
        (Answer.ON_HOLD, {"until": NOW + timedelta(seconds=1)}, False, Verdict.APPLIED),
        (Answer.ON_HOLD, {"until": NOW + timedelta(days=HOLD_DAYS_MAX)}, False, Verdict.APPLIED),
        (
            Answer.ON_HOLD,
            {"until": NOW + timedelta(days=HOLD_DAYS_MAX, seconds=1)},
            False,
            Verdict.UNTIL_UNFIT,
        ),
        (Answer.COMPLETED, {"outcome": None}, False, Verdict.OUTCOME_MISSING),
        (Answer.COMPLETED, {"outcome": "decided"}, False, Verdict.DECISION_MISSING),
        (Answer.COMPLETED, {"outcome": "decided", "decision": "upheld"}, False, Verdict.APPLIED),
        (Answer.REFERRED_ONWARD, {"suggested_organisation": None}, False, Verdict.TARGET_MISSING),
        (Answer.REFERRED_ONWARD, {"suggested_organisation": "school"}, False, Verdict.LOOP),
        (Answer.REFERRED_ONWARD, {"suggested_organisation": "vangnet"}, False, Verdict.LOOP),
        (Answer.REFERRED_ONWARD, {"suggested_organisation": "inspectie"}, False, Verdict.NEVER),
        *[(says, {"attempt": 2}, True, Verdict.WRONG_ATTEMPT) for says in Answer],
    ],
)
def test_what_an_answer_must_hold(says, changes, text, verdict):
    status = Status.REQUESTED if says is Answer.REJECTED else Status.ACCEPTED
    standing, referral = in_status(status, never=("inspectie",))
    event = answered(referral, says, **changes)

    assert rules.answer(standing, referral, event, NOW, text_given=text).verdict is verdict


def test_another_date_of_an_on_hold_is_news():
    standing, _ = in_status(Status.ON_HOLD)

    outcome = said(standing, Answer.ON_HOLD, until=UNTIL + timedelta(days=1))

    assert outcome.verdict is Verdict.APPLIED
    assert outcome.referrals[0].until == UNTIL + timedelta(days=1)


def test_who_has_expired_cannot_take_the_case_with_the_number_of_a_later_attempt():
    standing, failed = in_status(Status.FAILED)

    outcome = said(standing, Answer.ACCEPTED, referral=failed, attempt=2)

    assert outcome.verdict is Verdict.WRONG_ATTEMPT


def test_of_a_strange_referral_nothing_is_told():
    _, referral = in_status(Status.ACCEPTED)
    event = answered(referral, Answer.ACCEPTED, referral_id=uuid4())

    refused = announce.refusal(event, Verdict.UNKNOWN_REFERRAL, None, None, NOW)

    assert isinstance(refused, AnswerRefused)
    assert refused.status is Status.ENTERED_IN_ERROR
    assert refused.business_status is None
    assert refused.problem == "unknown-referral"
    assert refused.who_must_act == "partner"


def test_who_passed_a_case_on_is_told_that_another_holds_it():
    standing, done = _state("passed on")

    outcome = said(standing, Answer.COMPLETED, referral=done)

    assert outcome.verdict is Verdict.HELD_BY_OTHER
    assert done.business_status is BusinessStatus.REFERRED_ONWARD
