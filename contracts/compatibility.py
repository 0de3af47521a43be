"""Whether the present schemas still serve who works with the last released ones.

An event that we publish may promise more, never less; an event that we receive may ask less, never
more. What breaks either way needs a new version of the event beside the old one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
_PUBLISHED = "published"
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_DEPTH_MAX = 20


@dataclass(frozen=True, slots=True)
class Breach:
    """A change that breaks somebody; `where` is the event and the path of the property."""

    where: str
    problem: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """One place in both versions of a schema."""

    where: str
    old: Schema
    new: Schema
    old_root: Schema
    new_root: Schema
    published: bool

    def below(self, name: str, old: Schema, new: Schema) -> "_Pair":
        return _Pair(
            f"{self.where}{name}",
            _resolved(old, self.old_root),
            _resolved(new, self.new_root),
            self.old_root,
            self.new_root,
            self.published,
        )


def last_released(folder: Path) -> Path | None:
    """Folder of the highest released version, or None before the first release."""
    found = [path for path in folder.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def read_schemas(folder: Path) -> dict[str, Schema]:
    """Schemas of a folder by file name."""
    return {path.name: json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def compare_all(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[Breach]:
    """Every breach between two sets of schemas by file name."""
    found = []
    for name, schema in old.items():
        if name in new:
            found += compare(name.removesuffix(".json"), schema, new[name])
        else:
            found.append(Breach(name.removesuffix(".json"), "the event was removed"))
    return found


def compare(event: str, old: Schema, new: Schema) -> list[Breach]:
    """Every breach between two versions of one event's schema, by the direction of the old one."""
    published = old.get("x-direction", _PUBLISHED) == _PUBLISHED
    pair = _Pair(event, _resolved(old, old), _resolved(new, new), old, new, published)
    found = list(_breaches(pair, 0))
    if old.get("x-direction") != new.get("x-direction"):
        found.append(Breach(event, "the direction changed"))
    return found


def _breaches(pair: _Pair, depth: int) -> Iterator[Breach]:
    if depth > _DEPTH_MAX:
        yield Breach(
            pair.where, f"the schema nests deeper than {_DEPTH_MAX}; it cannot be compared"
        )
        return
    retyped = [Breach(pair.where, problem) for problem in _type(pair)]
    yield from retyped
    if retyped:
        # What lies below another type is another thing; comparing it would only repeat this.
        return
    for problem in (*_enumeration(pair), *_form(pair), *_bounds(pair)):
        yield Breach(pair.where, problem)
    yield from _properties(pair, depth)
    if "items" in pair.old or "items" in pair.new:
        inner = pair.below("[]", pair.old.get("items", {}), pair.new.get("items", {}))
        yield from _breaches(inner, depth + 1)


def _type(pair: _Pair) -> Iterator[str]:
    old, new = _types(pair.old), _types(pair.new)
    given, understood = (new, old) if pair.published else (old, new)
    if understood and not (given and given <= understood):
        yield f"the type changed from {_listed(old)} to {_listed(new)}"
    elif _alternatives(pair.old) != _alternatives(pair.new):
        yield "the alternatives changed"


def _enumeration(pair: _Pair) -> Iterator[str]:
    old, new = _values(pair.old), _values(pair.new)
    if old is None or new is None:
        # Values that become free surprise a reader; values that become bound refuse a writer.
        bound, free = (old, new) if pair.published else (new, old)
        if bound is not None and free is None:
            yield "the enumeration was opened" if pair.published else "values became restricted"
        return
    for value in sorted(old - new):
        yield f"the value {value} was removed"
    if pair.published and not pair.old.get("x-open-enumeration", False):
        for value in sorted(new - old):
            yield f"the value {value} was added to a closed enumeration"


def _form(pair: _Pair) -> Iterator[str]:
    for keyword in ("format", "pattern"):
        old, new = pair.old.get(keyword), pair.new.get(keyword)
        promised = old if pair.published else new
        if promised is not None and old != new:
            yield f"the {keyword} changed"


def _bounds(pair: _Pair) -> Iterator[str]:
    for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        # Who relies on a bound: the reader of what we publish, the writer of what we receive.
        wide, narrow = (pair.new, pair.old) if pair.published else (pair.old, pair.new)
        limit, value = narrow.get(keyword), wide.get(keyword)
        if limit is None:
            continue
        outside = value is None or (value < limit if keyword in _LOWER_BOUNDS else value > limit)
        if outside:
            yield f"the {keyword} became {'wider' if pair.published else 'narrower'}"


def _properties(pair: _Pair, depth: int) -> Iterator[Breach]:
    old, new = pair.old.get("properties", {}), pair.new.get("properties", {})
    for name, schema in old.items():
        if name not in new:
            yield Breach(f"{pair.where}.{name}", "the property was removed or renamed")
        else:
            yield from _breaches(pair.below(f".{name}", schema, new[name]), depth + 1)
    yield from _required(pair, old, new)
    if pair.old.get("additionalProperties") is False and pair.published:
        for name in new.keys() - old.keys():
            yield Breach(f"{pair.where}.{name}", "a property was added to a closed object")
    closed = [side.get("additionalProperties") is False for side in (pair.old, pair.new)]
    if closed == [False, True] and not pair.published:
        yield Breach(pair.where, "the object was closed")


def _required(pair: _Pair, old: Schema, new: Schema) -> Iterator[Breach]:
    before, after = set(pair.old.get("required", ())), set(pair.new.get("required", ()))
    if pair.published:
        for name in sorted((before - after) & new.keys()):
            yield Breach(f"{pair.where}.{name}", "the property became optional")
    else:
        for name in sorted(after - before):
            kind = "became required" if name in old else "is new and required"
            yield Breach(f"{pair.where}.{name}", f"the property {kind}")


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(_DEPTH_MAX):
        reference = schema.get("$ref")
        if reference is None:
            return schema
        target: Any = root
        for part in str(reference).removeprefix("#/").split("/"):
            target = target[part]
        # Keywords beside a reference count as well.
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    raise ValueError("the references of a schema form a loop")


def _types(schema: Schema) -> frozenset[str]:
    found = schema.get("type", ())
    types = {found} if isinstance(found, str) else set(found)
    # Every integer is a number.
    return frozenset(types | {"integer"} if "number" in types else types)


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({json.dumps(schema["const"])})
    if "enum" in schema:
        return frozenset(json.dumps(value) for value in schema["enum"])
    return None


def _alternatives(schema: Schema) -> list[str]:
    return sorted(
        json.dumps(item, sort_keys=True)
        for keyword in ("anyOf", "oneOf", "allOf")
        for item in schema.get(keyword, ())
    )


def _listed(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) or "anything"
