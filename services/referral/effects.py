"""What one transaction changes: outcomes folded in memory, written once, published last."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from contracts.calendar import local_day
from contracts.envelope import feed_source
from contracts.event import Event
from contracts.referral import DESK, ReferralOffer
from contracts.situation import Urgency
from contracts.topics import partner_out
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.ids import new_id
from services.chassis.journal import Outgoing
from services.referral import case_states, conferring, legal_terms, records, store
from services.referral.channels import escalation as other_ways
from services.referral.channels.domain import Push
from services.referral.domain import (
    HOLDING,
    OPEN,
    Case,
    Channel,
    LegalTerm,
    Outcome,
    Partner,
    Referral,
    Standing,
    Verdict,
)
from services.referral.escalation import Reach
from services.referral.offering import Offering
from services.referral.store import AppliedAnswer
from services.referral.waves import Waves

Count = Callable[[str, Verdict], None]
"""Counts an outcome by the name of its event and its verdict."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """Where events go: the topic and source of the service, and intake's address for content."""

    topic: str
    source: str
    intake_url: str

    def content_url(self, case_id: UUID) -> str:
        """Where a partner fetches the content of a case with its capability."""
        return f"{self.intake_url}/v1/contents/{case_id}"


class Effects:
    """The cases and referrals of a transaction as they become, event by event."""

    def __init__(
        self,
        publishing: Publishing,
        partners: Mapping[str, Partner],
        cases: Mapping[UUID, Case],
        referrals: Iterable[Referral],
    ) -> None:
        self._publishing = publishing
        self._partners = partners
        self.cases = dict(cases)
        self.referrals = {item.referral_id: item for item in referrals}
        self._requests: dict[UUID, Referral] = {}
        self._holding: dict[UUID, Referral] = {}
        for item in self.referrals.values():
            self._place(item)
        self._known_referrals = dict(self.referrals)
        # Each case that changes, as it was before; None for one that is opened here.
        self._before: dict[UUID, Case | None] = {}
        self._offered: dict[UUID, None] = {}
        self._waves = Waves(self.referrals.values())
        self._answers: list[AppliedAnswer] = []
        self._outgoing: list[Outgoing] = []
        self._terms: list[LegalTerm] = []
        self._pushed: list[tuple[str, UUID, Push]] = []

    def offering(self, organisation: str) -> Offering:
        """How an organisation can be asked: by phone or letter when it is no partner."""
        partner = self._partners.get(organisation)
        if partner is None:
            return Offering(Channel.DESK, new_id())
        return Offering(partner.channel if partner.active else None, new_id())

    def reach(self, organisation: str) -> Reach:
        """How else an organisation can be reached."""
        partner = self._partners.get(organisation)
        return Reach(partner.fallback if partner and partner.active else None, new_id())

    def standing(self, case_id: UUID) -> Standing | None:
        """A case with its live referrals, as they are by now; None for an unknown case."""
        case = self.cases.get(case_id)
        if case is None:
            return None
        return Standing(case, self._requests.get(case_id), self._holding.get(case_id))

    def _place(self, item: Referral) -> None:
        for places, among in ((self._requests, OPEN), (self._holding, HOLDING)):
            if item.status in among:
                places[item.case_id] = item
            elif (known := places.get(item.case_id)) and known.referral_id == item.referral_id:
                del places[item.case_id]

    def add(self, outcome: Outcome, traceparent: str | None) -> None:
        """Take an outcome over; of one that was not applied only what the case notes of it.

        Raises IllegalTransition when the case would get into a state that it cannot get into.
        """
        case_id = outcome.case.case_id
        if outcome.verdict is not Verdict.APPLIED and outcome.case == self.cases.get(case_id):
            return
        before = self.standing(case_id)
        self._before.setdefault(case_id, None if before is None else before.case)
        self.cases[case_id] = outcome.case
        moved = []
        for item in outcome.referrals:
            self.referrals[item.referral_id] = item
            self._place(item)
            if item.referral_id in self._known_referrals:
                moved.append(item)
            else:
                self._offered[item.referral_id] = None
        self._waves.add(case_id, moved)
        after = self.standing(case_id)
        assert after is not None
        case_states.kept(before, after)
        publishing = self._publishing
        self._outgoing += [
            Outgoing(event, case_id, publishing.topic, publishing.source, traceparent)
            for event in outcome.events
        ]
        for fed in outcome.feed:
            self.tell(fed.organisation, fed.event, case_id, traceparent, fed.via)
            if fed.via in {Channel.WEBHOOK, Channel.EMAIL}:
                self._pushed.append((fed.organisation, case_id, Push(fed.via)))

    def tell(
        self,
        organisation: str,
        event: Event,
        case_id: UUID,
        traceparent: str | None,
        via: Channel | None = None,
    ) -> None:
        """Put an event on a partner's own feed: its topic, or the journal that the rest reads."""
        partner = self._partners.get(organisation)
        # What goes another way besides is on the topic too, or its sequence would have a hole.
        by_kafka = Channel.KAFKA in {via, partner and partner.channel}
        offers = isinstance(event, ReferralOffer)
        self._outgoing.append(
            Outgoing(
                event,
                case_id,
                partner_out(organisation) if by_kafka else None,
                feed_source(organisation),
                traceparent,
                self._publishing.content_url(case_id) if offers else None,
            )
        )

    def publish(self, event: Event, case_id: UUID, traceparent: str | None = None) -> None:
        """Put an event on the main topic."""
        topic, source = self._publishing.topic, self._publishing.source
        self._outgoing.append(Outgoing(event, case_id, topic, source, traceparent))

    def keep_terms(self, terms: Iterable[LegalTerm]) -> None:
        """Keep legal terms, to warn before they lapse."""
        self._terms += terms

    def remember(self, answer: AppliedAnswer) -> None:
        """Keep an answer that had an effect, to know its repeat."""
        self._answers.append(answer)

    async def write(self, connection: Connection, now: datetime) -> None:
        """Write all of it; the journal late, because its counters are locked until the commit."""
        opened = []
        changed = []
        # In one order, because two instances that open the same cases in another one can deadlock.
        for key in sorted(self._before, key=attrgetter("int")):
            before, case = self._before[key], self.cases[key]
            if before is None:
                opened.append(case)
            else:
                changed.append((before, case))
        await store.save(
            connection,
            opened=opened,
            changed=changed,
            offered=[self.referrals[key] for key in self._offered],
            moved=self._waves.all(),
            known=self._known_referrals,
        )
        if self._terms:
            await records.put_terms(connection, self._terms)
        if self._answers:
            await store.save_answers(connection, self._answers, now)
        await self._end_consultations(connection, now)
        await self._tell_of_terms(connection, now)
        # In one order, because opening the same tasks in another one can deadlock.
        for organisation, channel in sorted({(name, channel) for name, _, channel in self._pushed}):
            await other_ways.ask_for_fallback(connection, organisation, channel, now)
        await journal.append(connection, self._outgoing, now)
        # Its partner reads another channel, so no worker would bring it over this one by itself.
        for organisation, case_id, _ in self._pushed:
            urgent = self.cases[case_id].urgency is Urgency.ACUUT
            await other_ways.queue_on_fallback(
                connection, organisation, case_id, now, urgent=urgent
            )

    async def _tell_of_terms(self, connection: Connection, now: datetime) -> None:
        """Who becomes the holder hears of the legal terms that were warned of before that."""
        new = [
            key
            for key, before in self._before.items()
            if key in self._holding
            and (before is None or before.handoff != self.cases[key].handoff)
        ]
        if not new:
            return
        today = local_day(now)
        for term in await records.warned_terms(connection, new, today):
            item = legal_terms.told_holder(self._holding[term.case_id], term, now)
            self.tell(item.organisation, item.event, term.case_id, None)

    async def _end_consultations(self, connection: Connection, now: datetime) -> None:
        """What a holder asked of others ends when it is the holder no more."""
        lost = {
            key: self.cases[key].holder if self.cases[key].open else None
            for key, before in self._before.items()
            if before is not None
            and before.holder != DESK
            and (before.holder != self.cases[key].holder or not self.cases[key].open)
        }
        if not lost:
            return
        for item in await records.drop_consultations(connection, lost, now):
            case = self.cases[item.case_id]
            self.publish(conferring.answered(case, item, now), case.case_id)
            self.tell(item.organisation, conferring.ended(item, now), case.case_id, None)
