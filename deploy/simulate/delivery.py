"""A batch from topic to commit, and where a process may die on the way."""

from enum import StrEnum
from typing import Protocol
from uuid import UUID

from deploy.simulate.broker import Partition, Record
from deploy.simulate.core import Shell
from deploy.simulate.invariants import Judge
from deploy.simulate.ledger import Outgoing
from deploy.simulate.world import World

BATCH_MAX = 4


class Fate(StrEnum):
    """When a process dies in a transaction, if it does."""

    LIVES = "lives"
    BEFORE_COMMIT = "dies before the commit"
    AFTER_COMMIT = "dies after the commit"


class Draft(Protocol):
    """A transaction that is not committed."""

    outgoing: list[Outgoing]
    read: list[tuple[str, UUID]]


class Service(Protocol):
    """A consumer with a transaction per batch."""

    name: str

    def begin(self) -> Draft: ...

    def receive(self, draft: Draft, record: Record) -> None: ...

    def commit(self, draft: Draft) -> None: ...


def deliver(
    world: World, shell: Shell, judge: Judge, service: Service, partition: Partition, fate: Fate
) -> None:
    """One batch of one partition; a crash leaves nothing, or what will be read again."""
    broker, reader = world.broker, service.name
    handled: list[Record] = []
    records = broker.unread(reader, partition, 1 + world.rng.randrange(BATCH_MAX))
    reached = broker.offset(reader, partition) + len(records)
    ledger, draft = world.ledgers[reader], service.begin()
    world.say(f"{reader} reads {len(records)} of {partition.topic} and {fate.value}")
    if not shell.offsets_last:
        broker.commit(reader, partition, reached)
    if fate is not Fate.BEFORE_COMMIT:
        for record in records:
            known = (record.source, record.event_id)
            if shell.inbox and (known in ledger.inbox or known in draft.read):
                continue
            draft.read.append(known)
            handled.append(record)
            service.receive(draft, record)
        service.commit(draft)
        for record in handled:
            judge.handled(reader, record)
    if fate is Fate.LIVES and shell.offsets_last:
        broker.commit(reader, partition, reached)
    judge.passed(ledger, reader, records, broker.offset(reader, partition) >= reached)
