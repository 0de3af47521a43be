"""How many questions lead to a result, and how long a step takes, over the plausible situations.

    python -m benchmarks.wegwijzer --people 2000

Somebody in a plausible situation without danger answers every question truthfully; with `--unknown`
that share of the questions is answered with "I don't know". The result is compared with the
decision on all answers. Only steps that were not found before are timed.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from contracts.situation import Flag
from services.routing.check.space import all_flag_sets, plausible_bases
from services.routing.compiled import compile_register
from services.routing.matching import flag_bits
from services.routing.outcomes import STEP_BITS, STEPS, Facet, goes_together
from services.routing.questions import load_questions
from services.routing.register import load_register
from services.routing.rules import decide_party
from services.routing.wegwijzer import ASKED_MAX, Step, Wegwijzer

QUESTIONS_MEDIAN_MAX = 6
STEP_MS_MAX = 50.0
STEP_OPTIONS = dict(zip(STEPS, ("niemand", "school", "bestuur", "oordeel"), strict=True))
AFFILIATIONS = ("unknown", "geen", "lkc", "gcbo", "klachtencommissie_overig")
NOT_TICKED = frozenset({Flag.DANGER_NOW, Flag.SELF_UNDER_12, Flag.FINDING_OVERDUE})
BASES, _ = plausible_bases()

Answers = dict[str, tuple[str, ...]]


def truthful(random: Random) -> Answers:
    """All answers of somebody in a plausible situation without danger."""
    while True:
        base = random.choice(BASES)
        flags = random.choice(all_flag_sets(base))
        steps = STEP_BITS if Flag.FINDING_OVERDUE in flags else random.choice(STEPS[:3])
        facts = tuple(flag for flag in Flag if flag in flags - NOT_TICKED)
        affiliation = random.choice(AFFILIATIONS)
        facet = Facet(steps, flag_bits(facts), affiliation, Flag.SELF_UNDER_12 in flags)
        if Flag.DANGER_NOW not in flags and goes_together(facet):
            break
    main = {field: (str(value),) for field, value in base._asdict().items()}
    return {
        "danger": ("nee",),
        **main,
        "steps": (STEP_OPTIONS[steps],),
        "facts": tuple(str(fact) for fact in facts),
        "affiliation": (affiliation,),
        "age": ("ja" if facet.young else "nee",),
    }


def walk(
    next_step: Callable[[Answers], Step], truth: Mapping[str, tuple[str, ...]]
) -> tuple[list[tuple[Answers, Step]], Step]:
    """Each question with the answers before it, and the result, for who answers by `truth`."""
    answers: Answers = {}
    asked: list[tuple[Answers, Step]] = []
    while True:
        step = next_step(dict(answers))
        if step.question is None:
            return asked, step
        if len(asked) >= ASKED_MAX:
            raise AssertionError(f"more than {ASKED_MAX} questions: {answers}")
        asked.append((dict(answers), step))
        offered = {option.id for option in step.options}
        said = truth[step.question.id]
        answers[step.question.id] = tuple(a for a in said if a in offered or len(said) == 1)


def measure(people: int, unknown: float, seed: int) -> dict[str, object]:
    """The distribution of the number of questions, and of the milliseconds of one core per step."""
    register = compile_register(load_register())
    guide = Wegwijzer(register, load_questions())
    start = time.thread_time()
    guide.warm()
    warm_seconds = time.thread_time() - start
    gc.collect()
    gc.freeze()
    milliseconds: list[float] = []

    def timed(answers: Answers) -> Step:
        known = guide.steps_found
        before = time.thread_time()
        step = guide.next_step(answers)
        if guide.steps_found != known:
            milliseconds.append((time.thread_time() - before) * 1000)
        return step

    random = Random(seed)
    numbers: Counter[int] = Counter()
    differing = unsettled = 0
    for _ in range(people):
        truth = truthful(random)
        told = {q: ("unknown",) if random.random() < unknown else a for q, a in truth.items()}
        asked, result = walk(timed, {**told, "danger": ("nee",)})
        numbers[len(asked)] += 1
        unsettled += not result.settled
        party = result.decision.primary if result.decision else None
        differing += not unknown and party != decide_party(register, guide.situation(truth))
    cuts = statistics.quantiles(milliseconds, n=100)
    return {
        "people": people,
        "questions": dict(sorted(numbers.items())),
        "questions_median": statistics.median(numbers.elements()),
        "questions_max": max(numbers),
        "results_that_differ_from_all_answers": differing,
        "results_not_settled": unsettled,
        "warm_seconds": round(warm_seconds, 1),
        "new_steps": len(milliseconds),
        "new_step_ms": {"median": round(cuts[49], 2), "p99": round(cuts[98], 1)},
        "new_step_ms_max": round(max(milliseconds), 1),
    }


def main() -> int:
    """Print the figures; status 0 when the wegwijzer is short, fast and right enough."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wegwijzer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=int, default=2000, help="how many to ask (2000)")
    parser.add_argument("--unknown", type=float, default=0.0, help="share of answers not known (0)")
    parser.add_argument("--seed", type=int, default=1, help="which ones to ask (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    options = parser.parse_args()
    figures = measure(options.people, options.unknown, options.seed)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:38} {value}")
        print(f"{'required':38} median {QUESTIONS_MEDIAN_MAX}, max {ASKED_MAX}, {STEP_MS_MAX} ms")
    fast = figures["new_step_ms"]["p99"] <= STEP_MS_MAX  # type: ignore[index]
    short = float(str(figures["questions_median"])) <= QUESTIONS_MEDIAN_MAX
    right = not figures["results_that_differ_from_all_answers"]
    return 0 if fast and short and right else 1


if __name__ == "__main__":
    sys.exit(main())
