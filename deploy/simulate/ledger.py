"""The tables that every service has: journal, outbox pointers and inbox, with all-or-nothing."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from contracts.event import Event
from deploy.simulate.broker import Broker, Record


class Outgoing(NamedTuple):
    """An event that a transaction publishes."""

    topic: str
    key: UUID
    source: str
    event: Event


class Ledger:
    """What a service has committed; the journal is the record, topics can be rebuilt from it.

    `sent` counts the events that were published at least once; they are published in order.
    """

    def __init__(self) -> None:
        self.journal: list[Record] = []
        self.pointers: list[int] = []
        self.inbox: set[tuple[str, UUID]] = set()
        self.sent = 0
        self._sequences: dict[str, int] = {}

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        ids: Sequence[UUID],
        read: Sequence[tuple[str, UUID]] = (),
    ) -> None:
        """Write events and what was read; a sequence per source without holes."""
        self.inbox.update(read)
        for (topic, key, source, event), event_id in zip(outgoing, ids, strict=True):
            sequence = self._sequences.get(source, 0) + 1
            self._sequences[source] = sequence
            self.pointers.append(len(self.journal))
            self.journal.append(Record(topic, key, source, event_id, sequence, event))

    def publish(self, broker: Broker, count: int) -> None:
        """Send what the first pointers point at; the pointers stay until `forget`."""
        for pointer in self.pointers[:count]:
            broker.publish(self.journal[pointer])
            self.sent = max(self.sent, pointer + 1)

    def forget(self, count: int) -> None:
        """Delete the first pointers."""
        del self.pointers[:count]
