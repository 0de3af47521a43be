"""Topics in memory: order per key, at least once, an offset per reader and partition."""

from typing import NamedTuple
from uuid import UUID

from contracts.event import Event


class Record(NamedTuple):
    """An event with what its envelope says; the key is its partition, so keys overtake freely."""

    topic: str
    key: UUID
    source: str
    event_id: UUID
    sequence: int
    event: Event


class Partition(NamedTuple):
    """The records of one key in one topic."""

    topic: str
    key: UUID


class Broker:
    """What was published, and how far everybody has read."""

    def __init__(self) -> None:
        self._records: dict[Partition, list[Record]] = {}
        self._readers: dict[str, list[str]] = {}
        self._offsets: dict[tuple[str, Partition], int] = {}
        self.behind: dict[str, dict[Partition, None]] = {}

    def subscribe(self, reader: str, *topics: str) -> None:
        """Let a reader read topics; before anything is published."""
        self.behind[reader] = {}
        for topic in topics:
            self._readers.setdefault(topic, []).append(reader)

    def publish(self, record: Record) -> None:
        """Append a record; a repeat is a second record."""
        partition = Partition(record.topic, record.key)
        self._records.setdefault(partition, []).append(record)
        for reader in self._readers.get(record.topic, ()):
            self.behind[reader][partition] = None

    def unread(self, reader: str, partition: Partition, limit: int) -> list[Record]:
        """The next records for a reader."""
        offset = self.offset(reader, partition)
        return self._records[partition][offset : offset + limit]

    def offset(self, reader: str, partition: Partition) -> int:
        """How many records of a partition the reader has committed."""
        return self._offsets.get((reader, partition), 0)

    def commit(self, reader: str, partition: Partition, offset: int) -> None:
        """Go on from this offset; a lower one than before reads again."""
        self._offsets[reader, partition] = offset
        if offset < len(self._records[partition]):
            self.behind[reader][partition] = None
        else:
            self.behind[reader].pop(partition, None)

    def read_partitions(self, reader: str) -> list[Partition]:
        """Partitions of which a reader has committed something."""
        return [partition for name, partition in self._offsets if name == reader]

    def settled(self, reader: str) -> bool:
        """Whether a reader has committed everything that was published for it."""
        return not self.behind[reader]
