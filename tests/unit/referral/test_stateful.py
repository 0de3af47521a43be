"""Any order of all commands keeps the promises P2, P3, P4 and P7."""

from datetime import timedelta

from hypothesis import HealthCheck, settings
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
from services.referral import by_desk, case_states, escalation, holding, reporter, rules
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
CHANNELS = st.sampled_from([Channel.INBOX, Channel.KAFKA, Channel.WEBHOOK, Channel.DESK, None])
MODES = st.sampled_from([Mode.REFER, Mode.REFER, Mode.REFER, Mode.SIGNAL, Mode.DESK])
# Of what ends a case only a part is done, or most of the time there would be nothing to do.
SELDOM = st.integers(0, 4).map(lambda n: n == 4)
TICKS_MAX = 20


class OneCase(RuleBasedStateMachine):
    """One case, its referrals, and whatever partners, time, reporter and desk do to it."""

    @initialize(
        urgency=st.sampled_from(Urgency),
        kind=st.sampled_from(Kind),
        far=st.integers(0, 5),
        data=st.data(),
    )
    def open_case(self, urgency, kind, far, data):
        self.now = NOW
        self.standing = None
        self.referrals = {}
        self.accepted = set()
        self.case_id = assigned().case_id
        self.about = {"urgency": urgency, "kind_at_primary": kind}
        self._decide(data, 1, "school", data.draw(MODES))
        for organisation in ("school", "lkc", "lkc", "lkc", "inspectie")[:far]:
            # Offered, accepted, referred onward, agreed, accepted by the next.
            self.go_on(data, organisation, 0)

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
        case_states.kept(before, self.standing)
        self._handed(before, outcome)
        assert may_close or before is None or self.case.open or not before.case.open
        known = {item.organisation for item in self.referrals.values()}
        assert {item.organisation for item in outcome.feed} <= known

    def _unchanged(self, outcome):
        number = outcome.case.decision_number
        assert outcome.case == self.case._replace(decision_number=number)
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

    # The ordinary course of things, so that the rest finds cases that got somewhere.

    @rule(data=st.data(), organisation=st.sampled_from(ORGANISATIONS), turn=st.integers(0, 3))
    def take_a_turn(self, data, organisation, turn):
        self.go_on(data, organisation, turn)

    def go_on(self, data, organisation, turn):
        request, held = self.standing.request, self.standing.holding
        if request is not None and not request.signal:
            says = (Answer.ACCEPTED, Answer.ACCEPTED, Answer.RECEIVED, Answer.REJECTED)[turn]
            self._hear(request, says, {})
        elif held is not None and held.onward_to is not None:
            number = self.case.decision_number + 1
            self._decide(data, number, held.onward_to, Mode.REFER, onward=True)
        elif held is not None:
            says = (Answer.REFERRED_ONWARD, Answer.IN_PROGRESS, Answer.ON_HOLD,
                    Answer.RETURNED)[turn]  # fmt: skip
            along = {"suggested_organisation": organisation, "until": self.now + timedelta(days=9)}
            self._hear(held, says, along)
        elif self.case.open:
            self._decide(data, self.case.decision_number + 1, organisation, data.draw(MODES))
        else:
            self.take(reporter.not_helped(self.standing, self.now))

    # What routing says.

    def _decide(self, data, number, organisation, mode, *, onward=False):
        event = assigned(
            organisation,
            number,
            mode,
            self.case_id,
            loket=data.draw(LOKETS),
            other_lokets=data.draw(st.sampled_from([(), ("zuid",), ("noord", "zuid")])),
            never=NEVER,
            onward=onward,
            **self.about,
        )
        offer = offering(data.draw(CHANNELS))
        self.take(rules.assign(self.standing, event, offer, self.now), may_close=False)

    @rule(data=st.data(), organisation=EVERYBODY, step=st.integers(0, 2), onward=st.booleans())
    def decide(self, data, organisation, step, onward):
        mode = data.draw(st.sampled_from(Mode))
        number = self.case.decision_number + step
        self._decide(data, number, organisation, mode, onward=onward)

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
        self._hear(referral, says, changes | {"attempt": referral.attempt + fence})

    def _hear(self, referral, says, changes):
        event = answered(referral, says, **changes)
        outcome = rules.answer(self.standing, referral, event, self.now)
        right = event.attempt == referral.attempt
        assert right or outcome.verdict is Verdict.WRONG_ATTEMPT
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

    @precondition(lambda self: self.case.open)
    @rule(sure=SELDOM)
    def withdraw(self, sure):
        if sure:
            self.take(reporter.withdrawn(self.standing, self.now))
            acute = self.case.urgency is Urgency.ACUUT
            assert not self.case.open or (acute and self.case.holder == DESK)
            if self.case.desk_reason is not DeskReason.WITHDRAWN:
                assert not self.case.open
            assert (self.standing.request, self.standing.holding) == (None, None)

    @rule()
    def hide_identity(self):
        self.take(reporter.identity_hidden(self.standing, self.now), may_close=False)

    @rule()
    def not_helped(self):
        self.take(reporter.not_helped(self.standing, self.now))
        assert self.case.open

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
    @rule(data=st.data(), sure=SELDOM)
    def take_back(self, data, sure):
        if sure:
            outcome = rules.withdraw(self.standing, self._any(data), self.now)
            self.take(outcome, may_close=False)

    @rule(organisation=st.sampled_from(ORGANISATIONS), sure=SELDOM)
    def switch_off(self, organisation, sure):
        if not sure:
            return
        outcome = by_desk.switched_off(self.standing, organisation, self.now)
        self.take(outcome, may_close=False)
        live = [i for i in (self.standing.request, self.standing.holding) if i is not None]
        assert organisation not in {i.organisation for i in live}

    @precondition(lambda self: self.case.desk_reason is DeskReason.FINDING)
    @rule(weeks=st.integers(1, 6), action=st.sampled_from([NextAction.REPLY_TO_FINDING,
                                                          NextAction.CHECK_FINDING]))  # fmt: skip
    def follow(self, weeks, action):
        actor = DESK if action is NextAction.CHECK_FINDING else "bevoegd_gezag"
        step = NextStep(actor=actor, action=action, due_at=self.now + timedelta(weeks=weeks))
        self.take(by_desk.followed(self.standing, step, self.now), may_close=False)

    @rule()
    def call_holder(self):
        self.take(by_desk.called_holder(self.standing, self.now), may_close=False)

    @precondition(lambda self: self.case.open)
    @rule(outcome=st.sampled_from(CompletedAs))
    def end_at_desk(self, outcome):
        self.take(by_desk.ended(self.standing, outcome, self.now))

    @precondition(lambda self: self.case.open)
    @rule(sure=SELDOM)
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
            assert self.case.holder == max(done, key=lambda r: r.attempt).organisation

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
# A busy machine is no reason to fail.
TestOneCase.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
