"""What somebody sent with a button of the page. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qs

from contracts.referral import Answer, CompletedAs, DeclineReason
from services.referral.domain import REASON_TEXT_CHARACTERS_MAX
from services.referral.portal import words

# A text of 500 characters may take twelve bytes each, as the percent-encoding of four.
BYTES_MAX = 8192
_FIELDS_MAX = 10
_WITH_REASON = frozenset({Answer.REJECTED, Answer.RETURNED})

Code = TypeVar("Code", bound=StrEnum)


class Field(StrEnum):
    """Names of the fields, in the page and in what is sent."""

    ANSWER = "antwoord"
    REASON = "reden"
    TEXT = "toelichting"
    OUTCOME = "resultaat"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was filled in; with `problems` it is not fit to be handled."""

    answer: Answer | None = None
    reason: DeclineReason | None = None
    text: str = ""
    outcome: CompletedAs | None = None
    problems: dict[Field, str] = field(default_factory=dict)


def read(body: bytes) -> Given:
    """The form of a body; what is missing or unknown is a problem of its field, never an error."""
    sent = _fields(body)
    answer = _one_of(words.BUTTONS, sent.get(Field.ANSWER))
    if answer is None:
        return Given(problems={Field.ANSWER: words.ANSWER_MISSING})
    if answer in _WITH_REASON:
        return _declined(answer, sent)
    if answer is Answer.COMPLETED:
        outcome = _one_of(words.OUTCOMES, sent.get(Field.OUTCOME))
        problems = {} if outcome else {Field.OUTCOME: words.OUTCOME_MISSING}
        return Given(answer, outcome=outcome, problems=problems)
    return Given(answer)


def _declined(answer: Answer, sent: dict[str, str]) -> Given:
    reason = _one_of(words.REASONS, sent.get(Field.REASON))
    # Browsers send two characters for an end of line and count one.
    text = sent.get(Field.TEXT, "").replace("\r\n", "\n").replace("\x00", "").strip()
    problems = {}
    if reason is None:
        problems[Field.REASON] = words.REASON_MISSING
    if reason is DeclineReason.OTHER and not text:
        problems[Field.TEXT] = words.TEXT_MISSING
    if len(text) > REASON_TEXT_CHARACTERS_MAX:
        problems[Field.TEXT] = words.TEXT_TOO_LONG
    return Given(answer, reason, text, problems=problems)


def _fields(body: bytes) -> dict[str, str]:
    if len(body) > BYTES_MAX:
        return {}
    try:
        sent = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in sent.items()}


def _one_of(known: dict[Code, str], value: str | None) -> Code | None:
    return next((code for code in known if code.value == value), None)
