"""A record that somebody else wrote is read or refused, whatever is in it."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import MODELS
from contracts.envelope import (
    ATTRIBUTE_CHARACTERS_MAX,
    EVENT_BYTES_MAX,
    EnvelopeInvalid,
    from_headers,
    name_and_version,
    to_headers,
    to_structured,
)
from contracts.event import Catalogue, EventInvalid, UnknownEvent
from contracts.situation import Situation
from tests.contracts.builders import EXAMPLES, SITUATION, enveloped

SENT = enveloped(EXAMPLES[0])
HEADERS = dict(to_headers(SENT))


def _read(**changed: bytes | None):
    headers = {**HEADERS, **{f"ce_{name}": value for name, value in changed.items()}}
    return from_headers([item for item in headers.items() if item[1] is not None], SENT.data)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"id": None}, "id"),
        ({"id": b""}, "id"),
        ({"source": None}, "source"),
        ({"type": None}, "type"),
        ({"specversion": None}, "specversion"),
        ({"specversion": b"0.3"}, "specversion"),
        ({"time": None}, "time"),
        ({"time": b"gisteren"}, "time"),
        ({"time": b"2026-11-24T09:30:00"}, "time"),
        ({"sequence": b"-1"}, "sequence"),
        ({"sequence": b"2147483648"}, "sequence"),
        ({"sequence": b"9" * 900}, "sequence"),
        ({"sequence": "१".encode()}, "sequence"),
        ({"id": b"\xff"}, "headers"),
        ({"id": b"a\x00b"}, "headers"),
        ({"id": b"a\nb"}, "headers"),
        ({"extra": b"x" * (ATTRIBUTE_CHARACTERS_MAX + 1)}, "headers"),
    ],
)
def test_an_attribute_that_does_not_fit_is_named(changed, named) -> None:
    with pytest.raises(EnvelopeInvalid, match=rf"^{named}: "):
        _read(**changed)


@pytest.mark.parametrize("value", [None, b"", b"x" * (EVENT_BYTES_MAX + 1)])
def test_data_has_a_size(value) -> None:
    with pytest.raises(EnvelopeInvalid, match=r"^data: "):
        from_headers(HEADERS.items(), value)


def test_a_partner_may_leave_the_sequence_out() -> None:
    assert _read(sequence=None).sequence == 0


def test_header_names_are_read_in_any_case() -> None:
    assert from_headers([(k.upper(), v) for k, v in HEADERS.items()], SENT.data) == SENT


_NAMES = st.sampled_from([*HEADERS, "ce_dataref", "CE_ID", "other"]) | st.text(max_size=8)


@given(st.lists(st.tuples(_NAMES, st.binary(max_size=40))), st.none() | st.binary(max_size=80))
def test_any_record_is_read_or_refused(headers, value) -> None:
    with contextlib.suppress(EnvelopeInvalid, UnknownEvent, EventInvalid):
        Catalogue(*MODELS).decode(from_headers([*HEADERS.items(), *headers], value))


@pytest.mark.parametrize(
    "event_type",
    ["", "report-received", "nl.sociale-veiligheid.meldingen.x", "nl.other.report-received.v1"],
)
def test_a_type_of_another_domain_is_refused(event_type) -> None:
    with pytest.raises(EnvelopeInvalid, match=r"^type: "):
        name_and_version(event_type)


def test_a_later_version_is_known_by_name_but_not_decoded() -> None:
    model = type(EXAMPLES[0])
    later = _read(type=model.event_type().replace(".v1", ".v2").encode())
    catalogue = Catalogue(model)

    assert catalogue.knows_name(later.type)
    with pytest.raises(UnknownEvent):
        catalogue.decode(later)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.event_name)
def test_a_field_of_a_later_minor_version_is_ignored(event) -> None:
    later = json.dumps({**json.loads(event.encode()), "added_later": {"x": 1}}).encode()

    assert type(event).parse(later) == event


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.event_name)
def test_a_moment_without_time_zone_is_refused(event) -> None:
    whole = json.loads(event.encode())
    moments = [name for name, value in whole.items() if str(value).endswith("Z")]
    assert moments

    for name in moments:
        data = json.dumps({**whole, name: "2026-11-24T09:30:00"}).encode()
        with pytest.raises(EventInvalid, match=rf"{name}: timezone_aware"):
            type(event).parse(data)


def test_what_does_not_fit_is_named_without_its_value() -> None:
    data = SENT.data.replace(b'"vo"', b'"jan@school.nl"')

    with pytest.raises(EventInvalid) as raised:
        type(EXAMPLES[0]).parse(data)

    assert "situation.sector" in str(raised.value)
    assert "jan" not in str(raised.value)


@pytest.mark.parametrize("brin", ["12AB0", "1AAB", "12ab", "١٢AB", "12AB01x"])
def test_a_brin_is_digits_and_letters_of_duo(brin) -> None:
    with pytest.raises(ValueError, match="brin"):
        Situation.model_validate({**SITUATION.model_dump(), "brin": brin})


def test_the_structured_form_has_the_same_attributes() -> None:
    named = to_structured(SENT)

    assert named.pop("datacontenttype").encode() == HEADERS["content-type"]
    assert {f"ce_{name}": str(value).encode() for name, value in named.items()} == {
        name: value for name, value in HEADERS.items() if name != "content-type"
    }
