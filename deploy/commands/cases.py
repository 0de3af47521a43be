"""Cases from a file: JSON lines, or one JSON array, in the format of `examples/cases.jsonl`.

Also accepted: the answers of the situation on the top level with the person's own words under
`situation` and further `facts`. A bad line is told by its number and field; the others go on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from contracts.intake import IntakeChannel
from contracts.situation import Situation
from deploy.commands.base import CommandError

CASES_MAX = 10_000
_ANSWERS = ("sector", "reporter", "kind", "subject", "accused")
_FACTS = ("flags", "steps_tried", "age", "affiliation", "brin")


@dataclass(frozen=True)
class Case:
    """One case to report: its line from 1, its name, and the body of `POST /v1/reports`."""

    line: int
    name: str
    body: Mapping[str, Any]
    expected: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Melding, klacht or hulpvraag, as the reporter calls it."""
        return str(self.body["situation"]["kind"])


@dataclass(frozen=True)
class BadLine:
    """Why a line did not become a report: which field, and what to do."""

    line: int
    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.problem}. {self.remedy}".rstrip()


class _Answers(Situation):
    # A field that no rule knows is a typing error in the file; events are read more tolerantly.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Unfit(ValueError):
    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.found = [(field, problem, remedy)]


def read_cases(path: Path) -> tuple[list[Case], list[BadLine]]:
    """The cases of a file and the lines that are none. Raises `CommandError` when there is no such
    file, or nothing in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    cases: list[Case] = []
    bad: list[BadLine] = []
    for number, item in _items(text):
        try:
            cases.append(_case(number, json.loads(item) if isinstance(item, str) else item))
        except json.JSONDecodeError as error:
            problem = f"not valid JSON: {error.msg} (column {error.colno})"
            bad.append(BadLine(number, "line", problem, "Write one JSON object per line."))
        except _Unfit as error:
            bad += [BadLine(number, *found) for found in error.found]
        except ValidationError as error:
            bad += _field_problems(number, error, "situation." if _is_nested(item) else "")
    if not cases and not bad:
        raise CommandError(f"{path} holds no cases; write one JSON object per line.")
    if len(cases) > CASES_MAX:
        raise CommandError(f"{path} holds {len(cases)} cases; the demo takes at most {CASES_MAX}.")
    return cases, bad


def _field_problems(number: int, error: ValidationError, prefix: str) -> list[BadLine]:
    # Imported here: a web framework comes along that most commands do not need.
    from services.chassis.problem import field_problems

    found = field_problems(error, prefix)
    return [BadLine(number, item.field, item.problem, item.remedy) for item in found]


def _items(text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), 1)
        except json.JSONDecodeError as error:
            raise CommandError(f"Not valid JSON: {error}.") from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line


def _case(number: int, item: Any) -> Case:
    if not isinstance(item, dict):
        raise _Unfit("line", "not a JSON object", "Write one JSON object per line.")
    answers = item.get("situation") if isinstance(item.get("situation"), dict) else _flat(item)
    situation = _Answers.model_validate(answers)
    body = {
        "situation": situation.model_dump(mode="json", exclude_none=True),
        "channel": _channel(item),
    }
    narrative = _narrative(item)
    if narrative is not None:
        body["narrative"] = narrative
    if item.get("identity") is not None:
        body["identity"] = item["identity"]
    return Case(number, str(item.get("id") or f"line {number}"), body, _expected(item))


def _is_nested(item: Any) -> bool:
    document = json.loads(item) if isinstance(item, str) else item
    return isinstance(document.get("situation"), dict)


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    facts = item.get("facts") or {}
    if not isinstance(facts, dict):
        raise _Unfit("facts", "not a JSON object", 'Write facts as {"flags": [...]}.')
    known = {name: item[name] for name in (*_ANSWERS, *_FACTS) if item.get(name) is not None}
    # Other facts are for people who read the case; the rules ask for these only.
    return known | {name: facts[name] for name in _FACTS if facts.get(name) is not None}


def _narrative(item: Mapping[str, Any]) -> str | None:
    own = item.get("situation")
    text = item.get("narrative", own if isinstance(own, str) else None)
    if text is not None and not isinstance(text, str):
        raise _Unfit("narrative", "not a text", "Write what happened, in the reporter's own words.")
    return text


def _channel(item: Mapping[str, Any]) -> str:
    channel = item.get("channel", IntakeChannel.WEB.value)
    if channel not in tuple(IntakeChannel):
        allowed = ", ".join(IntakeChannel)
        raise _Unfit("channel", "not a channel of the contract", f"Use one of: {allowed}.")
    return str(channel)


def _expected(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Parties that the case's author would accept: `organisation` or `organisation/loket`."""
    expected = item.get("expected")
    if isinstance(expected, dict) and isinstance(expected.get("primary"), list):
        return tuple(map(str, expected["primary"]))
    if isinstance(item.get("expected_primary"), str):
        others = item.get("acceptable_alternatives")
        return (item["expected_primary"], *map(str, others if isinstance(others, list) else ()))
    return ()
