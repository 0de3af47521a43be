"""Which other answer would have led elsewhere: found by deciding again with one answer changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.situation import (
    UNKNOWN,
    Accused,
    Flag,
    Kind,
    Reporter,
    Sector,
    Situation,
    Subject,
)
from services.routing.check.space import BASES_LEFT_OUT, Base, plausible_flags
from services.routing.compiled import CompiledRegister
from services.routing.domain import NO_AFFILIATION, Decision
from services.routing.matching import FIELDS
from services.routing.rules import decide_party

CHANGES_MAX = 12
_VALUES: dict[str, tuple[str, ...]] = {
    "sector": tuple(Sector),
    "reporter": tuple(Reporter),
    "kind": tuple(Kind),
    "subject": tuple(Subject),
    "accused": tuple(Accused),
}


@dataclass(frozen=True, slots=True)
class Change:
    """With `field` answered by `value`, the party is `party`.

    For a fact, `field` is `flags` and `value` the fact; `holds` says whether it would hold. For a
    step, `field` is `steps_tried` and `value` the step that would not have been tried.
    """

    field: str
    value: str
    holds: bool
    party: str


def changes(
    register: CompiledRegister, decision: Decision, limit: int = CHANGES_MAX
) -> tuple[Change, ...]:
    """Per answer of the decision the one other answer that leads to another party, if there is one.

    Plausible answers go before those that would not go together with the rest. At most `limit`
    changes; the excluded stay excluded.
    """
    excluded = frozenset(decision.excluded)
    found: dict[tuple[str, str], Change] = {}
    for change, situation in _tried(register, decision.situation):
        # A fact and a step are each an answer of their own; a field has one answer.
        name = change.value if change.field in ("flags", "steps_tried") else ""
        if (change.field, name) in found or len(found) >= limit:
            continue
        party = decide_party(register, situation, excluded)
        if party != decision.primary:
            found[change.field, name] = Change(change.field, change.value, change.holds, party)
    return tuple(found.values())


def changed(situation: Situation, change: Change) -> Situation:
    """The situation with this one answer changed."""
    match change.field:
        case "flags":
            flags = {flag for flag in situation.flags if flag != change.value}
            if change.holds:
                flags.add(Flag(change.value))
            update: dict[str, object] = {"flags": tuple(flag for flag in Flag if flag in flags)}
        case "steps_tried":
            steps = tuple(step for step in situation.steps_tried if step != change.value)
            update = {"steps_tried": steps}
        case "age":
            update = {"age": int(change.value)}
        case field:
            update = {field: type(getattr(situation, field))(change.value)}
    return situation.model_copy(update=update)


def _tried(register: CompiledRegister, situation: Situation) -> Iterator[tuple[Change, Situation]]:
    proposals = [
        *_other_answers(register, situation),
        *_other_ages(register, situation),
        *_other_facts(situation),
    ]
    both = [(change, changed(situation, change)) for change in proposals]
    yield from (pair for pair in both if _plausible(pair[1]))
    yield from (pair for pair in both if not _plausible(pair[1]))


def _other_answers(register: CompiledRegister, situation: Situation) -> Iterator[Change]:
    affiliations = (*sorted(register.committees), NO_AFFILIATION, UNKNOWN)
    for field, values in (*_VALUES.items(), ("affiliation", affiliations)):
        now = getattr(situation, field)
        # "I don't know" is the last that somebody would answer instead.
        for value in sorted(values, key=lambda v: v == UNKNOWN):
            if value != now:
                yield Change(field, str(value), True, "")


def _other_ages(register: CompiledRegister, situation: Situation) -> Iterator[Change]:
    """The ages on both sides of every limit that the register knows."""
    limits = {derived.max_age_years for derived in register.derived} - {None}
    for limit in sorted(limit for limit in limits if limit is not None):
        for age in (limit, limit + 1):
            if age != situation.age:
                yield Change("age", str(age), True, "")


def _other_facts(situation: Situation) -> Iterator[Change]:
    for flag in Flag:
        yield Change("flags", flag, flag not in situation.flags, "")
    for step in dict.fromkeys(situation.steps_tried):
        yield Change("steps_tried", step, False, "")


def _plausible(situation: Situation) -> bool:
    """Whether the five main answers and the facts go together; `unknown` goes with anything."""
    if UNKNOWN in (getattr(situation, field) for field in FIELDS):
        return True
    base = Base(
        situation.sector,
        situation.reporter,
        situation.kind,
        situation.subject,
        situation.accused,
    )
    if any(rule.test(base) for rule in BASES_LEFT_OUT):
        return False
    steps = {Flag.SCHOOL_TRIED, Flag.BOARD_TRIED}
    return set(situation.flags) <= plausible_flags(base) | steps
