"""What another register would have decided on past cases, counted; before it goes live.

Pure but for `replay`, which reads. Counts and references only: a situation is never shown.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson
from pydantic import ValidationError

from contracts.situation import Situation
from services.chassis.db import Connection, plan_for_whole_tables
from services.routing import store
from services.routing.rules import CompiledRegister, Proposed, decide
from services.routing.store import PastDecisions

CHUNK = 2_000
EXAMPLES_MAX = 3
# What may differ between two decisions, in the order in which it matters to a reporter.
ASPECTS = ("organisation", "loket", "mode", "urgency", "kind", "also", "shown", "terms")


class ReplayTooLong(Exception):
    """The time was over before anything could be replayed; take fewer days."""


class Outcome(NamedTuple):
    """What a decision comes down to."""

    organisation: str
    loket: str | None
    mode: str
    urgency: str
    kind: str
    also: tuple[str, ...]
    shown: tuple[str, ...]
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """An explanation as it was stored: what was decided, without whom, and who was named then."""

    outcome: Outcome
    excluded: frozenset[str]
    proposed: Proposed | None = None


@dataclass(slots=True)
class Move:
    """Decisions that would go from one organisation to another, with a few of their cases."""

    decisions: int = 0
    examples: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class Replayed:
    """Counts of decisions; `unreadable` ones were made on facts that this release cannot read.

    `complete` is false when the time was over before everything was replayed.
    """

    decisions: int = 0
    situations: int = 0
    changed: int = 0
    unreadable: int = 0
    complete: bool = True
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    aspects: Counter[str] = field(default_factory=Counter)
    moves: dict[tuple[str, str], Move] = field(default_factory=dict)


def past_of(explanation: str) -> Past:
    """Read what was decided from a stored explanation."""
    stored: Mapping[str, Any] = orjson.loads(explanation)
    outcome = Outcome(
        stored["primary"],
        stored["loket"],
        stored["mode"],
        stored["urgency"],
        stored["kind_at_primary"],
        tuple(stored["also"]),
        tuple(stored["shown"]),
        tuple(term["term"] for term in stored["terms"]),
    )
    named = stored.get("proposal")
    proposed = None if named is None else Proposed(named["organisation"])
    return Past(outcome, frozenset(stored["excluded"]), proposed)


def outcome_by(
    register: CompiledRegister,
    situation: Situation,
    excluded: frozenset[str],
    proposed: Proposed | None = None,
) -> Outcome:
    """What a register decides."""
    decision = decide(register, situation, excluded, proposed=proposed, weigh=False)
    return Outcome(
        decision.primary,
        decision.loket,
        decision.mode,
        decision.urgency,
        decision.kind_at_primary,
        decision.also,
        decision.shown,
        tuple(term.term for term in decision.terms),
    )


def count(
    replayed: Replayed,
    register: CompiledRegister,
    groups: Iterable[PastDecisions],
    past: Mapping[bytes, Past],
) -> None:
    """Add groups of alike decisions to the counts; each group is decided once."""
    for group in groups:
        replayed.decisions += group.decisions
        replayed.situations += 1
        old = past[group.explanation]
        try:
            situation = Situation.model_validate_json(group.situation)
        except ValidationError:
            replayed.unreadable += group.decisions
            continue
        new = outcome_by(register, situation, old.excluded, old.proposed)
        _compare(replayed, group, old.outcome, new)


def _compare(replayed: Replayed, group: PastDecisions, old: Outcome, new: Outcome) -> None:
    replayed.before[old.organisation] += group.decisions
    replayed.after[new.organisation] += group.decisions
    if old == new:
        return
    replayed.changed += group.decisions
    for aspect, was, becomes in zip(ASPECTS, old, new, strict=True):
        if was != becomes:
            replayed.aspects[aspect] += group.decisions
    if old.organisation != new.organisation:
        move = replayed.moves.setdefault((old.organisation, new.organisation), Move())
        move.decisions += group.decisions
        missing = EXAMPLES_MAX - len(move.examples)
        move.examples += [case for case in group.examples if case not in move.examples][:missing]


async def replay(
    connection: Connection, register: CompiledRegister, since: datetime, seconds_max: float
) -> Replayed:
    """Decide again on what was decided since a moment; needs a transaction, changes nothing.

    Deciding runs beside the event loop, so that reports go on meanwhile. Raises ReplayTooLong when
    not even the grouping of past decisions was done in time.
    """
    deadline = time.monotonic() + seconds_max
    replayed = Replayed()
    past: dict[bytes, Past] = {}
    chunk: list[PastDecisions] = []
    await store.limit_statements(connection, seconds_max)
    await plan_for_whole_tables(connection)
    try:
        async for group in store.past_decisions(connection, since, CHUNK):
            chunk.append(group)
            if len(chunk) == CHUNK:
                await _replay_chunk(connection, replayed, register, chunk, past)
                chunk = []
                if time.monotonic() > deadline:
                    replayed.complete = False
                    return replayed
        await _replay_chunk(connection, replayed, register, chunk, past)
    except asyncpg.QueryCanceledError as error:
        raise ReplayTooLong from error
    return replayed


async def _replay_chunk(
    connection: Connection,
    replayed: Replayed,
    register: CompiledRegister,
    chunk: Sequence[PastDecisions],
    past: dict[bytes, Past],
) -> None:
    unseen = {group.explanation for group in chunk} - past.keys()
    documents = await store.explanations(connection, list(unseen))

    def work() -> None:
        past.update({digest: past_of(text) for digest, text in documents.items()})
        count(replayed, register, chunk, past)

    await asyncio.to_thread(work)
