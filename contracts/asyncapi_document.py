"""The AsyncAPI 3.0 document of all topics, made from the catalogue and the table of topics."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from contracts import topics
from contracts.catalogue import MODELS, PARTNER_IN, PARTNER_OUT, PUBLICATIONS, Direction
from contracts.envelope import CONTENT_TYPE, SEQUENCE_MAX, SPEC_VERSION
from contracts.event import Event
from contracts.schema_document import PlainGenerator, note_of

Document = dict[str, Any]
DOCUMENT_VERSION = "1.0.0"
_BINDING_VERSION = "0.5.0"
_KEY: Document = {"type": "string", "format": "uuid", "description": "The case id as text."}
_TEXTS = {
    topics.INTAKE: ("intake", "What was received, and who fetched its content."),
    topics.ROUTING: ("routing", "Which organisation a case is meant for, and why."),
    topics.REFERRAL: ("referral", "Who was asked, who holds a case, who acts next by when."),
    topics.AUDIT: ("audit", "What audit says of its own work."),
    PARTNER_OUT: ("partnerOut", "Offers to one organisation, without content."),
    PARTNER_IN: ("partnerIn", "Answers of one organisation to its offers."),
}


def asyncapi_document() -> Document:
    """The whole document; deterministic, so that a difference is a change of contract."""
    addresses = dict.fromkeys(item.topic for item in PUBLICATIONS)
    specs = {spec.name: spec for spec in topics.CORE_TOPICS}
    for spec in topics.partner_topics("{organisation}"):
        specs[spec.name] = spec
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": CONTENT_TYPE,
        "servers": _servers(),
        "channels": {_TEXTS[name][0]: _channel(specs[name]) for name in addresses},
        "operations": dict(_operation(name) for name in addresses),
        "components": {
            "messages": {model.__name__: _message(model) for model in MODELS},
            "schemas": {"CloudEventHeaders": _headers(), **_payloads()},
            "securitySchemes": _security_schemes(),
        },
    }


def _info() -> Document:
    return {
        "title": "Meldpunt: events",
        "version": DOCUMENT_VERSION,
        "description": (
            "Events of the reporting chain for social safety in schools. CloudEvents 1.0 in the NL"
            " GOV profile 1.1, Kafka binary mode: attributes are headers `ce_*`, the value is the"
            " data. The record's key is the case id, so the events of one case stay in order. No"
            " event holds a narrative, a name or contact data."
        ),
        "contact": {
            "name": "Meldpunt",
            "url": "https://meldpunt.example/contact",
            "email": "techniek@meldpunt.example",
        },
        "license": {
            "name": "EUPL-1.2",
            "url": "https://interoperable-europe.ec.europa.eu/collection/eupl/eupl-text-eupl-12",
        },
        "tags": [{"name": item, "description": text} for item, text in _tags().items()],
    }


def _servers() -> Document:
    def server(host: str, scheme: str, description: str) -> Document:
        return {
            "host": host,
            "protocol": "kafka-secure",
            "description": description,
            "security": [{"$ref": f"#/components/securitySchemes/{scheme}"}],
        }

    return {
        "partners": server(
            "kafka.meldpunt.example:9094",
            "partnerCertificate",
            "For partners: TLS, and a certificate that says who the partner is.",
        ),
        "services": server(
            "kafka.meldpunt.internal:9093",
            "servicePassword",
            "For the four services only; no partner can reach it.",
        ),
    }


def _security_schemes() -> Document:
    rights = "; ".join(
        f"{right.operation.value} on {right.resource.value} `{right.name}"
        f"{'*' if right.prefixed else ''}`"
        for right in topics.partner_acls("{organisation}")
    )
    return {
        "partnerCertificate": {
            "type": "X509",
            "description": (
                "A client certificate of which the CN is"
                f" `{topics.partner_name('{organisation}')}`."
                f" Its rights: {rights}. The broker refuses all else."
            ),
        },
        "servicePassword": {
            "type": "scramSha512",
            "description": "A user of one service.",
        },
    }


def _tags() -> Mapping[str, str]:
    return {
        "core": "Topics that the four services share; partners do not read them.",
        "partner": "Topics of one partner, readable and writable by nobody else.",
    }


def _tag_of(address: str) -> list[Document]:
    return [{"name": "partner" if "{" in address else "core"}]


def _servers_of(address: str) -> tuple[str, ...]:
    return ("partners", "services") if "{" in address else ("services",)


def _models_on(address: str) -> list[type[Event]]:
    return [item.model for item in PUBLICATIONS if item.topic == address]


def _channel(spec: topics.TopicSpec) -> Document:
    channel: Document = {
        "address": spec.name,
        "description": _TEXTS[spec.name][1],
        "servers": [{"$ref": f"#/servers/{name}"} for name in _servers_of(spec.name)],
        "messages": {
            model.__name__: {"$ref": f"#/components/messages/{model.__name__}"}
            for model in _models_on(spec.name)
        },
        "tags": _tag_of(spec.name),
        "bindings": {"kafka": _kafka_channel(spec)},
    }
    if "{organisation}" in spec.name:
        channel["parameters"] = {
            "organisation": {
                "description": "Id of the organisation in the register.",
                "examples": ["veilig_thuis"],
            }
        }
    return channel


def _kafka_channel(spec: topics.TopicSpec) -> Document:
    return {
        "topic": spec.name,
        "partitions": spec.partitions,
        "topicConfiguration": {
            "cleanup.policy": [spec.config["cleanup.policy"]],
            "retention.ms": spec.retention_ms,
            "max.message.bytes": topics.MESSAGE_BYTES_MAX,
        },
        "bindingVersion": _BINDING_VERSION,
    }


def _operation(address: str) -> tuple[str, Document]:
    """Seen from the meldpunt: it sends everything but the partners' answers."""
    directions = {item.direction for item in PUBLICATIONS if item.topic == address}
    received = directions == {Direction.RECEIVED}
    channel, text = _TEXTS[address]
    verb = "receive" if received else "send"
    operation: Document = {
        "action": verb,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": text,
        "messages": [
            {"$ref": f"#/channels/{channel}/messages/{model.__name__}"}
            for model in _models_on(address)
        ],
        "tags": _tag_of(address),
    }
    return f"{verb}{channel[0].upper()}{channel[1:]}", operation


def _message(model: type[Event]) -> Document:
    return {
        "name": model.event_name,
        "title": f"{model.event_name} v{model.event_version}",
        "summary": (model.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
        "description": note_of(model),
        "contentType": CONTENT_TYPE,
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventHeaders"},
                {
                    "type": "object",
                    "properties": {
                        "ce_type": {"const": model.event_type()},
                        "ce_dataschema": {"const": model.schema_urn()},
                    },
                },
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": _BINDING_VERSION}},
    }


def _payloads() -> Document:
    _, found = models_json_schema(
        [(model, "validation") for model in MODELS],
        ref_template="#/components/schemas/{model}",
        schema_generator=PlainGenerator,
    )
    schemas: Document = found["$defs"]
    return schemas


def _headers() -> Document:
    def text(description: str, **rest: Any) -> Document:
        return {"type": "string", "description": description, **rest}

    return {
        "type": "object",
        "description": "Context attributes of the NL GOV profile 1.1, as UTF-8 text.",
        "required": [
            "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time",
            "ce_subject",
        ],
        "properties": {
            "content-type": text("Kind of the value.", const=CONTENT_TYPE),
            "ce_specversion": text("Version of CloudEvents.", const=SPEC_VERSION),
            "ce_id": text("Random UUID, given once; a repeat keeps it.", format="uuid"),
            "ce_source": text(
                "URN of the publishing system with the OIN of its organisation.",
                pattern="^urn:nld:(oin|kvk|eidas):[^:]+:systeem:[A-Za-z0-9_-]+$",
            ),
            "ce_type": text("Reverse domain name with a version."),
            "ce_time": text("Moment at which the publisher logged the event.", format="date-time"),
            "ce_subject": text("The case id, a random pseudonym.", format="uuid"),
            "ce_sequence": text(
                f"Contiguous per source from 1 to {SEQUENCE_MAX}: a hole is a lost event. A partner"
                " may leave it out.",
                pattern="^[1-9][0-9]{0,9}$",
            ),
            "ce_sequencetype": text("How to read the sequence.", const="Integer"),
            "ce_dataschema": text("URN of the JSON Schema of the value.", format="uri"),
            "ce_dataref": text("Where the content can be fetched.", format="uri-reference"),
            "ce_traceparent": text("W3C trace context."),
        },
    }  # fmt: skip
