import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.finding import FindingState, Settlement
from services.referral.domain import IllegalTransition
from services.referral.findings import moves
from services.referral.findings.domain import ENDED, STARTS, TRANSITIONS, diagram
from tests.unit.referral.findings.builders import NOW, finding

ROOT = Path(__file__).parents[4]


def test_the_committed_diagram_is_that_of_the_table():
    text = (ROOT / "docs" / "finding-states.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in text


def test_the_migration_has_the_same_transitions():
    sql = (ROOT / "services/referral/migrations/0004_findings.sql").read_text(encoding="utf-8")
    table = sql.split("FROM (VALUES")[1].split(") AS step")[0]
    found = {
        FindingState(source): {FindingState(name) for name in targets.split()}
        for source, targets in re.findall(r"\('([a-z-]+)',\s+'([a-z -]+)'\)", table)
    }
    assert found == {source: targets for source, targets in TRANSITIONS.items() if targets}


@pytest.mark.parametrize("source", list(FindingState))
@pytest.mark.parametrize("target", list(FindingState))
def test_code_refuses_what_is_not_in_the_table(source, target):
    standing = replace(finding(), state=source)
    if target in TRANSITIONS[source]:
        assert moves.moved(standing, target, standing.step, NOW, NOW).state is target
    else:
        with pytest.raises(IllegalTransition):
            moves.moved(standing, target, standing.step, NOW, NOW)


def test_every_state_can_be_reached_and_every_open_one_can_end():
    reached = set(STARTS)
    for _ in FindingState:
        reached |= {target for state in reached for target in TRANSITIONS[state]}
    assert reached == set(FindingState)
    for state in set(FindingState) - ENDED:
        assert FindingState.CLOSED in TRANSITIONS[state]


def test_every_settlement_but_followed_closes():
    assert {item.value for item in Settlement} - {"followed"} == {
        "partly-followed", "not-followed", "no-reply", "withdrawn", "entered-in-error",
    }  # fmt: skip
