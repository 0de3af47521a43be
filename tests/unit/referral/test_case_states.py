"""The states of a case and the changes between them."""

from itertools import product
from pathlib import Path

import pytest

from services.referral import case_states
from services.referral.case_states import STARTS, TRANSITIONS, CaseState, diagram
from services.referral.domain import IllegalTransition

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_diagram_is_that_of_the_table():
    text = (ROOT / "docs" / "case-states.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in text


def test_every_state_is_reached_and_left():
    assert set(TRANSITIONS) == set(CaseState)
    seen, left = set(STARTS), list(STARTS)
    while left:
        found = TRANSITIONS[left.pop()] - seen
        seen |= found
        left += found
    assert seen == set(CaseState)
    assert all(TRANSITIONS.values())


@pytest.mark.parametrize(("old", "new"), list(product([None, *CaseState], CaseState)))
def test_a_change_outside_the_table_is_refused(monkeypatch, old, new):
    standings = {state: object() for state in CaseState}
    names = {id(standing): state for state, standing in standings.items()}
    monkeypatch.setattr(case_states, "state_of", lambda standing: names[id(standing)])
    before = standings[old] if old else None
    legal = new in STARTS if old is None else new is old or new in TRANSITIONS[old]
    if legal:
        case_states.kept(before, standings[new])
    else:
        with pytest.raises(IllegalTransition):
            case_states.kept(before, standings[new])


def test_nobody_holds_a_case_that_was_not_asked_and_what_is_closed_goes_to_people():
    to_held = {state for state in CaseState if CaseState.HELD in TRANSITIONS[state]}
    assert to_held == {CaseState.ASKED, CaseState.PASSED_ON}
    assert TRANSITIONS[CaseState.CLOSED] == {CaseState.AT_DESK}
