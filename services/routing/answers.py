"""A decision with all that is said of it. Pure: alike in, alike out, bit for bit."""

import hashlib
from dataclasses import dataclass

from contracts.situation import Situation
from services.routing.domain import Decision
from services.routing.explain import explain_citizen, explanation_document
from services.routing.rules import CompiledRegister, Proposed, decide


@dataclass(frozen=True, slots=True)
class Answer:
    """`why` is for the reporter; `document` is the whole explanation as JSON, `digest` its
    SHA-256.
    """

    decision: Decision
    why: str
    document: str
    digest: bytes


def answer(
    register: CompiledRegister,
    situation: Situation,
    excluded: frozenset[str],
    proposed: Proposed | None = None,
) -> Answer:
    """Decide, and put the explanation in words and in JSON."""
    decision = decide(register, situation, excluded, proposed=proposed)
    document = explanation_document(decision)
    return Answer(decision, explain_citizen(decision), document, digest_of(document))


def digest_of(document: str) -> bytes:
    """SHA-256 of an explanation: its name in the database."""
    return hashlib.sha256(document.encode()).digest()


def deciding(situation: Situation) -> Situation:
    """The situation without what no rule looks at."""
    return situation.model_copy(update={"brin": None}) if situation.brin else situation
