"""A claimed change really changes the party, is the only one in that answer, and is not missed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.situation import Flag, Situation
from services.routing.compiled import compile_register
from services.routing.counterfactual import CHANGES_MAX, Change, changed, changes
from services.routing.register import load_register
from services.routing.rules import decide
from tests.unit.routing.strategies import anything, plausible

REGISTER = compile_register(load_register())
PARTIES = sorted(REGISTER.by_id)
FIELDS = ("sector", "reporter", "kind", "subject", "accused", "affiliation")
many = settings(max_examples=150, deadline=None)


@many
@given(anything, st.frozensets(st.sampled_from(PARTIES), max_size=4))
def test_a_claimed_change_changes_the_party(situation: Situation, excluded: frozenset[str]) -> None:
    decision = decide(REGISTER, situation, excluded)
    found = changes(REGISTER, decision)
    assert len(found) <= CHANGES_MAX
    for change in found:
        other = decide(REGISTER, changed(situation, change), excluded)
        assert other.primary == change.party
        assert other.primary != decision.primary


@many
@given(plausible())
def test_one_answer_is_changed_and_nothing_else(situation: Situation) -> None:
    for change in changes(REGISTER, decide(REGISTER, situation)):
        other = changed(situation, change)
        differing = {
            name
            for name in Situation.model_fields
            if getattr(other, name) != getattr(situation, name)
        }
        assert differing == {change.field}
        if change.field == "flags":
            assert set(other.flags) ^ set(situation.flags) == {Flag(change.value)}
            assert (change.value in other.flags) == change.holds


@settings(max_examples=40, deadline=None)
@given(plausible())
def test_no_answer_that_matters_is_missed(situation: Situation) -> None:
    decision = decide(REGISTER, situation)
    told = {change.field for change in changes(REGISTER, decision, limit=100)}
    for field in FIELDS:
        kind = type(getattr(situation, field))
        values = ["lkc", "gcbo", "geen", "unknown"] if kind is str else list(kind)
        elsewhere = any(
            decide(REGISTER, changed(situation, Change(field, str(value), True, ""))).primary
            != decision.primary
            for value in values
        )
        assert elsewhere <= (field in told)


def test_the_limit_holds_and_the_result_is_the_same_each_time() -> None:
    situation = Situation(
        sector="po", reporter="ouder", kind="klacht", subject="pesten", accused="leerling"
    )
    decision = decide(REGISTER, situation)
    assert len(changes(REGISTER, decision, limit=2)) == 2
    assert changes(REGISTER, decision) == changes(REGISTER, decision)


def test_the_age_of_a_child_can_be_the_answer_that_matters() -> None:
    situation = Situation(
        sector="po", reporter="leerling_po", kind="hulpvraag", subject="pesten", accused="leerling"
    )
    found = {(c.field, c.value): c.party for c in changes(REGISTER, decide(REGISTER, situation))}
    assert found["age", "12"] != "kindertelefoon"


def test_a_step_that_was_not_taken_leads_back() -> None:
    situation = Situation(
        sector="po",
        reporter="ouder",
        kind="klacht",
        subject="pesten",
        accused="leerling",
        steps_tried=("schoolleiding",),
    )
    found = {(c.field, c.value): c.party for c in changes(REGISTER, decide(REGISTER, situation))}
    assert found["steps_tried", "schoolleiding"] == "school"
