"""The end of a seed: audit's own picture, from the published events alone, against the state."""

from typing import Any
from uuid import UUID

from contracts.envelope import Envelope
from contracts.intake import ReportReceived
from contracts.referral import DESK, NextAction
from deploy.simulate.broker import Partition, Record
from deploy.simulate.ladder_rules import awaited, rests
from deploy.simulate.past import require
from deploy.simulate.world import Book, World
from services.audit import merges
from services.audit.domain import Picture, Standing
from services.audit.rules import missing, standing
from services.referral.domain import Case
from services.referral.reminding import DESK_REMINDERS_MAX


class Watcher:
    """Reads the three topics as audit does: again and again, in any order between topics."""

    name = "audit"

    def __init__(self, world: World) -> None:
        self._world = world
        self._inbox: set[tuple[str, UUID]] = set()
        self.reported: dict[UUID, None] = {}
        self.pictures: dict[UUID, Picture] = {}

    def read(self, partition: Partition) -> None:
        """Read a few events; one in ten times the offset is not committed and they come again."""
        broker = self._world.broker
        records = broker.unread(self.name, partition, 1 + self._world.rng.randrange(6))
        for record in records:
            known = (record.source, record.event_id)
            if known not in self._inbox:
                self._inbox.add(known)
                self._see(record)
        if self._world.chance(0.9):
            broker.commit(self.name, partition, broker.offset(self.name, partition) + len(records))

    def _see(self, record: Record) -> None:
        event, case_id = record.event, record.key
        if isinstance(event, ReportReceived):
            self.reported[case_id] = None
        picture = self.pictures.get(case_id) or merges.blank(case_id)
        self.pictures[case_id] = merges.merge(picture, event, _envelope(record, self._world))


def _envelope(record: Record, world: World) -> Envelope:
    return Envelope(
        id=str(record.event_id),
        source=record.source,
        type=record.event.event_type(),
        subject=str(record.key),
        time=world.now,
        sequence=record.sequence,
        dataschema=record.event.schema_urn(),
        data=b"",
    )


def check_end(world: World, book: Book, watcher: Watcher) -> None:
    """Everything is quiet: each report is one case, at rest with people, and audit agrees."""
    for case_id in watcher.reported:
        require(case_id in book.cases, "P1", "a report became no case")
        case = book.cases[case_id]
        _agrees(watcher.pictures[case_id], case)
        _rests(book, case)
    require(len(book.cases) == len(watcher.reported), "P1", "a case more than there are reports")
    for finding in book.findings.values():
        require(rests(finding), "P3", "silence left a finding before the end of its ladder")
    require(not book.early, "P1", "what a reporter did waits for a case that is there")
    require(world.broker.settled("referral"), "P1", "referral has not read everything")


def _agrees(picture: Picture, case: Case) -> None:
    absent = ", ".join(missing(picture))
    require(not absent, "P1", f"audit misses {absent}")
    require(picture.handoff == case.handoff, "P2", "audit counts other handoffs")
    require(picture.holder == case.holder, "P2", f"audit sees the holder {picture.holder}")
    told: tuple[Any, ...] = (picture.next_actor, picture.next_action, picture.next_due_at)
    step = case.next_step
    own = (step.actor, step.action.value, step.due_at) if step is not None else (None, None, None)
    require(told == own, "P3", f"audit sees another next step: {told[0]} must {told[1]}")
    found = standing(picture)
    if not case.open:
        right = found is Standing.CLOSED
    elif case.holder != DESK:
        right = found is Standing.PICKED_UP
    else:
        right = found in {Standing.AT_DESK, Standing.WAITING}
    require(right, "P4", f"audit takes the case for {found.value}")


def _rests(book: Book, case: Case) -> None:
    """Silence everywhere: a person at the desk was told as often as the rules say."""
    step = case.next_step
    if step is None or awaited(book, case):
        return
    known = step.actor == DESK and case.reminders >= DESK_REMINDERS_MAX
    require(known, "P3", f"silence left the case with {step.actor} {step.action.value}")
    waits = step.action is NextAction.ASSIGN and case.desk_reason is None
    require(not waits, "P3", "the case waits for a decision that never comes")
