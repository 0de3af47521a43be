"""What must hold of the register itself, whatever the situation: ladders, terms, help lines."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.routing.domain import Organisation, Register

# Outcomes with which a matter ends: somebody decided, judged, supervises, acts or keeps it.
END_OUTCOMES = frozenset(
    {"noodhulp", "opsporing", "oordeel", "besluit", "toezicht", "uitspraak_bindend", "regie"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault (or, with `warning`, something to look at) in the register itself."""

    code: str
    where: str
    words: str
    warning: bool = False


def findings(register: Register) -> list[Finding]:
    """All that can be said without a situation."""
    return [
        *_ladders(register),
        *_terms(register),
        *_help_lines(register),
        *_accused(register),
    ]


def ladder_ends(organisation: Organisation, desk: str) -> bool:
    """Whether a ladder may stop here."""
    return organisation.id == desk or organisation.outcome in END_OUTCOMES


def _ladders(register: Register) -> Iterator[Finding]:
    by_id = {o.id: o for o in register.organisations}
    ending = {
        o.id for o in register.organisations if not o.escalates_to and ladder_ends(o, register.desk)
    }
    grown = True
    while grown:
        grown = False
        for organisation in register.organisations:
            if organisation.id not in ending and ending & set(organisation.escalates_to):
                ending.add(organisation.id)
                grown = True
    for organisation in register.organisations:
        if organisation.id not in ending:
            path = _path(organisation.id, by_id)
            yield Finding(
                "ladder-without-end",
                organisation.id,
                f"De ladder van {organisation.id} eindigt nergens: {' -> '.join(path)}. Noem in"
                " escalates_to een partij die beslist, oordeelt of toezicht houdt.",
            )
    for circle in cycles(register):
        yield Finding(
            "ladder-circle",
            circle[0],
            f"De ladder kan rondgaan ({' -> '.join(circle)}); er is ook een weg naar het einde,"
            " en wie al is geprobeerd, wordt niet opnieuw gekozen.",
            warning=True,
        )


def _path(start: str, by_id: dict[str, Organisation]) -> list[str]:
    path: list[str] = [start]
    while by_id[path[-1]].escalates_to:
        step = by_id[path[-1]].escalates_to[0]
        path.append(step)
        if step in path[:-1]:
            break
    return path


def cycles(register: Register) -> list[tuple[str, ...]]:
    """One shortest circle per organisation that can come back to itself; each circle once."""
    onward = {o.id: o.escalates_to for o in register.organisations}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for start in onward:
        paths: list[tuple[str, ...]] = [(start,)]
        seen = {start}
        while paths:
            path = paths.pop(0)
            if start in onward[path[-1]]:
                found.setdefault(frozenset(path), (*path, start))
                break
            for party in onward[path[-1]]:
                if party not in seen:
                    seen.add(party)
                    paths.append((*path, party))
    return list(found.values())


def _terms(register: Register) -> Iterator[Finding]:
    for term in register.terms:
        if not term.starts.strip():
            yield Finding(
                "term-without-start",
                term.id,
                f"De termijn {term.id} ({term.what}) zegt niet wanneer zij begint: vul starts in.",
            )
        if not register.sources.get(term.src, "").strip():
            yield Finding(
                "term-without-source",
                term.id,
                f"De termijn {term.id} ({term.what}) heeft geen bron. Noem bij `src` een bron.",
            )


def _help_lines(register: Register) -> Iterator[Finding]:
    by_id = {o.id: o for o in register.organisations}
    lines = {line.show: f"regel {line.id}" for line in register.help_lines}
    for rule in register.routing_rules:
        if rule.urgency == "acuut":
            lines.setdefault(rule.primary.partition("/")[0], f"regel {rule.id}")
    for organisation in register.organisations:
        if organisation.outcome == "noodhulp":
            lines.setdefault(organisation.id, "noodhulp")
    for name, why in lines.items():
        entry = by_id.get(name)
        if entry is not None and entry.referral_mode != "show_only":
            yield Finding(
                "queue-on-show-only",
                name,
                f"{entry.name} is noodhulp ({why}) en heeft toch een wachtrij: zet"
                " referral_mode: show_only, zodat mensen direct bellen.",
            )


def _accused(register: Register) -> Iterator[Finding]:
    """The two places that say who the accused is must say the same."""
    own: dict[str, set[str]] = {}
    for organisation in register.organisations:
        for accused in organisation.accused_when:
            own.setdefault(str(accused), set()).add(organisation.id)
        for loket in organisation.loketten:
            for accused in loket.accused_when:
                if accused not in organisation.accused_when:
                    own.setdefault(str(accused), set()).add(f"{organisation.id}/{loket.id}")
    stated = {str(k): set(v) for k, v in register.accused_parties.items()}
    for name in sorted({*own, *stated}):
        for party in stated.get(name, set()) - own.get(name, set()):
            yield Finding(
                "accused-is-recipient",
                party,
                f"Een zaak over {name} kan bij {party} zelf komen: {party} staat onder"
                f" accused_parties, maar mist `accused_when: [{name}]`.",
            )
        for party in own.get(name, set()) - stated.get(name, set()):
            if party.partition("/")[0] not in stated.get(name, set()):
                yield Finding(
                    "accused-not-stated",
                    party,
                    f"{party} noemt zich beklaagde bij {name}; noem {party} ook onder"
                    " accused_parties.",
                )
