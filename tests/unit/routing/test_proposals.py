"""A party that another one names gets the case only where the register says so itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.routing import Mode, ProposalProblem
from contracts.situation import Situation
from services.routing.answers import answer
from services.routing.compiled import CompiledRegister
from services.routing.proposals import Proposed
from services.routing.replay import outcome_by, past_of
from services.routing.rules import decide
from tests.unit.routing.test_properties import BY_ID, COMPILED, accepts, exclusions, situations

# A parent complains that pupils bully the child.
BULLIED = Situation(
    sector="po", reporter="ouder", kind="klacht", subject="pesten", accused="leerling"
)


def proposed(organisation: str, *excluded: str, onward: bool = False, **answers: object) -> object:
    situation = BULLIED.model_copy(update=answers)
    return decide(
        COMPILED, situation, frozenset(excluded), proposed=Proposed(organisation, onward)
    ).proposal


def test_a_competent_party_gets_the_case_and_the_reporter_reads_why() -> None:
    decision = decide(COMPILED, BULLIED, frozenset({"school"}), proposed=Proposed("bevoegd_gezag"))
    assert (decision.primary, decision.mode) == ("bevoegd_gezag", Mode.REFER)
    assert decision.proposal is not None
    assert decision.proposal.followed
    assert decision.proposal.problem is None
    assert decision.why == decision.proposal.why
    assert "Bevoegd gezag" in decision.why
    assert "named Bevoegd gezag" in decision.why_en


@pytest.mark.parametrize(
    ("organisation", "excluded", "answers", "problem"),
    [
        ("nobody", (), {}, ProposalProblem.UNKNOWN),
        ("geschillencommissie_passend_onderwijs", (), {}, ProposalProblem.NOT_COMPETENT),
        ("lkc", (), {"affiliation": "gcbo"}, ProposalProblem.NOT_COMPETENT),
        ("school", (), {"accused": "schoolleiding"}, ProposalProblem.ACCUSED_PARTY),
        ("bevoegd_gezag", (), {"accused": "bestuur"}, ProposalProblem.ACCUSED_PARTY),
        ("bevoegd_gezag", ("bevoegd_gezag",), {}, ProposalProblem.EXCLUDED),
        ("vangnet", (), {}, ProposalProblem.THE_DESK),
        ("kindertelefoon", (), {"reporter": "leerling_vo", "kind": "hulpvraag", "sector": "vo"},
         ProposalProblem.SHOWN_ONLY),
        ("bevoegd_gezag", (), {"steps_tried": ("bevoegd_gezag",)}, ProposalProblem.ALREADY_TRIED),
    ],
)  # fmt: skip
def test_a_party_that_may_not_have_it_is_refused_with_a_code(
    organisation: str,
    excluded: tuple[str, ...],
    answers: dict[str, object],
    problem: ProposalProblem,
) -> None:
    situation = BULLIED.model_copy(update=answers)
    plain = decide(COMPILED, situation, frozenset(excluded))
    found = answer(COMPILED, situation, frozenset(excluded), Proposed(organisation))
    assert found.decision.proposal is not None
    assert (found.decision.proposal.problem, found.decision.proposal.followed) == (problem, False)
    assert (found.decision.primary, found.decision.loket) == (plain.primary, plain.loket)
    assert found.why.startswith("De vorige partij noemde ")
    assert plain.why.split(".")[0].split()[-1] in found.why


def test_all_lokets_of_the_party_were_had_before() -> None:
    school = BY_ID["school"]
    lokets = [f"school/{loket.id}" for loket in school.loketten]
    assert proposed("school", *lokets).problem == ProposalProblem.EXCLUDED  # type: ignore[attr-defined]


def test_the_words_are_those_of_who_passes_on() -> None:
    onward = proposed("bevoegd_gezag", onward=True)
    assert onward.why.startswith("De partij die uw zaak had")  # type: ignore[attr-defined]
    refused = proposed("nobody", onward=True)
    assert refused.why == "De zaak kan niet naar een andere partij: wij kennen die partij niet."  # type: ignore[attr-defined]


@pytest.mark.parametrize("organisation", ["bevoegd_gezag", "college_rechten_mens"])
def test_replaying_by_the_same_register_changes_nothing(organisation: str) -> None:
    found = answer(COMPILED, BULLIED, frozenset({"school"}), Proposed(organisation))
    past = past_of(found.document)
    assert outcome_by(COMPILED, BULLIED, past.excluded, past.proposed) == past.outcome


def test_a_decision_without_proposal_is_told_as_before() -> None:
    found = answer(COMPILED, BULLIED, frozenset())
    assert "proposal" not in found.document
    assert "other_lokets" not in found.document


@settings(max_examples=300, deadline=None)
@given(situations, exclusions, st.sampled_from(sorted(BY_ID)))
def test_nobody_is_followed_to_a_party_that_may_not_have_the_case(
    situation: Situation, excluded: frozenset[str], organisation: str
) -> None:
    plain = decide(COMPILED, situation, excluded)
    found = decide(COMPILED, situation, excluded, proposed=Proposed(organisation))
    assert found.proposal is not None
    if not found.proposal.followed:
        assert found.proposal.problem in set(ProposalProblem)
        assert (found.primary, found.loket, found.why) == (plain.primary, plain.loket, plain.why)
        return
    entry = BY_ID[organisation]
    assert found.primary == organisation not in excluded
    assert entry.referral_mode != "show_only" or organisation == plain.primary
    assert situation.accused not in entry.accused_when
    assert accepts(entry, situation, found.kind_at_primary)
    assert found.loket is None or found.party not in excluded
    assert found.primary not in found.also
    assert found.party not in found.never


@settings(max_examples=200, deadline=None)
@given(situations, exclusions)
def test_the_party_of_the_register_is_always_followed(
    situation: Situation, excluded: frozenset[str]
) -> None:
    plain = decide(COMPILED, situation, excluded)
    if plain.mode in (Mode.DESK, Mode.SHOW):
        return
    found = decide(COMPILED, situation, excluded, proposed=Proposed(plain.primary))
    assert found.proposal is not None
    assert found.proposal.followed
    assert found.primary == plain.primary


@settings(max_examples=300, deadline=None)
@given(situations, exclusions)
def test_other_lokets_could_take_the_case_and_the_accused_never_does(
    situation: Situation, excluded: frozenset[str]
) -> None:
    decision = decide(COMPILED, situation, excluded)
    assert decision.loket not in decision.other_lokets
    others = {f"{decision.primary}/{loket}" for loket in decision.other_lokets}
    assert others.isdisjoint(excluded)
    assert others.isdisjoint(decision.never)
    assert {decision.primary, decision.party, *decision.also}.isdisjoint(decision.never)


def test_the_next_loket_is_the_first_of_the_others(compiled: CompiledRegister) -> None:
    first = decide(compiled, BULLIED)
    assert first.loket is not None
    assert first.other_lokets
    again = decide(compiled, BULLIED, frozenset({first.party}))
    assert (again.primary, again.loket) == (first.primary, first.other_lokets[0])


@pytest.mark.parametrize(
    ("accused", "never"),
    [
        ("bestuur", {"bevoegd_gezag", "school"}),
        ("schoolleiding", {"school", "school/schoolleiding"}),
        ("personeel", {"school/mentor_leerkracht"}),
        ("leerling", set()),
    ],
)
def test_who_is_accused_is_told(accused: str, never: set[str]) -> None:
    decision = decide(COMPILED, BULLIED.model_copy(update={"accused": accused}))
    assert never <= set(decision.never)
    assert never or not decision.never
