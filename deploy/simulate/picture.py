"""An independent picture of each case, from the published events alone, and the end of a seed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.intake import ReportReceived
from contracts.referral import DESK, NextAction, NextStep, ReferralOffered
from deploy.simulate.broker import Partition, Record
from deploy.simulate.past import require
from deploy.simulate.world import Book, World
from services.referral.domain import Case
from services.referral.reminding import DESK_REMINDERS_MAX


@dataclass(slots=True)
class Picture:
    """What the highest sequence says of a case, and which numbers were seen on the way."""

    sequence: int = 0
    holder: str = DESK
    next_step: NextStep | None = None
    handoffs: int = 0
    attempts: int = 0


class Watcher:
    """Reads the three topics like audit: more than once, and in any order between topics."""

    name = "audit"

    def __init__(self, world: World) -> None:
        self._world = world
        self.reported: dict[UUID, None] = {}
        self.pictures: dict[UUID, Picture] = {}

    def read(self, partition: Partition) -> None:
        """Read a few events; one in ten times the offset is not committed and they come again."""
        broker = self._world.broker
        records = broker.unread(self.name, partition, 1 + self._world.rng.randrange(6))
        for record in records:
            self._see(record)
        if self._world.chance(0.9):
            broker.commit(self.name, partition, broker.offset(self.name, partition) + len(records))

    def _see(self, record: Record) -> None:
        event: Any = record.event
        if isinstance(event, ReportReceived):
            self.reported[event.case_id] = None
        if not hasattr(event, "handoff"):
            return
        picture = self.pictures.setdefault(record.key, Picture())
        picture.handoffs |= 1 << event.handoff
        if isinstance(event, ReferralOffered):
            picture.attempts |= 1 << event.attempt
        if record.sequence > picture.sequence:
            picture.sequence = record.sequence
            picture.holder, picture.next_step = event.holder, event.next_step


def check_end(world: World, book: Book, watcher: Watcher) -> None:
    """Everything is quiet: each report is one case, at rest with people, and audit agrees."""
    for case_id in watcher.reported:
        require(case_id in book.cases, "P1", "a report became no case")
        case = book.cases[case_id]
        _agrees(watcher.pictures.get(case_id, Picture()), case)
        _rests(world, case)
    require(len(book.cases) == len(watcher.reported), "P1", "a case more than there are reports")


def _agrees(picture: Picture, case: Case) -> None:
    told = (picture.holder, picture.next_step)
    require(told == (case.holder, case.next_step), "P4", "audit sees another holder or next step")
    handoffs = (1 << (case.handoff + 1)) - 1
    require(picture.handoffs == handoffs, "P1", "audit misses a handoff")
    attempts = (1 << (case.attempts + 1)) - 2
    require(picture.attempts == attempts, "P1", "audit misses an offer")


def _rests(world: World, case: Case) -> None:
    """Silence everywhere: a person at the desk was told as often as the rules say."""
    step = case.next_step
    if step is None:
        return
    known = step.actor == DESK and case.reminders >= DESK_REMINDERS_MAX
    require(known, "P3", f"silence left the case with {step.actor} {step.action.value}")
    waits = step.action is NextAction.ASSIGN and case.desk_reason is None
    require(not waits, "P3", f"the case waits for a decision that never comes ({world.seed})")
