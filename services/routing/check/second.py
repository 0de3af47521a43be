"""The second method: the register read as plain data and interpreted rule by rule, slowly.

It shares no code with `rules`, `compiled`, `entries` or the collapse into classes: it takes every
situation by itself, so that it finds what the first method and its short cuts would both miss. Only
the question, which situations are plausible, is the same.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from contracts.situation import Flag
from services.routing.check.classes import BIT, Case, Space, Step
from services.routing.check.space import Base
from services.routing.domain import Register
from services.routing.rules import CompiledRegister, compile_register, decide

Data = dict[str, Any]
KEYS = (
    ("sector", "sectors"),
    ("reporter", "reporters"),
    ("subject", "subjects"),
    ("accused", "accused"),
)


@dataclass(slots=True)
class Facts:
    """One situation for the interpreter; `kind` is the kind after standing."""

    answers: dict[str, str]
    flags: set[str]
    tried: set[str]
    affiliation: str
    excluded: frozenset[str] = frozenset()
    never_via: set[str] = field(default_factory=set)


class Interpreter:
    """Walks the rules of a register from top to bottom."""

    def __init__(self, register: Register) -> None:
        self.data: Data = register.model_dump(mode="json", by_alias=True)
        self.organisations: dict[str, Data] = {o["id"]: o for o in self.data["organisations"]}

    def facts(self, base: Base, flags: int, step: Step, affiliation: str) -> Facts:
        """What is so, with what follows from the answers, the steps and the age."""
        told = {str(flag) for flag in Flag if (flags | step.said) & BIT[flag]}
        answers = {
            "sector": str(base.sector),
            "reporter": str(base.reporter),
            "kind": str(base.kind),
            "subject": str(base.subject),
            "accused": str(base.accused),
        }
        for standing in self.data["standing"]:
            if answers["reporter"] in standing["reporters"] and answers["kind"] == standing["from"]:
                answers["kind"] = standing["to"]
                break
        facts = Facts(answers, set(told), set(), affiliation)
        for name in step.steps:
            self._tried(name, facts)
        child_without_age = "self_under_12" in told
        for derived in self.data["derived_flags"]:
            if not self._holds(derived["match"], facts):
                continue
            if derived["max_age_years"] is None or child_without_age:
                facts.flags.add(derived["flag"])
        return facts

    def _tried(self, name: str, facts: Facts) -> None:
        organisation, _, loket = name.partition("/")
        entry = self.organisations[organisation]
        facts.tried.add(name)
        implied = entry["implies_flags"]
        if loket:
            implied = next(x for x in entry["loketten"] if x["id"] == loket)["implies_flags"]
            if implied and not entry["loket_order"]:
                facts.tried.add(organisation)
        facts.flags |= set(implied)

    def _holds(self, match: Data, facts: Facts) -> bool:
        for key, answer in facts.answers.items():
            if match[key] and answer not in match[key]:
                return False
        if match["affiliation"] and facts.affiliation not in match["affiliation"]:
            return False
        return facts.flags.issuperset(match["flags"]) and facts.flags.isdisjoint(match["not_flags"])

    def competence(self, entry: Data, facts: Facts) -> Data | None:
        """The first row of the entry that takes the answers."""
        rows: list[Data] = [{}, *entry["also_competent"]]
        for row in rows:
            if all(
                listed is None or facts.answers[key] in listed
                for key, listed in ((k, self._listed(entry, row, plural)) for k, plural in KEYS)
            ) and self._becomes(entry, row, facts.answers["kind"]):
                return row
        return None

    @staticmethod
    def _listed(entry: Data, row: Data, field_name: str) -> list[str] | None:
        narrowed: list[str] | None = row.get(field_name)
        own: list[str] | None = entry[field_name]
        return own if narrowed is None else narrowed

    def _becomes(self, entry: Data, row: Data, kind: str) -> str | None:
        kinds = self._listed(entry, row, "kinds") or []
        if kind in kinds:
            return kind
        turned = [c["to"] for c in entry["converts"] if c["from"] == kind and c["to"] in kinds]
        return turned[-1] if turned else None

    def admissible(self, entry: Data, facts: Facts) -> bool:
        """Competent, not the accused, of this board, and with the facts that the entry requires."""
        return (
            self.competence(entry, facts) is not None
            and facts.answers["accused"] not in entry["accused_when"]
            and self.admits(entry, facts)
        )

    @staticmethod
    def admits(entry: Data, facts: Facts) -> bool:
        """Whether facts and affiliation fit; the five answers are another matter."""
        return (
            not entry["requires_affiliation"] or entry["id"] == facts.affiliation
        ) and facts.flags.issuperset(entry["requires_flags"])

    def able(self, facts: Facts) -> list[Data]:
        """Who could be sent a case with these five answers; the desk and those only shown not."""
        return [
            entry
            for name, entry in self.organisations.items()
            if name != self.data["desk"]
            and entry["referral_mode"] != "show_only"
            and facts.answers["accused"] not in entry["accused_when"]
            and self.competence(entry, facts) is not None
        ]

    def decide(self, facts: Facts) -> tuple[str, str]:
        """The party (`organisation` or `organisation/loket`) and the rule that leads to it."""
        rules = self.data["routing_rules"]
        failed: list[Data] = []
        for rule in rules[:-1]:
            if not self._holds(rule["match"], facts):
                continue
            facts.never_via |= set(rule["never_via"])
            party = self._open(rule["primary"], facts)
            if party is not None:
                return party, rule["id"]
            failed.append(rule)
        for rule, name in self._second_line(failed, facts):
            party = self._open(name, facts)
            if party is None:
                continue
            if self.organisations[party.partition("/")[0]]["referral_mode"] != "show_only":
                return party, rule["id"]
        return self.data["desk"], rules[-1]["id"]

    def _second_line(self, failed: list[Data], facts: Facts) -> Iterator[tuple[Data, str]]:
        for rule in failed:
            yield from ((rule, name) for name in rule["also"])
        for rule in failed:
            entry = self.organisations.get(self._name(rule["primary"], facts).partition("/")[0])
            yield from ((rule, name) for name in (entry["escalates_to"] if entry else ()))

    @staticmethod
    def _name(party: str, facts: Facts) -> str:
        return facts.affiliation if party == "AFFILIATION" else party

    def _open(self, party: str, facts: Facts) -> str | None:
        name, _, loket = self._name(party, facts).partition("/")
        entry = self.organisations.get(name)
        if name == self.data["desk"]:
            return name
        if entry is None or not self._available(entry, facts):
            return None
        if loket:
            return f"{name}/{loket}" if self._loket_open(entry, loket, facts) else None
        if not entry["loket_order"]:
            return name
        order = (
            loket
            for line in entry["loket_order"]
            if self._holds(line["match"], facts)
            for loket in line["order"]
        )
        found = next((one for one in order if self._loket_open(entry, one, facts)), None)
        return None if found is None else f"{name}/{found}"

    def _available(self, entry: Data, facts: Facts) -> bool:
        name = entry["id"]
        tried = name in facts.tried and entry["referral_mode"] != "show_only"
        gone = name in facts.excluded or name in facts.never_via or tried
        return not gone and self.admissible(entry, facts)

    def _loket_open(self, entry: Data, loket: str, facts: Facts) -> bool:
        name = f"{entry['id']}/{loket}"
        if name in facts.excluded | facts.tried | facts.never_via:
            return False
        row = self.competence(entry, facts)
        assert row is not None
        kind = self._becomes(entry, row, facts.answers["kind"])
        desk = next(x for x in entry["loketten"] if x["id"] == loket)
        return (
            facts.answers["accused"] not in desk["accused_when"]
            and (desk["kinds"] is None or kind in desk["kinds"])
            and all(
                desk[plural] is None or facts.answers[key] in desk[plural]
                for key, plural in KEYS
                if plural in desk
            )
        )


@dataclass(slots=True)
class SecondOpinion:
    """What the second method counted, and where the two differ."""

    situations: int = 0
    together: Counter[frozenset[str]] = field(default_factory=Counter)
    decided: int = 0
    gaps: int = 0
    differences: list[str] = field(default_factory=list)


def count_competent(register: Register, bases: Iterable[Base]) -> SecondOpinion:
    """Counts competent parties over every situation, one by one, without any class."""
    interpreter = Interpreter(register)
    space = Space(register)
    opinion = SecondOpinion()
    for base in bases:
        able: list[Data] | None = None
        sets: dict[tuple[bool, ...], frozenset[str]] = {}
        for flags, step, affiliations in space.tellings(base):
            facts = interpreter.facts(base, flags, step, "")
            if able is None:
                able = interpreter.able(facts)
            for affiliation in affiliations:
                facts.affiliation = affiliation
                key = tuple(interpreter.admits(entry, facts) for entry in able)
                if key not in sets:
                    sets[key] = frozenset(e["id"] for e, yes in zip(able, key, strict=True) if yes)
                opinion.together[sets[key]] += 1
                opinion.situations += 1
    return opinion


def compare_decisions(
    register: Register,
    compiled: CompiledRegister,
    bases: Sequence[Base],
    number: int,
    seed: int,
) -> SecondOpinion:
    """Decides this many random situations by both methods, half of them with random exclusions."""
    chance = random.Random(seed)  # noqa: S311  # a sample, not a secret
    interpreter = Interpreter(register)
    space = Space(register)
    parties = sorted(interpreter.organisations)
    opinion = SecondOpinion()
    while opinion.decided < number:
        base = chance.choice(bases)
        flags, step, affiliations = chance.choice(list(space.tellings(base)))
        case = Case(base, flags, step, chance.choice(affiliations), 1, 0, (), frozenset())
        some = chance.sample(parties, chance.randint(1, 6)) if chance.random() < 0.5 else ()
        compare_one(interpreter, compiled, case, frozenset(some), opinion)
    return opinion


def compare_one(
    interpreter: Interpreter,
    compiled: CompiledRegister,
    case: Case,
    excluded: frozenset[str],
    opinion: SecondOpinion,
) -> None:
    """Decides one situation by both methods and notes a difference."""
    facts = interpreter.facts(case.base, case.flags, case.step, case.affiliation)
    facts.excluded = excluded
    second = interpreter.decide(facts)
    decision = decide(compiled, case.situation, excluded, weigh=False)
    opinion.decided += 1
    opinion.gaps += second[1] == compiled.rules[-1].rule.id and not excluded
    if second != (decision.party, decision.rule):
        first = f"{decision.party} by {decision.rule}"
        opinion.differences.append(
            f"{case.situation.model_dump_json(exclude_none=True)} without"
            f" {sorted(excluded)}: {first}, and {second[0]} by {second[1]}"
        )


def compare_all(register: Register, bases: Iterable[Base]) -> SecondOpinion:
    """Decides every situation, one by one, by both methods."""
    interpreter = Interpreter(register)
    compiled = compile_register(register)
    space = Space(register)
    opinion = SecondOpinion()
    for base in bases:
        for flags, step, affiliations in space.tellings(base):
            for affiliation in affiliations:
                case = Case(base, flags, step, affiliation, 1, 0, (), frozenset())
                compare_one(interpreter, compiled, case, frozenset(), opinion)
    return opinion


def count_all(register: Register, bases: Sequence[Base], processes: int) -> SecondOpinion:
    """`count_competent` over several processes."""
    return _spread(count_competent, register, bases, processes)


def decide_all(register: Register, bases: Sequence[Base], processes: int) -> SecondOpinion:
    """`compare_all` over several processes."""
    return _spread(compare_all, register, bases, processes)


def _spread(
    work: Callable[[Register, Sequence[Base]], SecondOpinion],
    register: Register,
    bases: Sequence[Base],
    processes: int,
) -> SecondOpinion:
    if processes == 1:
        return work(register, bases)
    parts = [bases[start::processes] for start in range(processes)]
    total = SecondOpinion()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(work, [register] * processes, parts):
            total.situations += part.situations
            total.together.update(part.together)
            total.decided += part.decided
            total.gaps += part.gaps
            total.differences += part.differences
    return total
