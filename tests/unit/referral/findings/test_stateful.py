"""Any order of replies, evidence, settlements and waiting keeps P3 and the ladder's promises."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.finding import (
    BoardReply,
    FindingEscalated,
    FindingReminded,
    FindingState,
    Settlement,
)
from contracts.referral import DESK
from services.referral.findings import rules, times
from services.referral.findings.domain import ENDED, TRANSITIONS, Verdict
from services.referral.findings.ladder import fire
from services.referral.findings.replying import reply
from tests.unit.referral.findings.builders import (
    ADVICE,
    BINDING,
    BOARD,
    COMPLY,
    FEEDS,
    HELD,
    NOW,
    TODAY,
    in_force,
    issued,
    said,
    shown,
)


class OneFinding(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW
        self.escalated = []
        self.replied = False

    @initialize(regime=st.sampled_from([ADVICE, COMPLY, BINDING, None]), days=st.integers(0, 60))
    def begin(self, regime, days):
        self.finding = issued(regime, TODAY - timedelta(days=days)).finding
        self.first = self.finding.regime

    def take(self, outcome):
        before, after = self.finding, outcome.finding
        if outcome.verdict is not Verdict.APPLIED:
            assert after == before
            assert not outcome.events
            assert not outcome.notices
            return
        assert before.open
        assert after.state is before.state or after.state in TRANSITIONS[before.state]
        for event in outcome.events:
            assert event.state is after.state
            assert event.next_step == (after.step.of_case if after.step else None)
            if isinstance(event, FindingEscalated):
                self.escalated.append((event.rung, event.organisation))
        assert after.told[: len(before.told)] == before.told
        assert len(after.told) - len(before.told) <= 1
        if before.regime is not None:
            assert after.regime == before.regime
        self.finding = after

    @rule(
        answer=st.sampled_from(BoardReply),
        ago=st.integers(0, 40),
        by=st.sampled_from([BOARD, DESK]),
    )
    def answer(self, answer, ago, by):
        day = times.today(self.now) - timedelta(days=ago)
        outcome = reply(self.finding, said(answer, day, by=by, digest="ab" * 32), HELD, self.now)
        self.replied |= outcome.verdict is Verdict.APPLIED
        self.take(outcome)

    @rule(by=st.sampled_from(["lkc", DESK, "inspectie"]), confirms=st.booleans())
    def show(self, by, confirms):
        outcome = rules.evidence(self.finding, shown(by, confirms=confirms), HELD, self.now)
        if outcome.finding.state is FindingState.FOLLOWED and self.finding.open:
            assert by in {"lkc", DESK}
        self.take(outcome)

    @rule(settlement=st.sampled_from(Settlement))
    def settle(self, settlement):
        self.take(rules.settle(self.finding, settlement, HELD, self.now))

    @rule(days=st.integers(1, 45))
    def wait(self, days):
        self.now += timedelta(days=days)
        force = in_force() if self.finding.regime is None else None
        before = self.finding
        outcome = fire(before, FEEDS, HELD, self.now, force)
        if outcome.verdict is Verdict.APPLIED:
            assert before.fires_at <= self.now
            # Time reminds and escalates; it never ends anything.
            assert outcome.finding.open
            if not any(isinstance(event, FindingReminded) for event in outcome.events):
                assert before.step.due_at <= self.now or before.state is FindingState.ISSUED
            if outcome.finding.state is FindingState.SILENT:
                assert before.reply_due_at is None or before.reply_due_at <= self.now
        self.take(outcome)

    @invariant()
    def one_next_step_while_open(self):
        finding = self.finding
        ended = finding.state in ENDED
        assert (finding.step is None) == ended
        assert (finding.fires_at is None) == ended
        assert (finding.settlement is not None) == ended
        if finding.fires_at is not None:
            assert finding.fires_at <= finding.step.due_at

    @invariant()
    def supervisors_are_told_in_the_order_of_the_regime(self):
        finding = self.finding
        assert len(set(finding.told)) == len(finding.told)
        rungs = [rung for rung, _ in self.escalated if rung]
        assert rungs == list(range(1, len(rungs) + 1))
        if finding.regime is not None:
            regime = finding.regime.regime
            assert set(finding.told) <= {*regime.after_silence, *regime.after_deviation}
            if finding.reply is None:
                assert finding.told == regime.after_silence[: len(finding.told)]

    @invariant()
    def what_was_not_said_is_not_claimed(self):
        finding = self.finding
        if finding.state is FindingState.FOLLOWED:
            assert finding.evidence >= 1
        if finding.settlement is Settlement.NO_REPLY:
            assert finding.reply is None
        if not self.replied:
            assert finding.reply is None
            assert finding.first_replied_on is None


TestOneFinding = OneFinding.TestCase
TestOneFinding.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
