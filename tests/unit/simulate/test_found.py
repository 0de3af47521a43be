"""What the simulation has found in the rules, as the shortest way to it."""

from dataclasses import replace

from contracts.finding import FindingReminded
from contracts.referral import Answer, NextAction, RedecisionRequested
from services.referral import by_desk, rules
from services.referral.domain import Verdict
from services.referral.effects import Effects, Publishing
from services.referral.findings import ladder
from services.referral.findings.effects import FindingEffects
from tests.unit.referral.builders import NOW, again, first, offering, said, stands
from tests.unit.referral.findings.builders import FEEDS, HELD, finding


def test_a_holder_that_refers_onward_is_not_forgotten_by_a_decision_that_was_under_way():
    # Declined, and assigned by the desk before routing had answered.
    offered = stands(first())
    declined = said(offered, Answer.REJECTED)
    by_hand = by_desk.assigned(stands(declined, offered), "inspectie", None, offering(), NOW)
    held = stands(said(stands(by_hand), Answer.ACCEPTED))
    asks = said(held, Answer.REFERRED_ONWARD, suggested_organisation="lkc")
    waits = stands(asks, held)
    [asked] = [item for item in asks.events if isinstance(item, RedecisionRequested)]

    late = rules.assign(waits, again(waits, "samenwerkingsverband"), offering(), NOW)

    # Routing has used up the number that was asked for, so it drops that question.
    assert late.case.decision_number == asked.decision_number
    assert late.verdict is Verdict.APPLIED
    assert not late.referrals
    [once_more] = [item for item in late.events if isinstance(item, RedecisionRequested)]
    assert once_more.decision_number == asked.decision_number + 1
    assert (once_more.onward, once_more.proposed) == (True, "lkc")
    assert late.case.holder == "inspectie"


def test_what_an_earlier_holder_asked_does_not_swallow_the_question_of_the_next():
    asks = said(stands(said(stands(first()), Answer.ACCEPTED)), Answer.REFERRED_ONWARD)
    waits = stands(asks, stands(said(stands(first()), Answer.ACCEPTED)))
    holder = next(item for item in asks.referrals if item.onward_to is not None)
    taken = stands(rules.withdraw(waits._replace(holding=holder), holder, NOW))
    by_hand = by_desk.assigned(taken, "inspectie", None, offering(), NOW)
    held = stands(said(stands(by_hand), Answer.ACCEPTED))
    next_asks = said(held, Answer.REFERRED_ONWARD, suggested_organisation="veilig_thuis")
    waits = stands(next_asks, held)

    late = rules.assign(waits, again(waits, "lkc", onward=True), offering(), NOW)

    assert not late.referrals
    [once_more] = late.events
    assert isinstance(once_more, RedecisionRequested)
    assert (once_more.onward, once_more.proposed) == (True, "veilig_thuis")


def test_a_decision_under_way_leaves_a_holder_that_asks_nothing_alone():
    held = stands(said(stands(first()), Answer.ACCEPTED))
    late = rules.assign(held, again(held, "lkc"), offering(), NOW)
    assert late.verdict is Verdict.BUSY
    assert not late.events


def test_a_finding_that_outlives_its_case_tells_the_next_step_of_the_case():
    held = stands(said(stands(first()), Answer.ACCEPTED))
    open_finding = finding(case_id=held.case.case_id)
    fires_at = open_finding.fires_at
    assert fires_at is not None
    core = Effects(
        Publishing("meldpunt.referral", "urn:referral", "http://intake"),
        {},
        {held.case.case_id: held.case},
        [item for item in (held.holding,) if item is not None],
    )
    effects = FindingEffects(core, {}, fires_at)
    effects.add(ladder.fire(open_finding, FEEDS, replace(HELD, handoff=1), fires_at))
    told = [item.event for item in core._outgoing if isinstance(item.event, FindingReminded)]
    assert [(item.holder, item.handoff) for item in told] == [("school", 1)]
    assert [item.next_step for item in told] == [held.case.next_step]
    step = held.case.next_step
    assert step is not None
    assert (step.actor, step.action) == ("school", NextAction.HANDLE)
