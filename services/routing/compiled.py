"""The register in the form that decides fast: a bit per rule or competence, a look-up per answer.

Compiling happens once per register version; a compiled register is never changed.
"""

from dataclasses import dataclass

from contracts.routing import HandlingLimits, Term
from contracts.situation import UNKNOWN, Accused, Flag, Kind, Urgency
from services.routing.domain import (
    HandlingTerm,
    Loket,
    Match,
    Organisation,
    Reason,
    Register,
    RegisterTerm,
    Rule,
    Weighed,
    register_hash,
)
from services.routing.matching import (
    ANSWERS,
    FIELDS,
    FLAG_BIT,
    MatchTable,
    Selector,
    bits_where,
    flag_bits,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One competence of one organisation: the answers it takes, what each kind becomes there."""

    organisation: int
    answers: dict[str, frozenset[str]]
    kinds: dict[str, Kind]


@dataclass(frozen=True, slots=True)
class LoketTable:
    """A loket with its limits as sets; `None` is no limit."""

    id: str
    limits: tuple[tuple[str, frozenset[str]], ...]
    kinds: frozenset[str] | None
    accused_when: frozenset[str]
    handling: dict[Urgency, HandlingLimits]


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation ready for deciding; `bits` are its competence blocks."""

    id: str
    index: int
    name: str
    contact: str | None
    bits: int
    show_only: bool
    silent: bool
    emergency: bool
    requires_affiliation: bool
    requires_flags: int
    accused_when: frozenset[str]
    second_choice: frozenset[str]
    escalates_to: tuple[str, ...]
    loketten: dict[str, LoketTable]
    ordered: bool
    lines: str
    lines_read: int
    orders: tuple[tuple[str, ...], ...]
    handling: dict[Urgency, HandlingLimits]
    school_days: bool


Candidate = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its parties split in organisation and loket; AFFILIATION is looked up."""

    rule: Rule
    primary: Candidate
    also: tuple[Candidate, ...]
    never_via: frozenset[str]
    urgency: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A flag that follows; the age condition is already part of the numbers."""

    bit: int
    max_age_years: int | None
    unknown_age_counts: bool


@dataclass(frozen=True, slots=True)
class CompiledRegister:
    """Everything `decide` reads; build it with `compile_register`."""

    register: Register
    hash: str
    parties: tuple[Party, ...]
    by_id: dict[str, Party]
    blocks: tuple[Block, ...]
    masks: tuple[dict[str, int], ...]
    rules: tuple[CompiledRule, ...]
    selector: Selector
    derived: tuple[Derived, ...]
    derived_table: MatchTable
    terms: tuple[Term, ...]
    terms_of: dict[str, int]
    others: tuple[Party, ...]
    refused: tuple[tuple[Weighed, ...], ...]
    steps: dict[str, tuple[frozenset[str], int]]
    standing: dict[tuple[str, str], int]
    floors: tuple[tuple[int, int], ...]
    never: dict[str, frozenset[str]]
    committees: frozenset[str]


URGENCIES = tuple(Urgency)
# Never met: for register entries that are selected in another way.
_NEVER = Match(flags=tuple(Flag), not_flags=tuple(Flag))


def compile_register(register: Register) -> CompiledRegister:
    """Builds the deciding form of a register that `load_register` accepted."""
    blocks = tuple(b for i, o in enumerate(register.organisations) for b in _blocks(i, o))
    handling = _handling({}, register.handling_terms)
    parties = tuple(_party(i, o, blocks, handling) for i, o in enumerate(register.organisations))
    others = tuple(party for party in parties if party.id != register.desk)
    return CompiledRegister(
        register=register,
        hash=register_hash(register),
        parties=parties,
        by_id={party.id: party for party in parties},
        blocks=blocks,
        masks=tuple(_mask(field, blocks) for field in FIELDS),
        rules=tuple(_rule(rule) for rule in register.routing_rules),
        selector=_selector(register),
        derived=tuple(
            Derived(FLAG_BIT[d.flag], d.max_age_years, d.unknown_age_counts)
            for d in register.derived_flags
        ),
        derived_table=MatchTable(tuple(d.match for d in register.derived_flags)),
        terms=tuple(_term(t) for t in register.terms),
        terms_of=_terms_of(register),
        others=others,
        refused=tuple(
            tuple(Weighed(party.id, Reason.NOT_COMPETENT, field) for field in FIELDS)
            for party in others
        ),
        steps=_steps(register),
        standing={(r, s.from_): i for i, s in enumerate(register.standing) for r in s.reporters},
        floors=tuple(
            (flag_bits(f.flags), URGENCIES.index(f.urgency)) for f in register.urgency_floor
        ),
        never={str(accused): _never_for(register, accused) for accused in Accused},
        committees=frozenset(o.id for o in register.organisations if o.requires_affiliation),
    )


def _handling(
    general: dict[Urgency, HandlingLimits], own: dict[Urgency, HandlingTerm]
) -> dict[Urgency, HandlingLimits]:
    return general | {
        urgency: HandlingLimits(
            received_within_minutes=term.received_within_minutes,
            accepted_within_minutes=term.accepted_within_minutes,
            received_within_working_days=term.received_within_working_days,
            accepted_within_working_days=term.accepted_within_working_days,
        )
        for urgency, term in own.items()
    }


def _never_for(register: Register, accused: Accused) -> frozenset[str]:
    """Who is the accused here, as organisation or `organisation/loket`."""
    named = set(register.accused_parties.get(accused, ()))
    for organisation in register.organisations:
        if accused in organisation.accused_when:
            named.add(organisation.id)
        for loket in organisation.loketten:
            if accused in loket.accused_when:
                named.add(f"{organisation.id}/{loket.id}")
    return frozenset(named)


def _selector(register: Register) -> Selector:
    return Selector(
        rules=tuple(rule.match for rule in register.routing_rules),
        duties=tuple(duty.match for duty in register.duties),
        lines=tuple(line.match for line in register.help_lines),
        terms=tuple(term.match or _NEVER for term in register.terms),
        **{
            f"loketten of {o.id}": tuple(line.match for line in o.loket_order)
            for o in register.organisations
        },
    )


def _terms_of(register: Register) -> dict[str, int]:
    """Per rule and per organisation the bits of the terms that it makes run."""
    bits: dict[str, int] = {}
    for index, term in enumerate(register.terms):
        for name in (*(f"rule {rule}" for rule in term.rules), *term.organisations):
            bits[name] = bits.get(name, 0) | 1 << index
    return bits


def _blocks(index: int, organisation: Organisation) -> list[Block]:
    rows = []
    for extra in (None, *organisation.also_competent):
        answers = {}
        for field, plural in (
            ("sector", "sectors"),
            ("reporter", "reporters"),
            ("subject", "subjects"),
            ("accused", "accused"),
        ):
            listed = getattr(extra, plural) if extra else None
            listed = getattr(organisation, plural) if listed is None else listed
            answers[field] = frozenset(
                str(v) for v in (set(ANSWERS[field]) - {UNKNOWN} if listed is None else listed)
            )
        taken = extra.kinds if extra and extra.kinds is not None else organisation.kinds
        kinds = {str(c.from_): Kind(c.to) for c in organisation.converts if c.to in taken}
        kinds |= {str(kind): kind for kind in taken}
        # An unknown wish becomes a question or a report, never a complaint.
        gentle = next((kind for kind in (Kind.HULPVRAAG, Kind.MELDING) if kind in taken), None)
        if gentle is not None:
            kinds[UNKNOWN] = gentle
        rows.append(Block(index, {**answers, "kind": frozenset(kinds)}, kinds))
    return rows


def _mask(field: str, blocks: tuple[Block, ...]) -> dict[str, int]:
    """Per answer the blocks that take it; `unknown` is taken where every answer would be."""
    known = [value for value in ANSWERS[field] if value != UNKNOWN]
    mask = {
        str(value): bits_where(value in block.answers[field] for block in blocks)
        for value in ANSWERS[field]
    }
    if field == "kind":
        return mask
    if field == "accused":
        # The lists have a word of their own for a person whom nobody can name.
        return {**mask, UNKNOWN: mask[Accused.ONBEKEND]}
    return {
        **mask,
        UNKNOWN: bits_where(_takes_any(block, field, known, blocks) for block in blocks),
    }


def _takes_any(block: Block, field: str, known: list[str], blocks: tuple[Block, ...]) -> bool:
    """Whether the organisation takes every answer to `field` wherever this block holds."""
    others = [f for f in FIELDS if f != field]
    wider = [
        b
        for b in blocks
        if b.organisation == block.organisation
        and all(b.answers[f] >= block.answers[f] for f in others)
    ]
    return all(any(value in b.answers[field] for b in wider) for value in known)


def _party(
    index: int,
    organisation: Organisation,
    blocks: tuple[Block, ...],
    general: dict[Urgency, HandlingLimits],
) -> Party:
    channels = organisation.channels
    handling = _handling(general, organisation.handling)
    return Party(
        id=organisation.id,
        index=index,
        name=organisation.name.split(" (")[0],
        contact=channels.phone or channels.web,
        bits=bits_where(block.organisation == index for block in blocks),
        show_only=organisation.referral_mode == "show_only",
        silent=organisation.feedback == "geen",
        emergency=organisation.outcome in ("noodhulp", "luisteren"),
        requires_affiliation=organisation.requires_affiliation,
        requires_flags=flag_bits(organisation.requires_flags),
        accused_when=frozenset(organisation.accused_when),
        second_choice=frozenset(
            organisation.second_choice.accused if organisation.second_choice else ()
        ),
        escalates_to=organisation.escalates_to,
        loketten={loket.id: _loket(loket, handling) for loket in organisation.loketten},
        ordered=bool(organisation.loket_order),
        lines=f"loketten of {organisation.id}",
        lines_read=flag_bits(
            tuple(f for o in organisation.loket_order for f in (*o.match.flags, *o.match.not_flags))
        ),
        orders=tuple(o.order for o in organisation.loket_order),
        handling=handling,
        school_days=organisation.calendar == "school_days",
    )


def _loket(loket: Loket, general: dict[Urgency, HandlingLimits]) -> LoketTable:
    named = (("sector", loket.sectors), ("reporter", loket.reporters), ("subject", loket.subjects))
    return LoketTable(
        id=loket.id,
        limits=tuple(
            (field, frozenset(str(v) for v in values))
            for field, values in named
            if values is not None
        ),
        kinds=None if loket.kinds is None else frozenset(loket.kinds),
        accused_when=frozenset(loket.accused_when),
        handling=_handling(general, loket.handling),
    )


def _candidate(party: str) -> Candidate:
    organisation, _, loket = party.partition("/")
    return organisation, loket or None


def _rule(rule: Rule) -> CompiledRule:
    return CompiledRule(
        rule,
        _candidate(rule.primary),
        tuple(_candidate(p) for p in rule.also),
        frozenset(rule.never_via),
        URGENCIES.index(rule.urgency),
    )


def _term(term: RegisterTerm) -> Term:
    length = f"{term.length} {term.unit}" + (f" (+{term.extend})" if term.extend else "")
    return Term(
        term=term.id,
        organisation=term.organisation,
        length=length,
        starts=term.starts,
        source=term.src,
        to_verify=term.to_verify,
    )


def _steps(register: Register) -> dict[str, tuple[frozenset[str], int]]:
    """Per step that somebody may have tried: the parties tried, and the flags that follow."""
    steps: dict[str, tuple[frozenset[str], int]] = {}
    for organisation in register.organisations:
        steps[organisation.id] = (
            frozenset({organisation.id}),
            flag_bits(organisation.implies_flags),
        )
    register_ids = frozenset(steps)
    for organisation in register.organisations:
        for loket in organisation.loketten:
            tried = {f"{organisation.id}/{loket.id}"}
            flags = flag_bits(loket.implies_flags)
            if flags and not organisation.loket_order:
                # Its general desk answered for the organisation: nothing is left there to try.
                tried.add(organisation.id)
            steps[f"{organisation.id}/{loket.id}"] = (frozenset(tried), flags)
            if loket.id not in register_ids:
                known, more = steps.get(loket.id, (frozenset(), 0))
                steps[loket.id] = (known | tried, more | flags)
    for alias, party in register.step_aliases.items():
        steps.setdefault(alias, steps[party])
    return steps
