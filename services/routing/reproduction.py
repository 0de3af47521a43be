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
from services.routing.engine import engine_version
from services.routing.store import MadeDecision


class Difference(StrEnum):
    """Why a decision does not come out as it was stored."""

    ALTERED = "altered"
    ENGINE_CHANGED = "engine-changed"
    REGISTER_UNREADABLE = "register-unreadable"


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A stored decision, and the difference with the one that is made of it now, if any."""

    made: MadeDecision
    difference: Difference | None


async def reproduce(
    connection: Connection, registers: Registers, decisions: Sequence[MadeDecision]
) -> list[Reproduced]:
    """Make decisions again from their register, situation and exclusions, and compare SHA-256."""
    return [Reproduced(made, await _difference(connection, registers, made)) for made in decisions]


async def _difference(
    connection: Connection, registers: Registers, made: MadeDecision
) -> Difference | None:
    row = made.row
    if digest_of(made.explanation) != row.explanation:
        return Difference.ALTERED
    try:
        register = await registers.of(connection, row.register_hash)
        situation = deciding(Situation.model_validate_json(made.situation))
    except Unreadable:
        return Difference.REGISTER_UNREADABLE
    except ValidationError:
        return _blame(made)
    fresh = answer(register, situation, frozenset(orjson.loads(row.excluded)))
    if (fresh.digest, fresh.decision.primary) == (row.explanation, row.organisation):
        return None
    return _blame(made)


def _blame(made: MadeDecision) -> Difference:
    same = made.row.engine == engine_version()
    return Difference.ALTERED if same else Difference.ENGINE_CHANGED
