"""Any past decision made again, bit for bit, from what was stored with it (promise P8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson
from pydantic import ValidationError

from contracts.situation import Situation
from services.chassis.db import Connection
from services.routing.activation import Registers, Unreadable
from services.routing.answers import answer, deciding, digest_of
from services.routing.domain import Decision
from services.routing.engine import engine_version
from services.routing.rules import CompiledRegister, Proposed
from services.routing.store import MadeDecision


class Difference(StrEnum):
    """Why a decision does not come out as it was stored."""

    ALTERED = "altered"
    ENGINE_CHANGED = "engine-changed"
    REGISTER_UNREADABLE = "register-unreadable"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A decision that was made again: by which register, on which situation, what came out."""

    register: CompiledRegister
    situation: Situation
    decision: Decision


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A stored decision; `fresh` when it came out the same, else the `difference`."""

    made: MadeDecision
    fresh: Fresh | None
    difference: Difference | None


async def reproduce(
    connection: Connection, registers: Registers, decisions: Sequence[MadeDecision]
) -> list[Reproduced]:
    """Make decisions again from their register, situation, exclusions and proposal, and compare.

    What is compared is the SHA-256 of the explanation.
    """
    return [await _again(connection, registers, made) for made in decisions]


async def _again(connection: Connection, registers: Registers, made: MadeDecision) -> Reproduced:
    row = made.row
    if digest_of(made.explanation) != row.explanation:
        return Reproduced(made, None, Difference.ALTERED)
    try:
        register = await registers.of(connection, row.register_hash)
        situation = Situation.model_validate_json(made.situation)
    except Unreadable:
        return Reproduced(made, None, Difference.REGISTER_UNREADABLE)
    except ValidationError:
        return Reproduced(made, None, _blame(made))
    excluded = frozenset(orjson.loads(row.excluded))
    proposed = None if row.proposed is None else Proposed(row.proposed, row.onward)
    found = answer(register, deciding(situation), excluded, proposed)
    if (found.digest, found.decision.primary) != (row.explanation, row.organisation):
        return Reproduced(made, None, _blame(made))
    return Reproduced(made, Fresh(register, situation, found.decision), None)


def _blame(made: MadeDecision) -> Difference:
    same = made.row.engine == engine_version()
    return Difference.ALTERED if same else Difference.ENGINE_CHANGED
