"""All decisions of a case as one explanation for the reporter: Dutch, level B1."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from services.routing.store import MadeDecision

_ZONE = ZoneInfo("Europe/Amsterdam")
_MONTHS = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)


def chain_text(decisions: Sequence[MadeDecision]) -> str:
    """From the first receipt, which keeps counting, to the party that was named last."""
    explained: list[dict[str, Any]] = [orjson.loads(made.explanation) for made in decisions]
    sentences = [
        f"Uw melding kwam binnen op {_day(decisions[0].received_at)}. Die datum blijft gelden."
    ]
    for number, (made, said) in enumerate(zip(decisions, explained, strict=True)):
        on = _day(made.row.decided_at)
        if number == 0:
            sentences.append(f"Op {on} kozen wij voor {said['primary_name']}. {said['why']}")
        else:
            before = explained[number - 1]["primary_name"]
            sentences.append(
                f"Het lukte niet bij {before}. Op {on} kozen wij opnieuw, zonder wie al afviel:"
                f" {said['primary_name']}. {said['why']}"
            )
    return " ".join(sentences)


def _day(moment: datetime) -> str:
    local = moment.astimezone(_ZONE)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
