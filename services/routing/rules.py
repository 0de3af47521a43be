"""`decide`: whom a situation goes to. Pure, total, deterministic; all knowledge is in the register.

Order: the first rule that holds and whose party is competent by its own entry; then those who stand
next to a rule that held; then where a failed party escalates to; then the desk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from contracts.routing import Mode, Term
from contracts.situation import UNKNOWN, Accused, Situation, Urgency
from services.routing.admission import (
    NO_REFUSAL,
    Case,
    Refusal,
    first_loket,
    kind_at,
    party_named,
    refusal_of,
    stages_of,
    usable,
)
from services.routing.compiled import (
    URGENCIES,
    Candidate,
    CompiledRegister,
    CompiledRule,
    Party,
    compile_register,
)
from services.routing.domain import (
    NO_AFFILIATION,
    Decision,
    Duty,
    Reason,
    Register,
    Weighed,
)
from services.routing.matching import Facts, flag_bits, flags_of, indices

__all__ = ["CompiledRegister", "compile_register", "decide", "decide_party"]

# Few rows exist, and each is a value: one object serves all decisions.
_verdict = lru_cache(4096)(Weighed)


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
    holds what nobody takes. Without `weigh` the list of who was weighed stays empty.
    """
    compiled = register if isinstance(register, CompiledRegister) else compile_register(register)
    case, standing = _case(compiled, situation, excluded)
    choice = _choose(case)
    also, shown = _beside(case, choice)
    urgency = _urgency(compiled, case.facts, choice.urgency)
    shown = _help_lines(case, choice, shown, urgency)
    text = choice.rule.rule if choice.direct else compiled.register.fallback
    return Decision(
        situation=situation,
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
        kind_at_primary=kind_at(case, choice.party),
        conversion_why=None if standing is None else compiled.register.standing[standing].why,
        terms=_terms(case, choice, also, shown),
        duties=_duties(case),
        weighed=_weigh(case, choice.party, also) if weigh else (),
        flags=flags_of(case.facts.flags),
        excluded=tuple(sorted(excluded)),
        why=text.why,
        why_en=text.why_en,
        register_version=compiled.register.version,
        register_hash=compiled.hash,
    )


def decide_party(
    register: CompiledRegister, situation: Situation, excluded: frozenset[str] = frozenset()
) -> str:
    """Only the id of the organisation that `decide` makes primary, for who compares many."""
    return _choose(_case(register, situation, excluded)[0]).party.id


def party_for(register: CompiledRegister, facts: Facts, age: int | None) -> str:
    """As `decide_party`, for facts of which the kind already follows the reporter's standing."""
    return _choose(_on(register, _derive(register, facts, age), frozenset(), frozenset())).party.id


def _case(
    compiled: CompiledRegister, situation: Situation, excluded: frozenset[str]
) -> tuple[Case, int | None]:
    facts, standing, tried = _facts(compiled, situation)
    return _on(compiled, facts, excluded, tried), standing


def _on(
    compiled: CompiledRegister, facts: Facts, excluded: frozenset[str], tried: frozenset[str]
) -> Case:
    holds = compiled.selector.select(facts)
    return Case(compiled, facts, holds, stages_of(compiled, facts), excluded, tried, set())


def _urgency(compiled: CompiledRegister, facts: Facts, of_rule: int) -> Urgency:
    least = of_rule
    for flags, urgency in compiled.floors:
        if urgency < least and facts.flags & flags == flags:
            least = urgency
    return URGENCIES[least]


def _facts(
    compiled: CompiledRegister, situation: Situation
) -> tuple[Facts, int | None, frozenset[str]]:
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
    return _derive(compiled, facts, situation.age), standing, tried


def _derive(compiled: CompiledRegister, facts: Facts, age: int | None) -> Facts:
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


def _choose(case: Case) -> _Choice:
    compiled = case.register
    matched = compiled.selector.section(case.holds, "rules")
    urgency = len(URGENCIES) - 1
    failed: list[CompiledRule] = []
    last = compiled.rules[-1]
    while matched:
        low = matched & -matched
        matched ^= low
        rule = compiled.rules[low.bit_length() - 1]
        if rule is last:
            break
        if rule.never_via:
            case.never_via |= rule.never_via
        urgency = min(urgency, rule.urgency)
        found = usable(case, rule.primary)
        if found is not None:
            return _Choice(*found, rule, True, urgency)
        failed.append(rule)
    for rule, candidate in _second_line(case, failed):
        found = usable(case, candidate)
        if found is not None and not found[0].show_only:
            return _Choice(*found, rule, False, urgency)
    return _Choice(compiled.by_id[compiled.register.desk], None, last, True, urgency)


def _second_line(
    case: Case, failed: list[CompiledRule]
) -> Iterator[tuple[CompiledRule, Candidate]]:
    for rule in failed:
        for candidate in rule.also:
            yield rule, candidate
    for rule in failed:
        party = party_named(case, rule.primary[0])
        for organisation in party.escalates_to if party else ():
            yield rule, (organisation, None)


def _beside(case: Case, choice: _Choice) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those who stand next to the primary: `also` may get a referral, `shown` are only shown."""
    also: list[str] = []
    shown: list[str] = []
    for candidate in choice.rule.also:
        found = usable(case, candidate)
        if found is None or found[0] is choice.party or found[0].id == case.register.register.desk:
            continue
        party, loket = found
        name = party.id if loket is None else f"{party.id}/{loket}"
        target = shown if party.show_only else also
        if name not in target:
            target.append(name if target is also else party.id)
    return tuple(also), tuple(shown)


def _help_lines(
    case: Case, choice: _Choice, shown: tuple[str, ...], urgency: Urgency
) -> tuple[str, ...]:
    lines = list(shown)
    for index in indices(case.register.selector.section(case.holds, "lines")):
        line = case.register.register.help_lines[index]
        if urgency in line.unless_urgency or line.show in lines or line.show == choice.party.id:
            continue
        if refusal_of(case, case.register.by_id[line.show]) is None:
            lines.append(line.show)
    return tuple(lines)


def _mode(compiled: CompiledRegister, party: Party) -> Mode:
    if party.id == compiled.register.desk:
        return Mode.DESK
    if party.show_only:
        return Mode.SHOW
    return Mode.SIGNAL if party.silent else Mode.REFER


def _terms(
    case: Case, choice: _Choice, also: tuple[str, ...], shown: tuple[str, ...]
) -> tuple[Term, ...]:
    compiled = case.register
    bits = compiled.selector.section(case.holds, "terms")
    bits |= compiled.terms_of.get(f"rule {choice.rule.rule.id}", 0)
    for party in (choice.party.id, *shown, *(name.partition("/")[0] for name in also)):
        bits |= compiled.terms_of.get(party, 0)
    return tuple(compiled.terms[index] for index in indices(bits))


def _duties(case: Case) -> tuple[Duty, ...]:
    duties = case.register.register.duties
    bits = case.register.selector.section(case.holds, "duties")
    return tuple(duties[index] for index in indices(bits))


def _weigh(case: Case, primary: Party, also: tuple[str, ...]) -> tuple[Weighed, ...]:
    """Every organisation but the primary and the desk, each with the reason why it is not first."""
    beside = {name.partition("/")[0] for name in also}
    stages, left = case.stages, case.stages[-1]
    accused, excluded = case.facts.accused, case.excluded
    rows = []
    for party, refused in zip(case.register.others, case.register.refused, strict=True):
        if party is primary:
            continue
        # Most have no competence here; that answer is ready, unless a graver one goes before it.
        bits = party.bits
        if (
            left & bits
            or accused in party.accused_when
            or party.id in excluded
            or accused in party.second_choice
        ):
            rows.append(_verdict(party.id, *_weighed_reason(case, party, beside)))
            continue
        stage = 0
        while stages[stage] & bits:
            stage += 1
        rows.append(refused[stage])
    return tuple(rows)


def _weighed_reason(case: Case, party: Party, beside: set[str]) -> Refusal:
    if party.id in beside:
        return Reason.ALSO_COMPETENT, None
    refusal = refusal_of(case, party)
    if refusal is not None:
        return refusal
    if party.show_only:
        return Reason.SHOW_ONLY, None
    if party.ordered and first_loket(case, party) is None:
        return Reason.NO_LOKET, "steps_tried"
    return NO_REFUSAL
