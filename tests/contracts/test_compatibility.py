"""Each kind of breaking change is found, each harmless one passes, and the present schemas pass."""

import copy
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, create_model

import contracts
from contracts.compatibility import Breach, compare, compare_all, last_released, read_schemas
from contracts.event import OPEN_ENUMERATION

FOLDER = Path(contracts.__file__).parent

PUBLISHED: dict[str, Any] = {
    "x-direction": "published",
    "$defs": {
        "Status": {"type": "string", "enum": ["open", "closed"]},
        "Channel": {"type": "string", "enum": ["web"], "x-open-enumeration": True},
        "Step": {
            "type": "object",
            "properties": {"actor": {"type": "string"}, "by": {"type": "string"}},
            "required": ["actor"],
        },
        "Sealed": {"type": "object", "properties": {}, "additionalProperties": False},
    },
    "type": "object",
    "properties": {
        "case_id": {"type": "string", "format": "uuid"},
        "number": {"type": "integer", "minimum": 1, "maximum": 10},
        "status": {"$ref": "#/$defs/Status"},
        "channel": {"$ref": "#/$defs/Channel"},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "maxItems": 5},
        "sealed": {"$ref": "#/$defs/Sealed"},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "note": {"type": "string"},
    },
    "required": ["case_id", "number", "status"],
}
RECEIVED = {**PUBLISHED, "x-direction": "received"}


def _set(path: str, value: Any):
    """A change: sets, or with None deletes, what a path of keys leads to."""

    def change(schema: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            schema = schema[key]
        if value is None:
            del schema[last]
        else:
            schema[last] = value

    return change


def _breaches(old: dict[str, Any], *changes) -> list[Breach]:
    new = copy.deepcopy(old)
    for change in changes:
        change(new)
    return compare("event.v1", old, new)


BREAKS_READERS = {
    "property removed": (_set("properties/note", None), ".note"),
    "nested property removed": (_set("$defs/Step/properties/by", None), ".steps[].by"),
    "type changed": (_set("properties/note", {"type": "integer"}), ".note"),
    "type widened": (_set("properties/note", {"type": ["string", "null"]}), ".note"),
    "type freed": (_set("properties/note", {}), ".note"),
    "integer became number": (_set("properties/number/type", "number"), ".number"),
    "array became string": (_set("properties/steps", {"type": "string"}), ".steps"),
    "items changed": (_set("properties/steps/items", {"type": "string"}), ".steps[]"),
    "alternatives": (_set("properties/note", {"anyOf": [{"type": "string"}]}), ".note"),
    "became optional": (_set("required", ["case_id", "status"]), ".number"),
    "nested became optional": (_set("$defs/Step/required", []), ".steps[].actor"),
    "value removed": (_set("$defs/Status/enum", ["open"]), ".status"),
    "value added": (_set("$defs/Status/enum", ["open", "closed", "lost"]), ".status"),
    "enumeration freed": (_set("$defs/Status/enum", None), ".status"),
    "format changed": (_set("properties/case_id/format", "uri"), ".case_id"),
    "format dropped": (_set("properties/case_id/format", None), ".case_id"),
    "pattern dropped": (_set("properties/code/pattern", None), ".code"),
    "minimum lowered": (_set("properties/number/minimum", 0), ".number"),
    "maximum dropped": (_set("properties/number/maximum", None), ".number"),
    "more items": (_set("properties/steps/maxItems", 6), ".steps"),
    "closed object grew": (_set("$defs/Sealed/properties/x", {"type": "string"}), ".sealed.x"),
    "direction changed": (_set("x-direction", "received"), ""),
}
HARMLESS_TO_READERS = {
    "nothing": _set("title", "x"),
    "optional property": _set("properties/extra", {"type": "string"}),
    "optional became required": _set("required", ["case_id", "number", "status", "note"]),
    "value added to an open enumeration": _set("$defs/Channel/enum", ["web", "phone"]),
    "description": _set("properties/note/description", "What it is."),
    "minimum raised": _set("properties/number/minimum", 2),
    "pattern added": _set("properties/note/pattern", "^x"),
    "moved out of a definition": _set(
        "properties/status", {"type": "string", "enum": ["closed", "open"]}
    ),
}
BREAKS_WRITERS = {
    "new and required": (
        lambda new: (
            _set("properties/extra", {"type": "string"})(new),
            _set("required", ["case_id", "number", "status", "extra"])(new),
        ),
        ".extra",
    ),
    "became required": (_set("required", ["case_id", "number", "status", "note"]), ".note"),
    "property removed": (_set("properties/note", None), ".note"),
    "value removed": (_set("$defs/Status/enum", ["open"]), ".status"),
    "values restricted": (_set("properties/note/enum", ["a"]), ".note"),
    "type narrowed": (_set("properties/number", {"type": "string"}), ".number"),
    "pattern added": (_set("properties/note/pattern", "^x"), ".note"),
    "maximum lowered": (_set("properties/number/maximum", 9), ".number"),
    "object closed": (_set("$defs/Step/additionalProperties", False), ".steps[]"),
}
HARMLESS_TO_WRITERS = {
    "optional property": _set("properties/extra", {"type": "string"}),
    "became optional": _set("required", ["case_id", "status"]),
    "value added": _set("$defs/Status/enum", ["open", "closed", "lost"]),
    "type widened": _set("properties/note", {"type": ["string", "integer"]}),
    "integer became number": _set("properties/number/type", "number"),
    "pattern dropped": _set("properties/code/pattern", None),
    "maximum raised": _set("properties/number/maximum", 11),
}


@pytest.mark.parametrize("kind", BREAKS_READERS)
def test_what_breaks_readers_of_our_events_is_found(kind) -> None:
    change, where = BREAKS_READERS[kind]

    assert [breach.where for breach in _breaches(PUBLISHED, change)] == [f"event.v1{where}"]


@pytest.mark.parametrize("kind", HARMLESS_TO_READERS)
def test_what_harms_no_reader_passes(kind) -> None:
    assert _breaches(PUBLISHED, HARMLESS_TO_READERS[kind]) == []


@pytest.mark.parametrize("kind", BREAKS_WRITERS)
def test_what_breaks_writers_of_answers_is_found(kind) -> None:
    change, where = BREAKS_WRITERS[kind]

    assert {breach.where for breach in _breaches(RECEIVED, change)} == {f"event.v1{where}"}


@pytest.mark.parametrize("kind", HARMLESS_TO_WRITERS)
def test_what_harms_no_writer_passes(kind) -> None:
    assert _breaches(RECEIVED, HARMLESS_TO_WRITERS[kind]) == []


def test_renaming_counts_as_removing() -> None:
    found = _breaches(
        PUBLISHED, _set("properties/note", None), _set("properties/remark", {"type": "string"})
    )

    assert found == [Breach("event.v1.note", "the property was removed or renamed")]


def test_an_event_may_come_but_not_go() -> None:
    old = {"a.v1.json": PUBLISHED}

    assert compare_all(old, {**old, "a.v2.json": PUBLISHED}) == []
    assert compare_all(old, {"a.v2.json": PUBLISHED}) == [Breach("a.v1", "the event was removed")]


def test_the_highest_release_counts_by_number(tmp_path) -> None:
    assert last_released(tmp_path) is None
    for name in ("0.9.0", "0.10.0", "notes"):
        (tmp_path / name).mkdir()

    assert last_released(tmp_path) == tmp_path / "0.10.0"


class _Colour(StrEnum):
    RED = "red"


class _MoreColours(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(("is_open", "breaches"), [(True, 0), (False, 1)])
def test_a_field_of_a_model_can_be_marked_open(is_open, breaches) -> None:
    mark = Field(json_schema_extra={OPEN_ENUMERATION: True} if is_open else {})
    old, new = (
        create_model("Painted", colour=Annotated[colour, mark]).model_json_schema()
        for colour in (_Colour, _MoreColours)
    )

    assert len(compare("painted.v1", old, new)) == breaches


def test_a_loop_of_references_is_refused() -> None:
    looped = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}

    with pytest.raises(ValueError, match="loop"):
        compare("event.v1", looped, looped)


def test_the_present_schemas_serve_who_works_with_the_last_release() -> None:
    released = last_released(FOLDER / "released")
    assert released is not None, "run: python scripts/generate.py release 1.0.0"

    assert compare_all(read_schemas(released / "schemas"), read_schemas(FOLDER / "schemas")) == []


def test_a_real_schema_that_loses_a_value_is_caught() -> None:
    old = read_schemas(FOLDER / "schemas")
    new = json.loads(json.dumps(old))
    new["referral-answered.v1.json"]["$defs"]["Answer"]["enum"].remove("received")

    assert compare_all(old, new) == [
        Breach("referral-answered.v1.answer", 'the value "received" was removed')
    ]
