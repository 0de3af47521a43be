"""Partners: what they know from their feed, and what they answer, in and out of turn."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from contracts import topics
from contracts.envelope import partner_source
from contracts.referral import (
    Answer,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    ReferralAnswered,
    ReferralOffer,
    ReferralWithdrawn,
)
from deploy.simulate.broker import Partition, Record
from deploy.simulate.delivery import Fate
from deploy.simulate.invariants import Judge
from deploy.simulate.people import Intake
from deploy.simulate.shell import ReferralDraft, ReferralService
from deploy.simulate.world import ORGANISATIONS, Party, World
from services.referral.domain import Channel

_OFFERED = (Answer.RECEIVED, *[Answer.ACCEPTED] * 4, Answer.REJECTED)
_HOLDS = (
    Answer.IN_PROGRESS,
    Answer.ON_HOLD,
    Answer.NO_CONTACT,
    Answer.COMPLETED,
    Answer.RETURNED,
    Answer.REFERRED_ONWARD,
    Answer.REFERRED_ONWARD,
    Answer.REFERRED_ONWARD,
    Answer.IN_PROGRESS,
    Answer.ENTERED_IN_ERROR,
)
_LAST = {Answer.REJECTED, Answer.COMPLETED, Answer.RETURNED, Answer.ENTERED_IN_ERROR}
_OUTCOMES = (*CompletedAs, CompletedAs.DECIDED, CompletedAs.DECIDED, CompletedAs.DECIDED)
_TARGETS = (*ORGANISATIONS, "nergens", "vangnet")


class Offer(NamedTuple):
    """What a partner remembers of an offer; `said` is the last that it answered to it.

    `over` is what it was told, or believes: nothing is asked of it any more.
    """

    referral_id: UUID
    case_id: UUID
    attempt: int
    said: Answer | None = None
    over: bool = False


class Partners:
    """All organisations as senders of answers; each believes its own last word."""

    def __init__(
        self, world: World, service: ReferralService, intake: Intake, judge: Judge
    ) -> None:
        self._world = world
        self._service = service
        self._intake = intake
        self._judge = judge
        self._offers: dict[str, dict[UUID, Offer]] = {name: {} for name in ORGANISATIONS}
        self._sent: list[tuple[str, Record]] = []

    def read(self, party: Party, partition: Partition) -> None:
        """Read the own feed, sometimes again, sometimes without effect."""
        broker, name = self._world.broker, party.organisation
        records = broker.unread(name, partition, 1 + self._world.rng.randrange(4))
        offers = self._offers[name]
        for record in records:
            if isinstance(record.event, ReferralOffer) and not party.deaf:
                event = record.event
                offer = Offer(event.referral_id, event.case_id, event.attempt)
                offers.setdefault(event.referral_id, offer)
            elif isinstance(record.event, ReferralWithdrawn):
                known = offers.get(record.event.referral_id)
                if known is not None:
                    offers[known.referral_id] = known._replace(over=True)
        if self._world.chance(0.9):
            broker.commit(name, partition, broker.offset(name, partition) + len(records))

    def told_by_desk(self) -> None:
        """What the desk brought by phone or letter is known there too."""
        for item in self._service.book.referrals.values():
            if item.channel is Channel.DESK and item.handed_over_by is not None:
                offer = Offer(item.referral_id, item.case_id, item.attempt)
                self._offers[item.organisation].setdefault(item.referral_id, offer)

    def act(self, fate: Fate) -> None:
        """One partner does one thing."""
        world, rng = self._world, self._world.rng
        if self._sent and rng.random() < 0.12:
            self._repeat()
            return
        self.told_by_desk()
        chosen = self._choose()
        if chosen is None:
            return
        name, offer = chosen
        holds = offer.said not in {None, Answer.RECEIVED}
        if holds and rng.random() < 0.15:
            self._intake.ask(name, offer.case_id, offer.referral_id)
            return
        said = self._says(holds=holds)
        event = self._answer(offer, said)
        self._offers[name][offer.referral_id] = offer._replace(said=said, over=said in _LAST)
        if rng.random() < 0.07:
            world.say(f"{name} loses its answer {said.value} to {world.named(offer.referral_id)}")
            return
        if rng.random() < 0.02:
            # Somebody answers what was never offered to it.
            name = rng.choice(ORGANISATIONS)
        self._judge.said(name, event)
        if rng.random() < 0.4:
            self._by_api(name, event, fate)
        else:
            self._by_topic(name, event)

    def _choose(self) -> tuple[str, Offer] | None:
        """Mostly work in hand, sometimes an offer that is long over."""
        known = [(name, offer) for name, own in self._offers.items() for offer in own.values()]
        if self._world.chance(0.85):
            known = [item for item in known if not item[1].over]
        return self._world.rng.choice(known) if known else None

    def _says(self, *, holds: bool) -> Answer:
        """Mostly what fits, sometimes anything at all."""
        rng = self._world.rng
        said = rng.choice(_HOLDS if holds else _OFFERED)
        if said is Answer.ENTERED_IN_ERROR and rng.random() < 0.6:
            said = Answer.IN_PROGRESS
        if holds and rng.random() < 0.5:
            said = Answer.COMPLETED if self._world.complaints else said
            said = Answer.REFERRED_ONWARD if self._world.passing_on else said
        return rng.choice(list(Answer)) if rng.random() < 0.08 else said

    def _answer(self, offer: Offer, said: Answer) -> ReferralAnswered:
        rng, now = self._world.rng, self._world.now
        reason = decision = outcome = until = target = None
        if said in {Answer.REJECTED, Answer.RETURNED} and rng.random() < 0.93:
            reason = rng.choice(list(DeclineReason))
            target = rng.choice(_TARGETS) if rng.random() < 0.3 else None
        elif said is Answer.ON_HOLD:
            until = now + timedelta(days=rng.choice((1, 7, 90, 400)))
        elif said is Answer.COMPLETED:
            decides = self._world.complaints and rng.random() < 0.8
            outcome = CompletedAs.DECIDED if decides else rng.choice(_OUTCOMES)
            decided = outcome is CompletedAs.DECIDED and rng.random() < 0.9
            decision = rng.choice(list(ComplaintDecision)) if decided else None
        elif said is Answer.REFERRED_ONWARD:
            target = rng.choice(_TARGETS)
        return ReferralAnswered(
            answer_id=self._world.new_id(),
            referral_id=offer.referral_id,
            case_id=offer.case_id,
            attempt=offer.attempt + (rng.random() < 0.03),
            answer=said,
            reason=reason,
            suggested_organisation=target,
            until=until,
            outcome=outcome,
            decision=decision,
            at=now,
        )

    def _by_api(self, name: str, event: ReferralAnswered, fate: Fate) -> None:
        """A request; who gets no reply because of a crash sends it again, at once."""

        def submit(draft: ReferralDraft) -> None:
            self._service.submit(draft, name, event, on_feed=False, text_given=True)

        self._service.within(fate, submit)
        if fate is not Fate.LIVES:
            self._service.within(Fate.LIVES, submit)

    def _by_topic(self, name: str, event: ReferralAnswered) -> None:
        topic, source = topics.partner_in(name), partner_source(name)
        record = Record(topic, event.case_id, source, self._world.new_id(), 0, event)
        self._send(name, record)
        if self._world.chance(0.1):
            # A producer that saw no acknowledgement sends once more.
            self._send(name, record)

    def _send(self, name: str, record: Record) -> None:
        self._sent.append((name, record))
        self._world.broker.publish(record)
        event = record.event
        assert isinstance(event, ReferralAnswered)
        self._world.say(
            f"{name} sends {event.answer.value} to {self._world.named(event.referral_id)}"
        )

    def _repeat(self) -> None:
        """An old answer once more: the same message, or the same answer in a new one."""
        name, record = self._world.rng.choice(self._sent)
        if self._world.chance(0.5):
            record = record._replace(event_id=self._world.new_id())
        self._send(name, record)
