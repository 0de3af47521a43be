"""Any order of decisions, answers, expiries and withdrawals keeps the promises P2, P3 and P7."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts.referral import DESK, Answer, ReferralStatusChanged, Status
from contracts.routing import Mode
from services.referral import rules
from services.referral.domain import HOLDING, OPEN, RETURNS_MAX, TRANSITIONS, Channel, Verdict
from tests.unit.referral.builders import NOW, answered, assigned, offering

ORGANISATIONS = ["school", "bevoegd_gezag", "lkc", "inspectie"]


class OneCase(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW
        self.case = None
        self.referrals = {}
        self.accepts = {}
        self.case_id = assigned().case_id

    def take(self, outcome):
        before = self.case
        if outcome.verdict is not Verdict.APPLIED:
            assert outcome.case == before
            return
        for item in outcome.referrals:
            known = self.referrals.get(item.referral_id)
            assert known is None or item.status in TRANSITIONS[known.status]
            self.referrals[item.referral_id] = item
            if item.status is Status.ACCEPTED:
                self.accepts[item.referral_id] = self.accepts.get(item.referral_id, 0) + 1
        if before is not None:
            changed = before.holder != outcome.case.holder
            assert outcome.case.handoff == before.handoff + changed
        assert outcome.events
        for event in outcome.events:
            assert event.next_step == outcome.case.next_step
            assert event.holder == outcome.case.holder
            assert isinstance(event, ReferralStatusChanged) or event.holder == DESK
        self.case = outcome.case

    @rule(
        organisation=st.sampled_from(ORGANISATIONS),
        mode=st.sampled_from(Mode),
        step=st.integers(0, 2),
        reached=st.booleans(),
    )
    def decide(self, organisation, mode, step, reached):
        number = max(1, (self.case.decision_number if self.case else 0) + step)
        event = assigned(organisation, number, mode, self.case_id)
        current = next((r for r in self.referrals.values() if r.status in OPEN | HOLDING), None)
        channel = Channel.INBOX if reached else None
        self.take(rules.assign(self.case, current, event, offering(channel), self.now))

    @rule(data=st.data(), said=st.sampled_from(Answer), fence=st.integers(0, 1))
    def hear(self, data, said, fence):
        if self.referrals:
            referral = data.draw(st.sampled_from(list(self.referrals.values())))
            event = answered(referral, said, attempt=referral.attempt + fence)
            outcome = rules.answer(self.case, referral, event, self.now)
            assert fence == 0 or outcome.verdict is Verdict.WRONG_ATTEMPT
            self.take(outcome)

    @rule(hours=st.integers(1, 12))
    def wait(self, hours):
        self.now += timedelta(hours=hours)
        for referral in list(self.referrals.values()):
            if referral.due_at is not None and referral.due_at <= self.now:
                self.take(rules.expire(self.case, referral, self.now))

    @rule(data=st.data())
    def take_back(self, data):
        if self.referrals:
            referral = data.draw(st.sampled_from(list(self.referrals.values())))
            outcome = rules.withdraw(self.case, referral, self.now)
            self.take(outcome if outcome.referrals else replace(outcome, case=self.case))

    @invariant()
    def exactly_one_holder(self):
        if self.case is not None:
            holding = [r.organisation for r in self.referrals.values() if r.status in HOLDING]
            assert len(holding) <= 1
            assert self.case.holder == (holding[0] if holding else DESK)

    @invariant()
    def at_most_one_open_request(self):
        assert sum(r.status in OPEN for r in self.referrals.values()) <= 1

    @invariant()
    def accepted_only_once(self):
        assert all(number == 1 for number in self.accepts.values())

    @invariant()
    def always_a_next_step(self):
        assert self.case is None or self.case.next_step is not None

    @invariant()
    def silence_and_declines_end_at_the_desk(self):
        if self.case is not None:
            returned = [
                r for r in self.referrals.values() if r.status in {Status.REJECTED, Status.FAILED}
            ]
            assert len(returned) == self.case.returns
            open_now = any(r.status in OPEN | HOLDING for r in self.referrals.values())
            if self.case.returns >= RETURNS_MAX and not open_now:
                assert self.case.next_step.actor == DESK


TestOneCase = OneCase.TestCase
TestOneCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
