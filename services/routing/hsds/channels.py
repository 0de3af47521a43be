"""Telephone, site and hours between the register's text and HSDS objects."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.routing.hsds.profile import identifier

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}(/[^\s]*)?")
_NUMBER_WITH_NOTE = re.compile(r"([0-9+ -]+) \(([^()]+)\)")
_BETWEEN = " / "
_SCHEME = "https://"


def website_of(web: str | None) -> str | None:
    """An address for `web`; None when it is a description, as `schoolgids (per bestuur)`."""
    return _SCHEME + web if web is not None and _HOST.fullmatch(web) else None


def web_of(website: str | None) -> str | None:
    """The register's text for an address."""
    return None if website is None else website.removeprefix(_SCHEME).removesuffix("/")


def phones_of(organisation: str, phone: str | None) -> list[dict[str, Any]]:
    """One object a number; a note in brackets becomes its description."""
    found = []
    for at, part in enumerate([] if phone is None else phone.split(_BETWEEN)):
        one: dict[str, Any] = {"id": identifier("phone", organisation, str(at)), "number": part}
        noted = _NUMBER_WITH_NOTE.fullmatch(part)
        if noted is not None:
            one |= {"number": noted[1], "description": noted[2]}
        found.append(one | {"type": "voice"})
    return found


def phone_of(phones: Iterable[Mapping[str, Any]]) -> str | None:
    """The register's text for the numbers."""
    parts = [
        one["number"] + (f" ({one['description']})" if one.get("description") else "")
        for one in phones
    ]
    return _BETWEEN.join(parts) or None


def hours_of(schedules: Iterable[Mapping[str, Any]]) -> str | None:
    """The register's text for the opening hours."""
    return _BETWEEN.join(s["description"] for s in schedules if s.get("description")) or None
