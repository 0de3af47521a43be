"""Whether a party can take a case, at which loket, and as what kind. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.situation import UNKNOWN, Kind
from services.routing.compiled import Candidate, CompiledRegister, LoketTable, Party
from services.routing.domain import AFFILIATION, Reason
from services.routing.matching import Facts, indices

# The reason, and the answer on which it rests, if it rests on one.
Refusal = tuple[Reason, str | None]
NO_REFUSAL: Refusal = (Reason.LOWER_IN_ORDER, None)


@dataclass(slots=True)
class Case:
    """What one decision knows; built once, then only `never_via` grows with the rules that held."""

    register: CompiledRegister
    facts: Facts
    holds: int
    stages: tuple[int, ...]
    excluded: frozenset[str]
    tried: frozenset[str]
    never_via: set[str]


def stages_of(compiled: CompiledRegister, facts: Facts) -> tuple[int, ...]:
    """Competences left after each answer; where an organisation has none left is why not."""
    sectors, reporters, kinds, subjects, accused = compiled.masks
    sector = sectors[facts.sector]
    reporter = sector & reporters[facts.reporter]
    kind = reporter & kinds[facts.kind]
    subject = kind & subjects[facts.subject]
    return sector, reporter, kind, subject, subject & accused[facts.accused]


def party_named(case: Case, organisation: str) -> Party | None:
    """The party that a rule names; AFFILIATION is the committee of the board, if that is known."""
    return case.register.by_id.get(
        case.facts.affiliation if organisation == AFFILIATION else organisation
    )


def usable(case: Case, candidate: Candidate) -> tuple[Party, str | None] | None:
    """The party and its loket, when it can take the case now."""
    party = party_named(case, candidate[0])
    if party is None:
        return None
    if party.id == case.register.register.desk:
        return party, None
    if refusal_of(case, party) is not None:
        return None
    if candidate[1] is not None:
        return (
            (party, candidate[1])
            if _loket_open(case, party, party.loketten[candidate[1]])
            else None
        )
    if not party.ordered:
        return party, None
    loket = first_loket(case, party)
    return None if loket is None else (party, loket)


def refusal_of(case: Case, party: Party) -> Refusal | None:
    """Why the organisation cannot take the case, or None; the gravest reason is told first."""
    facts = case.facts
    if party.id in case.excluded:
        return Reason.EXCLUDED, None
    if facts.accused in party.accused_when:
        return Reason.ACCUSED_PARTY, "accused"
    if not case.stages[-1] & party.bits:
        return _not_competent(case, party)
    if party.requires_affiliation and party.id != facts.affiliation:
        return _not_affiliated(facts.affiliation), "affiliation"
    return _condition(case, party)


def _condition(case: Case, party: Party) -> Refusal | None:
    if case.facts.flags & party.requires_flags != party.requires_flags:
        return Reason.CONDITION_NOT_MET, "flags"
    if party.id in case.never_via:
        return Reason.NEVER_VIA, None
    if party.id in case.tried and not party.show_only:
        return Reason.ALREADY_TRIED, "steps_tried"
    return None


def _not_affiliated(affiliation: str) -> Reason:
    return Reason.AFFILIATION_UNKNOWN if affiliation == UNKNOWN else Reason.OTHER_COMMITTEE


def _not_competent(case: Case, party: Party) -> Refusal:
    for field, stage in zip(Facts._fields, case.stages, strict=False):
        if not stage & party.bits:
            if field == "accused" and case.facts.accused in party.second_choice:
                return Reason.SECOND_CHOICE, field
            return Reason.NOT_COMPETENT, field
    return NO_REFUSAL


def first_loket(case: Case, party: Party) -> str | None:
    """The first loket in the order for this case that is open; None when there is none."""
    return next(open_lokets(case, party), None)


def open_lokets(case: Case, party: Party) -> Iterator[str]:
    """The lokets that could take this case, in the register's order for it; each may come twice."""
    if not party.ordered:
        names = iter(party.loketten)
        yield from (name for name in names if _loket_open(case, party, party.loketten[name]))
        return
    for line in indices(case.register.selector.section(case.holds, party.lines)):
        for name in party.orders[line]:
            if _loket_open(case, party, party.loketten[name]):
                yield name


def _loket_open(case: Case, party: Party, loket: LoketTable) -> bool:
    name = f"{party.id}/{loket.id}"
    if name in case.excluded or name in case.never_via or name in case.tried:
        return False
    if case.facts.accused in loket.accused_when:
        return False
    if loket.kinds is not None and kind_at(case, party) not in loket.kinds:
        return False
    return all(getattr(case.facts, field) in values for field, values in loket.limits)


def kind_at(case: Case, party: Party) -> Kind:
    """What the report is for this party: its own kind, or what the party's entry makes of it."""
    bits = case.stages[-1] & party.bits
    if not bits or party.id == case.register.register.desk:
        return Kind(case.facts.kind)
    return case.register.blocks[(bits & -bits).bit_length() - 1].kinds[case.facts.kind]
