"""Would the check notice that a rule or an organisation is gone? Removes each, and looks."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from services.routing.check import standing
from services.routing.check.classes import Case, Space
from services.routing.check.space import Base
from services.routing.check.walk import CHUNK
from services.routing.domain import Decision, Register
from services.routing.register import cross_checks
from services.routing.rules import CompiledRegister, compile_register, decide


@dataclass(frozen=True, slots=True)
class Mutant:
    """A register without one rule or one organisation; None when it cannot even be loaded."""

    kind: str
    id: str
    register: Register
    refused: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a removal was noticed: by the loader, by the proof, by changed decisions; or not."""

    kind: str
    id: str
    how: str
    why: str


@dataclass(slots=True)
class MutationTally:
    """Per mutant: situations that decide differently, and situations that lost their party."""

    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: "MutationTally") -> None:
        """Takes over what another part found."""
        self.changed.update(other.changed)
        self.gaps.update(other.gaps)


def mutants(register: Register) -> Iterator[Mutant]:
    """Every register with one rule or one organisation less."""
    for rule in register.routing_rules:
        yield _mutant("rule", rule.id, without_rules(register, frozenset({rule.id})))
    for organisation in register.organisations:
        yield _mutant(
            "organisation", organisation.id, without_organisation(register, organisation.id)
        )


def _mutant(kind: str, name: str, register: Register) -> Mutant:
    problem = next((f"{path[-1]}: {text}" for path, text, _ in cross_checks(register)), None)
    if problem is None:
        found = (f.words for f in standing.findings(register) if not f.warning)
        problem = next(found, None)
    return Mutant(kind, name, register, problem)


def without_rules(register: Register, names: frozenset[str]) -> Register:
    """The register without these rules, and without the terms' mention of them."""
    rules = tuple(rule for rule in register.routing_rules if rule.id not in names)
    terms = tuple(
        term.model_copy(update={"rules": tuple(r for r in term.rules if r not in names)})
        for term in register.terms
    )
    return register.model_copy(update={"routing_rules": rules, "terms": terms})


def without_organisation(register: Register, name: str) -> Register:
    """The register without an organisation, and without everything that names it."""

    def of(party: str) -> bool:
        return party.partition("/")[0] == name

    gone = frozenset(rule.id for rule in register.routing_rules if of(rule.primary))
    left = without_rules(register, gone)
    rules = tuple(
        rule.model_copy(
            update={
                "also": tuple(p for p in rule.also if not of(p)),
                "never_via": tuple(p for p in rule.never_via if not of(p)),
            }
        )
        for rule in left.routing_rules
    )
    organisations = tuple(
        o.model_copy(update={"escalates_to": tuple(p for p in o.escalates_to if p != name)})
        for o in left.organisations
        if o.id != name
    )
    terms = tuple(
        term.model_copy(update={"organisations": tuple(p for p in term.organisations if p != name)})
        for term in left.terms
        if term.organisation != name
    )
    return left.model_copy(
        update={
            "routing_rules": rules,
            "organisations": organisations,
            "terms": tuple(t for t in terms if t.organisations or t.rules or t.match),
            "help_lines": tuple(line for line in left.help_lines if line.show != name),
            "step_aliases": {k: p for k, p in left.step_aliases.items() if not of(p)},
            "accused_parties": {
                k: tuple(p for p in parties if not of(p))
                for k, parties in left.accused_parties.items()
            },
        }
    )


class _Mutator:
    def __init__(self, register: Register) -> None:
        self._compiled = compile_register(register)
        self._space = Space(register)
        self._mutants: dict[tuple[str, str], CompiledRegister] = {
            (m.kind, m.id): compile_register(m.register)
            for m in mutants(register)
            if m.refused is None
        }

    def walk(self, bases: Iterable[Base]) -> MutationTally:
        tally = MutationTally()
        for base in bases:
            for case in self._space.of(base):
                self._one(case, tally)
        return tally

    def _one(self, case: Case, tally: MutationTally) -> None:
        situation = case.situation
        decision = decide(self._compiled, situation, weigh=False)
        beside = {party.partition("/")[0] for party in (*decision.also, *decision.shown)}
        keys = [("rule", decision.rule), ("organisation", decision.primary)]
        # Who stands next to a case: one situation is enough to know that the removal is seen.
        keys += [("organisation", p) for p in beside if not tally.changed["organisation", p]]
        for key in keys:
            mutant = self._mutants.get(key)
            if mutant is None:
                continue
            other = decide(mutant, situation, weigh=False)
            if _differs(decision, other):
                tally.changed[key] += case.weight
            if other.rule == mutant.rules[-1].rule.id and decision.rule != other.rule:
                tally.gaps[key] += case.weight


def _differs(decision: Decision, other: Decision) -> bool:
    return (decision.party, decision.also, decision.shown, decision.urgency) != (
        other.party,
        other.also,
        other.shown,
        other.urgency,
    )


_mutator: _Mutator | None = None


def _start(register: Register) -> None:
    global _mutator  # noqa: PLW0603  # a worker process keeps its compiled mutants between chunks
    _mutator = _Mutator(register)


def _work(bases: Sequence[Base]) -> MutationTally:
    assert _mutator is not None
    return _mutator.walk(bases)


def mutate(
    register: Register,
    bases: Sequence[Base],
    processes: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Verdict]:
    """Removes each rule and each organisation in turn, and says how that was noticed."""
    total = MutationTally()
    chunks = [bases[start : start + CHUNK] for start in range(0, len(bases), CHUNK)]
    if processes == 1:
        total.add(_Mutator(register).walk(bases))
    else:
        with ProcessPoolExecutor(
            processes, mp_context=get_context("spawn"), initializer=_start, initargs=(register,)
        ) as pool:
            for done, part in enumerate(pool.map(_work, chunks), start=1):
                total.add(part)
                progress(f"{min(done * CHUNK, len(bases))} of {len(bases)} answers")
    return [_verdict(mutant, total) for mutant in mutants(register)]


def _verdict(mutant: Mutant, total: MutationTally) -> Verdict:
    key = (mutant.kind, mutant.id)
    if mutant.refused is not None:
        return Verdict(*key, "refused", mutant.refused)
    if total.gaps[key]:
        return Verdict(*key, "gap", f"{total.gaps[key]} situaties zonder partij")
    if total.changed[key]:
        return Verdict(*key, "decisions", f"{total.changed[key]} situaties beslissen anders")
    return Verdict(*key, "survives", "geen enkele beslissing verandert")


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How removals were noticed, per kind, and what survived."""
    kinds = sorted({v.kind for v in verdicts})
    return {
        "kinds": [
            {
                "kind": kind,
                "removed": len(of_kind),
                "refused": sum(v.how == "refused" for v in of_kind),
                "gap": sum(v.how == "gap" for v in of_kind),
                "decisions": sum(v.how == "decisions" for v in of_kind),
                "survives": sum(v.how == "survives" for v in of_kind),
            }
            for kind in kinds
            for of_kind in [[v for v in verdicts if v.kind == kind]]
        ],
        "survivors": [{"kind": v.kind, "id": v.id, "why": v.why} for v in verdicts if _survives(v)],
    }


def text(verdicts: Sequence[Verdict]) -> str:
    """The same for a person."""
    lines = ["Removed one by one, and how that is noticed:"]
    for row in document(verdicts)["kinds"]:
        noticed = row["removed"] - row["survives"]
        lines.append(
            f"  {row['kind']}: {noticed} of {row['removed']} noticed"
            f" ({noticed / row['removed']:.0%}): {row['refused']} not loaded,"
            f" {row['gap']} leave a gap, {row['decisions']} change decisions;"
            f" {row['survives']} change none"
        )
    lines += [f"  survivor: {v.kind} {v.id}, {v.why}" for v in verdicts if _survives(v)]
    return "\n".join(lines)


def _survives(verdict: Verdict) -> bool:
    return verdict.how == "survives"
