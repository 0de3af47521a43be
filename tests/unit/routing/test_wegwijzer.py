"""The wegwijzer asks what matters, ends soon, and says what the rules say."""

import statistics
import time
from collections.abc import Mapping
from functools import cache
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.wegwijzer import Answers, truthful
from benchmarks.wegwijzer import walk as walked
from contracts.situation import Situation
from services.routing.compiled import compile_register
from services.routing.domain import Register
from services.routing.matching import FIELDS, flag_bits
from services.routing.outcomes import STEP_BITS, YOUNG, Facet, OutcomeSpace
from services.routing.questions import (
    QUESTIONS_PATH,
    QuestionsInvalid,
    load_questions,
    unlabelled,
)
from services.routing.register import load_register
from services.routing.rules import decide, decide_party, party_for
from services.routing.wegwijzer import ASKED_MAX, AnswerUnknown, Step, Wegwijzer

REGISTER = compile_register(load_register())
QUESTIONS = load_questions()
BY_ID = {question.id: question for question in QUESTIONS.questions}


@cache
def wegwijzer() -> Wegwijzer:
    guide = Wegwijzer(REGISTER, QUESTIONS)
    guide.warm()
    return guide


def walk(truth: Mapping[str, tuple[str, ...]]) -> tuple[list[tuple[Answers, Step]], Step]:
    return walked(wegwijzer().next_step, truth)


seeds = st.integers(0, 2**32).map(Random)


@example(Random(3775))
@example(Random(10978))
@example(Random(23435))
@settings(max_examples=150, deadline=None)
@given(seeds)
def test_the_result_is_what_the_rules_say_of_all_answers(random: Random) -> None:
    truth = truthful(random)
    _, result = walk(truth)
    assert result.settled
    assert result.decision == decide(REGISTER, result.situation)
    full = wegwijzer().situation(truth)
    assert result.decision.primary == decide_party(REGISTER, full)


@settings(max_examples=150, deadline=None)
@given(seeds, st.floats(0, 1))
def test_never_more_than_ten_questions_whatever_is_not_known(random: Random, share: float) -> None:
    truth = {
        name: ("unknown",) if random.random() < share else said
        for name, said in truthful(random).items()
    }
    asked, result = walk(truth)
    assert len(asked) <= ASKED_MAX
    assert result.decision is not None
    assert result.settled
    assert result.decision == decide(REGISTER, result.situation)
    assert len({step.question.id for _, step in asked}) == len(asked)


def completions(answers: Answers, step: Step, random: Random) -> list[Situation]:
    """Situations that differ in the answer to the question that is asked, and in nothing else."""
    assert step.question is not None
    filled = dict(answers)
    for name, said in truthful(random).items():
        if name not in filled and random.random() < 0.8:
            filled[name] = said
    options = [(option.id,) for option in step.options]
    if step.question.multiple:
        options.append(())
    found = []
    for option in options:
        told = wegwijzer().situation({**filled, step.question.id: option})
        implied = {
            name: getattr(step.situation, name)
            for name in FIELDS
            if name not in answers and getattr(step.situation, name) != "unknown"
        }
        found.append(told.model_copy(update=implied))
    return found


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_each_question_can_change_the_party_at_that_moment(random: Random) -> None:
    asked, _ = walk(truthful(random))
    for answers, step in asked:
        for _ in range(4000):
            parties = {decide_party(REGISTER, s) for s in completions(answers, step, random)}
            if len(parties) > 1:
                break
        else:
            pytest.fail(f"{step.question} cannot change the party after {answers}")


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_who_can_still_come_first_is_complete(random: Random) -> None:
    truth = truthful(random)
    final = decide_party(REGISTER, wegwijzer().situation(truth))
    asked, _ = walk(truth)
    for _, step in asked:
        if step.asked:
            assert final in step.parties


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_the_space_of_outcomes_is_exact(random: Random) -> None:
    space = _space()
    truth = truthful(random)
    five = tuple(truth[name][0] for name in ("sector", "reporter", "kind", "subject", "accused"))
    (row,) = space.rows(five)
    situation = wegwijzer().situation(truth)
    flags = flag_bits(situation.flags)
    facet = Facet(
        flags & STEP_BITS, flags & ~(STEP_BITS | YOUNG), situation.affiliation, bool(flags & YOUNG)
    )
    assert row.outcomes.party(facet) == decide_party(REGISTER, situation)


@cache
def _space() -> OutcomeSpace:
    return OutcomeSpace(REGISTER)


def test_danger_is_asked_before_everything_and_ends_everything() -> None:
    step = wegwijzer().next_step({})
    assert step.question is not None
    assert step.question.id == "danger"
    assert step.help_lines
    assert wegwijzer().next_step({"subject": ("pesten",)}).question.id == "danger"  # type: ignore[union-attr]
    odd = wegwijzer().next_step({"reporter": ("student_ho",), "sector": ("po",)})
    assert odd.question is not None
    assert odd.question.id == "danger"
    end = wegwijzer().next_step({"danger": ("ja",), "subject": ("privacy",)})
    assert end.decision is not None
    assert (end.decision.primary, end.decision.urgency) == ("hulpdiensten_112", "acuut")
    assert end.help_lines


def test_not_knowing_anything_leads_somewhere_safe() -> None:
    asked, result = walk(dict.fromkeys(BY_ID, ("unknown",)))
    assert result.decision is not None
    assert result.decision.primary == REGISTER.register.desk
    assert len(asked) <= ASKED_MAX


def test_a_student_is_not_asked_what_follows() -> None:
    step = wegwijzer().next_step(
        {"danger": ("nee",), "reporter": ("student_mbo",), "subject": ("pesten",)}
    )
    assert step.situation.sector == "mbo"
    assert step.question is not None
    assert step.question.id != "sector"


def test_only_answers_that_fit_are_offered() -> None:
    answers = {"danger": ("nee",), "subject": ("pesten",), "reporter": ("leerling_po",)}
    random = Random(1)
    for _ in range(20):
        truth = {**truthful(random), **answers}
        for before, step in walk(truth)[0]:
            if step.question is not None and step.question.id == "sector" and "reporter" in before:
                assert "hbo" not in {option.id for option in step.options}


def test_answers_that_do_not_go_together_are_decided_on_as_they_are() -> None:
    step = wegwijzer().next_step(
        {"danger": ("nee",), "reporter": ("student_ho",), "sector": ("po",)}
    )
    assert step.decision == decide(REGISTER, step.situation)
    assert not step.settled


@pytest.mark.parametrize(
    "answers",
    [{"colour": ("red",)}, {"sector": ("moon",)}, {"sector": ("po", "vo")}, {"kind": ()}],
)
def test_an_answer_that_does_not_exist(answers: Answers) -> None:
    with pytest.raises(AnswerUnknown):
        wegwijzer().next_step(answers)


def test_the_number_of_questions_over_the_plausible_space() -> None:
    random = Random(20261124)
    numbers = [len(walk(truthful(random))[0]) for _ in range(600)]
    assert statistics.median(numbers) <= 6
    assert max(numbers) <= ASKED_MAX


def test_a_step_takes_less_than_fifty_milliseconds_of_one_core() -> None:
    guide = wegwijzer()
    times = []

    def timed(answers: Answers) -> Step:
        known = guide.steps_found
        before = time.thread_time()
        step = guide.next_step(answers)
        if guide.steps_found != known:
            times.append(time.thread_time() - before)
        return step

    random = Random(7)
    for _ in range(150):
        walked(timed, truthful(random))
    assert len(times) > 100
    assert statistics.quantiles(times, n=100)[97] < 0.05


def test_every_id_has_words(register: Register) -> None:
    assert unlabelled(QUESTIONS, register) == ()


def test_every_text_is_short_and_has_two_languages() -> None:
    for question in QUESTIONS.questions:
        for text in (question.text, *(option.text for option in question.options)):
            assert len(text.nl.split()) <= 20
            assert text.nl != text.en or len(text.nl) <= 3 or text.nl[0].isupper()
        assert [option.text.nl for option in question.options if option.id == "unknown"] == [
            "Weet ik niet"
        ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pesten: {nl", "plagen: {nl", "add pesten"),
        ("  - id: subject", "  - id: danger", "its own id"),
        ("first: true", "first: maybe", "first"),
        ("questions:", "vragen:", "questions"),
        ("sets: {age: 12}", "sets: {age: 900}", "120"),
    ],
)
def test_a_fault_in_the_questions_says_where(old: str, new: str, words: str, tmp_path) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(QUESTIONS_PATH.read_text(encoding="utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(QuestionsInvalid, match=words):
        load_questions(file)


def test_a_class_needs_no_situation() -> None:
    facts = _space()._facts_of(("po", "ouder", "klacht", "pesten", "leerling"))
    assert party_for(REGISTER, facts, None) == "school"
