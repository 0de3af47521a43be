"""A situation as the rules see it: with the kind after standing and the facts that follow. Pure."""

from contracts.situation import UNKNOWN, Accused, Situation
from services.routing.compiled import CompiledRegister
from services.routing.domain import NO_AFFILIATION
from services.routing.matching import Facts, flag_bits


def facts_of(
    compiled: CompiledRegister, situation: Situation
) -> tuple[Facts, int | None, frozenset[str]]:
    """The facts, the line of `standing` that changed the kind, if any, and the parties tried."""
    flags = flag_bits(situation.flags)
    tried: frozenset[str] = frozenset()
    for step in situation.steps_tried:
        parties, implied = compiled.steps.get(step, (tried, 0))
        tried |= parties
        flags |= implied
    standing = compiled.standing.get((situation.reporter, situation.kind))
    kind = situation.kind if standing is None else compiled.register.standing[standing].to
    accused = Accused.ONBEKEND if situation.accused == UNKNOWN else situation.accused
    affiliation = (
        situation.affiliation
        if situation.affiliation in compiled.committees or situation.affiliation == NO_AFFILIATION
        else UNKNOWN
    )
    facts = Facts(
        situation.sector, situation.reporter, kind, situation.subject, accused, affiliation, flags
    )
    return derive(compiled, facts, situation.age), standing, tried


def derive(compiled: CompiledRegister, facts: Facts, age: int | None) -> Facts:
    """Adds the flags that follow, in the order of the register."""
    holds = compiled.derived_table.select(facts)
    for index, derived in enumerate(compiled.derived):
        if not holds >> index & 1 or facts.flags & derived.bit:
            continue
        limit = derived.max_age_years
        if limit is None or (derived.unknown_age_counts if age is None else age <= limit):
            facts = facts._replace(flags=facts.flags | derived.bit)
            holds = compiled.derived_table.select(facts)
    return facts
