"""The moves of referrals in the order in which the database must see them. Pure.

The database knows the table of transitions too. When one transaction moves a referral twice, as
when a partner catches up on what it had to say, a step that is no transition by itself must be
written as the steps that it was made of; else the batch is refused and done one by one.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from uuid import UUID

from contracts.referral import Status
from services.referral.domain import TRANSITIONS, Referral


class Waves:
    """Moves of known referrals; in one wave each is in one state, a legal step from the last."""

    def __init__(self, known: Iterable[Referral]) -> None:
        self._before: dict[UUID, Status] = {item.referral_id: item.status for item in known}
        self._of_case: dict[UUID, list[dict[UUID, Referral]]] = {}

    def add(self, case_id: UUID, moved: Sequence[Referral]) -> None:
        """Take over what one outcome moved in a case."""
        if not moved:
            return
        waves = self._of_case.setdefault(case_id, [{}])
        if not all(self._fits(item) for item in moved):
            for item in waves[-1].values():
                self._before[item.referral_id] = item.status
            waves.append({})
        for item in moved:
            waves[-1][item.referral_id] = item

    def _fits(self, item: Referral) -> bool:
        before = self._before[item.referral_id]
        return item.status is before or item.status in TRANSITIONS[before]

    def all(self) -> list[list[Referral]]:
        """The waves of all cases, to be written one after another."""
        return [
            [item for wave in together if wave for item in wave.values()]
            for together in zip_longest(*self._of_case.values())
        ]
