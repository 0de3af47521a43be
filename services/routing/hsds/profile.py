"""How the register is written in HSDS 3.0: the taxonomies and what each attribute stands for.

An attribute is read by its `link_type` and the code of its term; README.md holds the table.
"""

from typing import Any
from uuid import UUID, uuid5

from services.routing.domain import Register

NAME = "meldpunt-register"
VERSION = "1"
HSDS_VERSION = "3.0"
_NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562, names that are URLs
_PREFIX = "urn:meldpunt:hsds:"

# The lists of answers that an organisation takes: field of the register -> taxonomy.
LISTED = {
    "sectors": "sector",
    "reporters": "reporter",
    "kinds": "kind",
    "subjects": "subject",
    "accused": "accused",
}
# One value out of a list.
CODED = {"outcome": "outcome", "feedback": "feedback", "referral_mode": "referral_mode"}
# What a loket takes only because its organisation does: for readers, passed over on import.
INHERITED = "-inherited"
FIELD = "field"
CHANNEL = "channel"
TERM = "term"
# What HSDS holds in places of its own, or what becomes attributes one by one.
STANDARD = frozenset({"name", "channels", "region_key", "loketten", *LISTED, *CODED})
CARRIED = frozenset({"version", "as_of", "organisations", "terms"})
# The order of decisions belongs to the whole register, not to an organisation.
LEFT_OUT = tuple(name for name in Register.model_fields if name not in CARRIED)

_DESCRIPTIONS = {
    "sector": "Sector of education of the enrolment",
    "reporter": "Capacity of the person who reports",
    "kind": "Report, complaint or request for help",
    "subject": "What the report is about",
    "accused": "Whom the report is about",
    "outcome": "What comes of it at this organisation",
    "feedback": "What the organisation reports back into the chain",
    "referral_mode": "Whether a case is sent, announced by telephone or only shown",
    FIELD: "Field of the register; the value is JSON",
    CHANNEL: "Way to reach the organisation that HSDS has no place for",
    TERM: "Term that runs; the value is JSON",
}


def identifier(*path: str) -> str:
    """The id of a thing: the same one in every export of the same thing."""
    return str(uuid5(_NAMESPACE, _PREFIX + "/".join(path)))


def taxonomies(register: Register) -> list[dict[str, Any]]:
    """The taxonomies of this profile."""
    return [
        {
            "id": identifier("taxonomy", name),
            "name": name,
            "description": description,
            "uri": f"{_PREFIX}{name}",
            "version": register.version,
        }
        for name, description in _DESCRIPTIONS.items()
    ]


def taxonomy_term(taxonomy: str, code: str) -> dict[str, Any]:
    """One term of a taxonomy, as an attribute refers to it."""
    return {
        "id": identifier("term", taxonomy, code),
        "code": code,
        "name": code.replace("_", " "),
        "description": f"{_DESCRIPTIONS[taxonomy]}: {code.replace('_', ' ')}",
        "taxonomy": taxonomy,
        "taxonomy_id": identifier("taxonomy", taxonomy),
    }
