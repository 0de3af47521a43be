"""Rules T1 to T12 of the NL GOV profile 1.1 for CloudEvents, over one record as it leaves.

Every rule gives the problems it finds, in words that never repeat a value: what is wrong may be
personal data.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.envelope import (
    CONTENT_TYPE,
    EVENT_BYTES_MAX,
    SEQUENCE_MAX,
    SPEC_VERSION,
    Header,
)

ATTRIBUTES = frozenset(
    {
        "id", "source", "specversion", "type", "time", "subject", "sequence", "sequencetype",
        "datacontenttype", "dataschema", "dataref", "traceparent", "tracestate",
    }
)  # fmt: skip
_NAME_LENGTH_MAX = 20
_SOURCE = re.compile(
    r"^urn:nld:(oin:[0-9]{20}|kvk:[0-9]{8}|eidas:[A-Za-z0-9.-]+):systeem:[A-Za-z0-9_-]+$"
)
_TYPE = re.compile(r"^[a-z]{2,}(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?){2,}$")
_VERSION = re.compile(r"^v?\d+$")
_URI = re.compile(r"^[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+$")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
# Bounded, so that a long text costs no more than its length.
_EMAIL = re.compile(r"[^\s@:/]{1,64}@[^\s@]{1,255}\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<!\w)(\+31|0031|0)[\s-]?[1-9](?:[\s-]?\d){8}(?!\w)")
_NINE_DIGITS = re.compile(r"(?<!\w)\d{9}(?!\w)")
_PERSONAL_FIELDS = frozenset(
    {
        "narrative", "identity", "text", "message", "name", "first_name", "last_name", "naam",
        "email", "e_mail", "phone", "telefoon", "bsn", "address", "adres", "date_of_birth",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a record breaks."""

    rule: str
    problem: str


@dataclass(frozen=True, slots=True)
class Emitted:
    """A record: its context attributes by name as they are written, and its value."""

    attributes: Mapping[str, str]
    value: bytes
    header_bytes: int

    @classmethod
    def of(cls, headers: Iterable[Header], value: bytes | None) -> "Emitted":
        """Attributes of the binary mode; a header that is no attribute is left aside."""
        listed = list(headers)
        attributes = {
            name[3:]: raw.decode(errors="replace")
            for name, raw in listed
            if name.lower().startswith("ce_")
        }
        for name, raw in listed:
            if name.lower() == "content-type":
                attributes["datacontenttype"] = raw.decode(errors="replace")
        size = sum(len(name.encode()) + len(raw) for name, raw in listed)
        return cls(attributes, value or b"", size)


Rule = Callable[[Emitted], Iterator[str]]


def attribute_names(event: Emitted) -> Iterator[str]:
    """T1: lower-case letters and digits, at most 20."""
    for name in event.attributes:
        if not re.fullmatch(r"[a-z0-9]+", name):
            yield "an attribute name holds other characters than a-z and 0-9"
        if len(name) > _NAME_LENGTH_MAX:
            yield f"an attribute name is longer than {_NAME_LENGTH_MAX} characters"


def spec_version(event: Emitted) -> Iterator[str]:
    """T2: CloudEvents 1.0."""
    if event.attributes.get("specversion") != SPEC_VERSION:
        yield "specversion is not 1.0"


def source_urn(event: Emitted) -> Iterator[str]:
    """T3: a URN of an organisation and its system, which therefore points to no data outside."""
    if not _SOURCE.match(event.attributes.get("source", "")):
        yield "source is not urn:nld:<oin, kvk or eidas>:<number>:systeem:<name>"


def type_name(event: Emitted) -> Iterator[str]:
    """T4: reverse domain name in which at most one part is a version, written with `v`."""
    found = event.attributes.get("type", "")
    if not _TYPE.match(found):
        yield "type is not a reverse domain name"
    versions = [part for part in found.split(".") if _VERSION.match(part)]
    if len(versions) > 1:
        yield "type has more than one version"
    if any(not part.startswith("v") for part in versions):
        yield "the version in type has no prefix v"


def type_without(organisations: Iterable[str]) -> Rule:
    """T4 too: a rule by which no part of a type is the id of one of these organisations."""
    forbidden = frozenset(item.replace("_", "-") for item in organisations)

    def rule(event: Emitted) -> Iterator[str]:
        if forbidden.intersection(event.attributes.get("type", "").split(".")):
            yield "type names an organisation"

    return rule


def random_id(event: Emitted) -> Iterator[str]:
    """T5: a random UUID; the schema says what that limits."""
    identifier = _uuid(event.attributes.get("id", ""))
    # Version 7 is random but for its leading moment; versions 1, 3 and 5 tell more.
    if identifier is None or identifier.version not in {4, 7}:
        yield "id is not a random UUID"


def json_data(event: Emitted) -> Iterator[str]:
    """T6: data is JSON and says so."""
    if event.attributes.get("datacontenttype") != CONTENT_TYPE:
        yield f"datacontenttype is not {CONTENT_TYPE}"
    try:
        json.loads(event.value)
    except ValueError:
        yield "data is not JSON"


def logged_time(event: Emitted) -> Iterator[str]:
    """T7: RFC 3339 with a time zone."""
    found = event.attributes.get("time", "")
    try:
        valid = bool(_MOMENT.match(found)) and datetime.fromisoformat(found).tzinfo is not None
    except ValueError:
        valid = False
    if not valid:
        yield "time is not a moment of RFC 3339 with a time zone"


def no_personal_attribute(event: Emitted) -> Iterator[str]:
    """T8: the subject is a pseudonym and no attribute holds a BSN, e-mail address, phone or name.

    A name cannot be recognised: it is kept out because only known attributes are allowed, each
    with a form in which no name fits.
    """
    if _uuid(event.attributes.get("subject", "")) is None:
        yield "subject is not a UUID"
    for name, value in event.attributes.items():
        if name not in ATTRIBUTES:
            yield "an attribute is not in the list of this profile"
        # A sequence may by chance pass the check of a BSN; T10 holds it to be a number.
        elif name != "sequence":
            yield from (f"{name} holds {kind}" for kind in personal_data(value))


def data_reference(event: Emitted) -> Iterator[str]:
    """T9: the claim check is a URI-reference, and so is the schema's name a URI."""
    dataref = event.attributes.get("dataref")
    if dataref is not None and not _URI.match(dataref):
        yield "dataref is not a URI-reference"
    dataschema = event.attributes.get("dataschema")
    if dataschema is not None and not (_URI.match(dataschema) and ":" in dataschema):
        yield "dataschema is not an absolute URI"


def sequence_number(event: Emitted) -> Iterator[str]:
    """T10: a signed 32-bit integer from 1; `check_feed` sees whether it is contiguous."""
    found = event.attributes.get("sequence", "")
    if not re.fullmatch(r"[1-9][0-9]{0,9}", found) or int(found) > SEQUENCE_MAX:
        yield "sequence is not a signed 32-bit integer from 1"
    if event.attributes.get("sequencetype") != "Integer":
        yield "sequencetype is not Integer"


def size(event: Emitted) -> Iterator[str]:
    """T11: at most 64 KB with its attributes."""
    if event.header_bytes + len(event.value) > EVENT_BYTES_MAX:
        yield f"the event is larger than {EVENT_BYTES_MAX} bytes"


def no_content_in_clear(event: Emitted) -> Iterator[str]:
    """T12: what needs sealing is not in the data at all (TLS cannot be seen from a record)."""
    try:
        data = json.loads(event.value)
    except ValueError:
        return
    for path, value in _leaves(data, ()):
        if _PERSONAL_FIELDS.intersection(path):
            yield "data has a field for content or identity"
        if isinstance(value, str):
            yield from (f"data holds {kind}" for kind in personal_data(value))


RULES: Mapping[str, Rule] = {
    "T1": attribute_names,
    "T2": spec_version,
    "T3": source_urn,
    "T4": type_name,
    "T5": random_id,
    "T6": json_data,
    "T7": logged_time,
    "T8": no_personal_attribute,
    "T9": data_reference,
    "T10": sequence_number,
    "T11": size,
    "T12": no_content_in_clear,
}


def check(headers: Iterable[Header], value: bytes | None) -> list[Violation]:
    """All violations of one record, in the order of the rules."""
    event = Emitted.of(headers, value)
    return [Violation(name, text) for name, rule in RULES.items() for text in rule(event)]


def check_feed(sequences: Sequence[int]) -> list[Violation]:
    """T10 over one source: contiguous, also where the number starts again at 1 after the last."""
    found = []
    for before, after in itertools.pairwise(sequences):
        expected = 1 if before == SEQUENCE_MAX else before + 1
        if after != expected:
            found.append(Violation("T10", f"after sequence {before} comes {after}"))
    return found


def personal_data(text: str) -> Iterator[str]:
    """Kinds of personal data that a text shows by their form."""
    if _EMAIL.search(text):
        yield "an e-mail address"
    if _PHONE.search(text):
        yield "a phone number"
    if any(_is_bsn(digits) for digits in _NINE_DIGITS.findall(text)):
        yield "a BSN"


def _is_bsn(digits: str) -> bool:
    """The eleven-test of the citizen service number."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    total = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True))
    return total % 11 == 0 and digits.strip("0") != ""


def _uuid(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def _leaves(data: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, path)
    else:
        yield path, data
