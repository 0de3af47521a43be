"""The simulation keeps the promises, finds each seeded defect, and replays to the letter."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from deploy.commands.simulate import SEEDS as DEFAULT_SEEDS
from deploy.simulate.core import Core, Shell, Subject
from deploy.simulate.defects import DEFECTS
from deploy.simulate.run import one, simulate
from deploy.simulate.scheduler import CALM_STEPS_MAX, STORM_STEPS, run_seed
from services.referral import rules

SEEDS = 200


def test_promises_hold_at_every_step_of_many_seeds():
    shown = []
    summary = simulate(1, SEEDS, None, lambda done, count: shown.append((done, count)))
    assert [(item.seed, item.promise, item.text) for item in summary.failures] == []
    assert summary.seeds == SEEDS
    assert summary.steps > SEEDS * STORM_STEPS[0]
    assert shown[-1] == (SEEDS, SEEDS)


@pytest.mark.parametrize("seed", [436374, 441203, 443462, 443794, 451903])
def test_a_case_with_a_finding_at_rest_has_times_of_its_own(seed):
    # The calm ended with the last finding at rest, while the case itself had reminders to come.
    assert (one(seed, None).promise, one(seed, None).text) == (None, None)


@pytest.mark.parametrize("name", DEFECTS)
def test_every_seeded_defect_is_found_by_the_promise_that_it_breaks(name):
    promise = DEFECTS[name].promise
    summary = simulate(1, DEFAULT_SEEDS, name, lambda done, count: None, until=promise)
    found = [item.text for item in summary.failures if item.promise == promise]
    assert found, f"{name} was not found in {summary.seeds} seeds"


def test_defects_cover_all_promises_that_are_checked():
    assert {defect.promise for defect in DEFECTS.values()} == {"P1", "P2", "P3", "P4", "P7"}


def test_a_failing_seed_fails_again_at_the_same_step_with_the_same_trace():
    name = "second-return-again"
    summary = simulate(1, DEFAULT_SEEDS, name, lambda done, count: None, until="P7")
    seed = next(item.seed for item in summary.failures if item.promise == "P7")
    first, again = one(seed, name), one(seed, name)
    assert first == again
    assert first.promise == "P7"
    assert len(first.lines) > 10
    assert one(seed, None).promise is None


def test_a_trace_does_not_depend_on_the_process():
    code = (
        "import hashlib; from deploy.simulate.run import one;"
        " print(hashlib.sha256('\\n'.join(one(7, None).lines).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "2")
    }
    assert len(digests) == 1


def test_seeds_differ():
    assert one(1, None).lines != one(2, None).lines


def test_the_run_calls_the_rules_of_the_services_themselves():
    core = Core()
    assert core.assign is rules.assign
    assert core.answer is rules.answer


def test_a_rule_that_raises_is_a_failure_with_its_trace():
    def broken(*_, **__):
        raise ZeroDivisionError("no")

    result = run_seed(1, Subject(core=replace(Core(), assign=broken)))
    assert result.promise == "core"
    assert result.text == "ZeroDivisionError: no"
    assert result.lines


def test_a_case_that_never_rests_is_a_failure_within_bounds():
    forget = Subject(shell=Shell(offsets_last=False, inbox=False))
    result = run_seed(3, forget)
    assert result.steps <= STORM_STEPS[1] + CALM_STEPS_MAX * 2
