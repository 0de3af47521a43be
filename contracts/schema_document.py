"""JSON Schema (draft 2020-12) of every event, as committed in `contracts/schemas/`.

Deterministic: the same models give the same text, so that a difference is a change of contract.
"""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.catalogue import Direction, direction_of, publications_of
from contracts.event import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIRECTION = "x-direction"

_PUBLISHED_NOTE = """\
Envelope: `id` is a random UUID, given once; `source` and `id` together tell a repeat from a new
event. Its limitation: it cannot be derived from the data, so the same fact logged anew has another
id. `time` is the moment at which the publisher logged the event; moments in the real world are in
the data. `subject` and the record's key are the case id (a random UUID where no case is known)."""

_RECEIVED_NOTE = """\
Envelope: `id` is a random UUID, given once; a repeat keeps it. Its limitation: it cannot be derived
from the data, so what makes a second answer harmless is the id in the data. `time` is the moment at
which the partner logged the answer; the moment in the real world is in the data. `subject` and the
record's key are the case id of the offer."""


class PlainGenerator(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes up from field names, and null for what is optional.

    Encoding leaves out a field without value, so null never travels.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Only a model's own title."""
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """Schema of the value itself."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """A default of null says no more than that the field may be left out."""
        inner = super().default_schema(schema)
        if inner.get("default", "") is None:
            del inner["default"]
        return inner


def note_of(model: type[Event]) -> str:
    """What the envelope's attributes mean with this event (profile rules T5 and T7)."""
    received = direction_of(model) is Direction.RECEIVED
    return " ".join((_RECEIVED_NOTE if received else _PUBLISHED_NOTE).split())


def json_schema(model: type[Event]) -> dict[str, Any]:
    """Schema of an event's data.

    A field with a default is optional on the wire although it is always sent now: the journal
    holds events of before the field existed, and a rebuilt topic shows them again.
    """
    found = model.model_json_schema(schema_generator=PlainGenerator)
    places = ", ".join(f"`{item.topic}` by {item.publisher}" for item in publications_of(model))
    head: Mapping[str, Any] = {
        "$schema": DIALECT,
        "$id": model.schema_urn(),
        "title": f"{model.event_name} v{model.event_version}",
        "description": f"{found.pop('description', '')}\n\n{note_of(model)}\n\n"
        f"Type `{model.event_type()}`, on {places}.",
        DIRECTION: direction_of(model).value,
    }
    found.pop("title", None)
    return {**head, **found}
