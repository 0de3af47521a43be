"""Reading HSDS 3.0 back into organisations of the register, with errors by entity and field."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.routing.domain import LISTED_MAX, Organisation, RegisterTerm
from services.routing.hsds import profile
from services.routing.hsds.channels import hours_of, phone_of, web_of
from services.routing.hsds.shape import HsdsProblem, problems_of

PROBLEMS_MAX = 25
Json = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class HsdsInvalid(Exception):
    """The document may not be used: entity, field and remedy of every problem."""

    def __init__(self, problems: Sequence[HsdsProblem]) -> None:
        self.problems = tuple(problems)
        rows = [f"{p.entity}: {p.field}: {p.problem}. {p.remedy}" for p in problems[:PROBLEMS_MAX]]
        left = len(problems) - PROBLEMS_MAX
        super().__init__("\n".join((*rows, *([f"... and {left} more"] if left > 0 else []))))


def import_hsds(document: Json) -> list[Organisation]:
    """The organisations of a document in this profile, in its order.

    Raises `HsdsInvalid`. What a document has beyond the profile is passed over.
    """
    organizations = _organizations(document)
    problems: list[HsdsProblem] = []
    found: list[Organisation] = []
    for at, organization in enumerate(organizations):
        reader = _Reader(f"organizations[{at}]")
        data = reader.organisation(organization)
        if reader.problems:
            problems += reader.problems
            continue
        try:
            found.append(_strict(Organisation, data))
        except ValidationError as error:
            problems += reader.explain(error)
    problems += _doubles(found)
    if problems:
        raise HsdsInvalid(problems)
    return found


def import_terms(document: Json) -> list[RegisterTerm]:
    """The terms that the document's organisations hold; raises `HsdsInvalid`."""
    problems: list[HsdsProblem] = []
    found: list[RegisterTerm] = []
    for at, organization in enumerate(_organizations(document)):
        reader = _Reader(f"organizations[{at}]")
        for where, _, value in reader.of_type(organization, profile.TERM, reader.where):
            data = reader.json(where, value)
            try:
                if not reader.problems:
                    found.append(_strict(RegisterTerm, data))
            except ValidationError as error:
                problems += [
                    _described(where, ".".join(map(str, e["loc"])), e) for e in _all(error)
                ]
        problems += reader.problems
    if problems:
        raise HsdsInvalid(problems)
    return found


def _organizations(document: Json) -> list[Json]:
    organizations = document.get("organizations") if isinstance(document, Mapping) else None
    if not isinstance(organizations, list) or not 0 < len(organizations) <= LISTED_MAX:
        remedy = f"Give a list of 1 to {LISTED_MAX} HSDS organizations"
        problem = HsdsProblem("document", "organizations", "it is missing or too long", remedy)
        raise HsdsInvalid([problem])
    problems = [
        *_unknown_profile(document),
        *(
            problem
            for at, item in enumerate(organizations)
            for problem in problems_of("organization", item, f"organizations[{at}]")
        ),
    ]
    if problems:
        raise HsdsInvalid(problems)
    return organizations


def _unknown_profile(document: Json) -> Iterator[HsdsProblem]:
    """A document of a later version of the profile would be read wrongly, not partly."""
    own = document.get("profile")
    version = own.get("version") if isinstance(own, Mapping) else profile.VERSION
    if version != profile.VERSION:
        remedy = f"Export it in version {profile.VERSION} of {profile.NAME}"
        yield HsdsProblem("profile", "version", "this version is not known here", remedy)


class _Reader:
    """Reads one organisation and remembers what cannot be read, and where a loket stands."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[HsdsProblem] = []
        self._service = where
        self._loketten: list[str] = []

    def organisation(self, organization: Json) -> dict[str, Any]:
        data: dict[str, Any] = {"name": organization["name"]}
        for where, code, value in self.of_type(organization, profile.FIELD, self.where):
            data[code] = self.json(where, value)
        loketten: list[dict[str, Any]] = []
        mains: list[Json] = []
        for at, service in enumerate(organization.get("services") or ()):
            where = f"{self.where}.services[{at}]"
            loket = self._loket(service, where)
            if loket is None:
                mains.append(service)
                self._service = where
            else:
                loketten.append(loket)
                self._loketten.append(where)
        if len(mains) != 1:
            self._add(
                self.where,
                "services",
                f"{len(mains)} services stand for the whole organisation",
                "Give exactly one without the field `id`, and one with it for each loket",
            )
            return data
        return data | self._main(organization, mains[0]) | {"loketten": loketten}

    def _main(self, organization: Json, service: Json) -> dict[str, Any]:
        data: dict[str, Any] = dict(self._listed(service, self._service))
        for field, taxonomy in profile.CODED.items():
            for _, code, _ in self.of_type(service, taxonomy, self._service):
                data[field] = code
        areas = service.get("service_areas") or ()
        if areas:
            data["region_key"] = areas[0].get("name")
        return data | {"channels": self._channels(organization, service)}

    def _loket(self, service: Json, where: str) -> dict[str, Any] | None:
        fields = {
            code: self.json(at, value)
            for at, code, value in self.of_type(service, profile.FIELD, where)
        }
        if "id" not in fields:
            return None
        return {"name": service["name"], **fields, **dict(self._listed(service, where))}

    def _listed(self, service: Json, where: str) -> Iterator[tuple[str, list[str]]]:
        for field, taxonomy in profile.LISTED.items():
            codes = [code for _, code, _ in self.of_type(service, taxonomy, where)]
            if codes:
                yield field, codes

    def _channels(self, organization: Json, service: Json) -> dict[str, Any]:
        channels: dict[str, Any] = {
            "web": web_of(organization.get("website")),
            "email": organization.get("email"),
            "phone": phone_of(organization.get("phones") or ()),
            "hours": hours_of(service.get("schedules") or ()),
        }
        for _, code, value in self.of_type(organization, profile.CHANNEL, self.where):
            channels[code] = value == "true" if code == "to_verify" else value
        return channels

    def of_type(
        self, entity: Json, link_type: str, where: str
    ) -> Iterator[tuple[str, str, str | None]]:
        """Path, code and value of the attributes of one type, in their order."""
        for at, attribute in enumerate(entity.get("attributes") or ()):
            if attribute.get("link_type") != link_type:
                continue
            path = f"{where}.attributes[{at}]"
            code = (attribute.get("taxonomy_term") or {}).get("code")
            if code is None:
                self._add(path, "taxonomy_term.code", "it is missing", "Give the code of the term")
            else:
                yield path, code, attribute.get("value")

    def json(self, where: str, value: str | None) -> Any:
        """The value of an attribute whose value is JSON."""
        try:
            return json.loads(value or "")
        except (ValueError, RecursionError):
            self._add(where, "value", "it is no JSON", "Write the value of the register as JSON")
            return None

    def _add(self, where: str, field: str, problem: str, remedy: str) -> None:
        self.problems.append(HsdsProblem(where, field, problem, remedy))

    def explain(self, error: ValidationError) -> Iterator[HsdsProblem]:
        """Faults of the register's form, at the entity that holds the field."""
        for item in _all(error):
            path = list(item["loc"])
            where = self.where
            if len(path) > 1 and path[0] == "loketten" and isinstance(path[1], int):
                where, path = self._loketten[path[1]], path[2:]
            elif path and path[0] in {*profile.LISTED, *profile.CODED}:
                where = self._service
            yield _described(where, ".".join(map(str, path)) or "all", item)


def _strict(model: type[Model], data: Any) -> Model:
    # JSON mode is strict ("1" is no number) and still lets a list be a tuple, a string an enum.
    return model.model_validate_json(json.dumps(data))


def _all(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False, include_input=False, include_context=False))


def _described(where: str, field: str, item: Any) -> HsdsProblem:
    if item["type"] == "missing":
        remedy = f"Add attributes or fields for {field}, as an export has them"
        return HsdsProblem(where, field, "the register needs it", remedy)
    return HsdsProblem(where, field, item["msg"], "Use what register.schema.json allows")


def _doubles(found: Sequence[Organisation]) -> Iterator[HsdsProblem]:
    for name, count in Counter(item.id for item in found).items():
        if count > 1:
            remedy = "Give each organization its own `id` field"
            yield HsdsProblem("document", f"id {name}", f"it is there {count} times", remedy)
