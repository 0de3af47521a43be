"""`decide`: whom a situation goes to. Pure, total, deterministic; all knowledge is in the register.

Order: the first rule that holds and whose party is competent by its own entry; then those who stand
next to a rule that held; then where a failed party escalates to; then the desk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from contracts.routing import HandlingLimits, Mode, Proposal, Term
from contracts.situation import Situation, Urgency
from services.routing.admission import (
    Case,
    first_loket,
    kind_at,
    open_lokets,
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
    Decision,
    Duty,
    Register,
)
from services.routing.facts import derive, facts_of
from services.routing.matching import Facts, flags_of, indices
from services.routing.proposals import Proposed, english, judged, problem_of
from services.routing.weighing import weigh_others

__all__ = ["CompiledRegister", "Proposed", "compile_register", "decide", "decide_party"]


@lru_cache(4096)
def _listed(parties: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(parties))


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
    proposed: Proposed | None = None,
    weigh: bool = True,
) -> Decision:
    """Decides for any situation and any set of excluded `organisation` or `organisation/loket` ids.

    Give the compiled register where many are decided. An exclusion of the desk has no effect: it
    holds what nobody takes. An organisation that somebody `proposed` gets the case where its own
    entry in the register allows that. Without `weigh` the list of who was weighed stays empty.
    """
    compiled = register if isinstance(register, CompiledRegister) else compile_register(register)
    case, standing = _case(compiled, situation, excluded)
    choice = _choose(case)
    proposal = None
    if proposed is not None:
        choice, proposal = _propose(case, choice, proposed)
    also, shown = _beside(case, choice)
    urgency = _urgency(compiled, case.facts, choice.urgency)
    shown = _help_lines(case, choice, shown, urgency)
    why, why_en = _texts(case, choice, proposed, proposal)
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
        limits=_handling(choice)[urgency],
        rule=choice.rule.rule.id,
        kind=situation.kind,
        kind_at_primary=kind_at(case, choice.party),
        conversion_why=None if standing is None else compiled.register.standing[standing].why,
        terms=_terms(case, choice, also, shown),
        duties=_duties(case),
        weighed=weigh_others(case, choice.party, also) if weigh else (),
        flags=flags_of(case.facts.flags),
        excluded=tuple(sorted(excluded)),
        why=why,
        why_en=why_en,
        register_version=compiled.register.version,
        register_hash=compiled.hash,
        other_lokets=_other_lokets(case, choice) if choice.party.loketten else (),
        never=_listed(compiled.never[case.facts.accused] | case.never_via),
        proposal=proposal,
    )


def decide_party(
    register: CompiledRegister, situation: Situation, excluded: frozenset[str] = frozenset()
) -> str:
    """Only the id of the organisation that `decide` makes primary, for who compares many."""
    return _choose(_case(register, situation, excluded)[0]).party.id


def party_for(register: CompiledRegister, facts: Facts, age: int | None) -> str:
    """As `decide_party`, for facts of which the kind already follows the reporter's standing."""
    return _choose(_on(register, derive(register, facts, age), frozenset(), frozenset())).party.id


def _case(
    compiled: CompiledRegister, situation: Situation, excluded: frozenset[str]
) -> tuple[Case, int | None]:
    facts, standing, tried = facts_of(compiled, situation)
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


def _propose(case: Case, ordinary: _Choice, proposed: Proposed) -> tuple[_Choice, Proposal]:
    """The choice after somebody named a party, and what became of that."""
    problem = problem_of(case, proposed)
    proposal = judged(case, proposed, problem)
    if problem is not None or ordinary.party.id == proposed.organisation:
        return ordinary, proposal
    party = case.register.by_id[proposed.organisation]
    loket = first_loket(case, party) if party.ordered else None
    return _Choice(party, loket, ordinary.rule, False, ordinary.urgency), proposal


def _texts(
    case: Case, choice: _Choice, proposed: Proposed | None, proposal: Proposal | None
) -> tuple[str, str]:
    if proposed is not None and proposal is not None and proposal.followed:
        return proposal.why, english(case, proposed)
    text = choice.rule.rule if choice.direct else case.register.register.fallback
    return text.why, text.why_en


def _handling(choice: _Choice) -> dict[Urgency, HandlingLimits]:
    party, loket = choice.party, choice.loket
    return party.handling if loket is None else party.loketten[loket].handling


def _other_lokets(case: Case, choice: _Choice) -> tuple[str, ...]:
    names = dict.fromkeys(open_lokets(case, choice.party))
    names.pop(choice.loket or "", None)
    return tuple(names)


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
