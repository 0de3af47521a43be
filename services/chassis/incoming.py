"""From a Kafka record to an event that a service knows, or to the reason why it is none."""

from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import ConsumerRecord

from contracts.envelope import Envelope, EnvelopeInvalid, from_headers
from contracts.event import Catalogue, Event, EventInvalid, UnknownEvent
from contracts.operations import ParkReason
from services.chassis.parked import Record

# Types seen so far; a partner that invents types must not fill the memory.
_TYPES_MAX = 1_000


class Received(NamedTuple):
    """An event that this service knows, with the context that its own events carry on."""

    envelope: Envelope
    event: Event
    record: Record
    traceparent: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """A record that cannot be handled, and why."""

    record: Record
    reason: ParkReason
    problem: str
    envelope: Envelope | None = None


class Reader:
    """Reads the events of one catalogue; what is for other services costs one look at its type."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._wanted: dict[bytes, bool] = {}

    def read(self, record: Record) -> Received | Unfit | None:
        """The event of a record, why it is unfit, or None when it is not meant for this service."""
        if not self._wants(record):
            return None
        envelope = None
        try:
            envelope = from_headers(record.headers, record.value)
            event = self._catalogue.decode(envelope)
        except EnvelopeInvalid as error:
            return Unfit(record, ParkReason.UNREADABLE, str(error), envelope)
        except UnknownEvent as error:
            return Unfit(record, ParkReason.UNKNOWN_VERSION, str(error), envelope)
        except EventInvalid as error:
            return Unfit(record, ParkReason.CONTRACT_BROKEN, str(error), envelope)
        return Received(envelope, event, record, envelope.traceparent or "")

    def _wants(self, record: Record) -> bool:
        """Look at the type alone: most records of a topic are meant for other services."""
        for name, value in record.headers:
            if name == "ce_type":
                known = self._wanted.get(value)
                return self._learn(value) if known is None else known
        # No type at all: the record is unreadable, and must be parked.
        return True

    def _learn(self, event_type: bytes) -> bool:
        try:
            wanted = self._catalogue.knows_name(event_type.decode())
        except ValueError:
            return True
        if len(self._wanted) < _TYPES_MAX:
            self._wanted[event_type] = wanted
        return wanted


def record_of(raw: "ConsumerRecord[bytes, bytes]") -> Record:
    """What we keep of a consumer's record."""
    key = raw.key.decode("utf-8", "replace") if raw.key is not None else None
    # A partner writes what it likes: PostgreSQL's text holds no NUL, and a header may be null.
    key = key.replace("\0", "\ufffd") if key else key
    headers = tuple((name, value or b"") for name, value in raw.headers)
    return Record(raw.topic, raw.partition, raw.offset, key, headers, raw.value)
