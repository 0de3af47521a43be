"""Every event that leaves fits the NL GOV profile, its committed schema and a foreign SDK."""

import json
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator

import contracts
from contracts import lint
from contracts.catalogue import MODELS
from contracts.envelope import EVENT_BYTES_MAX, SEQUENCE_MAX, from_headers, rfc3339, to_headers
from contracts.event import Catalogue
from tests.contracts.builders import CASE, EXAMPLES, NOW, enveloped, minimal

FOLDER = Path(contracts.__file__).parent
EVENTS = [pytest.param(event, id=event.event_name) for event in EXAMPLES]
EVENTS += [pytest.param(minimal(event), id=f"{event.event_name}-minimal") for event in EXAMPLES]
PLAIN = enveloped(EXAMPLES[0], dataref="/v1/cases/1/content")


def test_every_event_of_the_catalogue_has_an_example() -> None:
    assert {type(event) for event in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize("event", EVENTS)
def test_an_emitted_event_breaks_no_rule(event) -> None:
    sent = enveloped(event, dataref="/v1/cases/content")

    assert lint.check(to_headers(sent), sent.data) == []


@pytest.mark.parametrize("event", EVENTS)
def test_the_cloudevents_sdk_reads_it(event) -> None:
    sent = enveloped(event, sequence=7)

    read = from_binary_event(KafkaMessage(dict(to_headers(sent)), str(CASE).encode(), sent.data))

    assert isinstance(read, CloudEvent)
    assert (read.get_id(), read.get_source(), read.get_type()) == (sent.id, sent.source, sent.type)
    assert (read.get_subject(), read.get_time()) == (str(CASE), NOW)
    assert read.get_datacontenttype() == "application/json"
    assert read.get_dataschema() == event.schema_urn()
    assert read.get_extension("sequence") == "7"
    assert read.get_data() == json.loads(event.encode())


@pytest.mark.parametrize("event", EVENTS)
def test_it_comes_back_as_it_was_sent(event) -> None:
    sent = enveloped(event)

    received = from_headers(to_headers(sent), sent.data)

    assert received == sent
    assert Catalogue(*MODELS).decode(received) == event


@pytest.mark.parametrize("event", EVENTS)
def test_it_fits_its_committed_schema(event) -> None:
    schema = json.loads((FOLDER / event.schema_path()).read_bytes())
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    assert [error.message for error in validator.iter_errors(json.loads(event.encode()))] == []
    assert schema["$id"] == event.schema_urn()


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.event_name)
def test_the_schema_refuses_what_the_model_refuses(event) -> None:
    schema = json.loads((FOLDER / event.schema_path()).read_bytes())
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    whole = json.loads(event.encode())

    for name in schema["required"]:
        assert not validator.is_valid({key: whole[key] for key in whole if key != name})
    for name, value in schema["properties"].items():
        if value.get("format") in {"uuid", "date-time"}:
            assert not validator.is_valid({**whole, name: "gisteren"})


def _changed(name: str, value: str | None) -> list[tuple[str, bytes]]:
    headers = dict(to_headers(PLAIN))
    if value is None:
        del headers[name]
    else:
        headers[name] = value.encode()
    return list(headers.items())


@pytest.mark.parametrize(
    ("rule", "header", "value"),
    [
        ("T1", "ce_trace_id", "x"),
        ("T1", "ce_TraceParent", "x"),
        ("T1", "ce_aaaaaaaaaaaaaaaaaaaaa", "x"),
        ("T2", "ce_specversion", "0.3"),
        ("T2", "ce_specversion", None),
        ("T3", "ce_source", None),
        ("T3", "ce_source", "https://example.nl/system"),
        ("T3", "ce_source", "urn:nld:oin:123:systeem:x"),
        ("T4", "ce_type", "report-received"),
        ("T4", "ce_type", "nl.sociale-veiligheid.meldingen.v1.report-received.v1"),
        ("T4", "ce_type", "nl.sociale-veiligheid.meldingen.report-received.1"),
        ("T5", "ce_id", None),
        ("T5", "ce_id", "report-1"),
        ("T5", "ce_id", "a8098c1a-f86e-11da-bd1a-00112444be1e"),
        ("T6", "content-type", "text/plain"),
        ("T7", "ce_time", None),
        ("T7", "ce_time", "2026-11-24 09:30"),
        ("T7", "ce_time", "2026-11-24T09:30:00"),
        ("T7", "ce_time", "2026-13-24T09:30:00Z"),
        ("T8", "ce_subject", None),
        ("T8", "ce_subject", "111222333"),
        ("T8", "ce_subject", "Jan Jansen"),
        ("T8", "ce_name", "Jan Jansen"),
        ("T8", "ce_dataref", "/v1/people/jan@school.nl"),
        ("T8", "ce_dataref", "/v1/people/111222333"),
        ("T8", "ce_dataref", "/v1/people/06-12345678"),
        ("T9", "ce_dataref", "not a reference"),
        ("T9", "ce_dataschema", "schemas/report-received.v1.json"),
        ("T10", "ce_sequence", None),
        ("T10", "ce_sequence", "0"),
        ("T10", "ce_sequence", "01"),
        ("T10", "ce_sequence", str(SEQUENCE_MAX + 1)),
        ("T10", "ce_sequencetype", None),
    ],
)
def test_a_rule_catches_a_header_that_breaks_it(rule, header, value) -> None:
    found = lint.check(_changed(header, value), PLAIN.data)

    assert {violation.rule for violation in found} >= {rule}


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("T6", b"<report/>"),
        ("T6", b""),
        ("T11", json.dumps({"text_free": "x" * EVENT_BYTES_MAX}).encode()),
        ("T12", b'{"narrative": "Mijn kind wordt gepest."}'),
        ("T12", b'{"parties": [{"name": "Jan"}]}'),
        ("T12", b'{"note": "bel 06 12345678"}'),
        ("T12", b'{"note": "mail jan@school.nl"}'),
        ("T12", b'{"note": "burger 111222333"}'),
    ],
)
def test_a_rule_catches_data_that_breaks_it(rule, data) -> None:
    found = lint.check(to_headers(PLAIN), data)

    assert {violation.rule for violation in found} == {rule}


def test_the_size_counts_the_headers_too() -> None:
    padding = b'{"a": "' + b"x" * (EVENT_BYTES_MAX - 9) + b'"}'
    assert len(padding) == EVENT_BYTES_MAX

    assert [found.rule for found in lint.check(to_headers(PLAIN), padding)] == ["T11"]


def test_every_rule_has_a_negative_example() -> None:
    marks = [
        mark
        for test in (
            test_a_rule_catches_a_header_that_breaks_it,
            test_a_rule_catches_data_that_breaks_it,
        )
        for mark in test.pytestmark
    ]
    seen = {row[0] for mark in marks for row in mark.args[1]}

    assert seen == set(lint.RULES) == {f"T{number}" for number in range(1, 13)}


def test_a_type_may_not_name_an_organisation() -> None:
    rule = lint.type_without(["veilig_thuis"])
    named = PLAIN._replace(type="nl.sociale-veiligheid.veilig-thuis.received.v1")

    assert list(rule(lint.Emitted.of(to_headers(PLAIN), b"{}"))) == []
    assert list(rule(lint.Emitted.of(to_headers(named), b"{}"))) == ["type names an organisation"]


def test_a_violation_never_repeats_the_value() -> None:
    found = lint.check(_changed("ce_subject", "jan@school.nl"), b'{"note": "jan@school.nl"}')

    assert found
    assert not any("jan" in violation.problem for violation in found)


def test_a_sequence_that_looks_like_a_bsn_is_a_sequence() -> None:
    assert lint.check(_changed("ce_sequence", "111222333"), PLAIN.data) == []


def test_a_hole_in_a_feed_is_found() -> None:
    assert lint.check_feed([1, 2, 3]) == []
    assert lint.check_feed([SEQUENCE_MAX - 1, SEQUENCE_MAX, 1]) == []
    assert [found.rule for found in lint.check_feed([1, 2, 4, 4])] == ["T10", "T10"]


def test_time_is_written_in_utc() -> None:
    assert rfc3339(NOW) == "2026-11-24T09:30:00.123Z"
