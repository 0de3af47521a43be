"""The form of HSDS 3.0, as far as this profile reads it: fields, their types, what is required.

Written from the published specification; fields that are not here are legal and passed over.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

LIST_MAX = 5_000
DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class HsdsProblem:
    """One fault: the entity by its path, the field, what is wrong and what to do."""

    entity: str
    field: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Entity:
    required: tuple[str, ...]
    # Field -> `text`, `number`, `uuid`, `uri`, `email`, `date`, an entity, or `*` and an entity.
    fields: dict[str, str]


_LINKS = {"attributes": "*attribute"}
ENTITIES = {
    "organization": _Entity(
        ("id", "name", "description"),
        {
            "id": "uuid", "name": "text", "alternate_name": "text", "description": "text",
            "email": "email", "website": "uri", "uri": "uri", "parent_organization_id": "uuid",
            "phones": "*phone", "contacts": "*contact", "locations": "*location",
            "services": "*service", "organization_identifiers": "*organization_identifier",
            **_LINKS,
        },
    ),
    "service": _Entity(
        ("id", "name", "status"),
        {
            "id": "uuid", "organization_id": "uuid", "name": "text", "alternate_name": "text",
            "description": "text", "url": "uri", "email": "email", "status": "status",
            "application_process": "text", "eligibility_description": "text", "alert": "text",
            "minimum_age": "number", "maximum_age": "number", "assured_date": "date",
            "assurer_email": "email", "phones": "*phone", "schedules": "*schedule",
            "service_areas": "*service_area", "service_at_locations": "*service_at_location",
            "contacts": "*contact", **_LINKS,
        },
    ),
    "location": _Entity(
        ("id", "location_type"),
        {"id": "uuid", "organization_id": "uuid", "location_type": "location_type", "name": "text",
         "url": "uri", "phones": "*phone", **_LINKS},
    ),
    "service_at_location": _Entity(
        ("id",),
        {"id": "uuid", "service_id": "uuid", "location_id": "uuid", "description": "text",
         "location": "location", **_LINKS},
    ),
    "phone": _Entity(
        ("id", "number"),
        {"id": "uuid", "number": "text", "extension": "number", "type": "text",
         "description": "text", "organization_id": "uuid", "service_id": "uuid", **_LINKS},
    ),
    "contact": _Entity(
        ("id",),
        {"id": "uuid", "organization_id": "uuid", "name": "text", "title": "text",
         "department": "text", "email": "email", "phones": "*phone", **_LINKS},
    ),
    "schedule": _Entity(
        ("id",), {"id": "uuid", "service_id": "uuid", "description": "text", **_LINKS}
    ),
    "service_area": _Entity(
        ("id",),
        {"id": "uuid", "service_id": "uuid", "name": "text", "description": "text", "uri": "uri",
         **_LINKS},
    ),
    "organization_identifier": _Entity(
        ("id", "identifier_type", "identifier"),
        {"id": "uuid", "organization_id": "uuid", "identifier_scheme": "text",
         "identifier_type": "text", "identifier": "text", **_LINKS},
    ),
    "attribute": _Entity(
        ("id",),
        {"id": "uuid", "link_id": "uuid", "taxonomy_term_id": "uuid", "link_type": "text",
         "link_entity": "text", "value": "text", "taxonomy_term": "taxonomy_term"},
    ),
    "taxonomy_term": _Entity(
        ("id", "name", "description"),
        {"id": "uuid", "code": "text", "name": "text", "description": "text", "taxonomy": "text",
         "taxonomy_id": "uuid", "parent_id": "uuid", "term_uri": "uri",
         "taxonomy_detail": "taxonomy"},
    ),
    "taxonomy": _Entity(
        ("id", "name", "description"),
        {"id": "uuid", "name": "text", "description": "text", "uri": "uri", "version": "text"},
    ),
}  # fmt: skip
_CHOICES = {
    "status": ("active", "inactive", "defunct", "temporarily closed"),
    "location_type": ("physical", "postal", "virtual"),
}
_REMEDIES = {
    "text": "Give text",
    "number": "Give a number",
    "uuid": "Give a UUID",
    "uri": "Give an absolute address, as https://example.nl",
    "email": "Give an e-mail address",
    "date": "Write it as 2026-01-31",
    **{name: "Use one of " + ", ".join(values) for name, values in _CHOICES.items()},
}
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
# Each gives something true, or raises ValueError.
_PARSERS: dict[str, Callable[[str], object]] = {
    "uuid": UUID,
    "date": date.fromisoformat,
    "uri": lambda value: urlsplit(value).scheme,
    "email": _EMAIL.fullmatch,
}


def problems_of(kind: str, value: Any, where: str, depth: int = 0) -> Iterator[HsdsProblem]:
    """Every fault of an entity and of what hangs under it."""
    entity = ENTITIES[kind]
    if not isinstance(value, dict):
        yield HsdsProblem(where, kind, "it is no object", "Give a JSON object")
        return
    if depth > DEPTH_MAX:
        yield HsdsProblem(where, kind, "it is nested too deep", "Refer to it by its id")
        return
    for field in entity.required:
        if field not in value:
            yield HsdsProblem(where, field, "it is missing", "HSDS 3.0 requires this field")
    for field, form in entity.fields.items():
        if value.get(field) is not None:
            yield from _field_problems(form, field, value[field], where, depth)


def _field_problems(
    form: str, field: str, value: Any, where: str, depth: int
) -> Iterator[HsdsProblem]:
    if form in ENTITIES:
        yield from problems_of(form, value, f"{where}.{field}", depth + 1)
    elif form.startswith("*"):
        if not isinstance(value, list) or len(value) > LIST_MAX:
            remedy = f"Give a list of at most {LIST_MAX}"
            yield HsdsProblem(where, field, "it is no list, or too long", remedy)
            return
        for at, item in enumerate(value):
            yield from problems_of(form[1:], item, f"{where}.{field}[{at}]", depth + 1)
    elif not _is(form, value):
        yield HsdsProblem(where, field, f"it is no {form.replace('_', ' ')}", _REMEDIES[form])


def _is(form: str, value: Any) -> bool:
    if form == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if form in _CHOICES:
        return value in _CHOICES[form]
    return form not in _PARSERS or _parses(_PARSERS[form], value)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        return bool(parse(value))
    except ValueError:
        return False
