"""Answers that are being handled: the same one meanwhile is told so, and not that it is refused."""

import contextlib
from collections.abc import Iterator
from uuid import UUID

from services.chassis.problem import Problem

RETRY_SECONDS = 2


class Underway:
    """Which answers this process works on; two instances meet at the case's lock instead."""

    def __init__(self) -> None:
        self._now: set[tuple[str, UUID]] = set()

    @contextlib.contextmanager
    def only(self, organisation: str, answer_id: UUID) -> Iterator[None]:
        """Handle an answer alone; raises Problem 425 while the same one is being handled."""
        key = (organisation, answer_id)
        if key in self._now:
            raise Problem(
                425,
                "still-processing",
                "We received this answer and are still processing it; nothing is lost."
                " Send the same answer again in a moment to see the outcome.",
                retry_after_seconds=RETRY_SECONDS,
                extra={"whoMustAct": "meldpunt"},
            )
        self._now.add(key)
        try:
            yield
        finally:
            self._now.discard(key)
