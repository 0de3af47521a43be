"""The register as Open Referral HSDS 3.0: organisations with services, and what they take."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.routing.domain import Loket, Organisation, Register, register_hash
from services.routing.hsds import profile
from services.routing.hsds.channels import hours_of, phone_of, phones_of, web_of, website_of
from services.routing.hsds.profile import identifier

Json = dict[str, Any]
_UNVERIFIED = "Deze contactgegevens zijn nog niet nagekeken."
_SHOW_ONLY = "Neem zelf contact op: het meldpunt stuurt uw melding niet door naar deze organisatie."


def export_hsds(register: Register) -> Json:
    """The organisations and their terms as one JSON document; the same register, the same bytes.

    `organizations` is a list of HSDS organizations with their services; `profile` says what of the
    register is not in it.
    """
    organizations = [_organization(register, item) for item in register.organisations]
    return {
        "profile": {
            "name": profile.NAME,
            "version": profile.VERSION,
            "hsds": profile.HSDS_VERSION,
            "registerVersion": register.version,
            "registerHash": register_hash(register),
            "asOf": register.as_of,
            "leftOut": list(profile.LEFT_OUT),
        },
        "organizations": organizations,
        "taxonomies": profile.taxonomies(register),
        "taxonomy_terms": _terms_used(organizations),
    }


def _organization(register: Register, organisation: Organisation) -> Json:
    own = identifier("organization", organisation.id)
    channels = organisation.channels
    website = website_of(channels.web)
    location = None if website is None else _location(organisation, own, website)
    organization = {
        "id": own,
        "name": organisation.name,
        "description": _description(organisation),
        "email": channels.email,
        "website": website,
        "phones": [
            p | {"organization_id": own} for p in phones_of(organisation.id, channels.phone)
        ],
        "contacts": _contacts(organisation, own),
        "locations": [] if location is None else [location],
        "organization_identifiers": [
            {
                "id": identifier("identifier", organisation.id),
                "organization_id": own,
                "identifier_type": profile.NAME,
                "identifier": organisation.id,
            }
        ],
        "attributes": list(_organization_attributes(register, organisation, own)),
        "services": [
            _service(organisation, own, location),
            *(
                _loket_service(organisation, loket, own, location)
                for loket in organisation.loketten
            ),
        ],
    }
    return _without_empty(organization)


def _description(organisation: Organisation) -> str:
    """HSDS requires one; the register has none in words."""
    return f"Soort: {_words(organisation.kind)}. Uitkomst: {_words(organisation.outcome)}."


def _contacts(organisation: Organisation, own: str) -> list[Json]:
    """HSDS names a contact for a person; here it is the organisation, never a person."""
    if organisation.channels.email is None:
        return []
    contact = identifier("contact", organisation.id)
    return [
        {
            "id": contact,
            "organization_id": own,
            "name": organisation.name,
            "email": organisation.channels.email,
        }
    ]


def _location(organisation: Organisation, own: str, website: str) -> Json:
    return {
        "id": identifier("location", organisation.id),
        "organization_id": own,
        "location_type": "virtual",
        "name": organisation.name,
        "url": website,
    }


def _service(organisation: Organisation, own: str, location: Json | None) -> Json:
    service = _base_service(organisation, organisation.name, own, location, organisation.id)
    data = organisation.model_dump(mode="json", by_alias=True)
    link = str(service["id"])
    attributes = [
        _attribute(link, "service", taxonomy, taxonomy, code)
        for field, taxonomy in profile.LISTED.items()
        for code in data[field] or ()
    ]
    attributes += [
        _attribute(link, "service", taxonomy, taxonomy, data[field])
        for field, taxonomy in profile.CODED.items()
    ]
    return service | {"attributes": attributes}


def _loket_service(
    organisation: Organisation, loket: Loket, own: str, location: Json | None
) -> Json:
    path = f"{organisation.id}/{loket.id}"
    service = _base_service(organisation, loket.name, own, location, path)
    data = loket.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    whole = organisation.model_dump(mode="json", by_alias=True)
    link = str(service["id"])
    attributes = []
    for field, taxonomy in profile.LISTED.items():
        if field in type(loket).model_fields and getattr(loket, field) is not None:
            kind, codes = taxonomy, getattr(loket, field)
        else:
            kind, codes = taxonomy + profile.INHERITED, whole[field] or ()
        attributes += [_attribute(link, "service", kind, taxonomy, str(code)) for code in codes]
    # An empty list takes nothing, where no list takes what the organisation takes.
    fields = {
        name: value
        for name, value in data.items()
        if name != "name" and (name not in profile.LISTED or value == [])
    }
    attributes += _field_attributes(link, "service", fields)
    return service | {"attributes": attributes}


def _base_service(
    organisation: Organisation, name: str, own: str, location: Json | None, path: str
) -> Json:
    service = identifier("service", path)
    channels = organisation.channels
    base: Json = {
        "id": service,
        "organization_id": own,
        "name": name,
        "status": "active",
        "email": channels.email,
        "url": website_of(channels.web),
        "application_process": _SHOW_ONLY if organisation.referral_mode == "show_only" else None,
        "eligibility_description": "; ".join(item.rule for item in organisation.admissibility),
        "alert": _UNVERIFIED if channels.to_verify else None,
        **_assurance(organisation),
        "schedules": _schedules(channels.hours, service, path),
        "service_areas": _areas(organisation.region_key, service, path),
        "service_at_locations": [] if location is None else [_at(location, service, path)],
    }
    return _without_empty(base)


def _assurance(organisation: Organisation) -> Json:
    """`assured: {date, by}` of the register in HSDS's own fields; there `by` must be an address."""
    assured = organisation.model_dump(mode="json").get("assured")
    if not isinstance(assured, dict):
        return {}
    by = str(assured.get("by") or "")
    return {"assured_date": assured.get("date"), "assurer_email": by if "@" in by else None}


def _schedules(hours: str | None, service: str, path: str) -> list[Json]:
    if hours is None:
        return []
    return [{"id": identifier("schedule", path), "service_id": service, "description": hours}]


def _areas(region_key: str | None, service: str, path: str) -> list[Json]:
    if region_key is None:
        return []
    return [{"id": identifier("area", path), "service_id": service, "name": region_key}]


def _at(location: Json, service: str, path: str) -> Json:
    return {
        "id": identifier("at", path),
        "service_id": service,
        "location_id": location["id"],
        "location": location,
    }


def _organization_attributes(
    register: Register, organisation: Organisation, own: str
) -> Iterator[Json]:
    data = organisation.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    left = {name: value for name, value in data.items() if name not in profile.STANDARD}
    if organisation.accused == ():
        left["accused"] = []
    yield from _field_attributes(own, "organization", left)
    for name, value in _channels_left(organisation).items():
        yield _attribute(own, "organization", profile.CHANNEL, profile.CHANNEL, name, value)
    for term in register.terms:
        if term.organisation == organisation.id:
            written = term.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            yield _attribute(
                own, "organization", profile.TERM, profile.TERM, term.id, _written(written)
            )


def _channels_left(organisation: Organisation) -> dict[str, str]:
    """What the standard's own fields would not give back as it was."""
    channels = organisation.channels
    back = {
        "web": web_of(website_of(channels.web)),
        "phone": phone_of(phones_of(organisation.id, channels.phone)),
        "hours": hours_of([] if channels.hours is None else [{"description": channels.hours}]),
    }
    left = {
        name: str(getattr(channels, name))
        for name, value in back.items()
        if getattr(channels, name) != value
    }
    return left | ({"to_verify": "true"} if channels.to_verify else {})


def _field_attributes(link: str, entity: str, fields: Mapping[str, Any]) -> Iterator[Json]:
    for name, value in fields.items():
        yield _attribute(link, entity, profile.FIELD, profile.FIELD, name, _written(value))


def _attribute(
    link: str, entity: str, link_type: str, taxonomy: str, code: str, value: str | None = None
) -> Json:
    attribute: Json = {
        "id": identifier("attribute", link, link_type, code),
        "link_id": link,
        "link_entity": entity,
        "link_type": link_type,
        "taxonomy_term_id": identifier("term", taxonomy, code),
        "taxonomy_term": profile.taxonomy_term(taxonomy, code),
    }
    return attribute if value is None else attribute | {"value": value}


def _terms_used(organizations: Sequence[Json]) -> list[Json]:
    used: dict[str, Json] = {}
    for organization in organizations:
        for entity in (organization, *organization["services"]):
            for attribute in entity["attributes"]:
                used[attribute["taxonomy_term_id"]] = attribute["taxonomy_term"]
    return sorted(used.values(), key=lambda term: (term["taxonomy"], term["code"]))


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _words(code: str) -> str:
    return code.replace("_", " ")


def _without_empty(entity: Json) -> Json:
    return {name: value for name, value in entity.items() if value not in (None, "", [])}
