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
    named = attributes(event)
    headers = [("content-type", named.pop("datacontenttype").encode())]
    headers += [(f"ce_{name}", value.encode()) for name, value in named.items()]
    return headers


def to_structured(event: Envelope) -> dict[str, object]:
    """JSON form without data, for the inbox API and other HTTP answers; the caller adds `data`."""
    return dict(attributes(event))


def from_headers(headers: Iterable[Header], value: bytes | None) -> Envelope:
    """Read a Kafka record; raises EnvelopeInvalid, which names what is wrong, not the content."""
    try:
        named = {k[3:].lower(): v.decode() for k, v in headers if k[:3].lower() == "ce_"}
    except UnicodeDecodeError as error:
        raise EnvelopeInvalid("headers: not UTF-8") from error
    text = "".join(named.values())
    if len(text) > ATTRIBUTE_CHARACTERS_MAX or not text.isprintable():
        raise EnvelopeInvalid("headers: attributes too long, or with a control character")
    for name in _REQUIRED:
        if not named.get(name):
            raise EnvelopeInvalid(f"{name}: missing")
    if named["specversion"] != SPEC_VERSION:
        raise EnvelopeInvalid("specversion: must be 1.0")
    if not value or len(value) > EVENT_BYTES_MAX:
        raise EnvelopeInvalid(f"data: must hold 1 to {EVENT_BYTES_MAX} bytes")
    return Envelope(
        id=named["id"],
        source=named["source"],
        type=named["type"],
        time=_moment(named.get("time")),
        subject=named.get("subject", ""),
        sequence=_sequence(named.get("sequence")),
        data=value,
        dataschema=named.get("dataschema"),
        dataref=named.get("dataref"),
        traceparent=named.get("traceparent"),
    )


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
    if re.fullmatch(r"[0-9]{1,10}", text) is None or int(text) > SEQUENCE_MAX:
        raise EnvelopeInvalid("sequence: not a signed 32-bit integer")
    return int(text)
