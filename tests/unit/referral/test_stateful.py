"""Any order of all commands keeps the promises P2, P3, P4 and P7."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.referral import (
    DESK,
    Answer,
    CompletedAs,
    DeskReason,
    HandOverBy,
    NextAction,
    NextStep,
    Status,
)
from contracts.routing import Mode
from contracts.situation import Kind, Urgency
from services.referral import by_desk, escalation, holding, reporter, rules
from services.referral.by_desk import HandedOver
from services.referral.domain import (
    HOLDING,
    OPEN,
    RETURNS_MAX,
    TRANSITIONS,
    Channel,
    Standing,
    Verdict,
)
from services.referral.reminding import DESK_REMINDERS_MAX
from tests.unit.referral.builders import (
    NOW,
    agrees,
    answered,
    assigned,
    offering,
    reach,
    stands,
)

ORGANISATIONS = ["school", "bevoegd_gezag", "lkc", "inspectie"]
NEVER = ("beschuldigde", "lkc/noord")
EVERYBODY = st.sampled_from([*ORGANISATIONS, NEVER[0], DESK])
LOKETS = st.sampled_from([None, "noord", "zuid"])
CHANNELS = st.sampled_from([Channel.INBOX, Channel.KAFKA, Channel.DESK])
TICKS_MAX = 20


class OneCase(RuleBasedStateMachine):
    """One case, its referrals, and whatever partners, time, reporter and desk do to it."""

    @initialize(urgency=st.sampled_from(Urgency), kind=st.sampled_from(Kind), data=st.data())
    def open_case(self, urgency, kind, data):
        self.now = NOW
        self.standing = None
        self.referrals = {}
        self.accepted = set()
        self.case_id = assigned().case_id
        self.about = {"urgency": urgency, "kind_at_primary": kind}
        self._decide(data, 1, "school", onward=False)

    @property
    def case(self):
        return self.standing.case

    def take(self, outcome, *, by_the_desk=False, may_close=True):
        before = self.standing
        if outcome.verdict is not Verdict.APPLIED:
            self._unchanged(outcome)
            return
        agrees(outcome)
        for item in outcome.referrals:
            self._moved(item, by_the_desk)
        self.standing = stands(outcome, before)
        self._handed(before, outcome)
        assert may_close or before is None or self.case.open or not before.case.open
        known = {item.organisation for item in self.referrals.values()}
        assert {item.organisation for item in outcome.feed} <= known

    def _unchanged(self, outcome):
        number = outcome.case.decision_number
        assert outcome.case == replace(self.case, decision_number=number)
        assert outcome.case.decision_number >= self.case.decision_number
        assert not outcome.referrals
        assert not outcome.events
        assert not outcome.feed
        self.standing = Standing(outcome.case, self.standing.request, self.standing.holding)

    def _moved(self, item, by_the_desk):
        known = self.referrals.get(item.referral_id)
        if known is None:
            assert item.attempt == len(self.referrals) + 1
            assert item.status is Status.REQUESTED
            assert item.organisation != NEVER[0]
            assert f"{item.organisation}/{item.loket}" not in NEVER
            returned = self.standing.case.returned_by if self.standing else ()
            assert by_the_desk or item.organisation not in returned
        else:
            assert item.attempt == known.attempt
            assert item.status is known.status or item.status in TRANSITIONS[known.status]
            if item.status is Status.ACCEPTED and known.status in OPEN:
                assert item.referral_id not in self.accepted
                self.accepted.add(item.referral_id)
        self.referrals[item.referral_id] = item

    def _handed(self, before, outcome):
        if before is None:
            assert (outcome.case.holder, outcome.case.handoff) == (DESK, 0)
            return
        old, new = before.case, outcome.case
        assert new.handoff == old.handoff + (new.holder != old.holder)
        assert new.first_received_at == old.first_received_at == NOW
        assert set(new.content) <= set(old.content)
        if new.holder not in {old.holder, DESK}:
            # Only an accept makes an organisation holder (P4).
            assert outcome.referrals[-1].status is Status.ACCEPTED
            assert outcome.referrals[-1].organisation == new.holder

    def _any(self, data):
        return data.draw(st.sampled_from(list(self.referrals.values())))

    # What routing says.

    def _decide(self, data, number, organisation, *, onward):
        event = assigned(
            organisation,
            number,
            Mode.REFER if onward else data.draw(st.sampled_from(Mode)),
            self.case_id,
            loket=data.draw(LOKETS),
            other_lokets=data.draw(st.sampled_from([(), ("zuid",), ("noord", "zuid")])),
            never=NEVER,
            onward=onward,
            **self.about,
        )
        offer = offering(data.draw(st.one_of(CHANNELS, st.none())))
        self.take(rules.assign(self.standing, event, offer, self.now), may_close=False)

    @rule(data=st.data(), organisation=EVERYBODY, step=st.integers(0, 2), onward=st.booleans())
    def decide(self, data, organisation, step, onward):
        held = self.standing.holding
        if onward and held is not None and held.onward_to is not None:
            organisation = held.onward_to
        self._decide(data, self.case.decision_number + step, organisation, onward=onward)

    @rule()
    def refuse_onward(self):
        self.take(holding.onward_refused(self.standing, "unknown", self.now), may_close=False)

    # What partners say.

    @precondition(lambda self: self.referrals)
    @rule(data=st.data(), says=st.sampled_from(Answer), fence=st.sampled_from([0, 0, 0, 1]))
    def hear(self, data, says, fence):
        live = [i for i in (self.standing.request, self.standing.holding) if i is not None]
        referral = data.draw(st.sampled_from([*live, *live, *self.referrals.values()]))
        changes = {}
        if says is Answer.ON_HOLD:
            changes = {"until": self.now + timedelta(days=data.draw(st.integers(1, 30)))}
        if says is Answer.COMPLETED:
            outcome = data.draw(st.sampled_from(CompletedAs))
            decided = outcome is CompletedAs.DECIDED
            changes = {"outcome": outcome, "decision": "upheld" if decided else None}
        if says in {Answer.REFERRED_ONWARD, Answer.REJECTED, Answer.RETURNED}:
            changes = {"suggested_organisation": data.draw(EVERYBODY)}
        event = answered(referral, says, attempt=referral.attempt + fence, **changes)
        outcome = rules.answer(self.standing, referral, event, self.now)
        assert fence == 0 or outcome.verdict is Verdict.WRONG_ATTEMPT
        assert referral.status in OPEN | HOLDING or outcome.verdict is not Verdict.APPLIED
        if says is Answer.REFERRED_ONWARD and event.suggested_organisation in (
            *self.case.returned_by,
            *NEVER,
        ):
            assert outcome.verdict is not Verdict.APPLIED
        self.take(outcome, may_close=says is Answer.COMPLETED)

    # What time does.

    @rule(hours=st.sampled_from([0.1, 1, 5, 12, 24, 100, 700]), fallback=st.booleans())
    def wait(self, hours, fallback):
        self.now += timedelta(hours=hours)
        request = self.standing.request
        if request is not None and request.due_at is not None:
            way = reach(Channel.EMAIL if fallback else None)
            outcome = escalation.expire(self.standing, request, way, self.now)
            assert (outcome.verdict is Verdict.APPLIED) == (request.due_at <= self.now)
            self.take(outcome, may_close=False)
        for _ in range(TICKS_MAX):
            timer = self.case.timer_at
            outcome = escalation.tick(self.standing, self.now)
            due = timer is not None and timer <= self.now
            assert due == (outcome.verdict is Verdict.APPLIED)
            holder = self.case.holder
            self.take(outcome, may_close=False)
            assert self.case.holder == holder
            if not due:
                return
        raise AssertionError("timers go off without end")

    # What the reporter does.

    @rule(how=st.sampled_from(["withdrawn", "identity_hidden", "not_helped", "not_helped"]))
    def report(self, how):
        self.take(getattr(reporter, how)(self.standing, self.now))
        if how == "withdrawn":
            acute = self.case.urgency is Urgency.ACUUT
            assert not self.case.open or (acute and self.case.holder == DESK)
            assert (self.standing.request, self.standing.holding) == (None, None)

    @precondition(lambda self: self.referrals)
    @rule(data=st.data(), hours=st.integers(1, 200))
    def ask(self, data, hours):
        by = self.now + timedelta(hours=hours)
        self.take(reporter.asked(self.standing, self._any(data).referral_id, by, self.now))

    @rule()
    def answer_question(self):
        self.take(reporter.answered(self.standing, self.case_id, self.now), may_close=False)

    # What the desk does.

    @rule(organisation=EVERYBODY, loket=LOKETS, channel=CHANNELS)
    def assign_by_desk(self, organisation, loket, channel):
        offer = offering(channel)
        outcome = by_desk.assigned(self.standing, organisation, loket, offer, self.now)
        self.take(outcome, by_the_desk=True, may_close=False)

    @precondition(lambda self: self.referrals)
    @rule(data=st.data(), by=st.sampled_from(HandOverBy), accepted=st.booleans())
    def hand_over(self, data, by, accepted):
        how = HandedOver(by, accepted)
        outcome = by_desk.handed_over(self.standing, self._any(data), how, self.now)
        self.take(outcome, may_close=False)

    @precondition(lambda self: self.referrals)
    @rule(data=st.data())
    def take_back(self, data):
        self.take(rules.withdraw(self.standing, self._any(data), self.now), may_close=False)

    @rule(organisation=st.sampled_from(ORGANISATIONS))
    def switch_off(self, organisation):
        outcome = by_desk.switched_off(self.standing, organisation, self.now)
        self.take(outcome, may_close=False)
        live = [i for i in (self.standing.request, self.standing.holding) if i is not None]
        assert organisation not in {i.organisation for i in live}

    @rule(weeks=st.integers(1, 6), action=st.sampled_from([NextAction.REPLY_TO_FINDING,
                                                          NextAction.CHECK_FINDING]))  # fmt: skip
    def follow(self, weeks, action):
        actor = DESK if action is NextAction.CHECK_FINDING else "bevoegd_gezag"
        step = NextStep(actor=actor, action=action, due_at=self.now + timedelta(weeks=weeks))
        self.take(by_desk.followed(self.standing, step, self.now), may_close=False)

    @rule()
    def call_holder(self):
        self.take(by_desk.called_holder(self.standing, self.now), may_close=False)

    @rule(outcome=st.sampled_from(CompletedAs))
    def end_at_desk(self, outcome):
        self.take(by_desk.ended(self.standing, outcome, self.now))

    @rule(sure=st.sampled_from([False, False, False, True]))
    def find_no_case(self, sure):
        if sure:
            self.take(reporter.entered_in_error(self.standing, self.now))
            assert not self.case.open

    # What holds after every one of them.

    @invariant()
    def one_holder(self):
        held = [r for r in self.referrals.values() if r.status in HOLDING]
        assert len(held) <= 1
        assert held == [i for i in (self.standing.holding,) if i is not None]
        if held:
            assert self.case.open
            assert self.case.holder == held[0].organisation
        elif self.case.holder != DESK:
            assert not self.case.open
            # Closed by an organisation: it stays the holder on file.
            done = [r for r in self.referrals.values() if r.status is Status.COMPLETED]
            assert self.case.holder == max(done, key=lambda r: r.closed_at).organisation

    @invariant()
    def one_request(self):
        asked = [r for r in self.referrals.values() if r.status in OPEN]
        assert asked == [i for i in (self.standing.request,) if i is not None]
        if asked and asked[0].onward_of is not None:
            assert self.standing.holding.referral_id == asked[0].onward_of
        assert not asked or self.case.open

    @invariant()
    def a_next_step_and_what_comes_when_nobody_acts(self):
        """An open case moves by time alone, or the desk was told of it often enough."""
        case, request = self.case, self.standing.request
        assert case.open == (case.next_step is not None)
        if not case.open:
            assert case.timer_at is None
            return
        step = case.next_step
        moves = case.timer_at is not None or (request is not None and request.due_at is not None)
        told = step.actor == DESK and case.reminders >= DESK_REMINDERS_MAX
        assert moves or told or case.desk_reason is DeskReason.FINDING

    @invariant()
    def nobody_acts_that_is_not_there(self):
        case = self.case
        if case.open and case.desk_reason is not DeskReason.FINDING:
            live = [i for i in (self.standing.request, self.standing.holding) if i is not None]
            actors = {i.organisation for i in live if not i.signal or i.status in HOLDING}
            with_reporter = {"reporter"} if self.standing.holding else set()
            assert case.next_step.actor in {DESK} | actors | with_reporter

    @invariant()
    def a_case_at_the_desk_says_why(self):
        if self.case.desk_reason is not None:
            assert self.case.open
            assert self.case.holder == DESK

    @invariant()
    def the_second_return_ends_at_the_desk(self):
        live = self.standing.request or self.standing.holding
        if self.case.open and self.case.returns >= RETURNS_MAX and live is None:
            assert self.case.next_step.actor == DESK or self.case.desk_reason is DeskReason.FINDING


TestOneCase = OneCase.TestCase
TestOneCase.settings = settings(max_examples=70, stateful_step_count=30, deadline=None)
