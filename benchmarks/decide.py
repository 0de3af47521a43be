"""How long a decision takes, over the plausible situations, beside a plain walk over the rules.

    python -m benchmarks.decide --situations 5000

A decision here is whole: party, urgency, terms, duties, why, and everybody that was weighed, each
with the reason. The plain walk reads the register as a person would, rule by rule and entry by
entry. It finds only the party and who else is competent, so the first ratio flatters it; the second
compares finding the party alone.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from contracts.situation import UNKNOWN, Accused, Flag, Situation
from services.routing.check.space import all_flag_sets, plausible_bases
from services.routing.compiled import CompiledRegister, compile_register
from services.routing.domain import AFFILIATION, Competence, Match, Organisation, Register, Rule
from services.routing.explain import explanation_document
from services.routing.register import load_register
from services.routing.rules import decide, decide_party

ROUNDS = 5
AFFILIATIONS = (UNKNOWN, "geen", "lkc", "gcbo", "klachtencommissie_overig")
MICROSECONDS_MAX = 50.0


def plausible_situations(number: int, seed: int) -> list[Situation]:
    """Plausible situations drawn evenly from all answers, with facts, steps and committee."""
    random = Random(seed)
    bases, _ = plausible_bases()
    drawn = []
    for _ in range(number):
        base = random.choice(bases)
        flags = {*random.choice(all_flag_sets(base)), *random.choice(_STEPS)}
        situation = Situation(
            **base._asdict(),
            flags=tuple(flag for flag in Flag if flag in flags),
            affiliation=random.choice(AFFILIATIONS),
        )
        drawn.append(situation)
    return drawn


_STEPS: tuple[tuple[Flag, ...], ...] = (
    (),
    (Flag.SCHOOL_TRIED,),
    (Flag.SCHOOL_TRIED, Flag.BOARD_TRIED),
)


@dataclass
class Walk:
    """A plain walk over a register; `parties` are the organisations by id."""

    register: Register
    parties: dict[str, Organisation]

    def decide(self, situation: Situation) -> tuple[str, list[str]]:
        """The party of the first rule that holds and can be used, and everybody competent."""
        asked = self.asked(situation)
        return self.primary(asked), [o for o in self.parties if self.takes(o, asked)]

    def party(self, situation: Situation) -> str:
        """Only the party."""
        return self.primary(self.asked(situation))

    def asked(self, situation: Situation) -> Situation:
        """The situation with the kind that the reporter can have, and the facts that follow."""
        kind = situation.kind
        for standing in self.register.standing:
            if situation.reporter in standing.reporters and kind == standing.from_:
                kind = standing.to
        return situation.model_copy(update={"kind": kind, "flags": self.facts(situation)})

    def facts(self, situation: Situation) -> tuple[Flag, ...]:
        """The facts with those that follow."""
        facts = set(situation.flags)
        for derived in self.register.derived_flags:
            if not holds(derived.match, situation.model_copy(update={"flags": tuple(facts)})):
                continue
            limit, age = derived.max_age_years, situation.age
            if limit is None or (derived.unknown_age_counts if age is None else age <= limit):
                facts.add(derived.flag)
        return tuple(facts)

    def primary(self, situation: Situation) -> str:
        never: set[str] = set()
        failed: list[Rule] = []
        for rule in self.register.routing_rules[:-1]:
            if not holds(rule.match, situation):
                continue
            never |= set(rule.never_via)
            party = self.usable(rule.primary, situation, never)
            if party is not None:
                return party
            failed.append(rule)
        return self.second_line(failed, situation, never)

    def second_line(self, failed: list[Rule], situation: Situation, never: set[str]) -> str:
        named = [party for rule in failed for party in rule.also]
        for rule in failed:
            first = situation.affiliation if rule.primary == AFFILIATION else rule.primary
            organisation = self.parties.get(first.partition("/")[0])
            named += organisation.escalates_to if organisation else ()
        for name in named:
            party = self.usable(name, situation, never)
            if party is not None and self.parties[party].referral_mode != "show_only":
                return party
        return self.register.desk

    def usable(self, name: str, situation: Situation, never: set[str]) -> str | None:
        organisation_id, _, loket_id = name.partition("/")
        if organisation_id == AFFILIATION:
            organisation_id = situation.affiliation
        if organisation_id == self.register.desk:
            return organisation_id
        organisation = self.parties.get(organisation_id)
        if organisation is None or organisation_id in never:
            return None
        if not self.takes(organisation_id, situation):
            return None
        if organisation.requires_affiliation and organisation_id != situation.affiliation:
            return None
        return organisation_id if self.has_loket(organisation, loket_id, situation) else None

    def has_loket(self, organisation: Organisation, loket_id: str, situation: Situation) -> bool:
        if not loket_id and not organisation.loket_order:
            return True
        lines = [line for line in organisation.loket_order if holds(line.match, situation)]
        wanted = {loket_id} if loket_id else {name for line in lines for name in line.order}
        for loket in organisation.loketten:
            if loket.id not in wanted or accused_of(situation) in loket.accused_when:
                continue
            limits = (
                (loket.sectors, situation.sector),
                (loket.reporters, situation.reporter),
                (loket.kinds, self.kind_at(organisation, situation)),
                (loket.subjects, situation.subject),
            )
            if all(values is None or answer in values for values, answer in limits):
                return True
        return False

    def kind_at(self, organisation: Organisation, situation: Situation) -> str:
        if situation.kind in organisation.kinds:
            return situation.kind
        return next(c.to for c in organisation.converts if c.from_ == situation.kind)

    def takes(self, organisation_id: str, situation: Situation) -> bool:
        organisation = self.parties[organisation_id]
        if accused_of(situation) in organisation.accused_when:
            return False
        if not set(organisation.requires_flags) <= set(situation.flags):
            return False
        rows: list[Competence | None] = [None, *organisation.also_competent]
        return any(row_takes(organisation, row, situation) for row in rows)


def accused_of(situation: Situation) -> Accused:
    return Accused.ONBEKEND if situation.accused == UNKNOWN else situation.accused


def row_takes(organisation: Organisation, row: Competence | None, situation: Situation) -> bool:
    kinds = row.kinds if row and row.kinds is not None else organisation.kinds
    converted = [c.to for c in organisation.converts if c.from_ == situation.kind]
    if situation.kind not in kinds and not any(kind in kinds for kind in converted):
        return False
    for field, answer in (
        ("sectors", situation.sector),
        ("reporters", situation.reporter),
        ("subjects", situation.subject),
        ("accused", accused_of(situation)),
    ):
        narrowed = getattr(row, field) if row else None
        values = getattr(organisation, field) if narrowed is None else narrowed
        if values is not None and answer not in values:
            return False
    return True


def holds(match: Match, situation: Situation) -> bool:
    for field in ("sector", "reporter", "kind", "subject", "affiliation"):
        values = getattr(match, field)
        if values and getattr(situation, field) not in values:
            return False
    if match.accused and accused_of(situation) not in match.accused:
        return False
    flags = set(situation.flags)
    return flags.issuperset(match.flags) and flags.isdisjoint(match.not_flags)


def microseconds(
    work: Callable[[Situation], object], situations: Sequence[Situation]
) -> list[float]:
    """Per situation the fastest of some rounds: the cost of the work, not of its neighbours."""
    fastest = [float("inf")] * len(situations)
    gc.collect()
    for _ in range(ROUNDS):
        for index, situation in enumerate(situations):
            start = time.perf_counter_ns()
            work(situation)
            fastest[index] = min(fastest[index], (time.perf_counter_ns() - start) / 1000)
    return fastest


def once(work: Callable[[Situation], object], situations: Sequence[Situation]) -> list[float]:
    """Per situation one run only, noise of the machine included."""
    times = []
    for situation in situations:
        start = time.perf_counter_ns()
        work(situation)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


def summary(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"median": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(times), 1)}


def measure(register: CompiledRegister, situations: Sequence[Situation]) -> dict[str, object]:
    """All figures, in microseconds; raises AssertionError when the two ways do not agree."""
    walk = Walk(register.register, {o.id: o for o in register.register.organisations})
    differing = [s for s in situations if walk.decide(s)[0] != decide_party(register, s)]
    assert not differing, f"the plain walk decides otherwise on {differing[0]}"
    few = situations[: max(1, len(situations) // 10)]
    whole = microseconds(lambda s: decide(register, s), situations)
    plain = microseconds(walk.decide, few)
    alone = microseconds(lambda s: decide_party(register, s), few)
    plain_alone = microseconds(walk.party, few)
    written = microseconds(lambda s: explanation_document(decide(register, s)), few)
    return {
        "situations": len(situations),
        "decision_us": summary(whole),
        "decision_once_us": summary(once(lambda s: decide(register, s), situations)),
        "party_only_us": summary(alone),
        "decision_and_document_us": summary(written),
        "plain_walk_us": summary(plain),
        "plain_walk_party_only_us": summary(plain_alone),
        "whole_decision_against_plain_walk": _ratio(plain, whole),
        "party_only_against_plain_walk": _ratio(plain_alone, alone),
        "a_year_of_25000_reports_seconds": round(25_000 * statistics.mean(whole) / 1e6, 2),
    }


def _ratio(plain: list[float], compiled: list[float]) -> float:
    return round(statistics.median(plain) / statistics.median(compiled), 1)


def main() -> int:
    """Print the figures; status 0 when the median decision is fast enough."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decide",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--situations", type=int, default=5000, help="how many to draw (5000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones to draw (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    options = parser.parse_args()
    register = compile_register(load_register())
    situations = plausible_situations(options.situations, options.seed)
    figures = measure(register, situations)
    median = figures["decision_us"]["median"]  # type: ignore[index]
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")
        print(f"{'required':32} median under {MICROSECONDS_MAX} us")
    return 0 if median < MICROSECONDS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
