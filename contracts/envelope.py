"""CloudEvents 1.0 in the NL GOV profile 1.1, Kafka binary mode.

Attributes become headers `ce_<name>`; the record's value is the event's data. Meaning of the
attributes that the profile leaves open: `time` is the moment at which the publisher logged the
event (the moment in the real world is in the data); `subject` is the case id, a random pseudonym;
`sequence` is contiguous per `source` from 1, so that a hole is a lost event; `id` is a random
UUID, given once: a repeat of the same event keeps its id.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
TYPE_PREFIX = "nl.sociale-veiligheid.meldingen."
OPERATOR_OIN = "00000004003214345001"
SOURCE_PREFIX = f"urn:nld:oin:{OPERATOR_OIN}:systeem:"
SEQUENCE_MAX = 2**31 - 1
EVENT_BYTES_MAX = 65_536
# All context attributes of one event together.
ATTRIBUTE_CHARACTERS_MAX = 4_096

_TYPE = re.compile(r"^nl\.sociale-veiligheid\.meldingen\.([a-z][a-z-]*)\.v(\d{1,3})$")
_REQUIRED = ("id", "source", "specversion", "type")
_SEQUENCE_DIGITS_MAX = 10
_SAME_HEADERS: tuple[tuple[str, bytes], ...] = (
    ("content-type", CONTENT_TYPE.encode()),
    ("ce_specversion", SPEC_VERSION.encode()),
)
_SEQUENCE_TYPE = ("ce_sequencetype", b"Integer")
# The attributes that our events have, by their header, in the usual case.
_KNOWN = {
    f"ce_{name}": name
    for name in (
        *(*_REQUIRED, "time", "subject", "sequence", "sequencetype"),
        *("dataschema", "dataref", "traceparent"),
    )
}

Header = tuple[str, bytes]


class EnvelopeInvalid(ValueError):
    """The record is no CloudEvent that this profile allows; the message names the attribute."""


class Envelope(NamedTuple):
    """One event on the wire; `data` is the JSON document as bytes."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    sequence: int
    data: bytes
    dataschema: str | None = None
    dataref: str | None = None
    traceparent: str | None = None


def service_source(service: str) -> str:
    """Source of the events of one of our services."""
    return f"{SOURCE_PREFIX}meldpunt-{service}"


def feed_source(organisation: str) -> str:
    """Source of the feed of one partner, which therefore has a contiguous sequence of its own."""
    return f"{SOURCE_PREFIX}meldpunt-referral-partner-{organisation}"


def partner_source(organisation: str) -> str:
    """Source of a partner's answers."""
    return f"{SOURCE_PREFIX}partner-{organisation}"


def type_of(name: str, version: int) -> str:
    """Reverse-DNS type without an organisation's name (T4)."""
    return f"{TYPE_PREFIX}{name}.v{version}"


def name_and_version(event_type: str) -> tuple[str, int]:
    """Take a type apart; raises EnvelopeInvalid for a type outside this domain."""
    match = _TYPE.match(event_type)
    if match is None:
        raise EnvelopeInvalid("type: not a type of nl.sociale-veiligheid.meldingen with a version")
    return match.group(1), int(match.group(2))


# Events that are written together have one time, and writing it out costs more than a look.
@lru_cache(maxsize=1024)
def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attributes(event: Envelope) -> dict[str, str]:
    """Context attributes by name, as text."""
    found = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": rfc3339(event.time),
        "subject": event.subject,
        # 0 is a partner's answer without a sequence; a sequence itself begins at 1.
        "sequence": str(event.sequence) if event.sequence else None,
        "sequencetype": "Integer" if event.sequence else None,
        "datacontenttype": CONTENT_TYPE,
        "dataschema": event.dataschema,
        "dataref": event.dataref,
        "traceparent": event.traceparent,
    }
    return {name: value for name, value in found.items() if value is not None}


def to_headers(event: Envelope) -> list[Header]:
    """Kafka headers of the binary mode."""
    headers = [
        *_SAME_HEADERS,
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
        ("ce_time", rfc3339(event.time).encode()),
        ("ce_subject", event.subject.encode()),
    ]
    if event.sequence:
        headers.append(("ce_sequence", str(event.sequence).encode()))
        headers.append(_SEQUENCE_TYPE)
    if event.dataschema is not None:
        headers.append(("ce_dataschema", event.dataschema.encode()))
    if event.dataref is not None:
        headers.append(("ce_dataref", event.dataref.encode()))
    if event.traceparent is not None:
        headers.append(("ce_traceparent", event.traceparent.encode()))
    return headers


def to_structured(event: Envelope) -> dict[str, object]:
    """JSON form without data, for the inbox API and other HTTP answers; the caller adds `data`."""
    return dict(attributes(event))


def from_headers(headers: Iterable[Header], value: bytes | None) -> Envelope:
    """Read a Kafka record; raises EnvelopeInvalid, which names what is wrong, not the content."""
    try:
        named = {
            _KNOWN.get(name) or name[3:].lower(): text.decode()
            for name, text in headers
            if name in _KNOWN or name[:3].lower() == "ce_"
        }
    except UnicodeDecodeError as error:
        raise EnvelopeInvalid("headers: not UTF-8") from error
    text = "".join(named.values())
    if len(text) > ATTRIBUTE_CHARACTERS_MAX or not text.isprintable():
        raise EnvelopeInvalid("headers: attributes too long, or with a control character")
    given = named.get
    required = given("id"), given("source"), given("specversion"), given("type")
    if not all(required):
        absent = next(name for name in _REQUIRED if not given(name))
        raise EnvelopeInvalid(f"{absent}: missing")
    event_id, source, version, event_type = required
    if version != SPEC_VERSION:
        raise EnvelopeInvalid("specversion: must be 1.0")
    if not value or len(value) > EVENT_BYTES_MAX:
        raise EnvelopeInvalid(f"data: must hold 1 to {EVENT_BYTES_MAX} bytes")
    assert event_id
    assert source
    assert event_type
    return Envelope(
        event_id,
        source,
        event_type,
        _moment(given("time")),
        given("subject", ""),
        _sequence(given("sequence")),
        value,
        given("dataschema"),
        given("dataref"),
        given("traceparent"),
    )


# Events that were written together have one time.
@lru_cache(maxsize=1024)
def _moment(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise EnvelopeInvalid("time: not RFC 3339") from error
    if moment.tzinfo is None:
        raise EnvelopeInvalid("time: has no time zone")
    return moment


def _sequence(text: str | None) -> int:
    # A partner may leave it out (0): the profile asks it of us, not of those who answer.
    if text is None:
        return 0
    # Digits of other scripts are digits to `isdecimal` as well.
    if not (text.isascii() and text.isdecimal() and len(text) <= _SEQUENCE_DIGITS_MAX):
        raise EnvelopeInvalid("sequence: not a signed 32-bit integer")
    number = int(text)
    if number > SEQUENCE_MAX:
        raise EnvelopeInvalid("sequence: not a signed 32-bit integer")
    return number
