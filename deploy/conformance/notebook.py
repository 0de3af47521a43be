"""What was seen of a partner's system: its calls and its answers, without any text of a person."""

import json
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

CALLS_MAX = 50_000


class Fault(StrEnum):
    """What the sandbox can do to a call."""

    BUSY = "busy"
    TOO_MANY = "too-many"
    TOO_EARLY = "too-early"
    SLOW = "slow"
    CUT = "cut"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Provoked:
    """One fault for one call; `seconds` is Retry-After, or how slow an answer is."""

    fault: Fault
    seconds: float | None = None


@dataclass(slots=True)
class Call:
    """One HTTP call of the partner; `status` is what it was answered, 0 for a cut connection.

    `after`, `given` and `acknowledged` are sequences of its feed: asked behind, given up to and
    with, said to be there.
    """

    at: float
    method: str
    path: str
    after: int | None = None
    given: int | None = None
    acknowledged: int | None = None
    case_id: str | None = None
    capability: bool = False
    status: int | None = None
    provoked: Fault | None = None


@dataclass(slots=True)
class Said:
    """One answer, or one try of it; `status` is None over Kafka and while a call is under way."""

    at: float
    case_id: str
    referral_id: str
    answer_id: str
    answer: str
    reason: str | None = None
    with_text: bool = False
    over: str = "http"
    status: int | None = None
    provoked: Fault | None = None

    @property
    def decides(self) -> bool:
        """Whether it accepts or declines."""
        return self.answer in {"accepted", "rejected"}


@dataclass(slots=True)
class Notebook:
    """Everything that was seen, in its order."""

    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_MAX))
    said: deque[Said] = field(default_factory=lambda: deque(maxlen=CALLS_MAX))

    def of(self, case_id: str) -> list[Said]:
        """The tries of answers about one case."""
        return [item for item in self.said if item.case_id == case_id]


def said_in(call: Call, body: bytes) -> Said:
    """The answer that a call gives; what cannot be read stays empty."""
    try:
        given = json.loads(body)
    except ValueError:
        given = {}
    text = {name: given[name] for name in given if isinstance(given.get(name), str)}
    return Said(
        at=call.at,
        case_id=call.case_id or "",
        referral_id=call.path.split("/")[3],
        answer_id=text.get("answerId", ""),
        answer=text.get("answer", ""),
        reason=text.get("reason"),
        with_text="reasonText" in text,
    )


def acknowledged_in(body: bytes) -> int | None:
    """The sequence that a call acknowledges; None when it cannot be read."""
    try:
        return int(json.loads(body)["sequence"])
    except (ValueError, KeyError, TypeError):
        return None
