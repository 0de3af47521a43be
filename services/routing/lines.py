"""Situations line by line, as people write them: what is missing or wrong becomes `unknown`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from contracts.situation import (
    FLAGS_MAX,
    STEPS_MAX,
    UNKNOWN,
    Accused,
    Brin,
    Flag,
    Kind,
    Reporter,
    Sector,
    Situation,
    StepId,
    Subject,
)
from services.routing.domain import NO_AFFILIATION, Decision
from services.routing.explain import explain_citizen
from services.routing.rules import CompiledRegister, decide

LINE_BYTES_MAX = 1_000_000
AGE_MAX = 120
EXCLUDED_MAX = 60
ANSWERS: dict[str, type[StrEnum]] = {
    "sector": Sector,
    "reporter": Reporter,
    "kind": Kind,
    "subject": Subject,
    "accused": Accused,
}
_STEP: TypeAdapter[str] = TypeAdapter(StepId)
_BRIN: TypeAdapter[str] = TypeAdapter(Brin)


class Line(NamedTuple):
    """What one line says, and what of it could not be used (field and reason, never the value)."""

    id: str | int | None
    situation: Situation
    excluded: frozenset[str]
    warnings: tuple[str, ...]


class _Reader:
    """One line's fields: at the top, under `situation` or under `facts`; the first one counts."""

    def __init__(self, row: Mapping[str, Any], register: CompiledRegister) -> None:
        self.register = register
        self.warnings: list[str] = []
        self._places = [row, *(_mapping(row.get(name)) for name in ("situation", "facts"))]

    def value(self, name: str) -> Any:
        return next((place[name] for place in self._places if name in place), None)

    def has(self, name: str) -> bool:
        return any(name in place for place in self._places)

    def warn(self, field: str, problem: str) -> None:
        self.warnings.append(f"{field}: {problem}")

    def answer(self, name: str) -> StrEnum:
        enum = ANSWERS[name]
        value = self.value(name)
        if value is None:
            return enum(UNKNOWN)
        if isinstance(value, str) and value in {item.value for item in enum}:
            return enum(value)
        self.warn(name, "not one of the answers; taken as unknown")
        return enum(UNKNOWN)

    def words(self, name: str) -> list[str]:
        value = self.value(name)
        if value is None:
            return []
        items = value if isinstance(value, list) else [value]
        words = [item for item in items if isinstance(item, str)]
        if len(words) < len(items):
            self.warn(name, "holds something that is no word; left out")
        return words

    def flags(self) -> tuple[Flag, ...]:
        known = {flag.value: flag for flag in Flag}
        said: set[Flag] = set()
        for word in self.words("flags"):
            if word in known:
                said.add(known[word])
            else:
                self.warn("flags", "one is not a known fact; left out")
        # `"danger_now": true` among the facts says the same as the flag.
        said |= {flag for flag in Flag if self.value(flag.value) is True}
        return tuple(sorted(said))[:FLAGS_MAX]

    def steps(self) -> tuple[str, ...]:
        steps = [step for step in self.words("steps_tried") if self._fits(_STEP, step)]
        if len(steps) < len(self.words("steps_tried")):
            self.warn("steps_tried", "one is no id; left out")
        if len(steps) > STEPS_MAX:
            self.warn("steps_tried", f"more than {STEPS_MAX}; the rest is left out")
        return tuple(steps[:STEPS_MAX])

    @staticmethod
    def _fits(adapter: TypeAdapter[str], value: object) -> bool:
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError:
            return False
        return True

    def age(self) -> int | None:
        value = self.value("age")
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= AGE_MAX:
            return value
        self.warn("age", f"no whole number from 0 to {AGE_MAX}; taken as unknown")
        return None

    def affiliation(self) -> str:
        if not self.has("affiliation"):
            return UNKNOWN
        value = self.value("affiliation")
        if value is None:
            # Said to be none, which is another answer than not said.
            return NO_AFFILIATION
        if value in {UNKNOWN, NO_AFFILIATION} or value in self.register.committees:
            return str(value)
        self.warn("affiliation", "no committee of the register; taken as unknown")
        return UNKNOWN

    def brin(self) -> str | None:
        value = self.value("brin")
        if value is None:
            return None
        if self._fits(_BRIN, value):
            return str(value)
        self.warn("brin", "no BRIN; left out")
        return None

    def excluded(self) -> frozenset[str]:
        parties = self.words("excluded") + self.words("returned_by")
        known = self.register.steps.keys()
        if any(party not in known for party in parties):
            self.warn("excluded", "one is no party of the register; it changes nothing")
        return frozenset(parties[:EXCLUDED_MAX])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def read_line(text: str, register: CompiledRegister) -> Line:
    """What a line says; anything may be missing or wrong, and a line always gives a situation."""
    try:
        row = json.loads(text) if len(text) <= LINE_BYTES_MAX else None
    except (ValueError, RecursionError):
        row = None
    reader = _Reader(_mapping(row), register)
    if not isinstance(row, Mapping):
        reader.warn("line", "no JSON object; everything is taken as unknown")
    name = reader.value("id")
    situation = Situation.model_construct(
        **{field: reader.answer(field) for field in ANSWERS},  # type: ignore[arg-type]
        flags=reader.flags(),
        steps_tried=reader.steps(),
        age=reader.age(),
        affiliation=reader.affiliation(),
        brin=reader.brin(),
    )
    return Line(
        name if isinstance(name, str | int) else None,
        situation,
        reader.excluded(),
        tuple(reader.warnings),
    )


def routed(line: Line, decision: Decision) -> dict[str, Any]:
    """The decision as one line of output."""
    return {
        "id": line.id,
        "primary": decision.party,
        "also": list(decision.also),
        "shown": list(decision.shown),
        "urgency": str(decision.urgency),
        "excluded": list(decision.excluded),
        "terms": [term.model_dump(mode="json") for term in decision.terms],
        "explanation": explain_citizen(decision),
        "register_version": decision.register_version,
        "register_hash": decision.register_hash,
        "rule": decision.rule,
        "mode": str(decision.mode),
        "kind_at_primary": str(decision.kind_at_primary),
        "warnings": list(line.warnings),
    }


def route_lines(
    texts: Iterable[str], register: CompiledRegister
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Decides each line that holds something; gives its number, from 1, and the output."""
    for number, text in enumerate(texts, start=1):
        if text.strip():
            line = read_line(text, register)
            decision = decide(register, line.situation, line.excluded, weigh=False)
            yield number, routed(line, decision)
