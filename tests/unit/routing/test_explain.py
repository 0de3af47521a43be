"""One decision, three readers: what each is told, and how."""

import json
import re
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.situation import Reporter, Situation
from services.routing.compiled import CompiledRegister, compile_register
from services.routing.domain import Decision
from services.routing.explain import explain_citizen, explanation_document
from services.routing.explanations import CitizenText, Explained, explained, for_citizen
from services.routing.explanations_chain import explain_chain
from services.routing.explanations_staff import for_auditor, for_desk
from services.routing.language import address, listed, to_je
from services.routing.questions import load_questions
from services.routing.register import load_register
from services.routing.rules import decide
from tests.unit.routing.conftest import cases
from tests.unit.routing.strategies import anything, plausible

REGISTER = compile_register(load_register())
QUESTIONS = load_questions()
RECEIVED = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
WORDS_MAX = 22
PARTIES = sorted(REGISTER.by_id)
# A word with an underscore is an id, and so is a rule number.
ID = re.compile(r"\w_\w|\bR\d\d\w*\b")
many = settings(max_examples=120, deadline=None)


def of(situation: Situation, excluded: frozenset[str] = frozenset()) -> Explained:
    starts = {"decision": date(2026, 11, 2), "event": date(2026, 9, 1)}
    return explained(REGISTER, QUESTIONS, decide(REGISTER, situation, excluded), RECEIVED, starts)


def sentences(text: CitizenText) -> list[str]:
    return [s for part in text.__slots__ for s in getattr(text, part)]


def case(case_id: str, **changes: Any) -> Situation:
    answers = next(c["situation"] for c in cases() if c["id"] == case_id)
    return Situation.model_validate({**answers, **changes})


@many
@given(anything, st.frozensets(st.sampled_from(PARTIES), max_size=4))
def test_the_reporter_reads_short_sentences_without_ids(
    situation: Situation, excluded: frozenset[str]
) -> None:
    text = for_citizen(of(situation, excluded))
    for sentence in sentences(text):
        assert len(sentence.split()) <= WORDS_MAX, sentence
        assert sentence[0] == sentence[0].upper()
        assert sentence[-1] in ".?!"
        assert not ID.search(sentence), sentence
        assert "unknown" not in sentence
    assert text.why
    assert text.now
    assert text.feedback
    assert text.text.startswith(text.why[0])


@many
@given(plausible())
def test_a_pupil_reads_je_and_anybody_else_u(situation: Situation) -> None:
    text = for_citizen(of(situation)).text
    short = explain_citizen(decide(REGISTER, situation))
    if situation.reporter in (Reporter.LEERLING_PO, Reporter.LEERLING_VO):
        for told in (text, short):
            assert not re.search(r"\b(u|uw|uzelf)\b", told, re.IGNORECASE), told
    else:
        assert not re.search(r"\bwij \w+ je\b", text)


@pytest.mark.parametrize(
    ("formal", "informal"),
    [
        ("Dat kunt u aan uw school vragen.", "Dat kun je aan je school vragen."),
        ("U moet dit doen, ook als u liever wacht.", "Je moet dit doen, ook als je liever wacht."),
        ("De politie helpt u.", "De politie helpt je."),
        ("Dan gaat u in beroep.", "Dan ga je in beroep."),
        ("Uw school en uzelf.", "Je school en jezelf."),
        ("Een beurs duurt lang.", "Een beurs duurt lang."),
    ],
)
def test_from_u_to_je(formal: str, informal: str) -> None:
    assert to_je(formal) == informal
    assert address(formal, Reporter.LEERLING_PO) == informal
    assert address(formal, Reporter.OUDER) == formal


def test_enumeration() -> None:
    assert [listed(w) for w in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a en b", "a, b en c",
    ]  # fmt: skip


@many
@given(anything, st.frozensets(st.sampled_from(PARTIES), max_size=4))
def test_the_auditor_reads_everything(situation: Situation, excluded: frozenset[str]) -> None:
    told = for_auditor(of(situation, excluded))
    decision = decide(REGISTER, situation, excluded)
    assert json.loads(orjson.dumps(told))
    assert told["rule"]["id"] == decision.rule
    assert told["rule"]["source"] in told["sources"]
    weighed = {row["organisation"] for row in told["weighed"]}
    assert weighed == set(PARTIES) - {decision.primary, decision.desk}
    assert all(row["words"] and row["wordsEn"] for row in told["weighed"])
    assert {term["term"] for term in told["terms"]} == {term.term for term in decision.terms}
    assert {duty["id"] for duty in told["duties"]} == {duty.id for duty in decision.duties}
    assert told["feedback"]["level"] in ("status_en_inhoud", "alleen_opgepakt", "geen")
    marked = {mark.partition(" ")[2] for mark in told["toVerify"]}
    assert {term.term for term in decision.terms if term.to_verify} <= marked
    assert told["excluded"] == sorted(excluded)


@many
@given(anything)
def test_the_desk_reads_ids_and_names(situation: Situation) -> None:
    found = of(situation)
    text = for_desk(found)
    decision = found.decision
    assert decision.party in text
    assert decision.rule in text
    assert decision.primary_name in text
    for name in (*decision.also, *decision.shown):
        assert name in text
    for change in found.changes:
        assert change.party in text


def test_the_duty_goes_before_the_wish_and_says_so() -> None:
    text = for_citizen(of(case("V04")))
    assert "ook als u liever anoniem blijft" in text.duties[0]
    assert "gaat voor op wat u zelf wilt" in text.duties[1]
    assert "Plicht (gaat voor)" in for_desk(of(case("V04")))


def test_what_the_party_may_report_back() -> None:
    told = for_citizen(of(case("V12"))).feedback
    assert "alleen of de zaak is opgepakt" in told[0]
    silent = for_citizen(of(case("V17"))).feedback
    assert "vertelt ons niets" in silent[0]


def test_until_when_a_term_runs() -> None:
    terms = for_citizen(of(case("V07"))).terms
    assert any(t.endswith("tot en met maandag 14 december 2026.") for t in terms)
    assert any("na de dag waarop het daar is ingediend" in t for t in terms)


def test_what_would_have_changed_it() -> None:
    told = for_citizen(of(case("V07"))).would_change
    assert told[0].startswith("Stel")
    assert told[1].startswith("Dan kiezen wij voor")


def test_the_stored_document_is_the_decision_without_the_situation() -> None:
    document = orjson.loads(explanation_document(decide(REGISTER, case("V09"))))
    assert "situation" not in document
    assert document["weighed"]
    assert document["rule"]


@many
@given(anything)
def test_a_decision_is_made_again_from_itself(situation: Situation) -> None:
    decision = decide(REGISTER, situation, frozenset({"school", "lkc"}))
    again = decide(REGISTER, decision.situation, frozenset(decision.excluded))
    assert again == decision
    assert explanation_document(again) == explanation_document(decision)


def chain(compiled: CompiledRegister, situation: Situation) -> list[Decision]:
    """What happens when everybody declines."""
    excluded: frozenset[str] = frozenset()
    made = [decide(compiled, situation)]
    while made[-1].primary != made[-1].desk:
        excluded |= {made[-1].party}
        made.append(decide(compiled, situation, excluded))
    return made


@settings(max_examples=60, deadline=None)
@given(anything)
def test_the_chain_never_loops_and_keeps_the_first_date(situation: Situation) -> None:
    made = chain(REGISTER, situation)
    assert len({decision.party for decision in made}) == len(made)
    told = explain_chain(
        REGISTER,
        QUESTIONS,
        RECEIVED,
        [(RECEIVED, decision, "capacity" if n else None) for n, decision in enumerate(made)],
    )
    assert told.received_at == RECEIVED
    assert "binnen op dinsdag 24 november 2026" in told.text
    assert told.text.count("lukte het niet") == len(made) - 1
    assert [link.party for link in told.links] == [decision.party for decision in made]
    for sentence in re.split(r"(?<=\.) ", told.text):
        assert len(sentence.split()) <= WORDS_MAX, sentence
    assert not ID.search(told.text)


def test_a_party_that_fell_out_may_not_return() -> None:
    decision = decide(REGISTER, case("V01"))
    with pytest.raises(ValueError, match="may not return"):
        explain_chain(
            REGISTER, QUESTIONS, RECEIVED, [(RECEIVED, decision, None), (RECEIVED, decision, "x")]
        )
