"""What one partner may ask of the API, so that none can slow the others down.

In memory, so per instance. A caller over its limit is told when to come back; nothing is lost by
waiting, because every call of a partner may be repeated.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.chassis.problem import Problem

# A partner may be quiet and then ask for so many seconds' worth of calls at once.
BURST_SECONDS = 20.0
AT_ONCE_RETRY_SECONDS = 1
_ORGANISATIONS_MAX = 1000


@dataclass(slots=True)
class _Use:
    left: float
    at: float
    open: int = 0


class Allowance:
    """Limits calls per organisation: so many a minute on average, and so many at once."""

    def __init__(
        self,
        calls_per_minute: int,
        at_once_max: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = calls_per_minute / 60
        self._burst = max(1.0, self._per_second * BURST_SECONDS)
        self._at_once_max = at_once_max
        self._monotonic = monotonic
        self._uses: dict[str, _Use] = {}

    @contextlib.contextmanager
    def call(self, organisation: str) -> Iterator[None]:
        """Let one call of an organisation through; raises Problem 429 when it is one too many."""
        use = self._use(organisation)
        if use.open >= self._at_once_max:
            raise _too_many(
                f"Your organisation has {self._at_once_max} calls open; let one end first.",
                AT_ONCE_RETRY_SECONDS,
            )
        if use.left < 1.0:
            raise _too_many(
                "Your organisation calls too often; wait as long as Retry-After says, and ask for"
                " events with `waitSeconds` instead of asking again and again.",
                math.ceil((1.0 - use.left) / self._per_second),
            )
        use.left -= 1.0
        use.open += 1
        try:
            yield
        finally:
            use.open -= 1

    def _use(self, organisation: str) -> _Use:
        now = self._monotonic()
        use = self._uses.get(organisation)
        if use is None:
            self._forget()
            use = self._uses[organisation] = _Use(self._burst, now)
        use.left = min(self._burst, use.left + (now - use.at) * self._per_second)
        use.at = now
        return use

    def _forget(self) -> None:
        # Who is forgotten begins with a full allowance, which a quiet organisation has anyhow.
        if len(self._uses) >= _ORGANISATIONS_MAX:
            self._uses = {name: use for name, use in self._uses.items() if use.open}


def _too_many(detail: str, seconds: int) -> Problem:
    return Problem(429, "too-many-calls", detail, retry_after_seconds=max(1, seconds))
