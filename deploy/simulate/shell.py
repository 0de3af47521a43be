"""Referral's shell in memory: the same order of inbox, effect, outbox and offset as the chassis."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts import topics
from contracts.envelope import feed_source, service_source
from contracts.event import Event
from contracts.intake import (
    IdentityHidden,
    NotHelped,
    QuestionAnswered,
    QuestionAsked,
    ReportWithdrawn,
)
from contracts.referral import ReferralAnswered
from contracts.routing import CaseAssigned, OnwardRefused
from deploy.simulate.broker import Record
from deploy.simulate.core import Core, Subject
from deploy.simulate.delivery import Draft, Fate
from deploy.simulate.invariants import Judge
from deploy.simulate.ladder_rules import AppliedFinding, check_call
from deploy.simulate.ledger import Outgoing
from deploy.simulate.terms import keep_terms
from deploy.simulate.world import Applied, Book, Cause, World, told
from services.referral import announce
from services.referral.domain import Channel, Outcome, Referral, Standing, Verdict
from services.referral.escalation import Reach
from services.referral.rules import Offering

_SOURCE = service_source("referral")


@dataclass(slots=True)
class ReferralDraft:
    """What a transaction of referral would change."""

    book: Book
    outgoing: list[Outgoing] = field(default_factory=list)
    read: list[tuple[str, UUID]] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    ladder: list[AppliedFinding] = field(default_factory=list)


class ReferralService:
    """Calls the rules as handlers, API and deadlines do, and folds outcomes into the tables."""

    name = "referral"

    def __init__(self, world: World, subject: Subject, judge: Judge) -> None:
        self._world = world
        self._judge = judge
        self.core: Core = subject.core
        self.book = Book()

    def begin(self) -> ReferralDraft:
        """Open a transaction."""
        return ReferralDraft(self.book.copy())

    def commit(self, draft: Draft) -> None:
        """Make a transaction true, and have every rule that was called in it judged."""
        assert isinstance(draft, ReferralDraft)
        self.book = draft.book
        ids = [self._world.new_id() for _ in draft.outgoing]
        self._world.ledgers[self.name].commit(draft.outgoing, ids, draft.read)
        for applied in draft.applied:
            self._judge.applied(applied)
        for called in draft.ladder:
            check_call(called)

    def within(self, fate: Fate, work: Callable[[ReferralDraft], None]) -> None:
        """One transaction of the API, the desk or the deadlines."""
        if fate is Fate.BEFORE_COMMIT:
            self._world.say(f"referral {fate.value}; nothing has happened")
            return
        draft = self.begin()
        work(draft)
        self.commit(draft)

    def channel(self, organisation: str) -> Channel | None:
        """How an organisation is reached: by phone or letter when it is no partner.

        None when it is switched off.
        """
        party = self._world.parties.get(organisation)
        if party is None:
            return Channel.DESK
        return (party.channel or Channel.DESK) if party.on else None

    def receive(self, draft: Draft, record: Record) -> None:
        """One event of a batch."""
        assert isinstance(draft, ReferralDraft)
        event = record.event
        match event:
            case CaseAssigned():
                self._assign(draft, event)
            case ReferralAnswered():
                self.submit(draft, topics.partner_of(record.topic) or "", event, on_feed=True)
            case OnwardRefused():
                self._refused(draft, event)
            case (
                ReportWithdrawn()
                | QuestionAsked()
                | QuestionAnswered()
                | IdentityHidden()
                | (NotHelped())
            ):
                self._of_reporter(draft, event)
            case _:
                pass

    def _assign(self, draft: ReferralDraft, event: CaseAssigned) -> None:
        standing = draft.book.standing(event.case_id)
        offering = Offering(self.channel(event.organisation), self._world.new_id())
        outcome = self.core.assign(standing, event, offering, self._world.now)
        self._take(draft, "case-assigned", Cause.ROUTING, standing, None, event, outcome)
        if outcome.verdict is Verdict.APPLIED:
            keep_terms(draft.book, event, self._world.now)
        if standing is None:
            early = [item for item in draft.book.early if item.case_id == event.case_id]  # type: ignore[attr-defined]
            draft.book.early = tuple(item for item in draft.book.early if item not in early)
            for item in early:
                self._of_reporter(draft, item)

    def _refused(self, draft: ReferralDraft, event: OnwardRefused) -> None:
        standing = draft.book.standing(event.case_id)
        if standing is None or event.asked_number != standing.case.decision_number + 1:
            return
        held = standing.holding
        if held is None or held.onward_to != event.organisation:
            # What an earlier holder had asked, under the same number.
            return
        outcome = self.core.onward_refused(standing, event.problem, self._world.now)
        self._take(draft, "onward-refused", Cause.ROUTING, standing, None, event, outcome)

    def _of_reporter(self, draft: ReferralDraft, event: Event) -> None:
        standing = draft.book.standing(event.case_id)  # type: ignore[attr-defined]
        if standing is None:
            # The topic of intake may be ahead of that of routing.
            draft.book.early = (*draft.book.early, event)
            return
        outcome = self._reported(standing, event, self._world.now)
        self._take(draft, event.event_name, Cause.REPORTER, standing, None, event, outcome)

    def _reported(self, standing: Standing, event: Event, now: datetime) -> Outcome:
        match event:
            case ReportWithdrawn():
                return self.core.withdrawn(standing, now)
            case QuestionAsked():
                return self.core.asked(standing, event.referral_id, event.answer_by, now)
            case QuestionAnswered():
                return self.core.answered(standing, event.question_id, now)
            case IdentityHidden():
                return self.core.identity_hidden(standing, now)
            case _:
                return self.core.not_helped(standing, now)

    def submit(
        self,
        draft: ReferralDraft,
        organisation: str,
        event: ReferralAnswered,
        *,
        on_feed: bool,
        text_given: bool = False,
    ) -> Verdict:
        """A partner's answer; one without effect is told on the partner's own feed."""
        book, now = draft.book, self._world.now
        referral = book.referrals.get(event.referral_id)
        standing = book.standing(event.case_id)
        verdict = Verdict.UNKNOWN_REFERRAL
        if referral is not None and standing is not None and referral.organisation == organisation:
            content = (event.referral_id, event.answer, event.reason)
            before = book.answers.get((organisation, event.answer_id))
            if before is not None:
                verdict = Verdict.DUPLICATE if before == content else Verdict.ANSWER_ID_REUSED
            else:
                outcome = self.core.answer(standing, referral, event, now, text_given=text_given)
                verdict = outcome.verdict
                what = f"{organisation} answers {event.answer.value}"
                self._take(draft, what, Cause.PARTNER, standing, referral, event, outcome)
        if verdict is Verdict.APPLIED:
            book.answers[organisation, event.answer_id] = content
        elif on_feed:
            case = standing.case if standing is not None and referral is not None else None
            refused = announce.refusal(event, verdict, case, referral, now)
            topic, source = topics.partner_out(organisation), feed_source(organisation)
            draft.outgoing.append(Outgoing(topic, event.case_id, source, refused))
        return verdict

    def desk(
        self,
        draft: ReferralDraft,
        name: str,
        standing: Standing,
        outcome: Outcome,
        referral: Referral | None = None,
    ) -> None:
        """Take over what somebody at the desk did."""
        self._take(draft, f"the desk: {name}", Cause.DESK, standing, referral, None, outcome)

    def follow(
        self, draft: ReferralDraft, cause: Cause, name: str, standing: Standing, outcome: Outcome
    ) -> None:
        """Take over what a finding or a legal term means for its case."""
        self._take(draft, name, cause, standing, None, None, outcome)

    def expire(self, draft: ReferralDraft, referral_id: UUID) -> Verdict:
        """The due time of an offer, whether it has come or not."""
        referral = draft.book.referrals[referral_id]
        standing = draft.book.standing(referral.case_id)
        assert standing is not None
        reach = Reach(self._fallback(referral.organisation), self._world.new_id())
        outcome = self.core.expire(standing, referral, reach, self._world.now)
        self._take(draft, "expire", Cause.TIME, standing, referral, None, outcome)
        return outcome.verdict

    def tick(self, draft: ReferralDraft, case_id: UUID) -> Verdict:
        """The timer of a case, whether it has come or not."""
        standing = draft.book.standing(case_id)
        assert standing is not None
        outcome = self.core.tick(standing, self._world.now)
        self._take(draft, "tick", Cause.TIME, standing, None, None, outcome)
        return outcome.verdict

    def _fallback(self, organisation: str) -> Channel | None:
        party = self._world.parties.get(organisation)
        return party.fallback if party is not None and party.on else None

    def _take(
        self,
        draft: ReferralDraft,
        name: str,
        cause: Cause,
        before: Standing | None,
        target: Referral | None,
        event: Event | None,
        outcome: Outcome,
    ) -> None:
        world, case = self._world, outcome.case
        draft.applied.append(Applied(name, cause, before, target, event, outcome, world.now))
        if before is None or outcome.case != before.case:
            # Also what has no effect may be noted, such as the number of a late decision.
            draft.book.cases[case.case_id] = case
        if outcome.verdict is Verdict.APPLIED:
            for item in outcome.referrals:
                draft.book.referrals[item.referral_id] = item
                world.name(item.referral_id, f"{world.named(case.case_id)}.{item.attempt}")
            draft.outgoing += [
                Outgoing(topics.REFERRAL, case.case_id, _SOURCE, item) for item in outcome.events
            ]
            for fed in outcome.feed:
                topic, source = topics.partner_out(fed.organisation), feed_source(fed.organisation)
                draft.outgoing.append(Outgoing(topic, case.case_id, source, fed.event))
        about = world.named(target.referral_id if target is not None else case.case_id)
        world.say(f"  {about}: {name} -> {outcome.verdict.value}; {told(case)}")
