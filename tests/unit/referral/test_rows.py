"""What is written of a case or referral: of a change never less than what differs."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.referral import Answer
from services.referral import rows
from services.referral.domain import Case, Referral
from tests.unit.referral.builders import first, live, said, stands

_ASKED = first()
_CASE, _REFERRAL = _ASKED.case, _ASKED.referrals[0]
# The database refuses to change these, or they are what is looked for.
_KEPT = {"case_id", "report_id", "first_received_at", "opened_at"}
_GIVEN_WITH_THE_OFFER = {
    *("referral_id", "case_id", "attempt", "organisation", "loket", "decision_id", "signal"),
    "offered_at",
}


def _other(value):
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case tuple():
            return (*value, "other")
        case None:
            return "other"
        case _ if hasattr(value, "tzinfo"):
            return value + timedelta(days=1)
        case _ if hasattr(value, "model_copy"):
            changes = {"received_within_minutes": 7} if hasattr(value, "region") else {"actor": "x"}
            return value.model_copy(update=changes)
        case _:
            return uuid4() if hasattr(value, "hex") else f"{value}x"


@pytest.mark.parametrize("field", sorted(set(Case._fields) - _KEPT))
def test_a_changed_field_of_a_case_is_written(field):
    after = _CASE._replace(**{field: _other(getattr(_CASE, field))})
    if rows.is_stepped(_CASE, after):
        assert rows.stepped_columns([after]) != rows.stepped_columns([_CASE])
    else:
        assert rows.changed_columns([after]) != rows.changed_columns([_CASE])


@pytest.mark.parametrize("field", sorted(set(Referral._fields) - _GIVEN_WITH_THE_OFFER))
def test_a_changed_field_of_a_referral_is_written(field):
    after = _REFERRAL._replace(**{field: _other(getattr(_REFERRAL, field))})
    if rows.is_taken(_REFERRAL, after):
        assert rows.taken_columns([after]) != rows.taken_columns([_REFERRAL])
    else:
        assert rows.moved_columns([after]) != rows.moved_columns([_REFERRAL])


def test_receipt_and_acceptance_write_few_columns_and_an_end_all_of_them():
    before = stands(_ASKED)
    for says, few in ((Answer.RECEIVED, True), (Answer.ACCEPTED, True), (Answer.COMPLETED, False)):
        outcome = said(before, says)
        assert rows.is_stepped(before.case, outcome.case) is few
        assert rows.is_taken(live(before), outcome.referrals[0]) is few
        before = stands(outcome, before)
