"""The questions of the wegwijzer and the words for the register's ids: data, checked on loading."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.situation import UNKNOWN, Accused, Flag, Kind, Reporter, Sector, Subject, Urgency
from services.routing.domain import NO_AFFILIATION, Reason, Register

QUESTIONS_PATH = Path(__file__).parent / "register" / "questions.yaml"
OPTIONS_MAX = 30
QUESTIONS_MAX = 10
AGE_MAX_YEARS = 120

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=160)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,129}$")]
FieldName = Literal["sector", "reporter", "kind", "subject", "accused", "affiliation"]
LABELLED: dict[str, frozenset[str]] = {
    "sector": frozenset(Sector) - {UNKNOWN},
    "reporter": frozenset(Reporter) - {UNKNOWN},
    "kind": frozenset(Kind) - {UNKNOWN},
    "subject": frozenset(Subject) - {UNKNOWN},
    "accused": frozenset(Accused) - {UNKNOWN},
    "flag": frozenset(Flag),
    "urgency": frozenset(Urgency),
    "reason": frozenset(Reason),
}


class QuestionsInvalid(Exception):
    """The file with questions may not be used; the text says where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Part):
    """The same words in Dutch (level B1) and in English."""

    nl: Phrase
    en: Phrase


DONT_KNOW = Text(nl="Weet ik niet", en="I don't know")


class Sets(_Part):
    """What an answer means for the situation."""

    flags: tuple[Flag, ...] = ()
    age: Annotated[int | None, Field(ge=0, le=AGE_MAX_YEARS)] = None


class Option(_Part):
    """One possible answer; `unknown` is the id of "Weet ik niet", which every question has."""

    id: Name
    text: Text
    sets: Sets = Sets()
    stops: bool = False


class Question(_Part):
    """A question; with `field` its options are the answers to that field of the situation.

    `after` names questions that come before it while those can still matter.
    """

    id: Name
    text: Text
    help: Text | None = None
    first: bool = False
    multiple: bool = False
    after: tuple[Name, ...] = ()
    field: FieldName | None = None
    options: Annotated[tuple[Option, ...], Field(max_length=OPTIONS_MAX)] = ()


class Questions(_Part):
    """All questions in the order that breaks a tie, and the words for every id."""

    version: str
    emergency: Text
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=QUESTIONS_MAX)]
    labels: dict[str, dict[Name, Text]]

    def label(self, group: str, value: str, *, english: bool = False) -> str:
        """The words for an id; raises KeyError when the group has none for it."""
        text = DONT_KNOW if value == UNKNOWN else self.labels[group][value]
        return text.en if english else text.nl


@cache
def load_questions(path: Path = QUESTIONS_PATH) -> Questions:
    """Read and check the questions. Raises `QuestionsInvalid`."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        questions = Questions.model_validate(_with_options(data))
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise QuestionsInvalid(
            f"{path}: {type(error).__name__}: {error}. Correct the file; the model is in"
            " services/routing/questions.py"
        ) from None
    problems = tuple(_problems(questions))
    if problems:
        raise QuestionsInvalid(f"{path}: " + "; ".join(problems))
    return questions


def unlabelled(questions: Questions, register: Register) -> tuple[str, ...]:
    """What a register names and nobody can read: `group.id` of each missing label."""
    committees = {o.id for o in register.organisations if o.requires_affiliation}
    needed: dict[str, Iterable[str]] = {
        "organisation": [o.id for o in register.organisations],
        "loket": [f"{o.id}-{loket.id}" for o in register.organisations for loket in o.loketten],
        "affiliation": [*committees, NO_AFFILIATION],
        "feedback": register.enums.get("feedback", ()),
        "feedback_desk": register.enums.get("feedback", ()),
        "start": {term.starts for term in register.terms},
    }
    return tuple(
        f"{group}.{value}"
        for group, values in needed.items()
        for value in sorted(values)
        if value not in questions.labels.get(group, {})
    )


def _with_options(data: Any) -> Any:
    """A question about a field takes its options from the labels of that field."""
    for question in data["questions"]:
        if field := question.get("field"):
            options = [{"id": value, "text": text} for value, text in data["labels"][field].items()]
            question["options"] = [*options, {"id": UNKNOWN, "text": DONT_KNOW.model_dump()}]
    return data


def _problems(questions: Questions) -> Iterable[str]:
    for group, values in LABELLED.items():
        missing = values - set(questions.labels.get(group, {}))
        if missing:
            yield f"labels.{group}: add {', '.join(sorted(missing))}"
    ids = [question.id for question in questions.questions]
    if len(set(ids)) != len(ids):
        yield "questions: give each its own id"
    for question in questions.questions:
        options = [option.id for option in question.options]
        if UNKNOWN not in options or len(set(options)) != len(options):
            yield f"questions.{question.id}: give each option its own id, and one the id unknown"
    if not questions.questions[0].first:
        yield "questions: the question about danger must come first"
