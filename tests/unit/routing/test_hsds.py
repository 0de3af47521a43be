"""HSDS 3.0: what goes out comes back equal, and is what the published schema allows."""

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from services.routing.domain import Organisation, Register, register_hash
from services.routing.hsds.channels import phone_of, phones_of, web_of, website_of
from services.routing.hsds.exporting import export_hsds
from services.routing.hsds.importing import HsdsInvalid, import_hsds, import_terms
from services.routing.hsds.shape import problems_of

SCHEMA_VARIABLE = "MELDPUNT_HSDS_SCHEMA"


@pytest.fixture(scope="module")
def document(register: Register) -> dict[str, Any]:
    return over_the_wire(export_hsds(register))


def over_the_wire(document: dict[str, Any]) -> dict[str, Any]:
    again: dict[str, Any] = json.loads(json.dumps(document, ensure_ascii=False))
    return again


def organization(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(
        item
        for item in document["organizations"]
        if item["organization_identifiers"][0]["identifier"] == name
    )


def codes(entity: dict[str, Any], link_type: str) -> list[str]:
    return [
        attribute["taxonomy_term"]["code"]
        for attribute in entity["attributes"]
        if attribute["link_type"] == link_type
    ]


# ------------------------------------------------------------------------------- there and back


def test_every_organisation_comes_back_as_it_was(
    register: Register, document: dict[str, Any]
) -> None:
    back = import_hsds(document)
    assert [item.id for item in back] == [item.id for item in register.organisations]
    for before, after in zip(register.organisations, back, strict=True):
        assert after == before


def test_every_term_comes_back_as_it_was(register: Register, document: dict[str, Any]) -> None:
    back = {term.id: term for term in import_terms(document)}
    assert back == {term.id: term for term in register.terms}


def test_the_register_is_whole_but_for_what_is_left_out_on_purpose(
    register: Register, document: dict[str, Any]
) -> None:
    terms = {term.id: term for term in import_terms(document)}
    again = register.model_copy(
        update={
            "organisations": tuple(import_hsds(document)),
            "terms": tuple(terms[term.id] for term in register.terms),
        }
    )
    assert register_hash(again) == register_hash(register) == document["profile"]["registerHash"]
    assert {"routing_rules", "regimes", "help_lines"} <= set(document["profile"]["leftOut"])
    assert not {"organisations", "terms"} & set(document["profile"]["leftOut"])


def test_the_same_register_gives_the_same_bytes(register: Register) -> None:
    assert json.dumps(export_hsds(register)) == json.dumps(export_hsds(register))


def test_ids_stay_when_something_else_changes(register: Register, document: dict[str, Any]) -> None:
    fewer = register.model_copy(update={"organisations": register.organisations[5:]})
    kept = {item["id"]: item["name"] for item in export_hsds(fewer)["organizations"]}
    before = {item["id"]: item["name"] for item in document["organizations"]}
    assert kept.items() <= before.items()


def test_ids_are_unique(document: dict[str, Any]) -> None:
    found = [entity["id"] for item in document["organizations"] for entity in own_entities(item)]
    assert len(found) == len(set(found))


def own_entities(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield item
    yield from item["attributes"]
    yield from item["organization_identifiers"]
    for service in item["services"]:
        yield service
        for name in ("attributes", "schedules", "service_areas", "service_at_locations"):
            yield from service.get(name, ())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_organisation_comes_back(register: Register, data: st.DataObject) -> None:
    whole = [item.model_dump(mode="json", by_alias=True) for item in register.organisations]
    mixed = {
        name: data.draw(st.sampled_from([item[name] for item in whole]), label=name)
        for name in whole[0]
    }
    mixed["accused"] = data.draw(st.sampled_from([None, [], ["bestuur"]]))
    text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20) | st.none()
    for name in ("phone", "web", "hours"):
        mixed["channels"][name] = data.draw(text, label=name)
    organisation = Organisation.model_validate_json(json.dumps(mixed))
    single = register.model_copy(update={"organisations": (organisation,), "terms": ()})
    assert import_hsds(over_the_wire(export_hsds(single))) == [organisation]


@pytest.mark.parametrize(
    "phone", ["113 / 0800-0113", "030-2255050 (keuze 2)", "0900-1113111", "+31 30 280 9590"]
)
def test_telephone_numbers_become_objects_and_text_again(phone: str) -> None:
    assert phone_of(phones_of("party", phone)) == phone


def test_a_note_is_no_part_of_the_number() -> None:
    (one,) = phones_of("party", "030-2255050 (keuze 2)")
    assert (one["number"], one["description"]) == ("030-2255050", "keuze 2")


def test_only_an_address_becomes_a_website() -> None:
    assert website_of("s-bb.nl") == "https://s-bb.nl"
    assert web_of("https://s-bb.nl") == "s-bb.nl"
    for text in ("schoolgids (per bestuur)", "aob.nl / cnv.nl", "gemeente", None):
        assert website_of(text) is None


# -------------------------------------------------------------------------- what readers can see


def test_competences_are_terms_of_taxonomies(register: Register, document: dict[str, Any]) -> None:
    for organisation in register.organisations:
        service = organization(document, organisation.id)["services"][0]
        assert codes(service, "sector") == [str(value) for value in organisation.sectors]
        assert codes(service, "subject") == [str(value) for value in organisation.subjects]
        assert codes(service, "feedback") == [organisation.feedback]
        assert codes(service, "referral_mode") == [organisation.referral_mode]
    used = {term["id"] for term in document["taxonomy_terms"]}
    taxonomies = {taxonomy["id"] for taxonomy in document["taxonomies"]}
    assert {term["taxonomy_id"] for term in document["taxonomy_terms"]} <= taxonomies
    for item in document["organizations"]:
        for service in item["services"]:
            assert {a["taxonomy_term_id"] for a in service["attributes"]} <= used


def test_a_loket_shows_what_it_takes_of_its_own_and_of_its_organisation(
    register: Register, document: dict[str, Any]
) -> None:
    count = 0
    for organisation in register.organisations:
        services = organization(document, organisation.id)["services"]
        assert len(services) == 1 + len(organisation.loketten)
        for loket, service in zip(organisation.loketten, services[1:], strict=True):
            own = loket.subjects
            count += own is not None
            taken = organisation.subjects if own is None else own
            kind = "subject-inherited" if own is None else "subject"
            assert codes(service, kind) == [str(value) for value in taken]
    assert count > 0


def test_what_nobody_checked_says_so(register: Register, document: dict[str, Any]) -> None:
    for organisation in register.organisations:
        service = organization(document, organisation.id)["services"][0]
        assert ("alert" in service) == organisation.channels.to_verify
    unchecked = next(o for o in register.organisations if any(r.to_verify for r in o.admissibility))
    written = next(
        json.loads(attribute["value"])
        for attribute in organization(document, unchecked.id)["attributes"]
        if attribute["taxonomy_term"]["code"] == "admissibility"
    )
    assert any(item.get("to_verify") for item in written)


@pytest.mark.parametrize(
    ("by", "address"), [("vragen@example.nl", "vragen@example.nl"), ("The committee", None)]
)
def test_who_assured_it_and_when_is_told_in_the_standard_s_own_fields(
    register: Register, by: str, address: str | None
) -> None:
    data = register.organisations[0].model_dump() | {"assured": {"date": "2026-11-01", "by": by}}
    assured = Organisation.model_validate_json(json.dumps(data, default=str))
    single = register.model_copy(update={"organisations": (assured,)})
    service = export_hsds(single)["organizations"][0]["services"][0]
    assert service["assured_date"] == "2026-11-01"
    assert service.get("assurer_email") == address
    (item,) = export_hsds(single)["organizations"]
    assert json.loads(
        next(a["value"] for a in item["attributes"] if a["taxonomy_term"]["code"] == "assured")
    ) == {"date": "2026-11-01", "by": by}


# -------------------------------------------------------------------------------------- the form


def test_the_export_has_the_form_of_hsds(document: dict[str, Any]) -> None:
    for at, item in enumerate(document["organizations"]):
        assert list(problems_of("organization", item, f"organizations[{at}]")) == []
    for kind, name in (("taxonomy", "taxonomies"), ("taxonomy_term", "taxonomy_terms")):
        for item in document[name]:
            assert list(problems_of(kind, item, name)) == []


@pytest.fixture(scope="module")
def published() -> Path:
    folder = os.environ.get(SCHEMA_VARIABLE)
    if not folder:
        pytest.skip(
            f"the published schema of HSDS 3.0 (CC BY-SA 4.0) is not part of this project: set {SCHEMA_VARIABLE} "
            "to the folder `schema` of a copy of the specification, branch 3.0"
        )
    return Path(folder)


def validator(file: Path) -> jsonschema.Draft202012Validator:
    def beside(uri: str) -> Resource[Any]:
        text = (file.parent / uri).read_text(encoding="utf-8")
        return Resource.from_contents(json.loads(text), default_specification=DRAFT202012)

    schema = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker(), registry=Registry(retrieve=beside)
    )


def test_the_export_is_valid_under_the_published_schema(
    document: dict[str, Any], published: Path
) -> None:
    package = validator(published / "compiled" / "organization_package.json")
    assert [error.json_path for error in package.iter_errors(document["organizations"])] == []
    broken = copy.deepcopy(document["organizations"])
    del broken[3]["services"][0]["status"]
    broken[4]["id"] = "four"
    assert len(list(package.iter_errors(broken))) == 2


def test_the_taxonomies_are_valid_under_the_published_schema(
    document: dict[str, Any], published: Path
) -> None:
    for name, entity in (("taxonomies", "taxonomy"), ("taxonomy_terms", "taxonomy_term")):
        one = validator(published / f"{entity}.json")
        assert document[name]
        assert [error.json_path for item in document[name] for error in one.iter_errors(item)] == []
        assert not one.is_valid({**document[name][0], "id": "one"})


def test_our_form_asks_no_less_than_the_published_schema(
    document: dict[str, Any], published: Path
) -> None:
    """Whatever single field is taken away: if the published schema minds, so does the import."""
    package = validator(published / "compiled" / "organization_package.json")
    sample = copy.deepcopy(organization(document, "balans"))
    for holder, name in list(fields_of(sample)):
        value = holder.pop(name)
        minds = not package.is_valid([sample])
        ours = list(problems_of("organization", sample, "organizations[0]"))
        assert bool(ours) >= minds, name
        holder[name] = value


def fields_of(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict):
        for name in value:
            yield value, name
    for child in children:
        if isinstance(child, dict | list):
            yield from fields_of(child)


# --------------------------------------------------------------------------------------- refusals


def broken(document: dict[str, Any], *path: str | int, value: Any = None) -> tuple[str, str]:
    """Entity and field of the only problem after one change; None removes."""
    changed = copy.deepcopy(document)
    at: Any = changed
    for part in path[:-1]:
        at = at[part]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    with pytest.raises(HsdsInvalid) as caught:
        import_hsds(changed)
    (problem,) = caught.value.problems
    assert problem.problem
    assert problem.remedy
    return problem.entity, problem.field


def test_a_fault_is_named_by_entity_and_field(document: dict[str, Any]) -> None:
    one = ("organizations", 2)
    where, service = "organizations[2]", "organizations[2].services[0]"
    assert broken(document, *one, "name") == (where, "name")
    assert broken(document, *one, "id", value="2") == (where, "id")
    assert broken(document, *one, "website", value="113.nl") == (where, "website")
    assert broken(document, *one, "services", value=[]) == (where, "services")
    assert broken(document, *one, "services", 0, "status", value="open") == (service, "status")
    assert broken(document, *one, "phones", 0, "number") == (f"{where}.phones[0]", "number")
    assert broken(document, "organizations", value=[]) == ("document", "organizations")
    assert broken(document, "profile", "version", value="2") == ("profile", "version")


def test_a_fault_in_the_register_s_own_fields_is_named_too(document: dict[str, Any]) -> None:
    item = document["organizations"][2]
    first = item["services"][0]["attributes"][0]
    assert first["link_type"] == "sector"
    path = ("organizations", 2, "services", 0, "attributes", 0)
    service = "organizations[2].services[0]"
    assert broken(document, *path, "taxonomy_term", "code", value="kindergarten") == (
        service,
        "sectors.0",
    )
    assert broken(document, *path, "taxonomy_term") == (
        f"{service}.attributes[0]",
        "taxonomy_term.code",
    )
    tier = next(
        at for at, a in enumerate(item["attributes"]) if a["taxonomy_term"]["code"] == "tier"
    )
    field = ("organizations", 2, "attributes", tier)
    assert broken(document, *field, "value", value='"top"') == ("organizations[2]", "tier")
    assert broken(document, *field, "value", value="core") == (
        f"organizations[2].attributes[{tier}]",
        "value",
    )
    assert broken(document, *field) == ("organizations[2]", "tier")


def test_a_fault_of_a_loket_is_named_at_its_service(document: dict[str, Any]) -> None:
    at = next(n for n, item in enumerate(document["organizations"]) if len(item["services"]) > 2)
    attributes = document["organizations"][at]["services"][2]["attributes"]
    own = next(n for n, a in enumerate(attributes) if a["taxonomy_term"]["code"] == "id")
    path = ("organizations", at, "services", 2, "attributes", own, "value")
    assert broken(document, *path, value='"Not An Id"') == (
        f"organizations[{at}].services[2]",
        "id",
    )


def test_two_organisations_with_one_id_are_refused(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["organizations"].append(copy.deepcopy(changed["organizations"][0]))
    with pytest.raises(HsdsInvalid, match="there 2 times"):
        import_hsds(changed)


def test_a_directory_that_is_not_in_this_profile_is_told_what_lacks() -> None:
    foreign = {
        "organizations": [
            {"id": "11111111-1111-4111-8111-111111111111", "name": "A", "description": "B",
             "services": [
                 {"id": "22222222-2222-4222-8222-222222222222", "name": "A", "status": "active"}]}
        ]
    }  # fmt: skip
    with pytest.raises(HsdsInvalid) as caught:
        import_hsds(foreign)
    lacking = {(p.entity, p.field) for p in caught.value.problems}
    assert ("organizations[0].services[0]", "sectors") in lacking
    assert ("organizations[0]", "tier") in lacking


def test_whatever_is_in_the_document_only_this_error_comes_out(document: dict[str, Any]) -> None:
    rng = random.Random(11)
    base = {**document, "organizations": document["organizations"][5:7]}
    junk = [None, 0, -1.5, True, "", "x" * 500, [], {}, [[]], [{}], {"id": 1}, "[" * 5000, "NaN"]
    outcomes = []
    for _ in range(200):
        changed = copy.deepcopy(base)
        holder, name = rng.choice(list(fields_of(changed["organizations"])))
        holder[name] = rng.choice(junk)
        outcomes += [outcome(read, changed) for read in (import_hsds, import_terms)]
    assert "" in outcomes
    assert sum(map(bool, outcomes)) > 60
    assert max(map(len, outcomes)) < 20_000


def outcome(read: Callable[[Any], object], document: Any) -> str:
    try:
        read(document)
    except HsdsInvalid as error:
        return str(error)
    return ""


@pytest.mark.parametrize("document", [{}, {"organizations": {}}, {"organizations": [[]]}, []])
def test_no_document_at_all_is_refused(document: Any) -> None:
    with pytest.raises(HsdsInvalid):
        import_hsds(document)
