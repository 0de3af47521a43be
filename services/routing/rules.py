"""`decide`: whom a situation goes to. Pure, total, deterministic; all knowledge is in the register.

Order: the first rule that holds and whose party is competent by its own entry; then those who stand
next to a rule that held; then where a failed party escalates to; then the desk.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.routing import Mode, Term
from contracts.situation import UNKNOWN, Accused, Flag, Kind, Situation, Urgency
from services.routing.compiled import (
    FLAG_BIT,
    URGENCIES,
    Candidate,
    CompiledRegister,
    CompiledRule,
    Facts,
    LoketTable,
    Party,
    compile_register,
    flag_bits,
    indices,
)
from services.routing.domain import (
    AFFILIATION,
    NO_AFFILIATION,
    Decision,
    Duty,
    Reason,
    Register,
    Weighed,
)

__all__ = ["CompiledRegister", "compile_register", "decide"]

Refusal = tuple[Reason, str | None]
_OPEN: Refusal = (Reason.LOWER_IN_ORDER, None)


@dataclass(slots=True)
class _Case:
    """What one decision knows; built once, then only `never_via` grows with the rules that held."""

    register: CompiledRegister
    facts: Facts
    stages: tuple[int, ...]
    excluded: frozenset[str]
    tried: frozenset[str]
    never_via: set[str]


@dataclass(frozen=True, slots=True)
class _Choice:
    """The party that was found and the rule that led there."""

    party: Party
    loket: str | None
    rule: CompiledRule
    direct: bool
    urgency: int


def decide(
    register: Register | CompiledRegister,
    situation: Situation,
    excluded: frozenset[str] = frozenset(),
    *,
    weigh: bool = True,
) -> Decision:
    """Decides for any situation and any set of excluded `organisation` or `organisation/loket` ids.

    Give the compiled register where many are decided. An exclusion of the desk has no effect: it
    holds what nobody takes. Without `weigh` the list of who was weighed stays empty, which saves
    more than half the time.
    """
    compiled = register if isinstance(register, CompiledRegister) else compile_register(register)
    facts, standing, tried = _facts(compiled, situation)
    case = _Case(compiled, facts, _stages(compiled, facts), excluded, tried, set())
    choice = _choose(case)
    also, shown = _beside(case, choice)
    urgency = _urgency(compiled, facts, choice.urgency)
    shown = _help_lines(case, choice, shown, urgency)
    kind = _kind_at(case, choice.party)
    fallback = compiled.register.fallback
    return Decision(
        primary=choice.party.id,
        loket=choice.loket,
        mode=_mode(compiled, choice.party),
        desk=compiled.register.desk,
        primary_name=choice.party.name,
        contact=choice.party.contact,
        also=also,
        shown=shown,
        urgency=urgency,
        limits=compiled.limits[urgency],
        rule=choice.rule.rule.id,
        kind=situation.kind,
        kind_at_primary=kind,
        conversion_why=None if standing is None else compiled.register.standing[standing].why,
        terms=_terms(case, choice, also, shown),
        duties=_duties(case),
        weighed=_weigh(case, choice.party, also) if weigh else (),
        flags=tuple(flag for flag in Flag if facts.flags & FLAG_BIT[flag]),
        excluded=tuple(sorted(excluded)),
        why=choice.rule.rule.why if choice.direct else fallback.why,
        why_en=choice.rule.rule.why_en if choice.direct else fallback.why_en,
        register_version=compiled.register.version,
        register_hash=compiled.hash,
    )


def _urgency(compiled: CompiledRegister, facts: Facts, of_rule: int) -> Urgency:
    floors = (urgency for flags, urgency in compiled.floors if facts.flags & flags == flags)
    return URGENCIES[min((of_rule, *floors))]


def _facts(
    compiled: CompiledRegister, situation: Situation
) -> tuple[Facts, int | None, frozenset[str]]:
    flags = flag_bits(situation.flags)
    tried: set[str] = set()
    for step in situation.steps_tried:
        parties, implied = compiled.steps.get(step, (frozenset(), 0))
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
    return _derive(compiled, facts, situation.age), standing, frozenset(tried)


def _derive(compiled: CompiledRegister, facts: Facts, age: int | None) -> Facts:
    """Adds the flags that follow, in the order of the register."""
    for index, derived in enumerate(compiled.derived):
        if facts.flags & derived.bit or not compiled.derived_table.select(facts) >> index & 1:
            continue
        limit = derived.max_age_years
        if limit is None or (derived.unknown_age_counts if age is None else age <= limit):
            facts = facts._replace(flags=facts.flags | derived.bit)
    return facts


def _stages(compiled: CompiledRegister, facts: Facts) -> tuple[int, ...]:
    """Competences left after each answer; where an organisation has none left is why not."""
    left = -1
    stages = []
    for answer, mask in zip(facts, compiled.masks, strict=False):
        left &= mask[str(answer)]
        stages.append(left)
    return tuple(stages)


def _choose(case: _Case) -> _Choice:
    compiled = case.register
    matched = indices(compiled.rule_table.select(case.facts))
    urgency = len(URGENCIES) - 1
    failed: list[CompiledRule] = []
    for index in matched[:-1]:
        rule = compiled.rules[index]
        case.never_via |= rule.never_via
        urgency = min(urgency, URGENCIES.index(rule.rule.urgency))
        found = _open(case, rule.primary)
        if found is not None:
            return _Choice(*found, rule, True, urgency)
        failed.append(rule)
    for rule, candidate in _second_line(case, failed):
        found = _open(case, candidate)
        if found is not None and not found[0].show_only:
            return _Choice(*found, rule, False, urgency)
    last = compiled.rules[-1]
    return _Choice(compiled.by_id[compiled.register.desk], None, last, True, urgency)


def _second_line(
    case: _Case, failed: list[CompiledRule]
) -> Iterator[tuple[CompiledRule, Candidate]]:
    for rule in failed:
        for candidate in rule.also:
            yield rule, candidate
    for rule in failed:
        party = _party(case, rule.primary[0])
        for organisation in party.escalates_to if party else ():
            yield rule, (organisation, None)


def _party(case: _Case, organisation: str) -> Party | None:
    return case.register.by_id.get(
        case.facts.affiliation if organisation == AFFILIATION else organisation
    )


def _open(case: _Case, candidate: Candidate) -> tuple[Party, str | None] | None:
    """The party and its loket, when it can take the case now."""
    party = _party(case, candidate[0])
    if party is None:
        return None
    if party.id == case.register.register.desk:
        return party, None
    if _refusal(case, party) is not None:
        return None
    if candidate[1] is not None:
        return (
            (party, candidate[1])
            if _loket_open(case, party, party.loketten[candidate[1]])
            else None
        )
    if party.order is None:
        return party, None
    loket = _first_loket(case, party)
    return None if loket is None else (party, loket)


def _refusal(case: _Case, party: Party) -> Refusal | None:
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


def _condition(case: _Case, party: Party) -> Refusal | None:
    if case.facts.flags & party.requires_flags != party.requires_flags:
        return Reason.CONDITION_NOT_MET, "flags"
    if party.id in case.never_via:
        return Reason.NEVER_VIA, None
    if party.id in case.tried and not party.show_only:
        return Reason.ALREADY_TRIED, "steps_tried"
    return None


def _not_affiliated(affiliation: str) -> Reason:
    return Reason.AFFILIATION_UNKNOWN if affiliation == UNKNOWN else Reason.OTHER_COMMITTEE


def _not_competent(case: _Case, party: Party) -> Refusal:
    for field, stage in zip(Facts._fields, case.stages, strict=False):
        if not stage & party.bits:
            if field == "accused" and case.facts.accused in party.second_choice:
                return Reason.SECOND_CHOICE, field
            return Reason.NOT_COMPETENT, field
    return _OPEN


def _first_loket(case: _Case, party: Party) -> str | None:
    if party.order is None:
        return None
    lines = indices(party.order.select(case.facts))
    for line in lines:
        for name in party.orders[line]:
            if _loket_open(case, party, party.loketten[name]):
                return name
    return None


def _loket_open(case: _Case, party: Party, loket: LoketTable) -> bool:
    name = f"{party.id}/{loket.id}"
    if name in case.excluded or name in case.never_via or name in case.tried:
        return False
    if case.facts.accused in loket.accused_when:
        return False
    if loket.kinds is not None and _kind_at(case, party) not in loket.kinds:
        return False
    return all(getattr(case.facts, field) in values for field, values in loket.limits)


def _kind_at(case: _Case, party: Party) -> Kind:
    """What the report is for this party: its own kind, or what the party's entry makes of it."""
    bits = case.stages[-1] & party.bits
    if not bits or party.id == case.register.register.desk:
        return Kind(case.facts.kind)
    return case.register.blocks[(bits & -bits).bit_length() - 1].kinds[case.facts.kind]


def _beside(case: _Case, choice: _Choice) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those who stand next to the primary: `also` may get a referral, `shown` are only shown."""
    also: list[str] = []
    shown: list[str] = []
    for candidate in choice.rule.also:
        found = _open(case, candidate)
        if found is None or found[0] is choice.party or found[0].id == case.register.register.desk:
            continue
        party, loket = found
        name = party.id if loket is None else f"{party.id}/{loket}"
        target = shown if party.show_only else also
        if name not in target:
            target.append(name if target is also else party.id)
    return tuple(also), tuple(shown)


def _help_lines(
    case: _Case, choice: _Choice, shown: tuple[str, ...], urgency: Urgency
) -> tuple[str, ...]:
    lines = list(shown)
    for index in indices(case.register.line_table.select(case.facts)):
        line = case.register.register.help_lines[index]
        if urgency in line.unless_urgency or line.show in lines or line.show == choice.party.id:
            continue
        if _refusal(case, case.register.by_id[line.show]) is None:
            lines.append(line.show)
    return tuple(lines)


def _mode(compiled: CompiledRegister, party: Party) -> Mode:
    if party.id == compiled.register.desk:
        return Mode.DESK
    if party.show_only:
        return Mode.SHOW
    return Mode.SIGNAL if party.silent else Mode.REFER


def _terms(
    case: _Case, choice: _Choice, also: tuple[str, ...], shown: tuple[str, ...]
) -> tuple[Term, ...]:
    compiled = case.register
    parties = {choice.party.id, *shown, *(name.partition("/")[0] for name in also)}
    matched = compiled.term_table.select(case.facts)
    return tuple(
        compiled.terms[index]
        for index, term in enumerate(compiled.register.terms)
        if matched >> index & 1
        or choice.rule.rule.id in term.rules
        or not parties.isdisjoint(term.organisations)
    )


def _duties(case: _Case) -> tuple[Duty, ...]:
    duties = case.register.register.duties
    return tuple(duties[index] for index in indices(case.register.duty_table.select(case.facts)))


def _weigh(case: _Case, primary: Party, also: tuple[str, ...]) -> tuple[Weighed, ...]:
    """Every organisation but the primary and the desk, each with the reason why it is not first."""
    beside = {name.partition("/")[0] for name in also}
    rows = []
    for party in case.register.parties:
        if party is primary or party.id == case.register.register.desk:
            continue
        reason, field = _weighed_reason(case, party, beside)
        rows.append(Weighed(party.id, reason, field))
    return tuple(rows)


def _weighed_reason(case: _Case, party: Party, beside: set[str]) -> Refusal:
    if party.id in beside:
        return Reason.ALSO_COMPETENT, None
    refusal = _refusal(case, party)
    if refusal is not None:
        return refusal
    if party.show_only:
        return Reason.SHOW_ONLY, None
    if party.order is not None and _first_loket(case, party) is None:
        return Reason.NO_LOKET, "steps_tried"
    return _OPEN
