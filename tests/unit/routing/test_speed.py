"""A decision stays fast, and fast is not another answer than the plain one."""

from benchmarks.decide import Walk, measure, plausible_situations
from services.routing.compiled import CompiledRegister
from services.routing.rules import decide, decide_party

# The requirement is 50 on a quiet core; a test machine may be twice as busy.
BUSY_MICROSECONDS_MAX = 100.0


def test_the_plain_walk_decides_the_same(compiled: CompiledRegister) -> None:
    walk = Walk(compiled.register, {o.id: o for o in compiled.register.organisations})
    for situation in plausible_situations(1500, seed=5):
        decision = decide(compiled, situation)
        party, competent = walk.decide(situation)
        assert party == decision.primary == decide_party(compiled, situation)
        weighed = {row.organisation for row in decision.weighed if row.reason == "not-competent"}
        assert weighed.isdisjoint(competent)


def test_a_decision_with_everything_weighed_is_fast(compiled: CompiledRegister) -> None:
    figures = measure(compiled, plausible_situations(800, seed=6))
    assert figures["decision_us"]["median"] < BUSY_MICROSECONDS_MAX  # type: ignore[index]
    assert figures["whole_decision_against_plain_walk"] > 2  # type: ignore[operator]
    assert figures["party_only_against_plain_walk"] > 4  # type: ignore[operator]
