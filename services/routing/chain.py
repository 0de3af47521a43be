"""A case's decisions told to reporter, desk and auditor, as far as they were made again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from contracts.calendar import local_day
from contracts.dutch import day_words
from services.routing.explanations import explained, for_citizen
from services.routing.explanations_chain import explain_chain
from services.routing.explanations_staff import for_auditor, for_desk
from services.routing.questions import Questions, unlabelled
from services.routing.reproduction import Fresh, Reproduced
from services.routing.terms import known_starts


@dataclass(frozen=True, slots=True)
class Told:
    """One decision in the words of each reader."""

    citizen: str
    desk: str
    auditor: dict[str, Any]


def told(questions: Questions, found: Reproduced, now: datetime) -> Told | None:
    """How a decision is told; None where it was not made again, or its register has no words."""
    fresh = found.fresh
    if fresh is None or not _in_words(questions, fresh):
        return None
    made = found.made
    starts = known_starts(made.known_dates)
    whole = explained(fresh.register, questions, fresh.decision, made.received_at, starts, now)
    return Told(for_citizen(whole).text, for_desk(whole), for_auditor(whole))


def chain_text(questions: Questions, decisions: Sequence[Reproduced]) -> str:
    """From the first receipt, which keeps counting, to the party that was named last: Dutch, B1."""
    fresh = [item.fresh for item in decisions if item.fresh and _in_words(questions, item.fresh)]
    if len(fresh) == len(decisions) and not _returns(fresh):
        links = [
            (item.made.row.decided_at, one.decision, item.made.row.reason)
            for item, one in zip(decisions, fresh, strict=True)
        ]
        received_at = decisions[0].made.received_at
        return explain_chain(fresh[-1].register, questions, received_at, links).text
    return _stored_text(decisions)


def _returns(fresh: Sequence[Fresh]) -> bool:
    """Whether a party was named twice, which new facts may lead to."""
    named = [one.decision.party for one in fresh if one.decision.party != one.decision.desk]
    return len(named) != len(set(named))


def _in_words(questions: Questions, fresh: Fresh) -> bool:
    return not unlabelled(questions, fresh.register.register)


def _stored_text(decisions: Sequence[Reproduced]) -> str:
    """The chain by what was stored alone, for what cannot be made again."""
    sentences = [
        f"Uw melding kwam binnen op {day_words(local_day(decisions[0].made.received_at))}.",
        "Die dag blijft gelden.",
    ]
    for item in decisions:
        said: dict[str, Any] = orjson.loads(item.made.explanation)
        on = day_words(local_day(item.made.row.decided_at))
        sentences.append(f"Op {on} kozen wij voor {said['primary_name']}. {said['why']}")
    return " ".join(sentences)
