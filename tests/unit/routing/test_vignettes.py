"""The 25 worked cases of `examples/cases.jsonl`, decided by the shipped register."""

from typing import Any

import pytest

from contracts.routing import Mode
from contracts.situation import Kind, Situation
from services.routing.compiled import CompiledRegister
from services.routing.explain import explain_citizen, explain_line
from services.routing.language import address
from services.routing.rules import decide
from tests.unit.routing.conftest import cases

CASES = cases()
each_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def situation(case_id: str, **changes: object) -> Situation:
    answers = next(case["situation"] for case in CASES if case["id"] == case_id)
    return Situation.model_validate({**answers, **changes})


def test_there_are_25_cases() -> None:
    assert len({case["id"] for case in CASES}) == 25


@each_case
def test_goes_to_the_most_fitting_party(case: dict[str, Any], compiled: CompiledRegister) -> None:
    decision = decide(compiled, Situation.model_validate(case["situation"]))
    assert case["expected"]["primary"][0] in (decision.primary, decision.party)
    assert decision.urgency == case["expected"]["urgency"]


@each_case
def test_never_goes_where_it_must_not(case: dict[str, Any], compiled: CompiledRegister) -> None:
    decision = decide(compiled, Situation.model_validate(case["situation"]))
    parties = (decision.party, *decision.also, *decision.shown)
    named = {name for party in parties for name in (party, party.partition("/")[0])}
    assert named.isdisjoint(case["expected"]["must_not"])


@each_case
def test_explanation_is_one_to_three_sentences(
    case: dict[str, Any], compiled: CompiledRegister
) -> None:
    decision = decide(compiled, Situation.model_validate(case["situation"]))
    text = explain_citizen(decision)
    assert text.startswith(address(decision.why, decision.situation.reporter))
    assert 1 <= text.count(". ") + 1 <= 3
    assert "\n" not in explain_line(decision)
    assert decision.party in explain_line(decision)


def test_a_primary_pupil_asks_for_help_where_it_wrote_complaint(compiled: CompiledRegister) -> None:
    decision = decide(compiled, situation("V02", kind="klacht"))
    assert decision.kind_at_primary is Kind.HULPVRAAG
    assert decision.conversion_why is not None
    assert decision.conversion_why in explain_citizen(decision)


@pytest.mark.parametrize("case_id", ["V15", "V16", "V17"])
def test_a_supervisor_gets_a_report_not_a_complaint(
    case_id: str, compiled: CompiledRegister
) -> None:
    decision = decide(compiled, situation(case_id))
    assert decision.kind is Kind.KLACHT
    assert decision.kind_at_primary is Kind.MELDING
    assert "melding" in explain_citizen(decision)


def test_the_objection_to_the_board_is_a_term_and_no_referral(compiled: CompiledRegister) -> None:
    decision = decide(compiled, situation("V07"))
    terms = {term.term: term for term in decision.terms}
    assert terms["gpo_indienen"].length == "42 days"
    assert terms["gpo_indienen"].starts == "decision"
    assert terms["bezwaar_indienen"].organisation == "bevoegd_gezag"
    assert "bevoegd_gezag" not in (decision.primary, *decision.also)
    assert "bezwaar_bij_bestuur" in {duty.id for duty in decision.duties}


def test_staff_hear_that_the_duty_overrides_their_choice(compiled: CompiledRegister) -> None:
    decision = decide(compiled, situation("V04"))
    assert any(duty.overrides_choice and duty.src == "W_WPO4A" for duty in decision.duties)


def test_the_next_untried_loket_of_the_school(compiled: CompiledRegister) -> None:
    tried = ["mentor_leerkracht", "school/aanspreekpunt_pesten"]
    assert decide(compiled, situation("V01", steps_tried=tried)).party == "school/contactpersoon"
    excluded = frozenset({"school/aanspreekpunt_pesten"})
    assert decide(compiled, situation("V01"), excluded).party == "school/contactpersoon"


def test_only_the_head_counts_as_the_school_tried(compiled: CompiledRegister) -> None:
    assert "school_tried" not in decide(compiled, situation("V01")).flags
    after = decide(compiled, situation("V01", steps_tried=["schoolleiding"]))
    assert "school_tried" in after.flags
    assert after.primary == "bevoegd_gezag"


@pytest.mark.parametrize(
    ("affiliation", "primary"),
    [
        ("lkc", "lkc"),
        ("gcbo", "gcbo"),
        ("klachtencommissie_overig", "klachtencommissie_overig"),
        ("geen", "inspectie"),
        ("unknown", "ouders_en_onderwijs"),
        ("no_such_committee", "ouders_en_onderwijs"),
    ],
)
def test_the_committee_follows_the_affiliation(
    affiliation: str, primary: str, compiled: CompiledRegister
) -> None:
    asked = situation("V01", flags=["board_tried"], affiliation=affiliation)
    assert decide(compiled, asked).primary == primary


def test_a_party_that_reports_nothing_back_gets_a_signal(compiled: CompiledRegister) -> None:
    decision = decide(compiled, situation("V17"))
    assert (decision.primary, decision.mode) == ("inspectie", Mode.SIGNAL)


def test_who_was_weighed_is_complete(compiled: CompiledRegister) -> None:
    decision = decide(compiled, situation("V09"))
    weighed = {row.organisation for row in decision.weighed}
    everybody = {party.id for party in compiled.parties}
    assert weighed == everybody - {decision.primary, decision.desk}
    reasons = {row.organisation: row.reason.value for row in decision.weighed}
    assert reasons["bevoegd_gezag"] == "accused-party"
    assert reasons["college_rechten_mens"] == "also-competent"
    assert reasons["zelfmoordpreventie_113"] == "not-competent"
