"""Events into effects: decisions of routing and answers on the partners' topics."""

from collections.abc import Sequence

from contracts.envelope import partner_source
from contracts.referral import ReferralAnswered
from contracts.routing import CaseAssigned
from contracts.topics import partner_of
from services.chassis.db import Connection
from services.chassis.ids import Clock, new_id
from services.chassis.incoming import Received
from services.referral import rules, store
from services.referral.answering import Submission, settle
from services.referral.domain import Verdict
from services.referral.effects import Count, Effects, Publishing
from services.referral.partners import Partners
from services.referral.rules import Offering


class Handlers:
    """The two handlers; each works on a whole batch in the transaction that it is given."""

    def __init__(
        self, publishing: Publishing, partners: Partners, count: Count, clock: Clock
    ) -> None:
        self._publishing = publishing
        self._partners = partners
        self._count = count
        self._clock = clock

    async def handle_assigned(self, connection: Connection, received: Sequence[Received]) -> None:
        """Offer each case that routing decided, or put it at the desk."""
        await self._partners.ready()
        now = self._clock()
        events = [item.event for item in received if isinstance(item.event, CaseAssigned)]
        cases = await store.lock_cases(connection, [event.case_id for event in events])
        current = await store.current_referrals(connection, cases) if cases else {}
        channels = await store.channels(connection)
        effects = Effects(self._publishing, channels, cases, current.values())
        for item, event in zip(received, events, strict=True):
            case_id = event.case_id
            outcome = rules.assign(
                effects.cases.get(case_id),
                effects.current(case_id),
                event,
                Offering(effects.channel(event.organisation), new_id()),
                now,
            )
            self._count(event.event_name, outcome.verdict)
            effects.add(outcome, item.traceparent)
        await effects.write(connection, now)

    async def handle_answers(self, connection: Connection, received: Sequence[Received]) -> None:
        """Apply partners' answers; what has no effect is told on the sender's own feed.

        Never parked: a parked answer would hold back the case for a partner's mistake.
        """
        await self._partners.ready()
        submissions = [_submission(item) for item in received]
        channels = await store.channels(connection)
        settled = await settle(connection, self._publishing, channels, submissions, self._clock())
        for result in settled:
            self._count(ReferralAnswered.event_name, result.verdict)


def _submission(item: Received) -> Submission:
    event = item.event
    assert isinstance(event, ReferralAnswered)
    # The topic proves the sender: only that organisation may write to it.
    organisation = partner_of(item.record.topic) or ""
    stranger = item.envelope.source != partner_source(organisation)
    return Submission(
        organisation,
        event,
        item.traceparent,
        on_feed=True,
        refused_as=Verdict.WRONG_SOURCE if stranger else None,
    )
