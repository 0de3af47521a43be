"""What one transaction changes: outcomes folded in memory, written once, published last."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.envelope import feed_source
from contracts.event import Event
from contracts.referral import ReferralOffer
from contracts.topics import partner_out
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.journal import Outgoing
from services.referral import store
from services.referral.domain import HOLDING, OPEN, Case, Channel, Outcome, Referral, Verdict
from services.referral.store import AppliedAnswer

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
        channels: Mapping[str, Channel],
        cases: Mapping[UUID, Case],
        referrals: Iterable[Referral],
    ) -> None:
        self._publishing = publishing
        self._channels = channels
        self.cases = dict(cases)
        self.referrals = {item.referral_id: item for item in referrals}
        self._current = {
            item.case_id: item for item in self.referrals.values() if item.status in OPEN | HOLDING
        }
        self._known_cases = set(self.cases)
        self._known_referrals = set(self.referrals)
        self._touched_cases: set[UUID] = set()
        self._touched_referrals: dict[UUID, None] = {}
        self._answers: list[AppliedAnswer] = []
        self._outgoing: list[Outgoing] = []

    def channel(self, organisation: str) -> Channel | None:
        """How an organisation is reached, or None when it is no partner."""
        return self._channels.get(organisation)

    def current(self, case_id: UUID) -> Referral | None:
        """The open or holding referral of a case."""
        return self._current.get(case_id)

    def add(self, outcome: Outcome, traceparent: str | None) -> None:
        """Take an outcome over; one that was not applied changes nothing."""
        if outcome.verdict is not Verdict.APPLIED:
            return
        case_id = outcome.case.case_id
        self.cases[case_id] = outcome.case
        self._touched_cases.add(case_id)
        for item in outcome.referrals:
            self.referrals[item.referral_id] = item
            self._touched_referrals[item.referral_id] = None
            if item.status in OPEN | HOLDING:
                self._current[case_id] = item
            elif (known := self._current.get(case_id)) and known.referral_id == item.referral_id:
                del self._current[case_id]
        publishing = self._publishing
        self._outgoing += [
            Outgoing(event, case_id, publishing.topic, publishing.source, traceparent)
            for event in outcome.events
        ]
        for fed in outcome.feed:
            self.tell(fed.organisation, fed.event, case_id, traceparent)

    def tell(self, organisation: str, event: Event, case_id: UUID, traceparent: str | None) -> None:
        """Put an event on a partner's own feed: its topic, or the journal that the inbox reads."""
        by_kafka = self._channels.get(organisation) is Channel.KAFKA
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

    def remember(self, answer: AppliedAnswer) -> None:
        """Keep an answer that had an effect, to know its repeat."""
        self._answers.append(answer)

    async def write(self, connection: Connection, now: datetime) -> None:
        """Write all of it; the journal last, because its counters are locked until the commit."""
        touched = sorted(self._touched_cases)
        await store.save(
            connection,
            opened=[self.cases[key] for key in touched if key not in self._known_cases],
            changed=[self.cases[key] for key in touched if key in self._known_cases],
            offered=[
                self.referrals[key]
                for key in self._touched_referrals
                if key not in self._known_referrals
            ],
            moved=[
                self.referrals[key]
                for key in self._touched_referrals
                if key in self._known_referrals
            ],
        )
        if self._answers:
            await store.save_answers(connection, self._answers, now)
        await journal.append(connection, self._outgoing, now)
