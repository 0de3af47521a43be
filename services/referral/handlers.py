"""Events into effects: decisions of routing, partners' answers, what the reporter does."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from contracts.envelope import partner_source
from contracts.event import Event
from contracts.intake import (
    IdentityHidden,
    NotHelped,
    QuestionAnswered,
    QuestionAsked,
    ReportWithdrawn,
)
from contracts.referral import ReferralAnswered
from contracts.routing import CaseAssigned, OnwardRefused, RegisterActivated
from contracts.topics import partner_of
from services.chassis.db import Connection
from services.chassis.ids import Clock
from services.chassis.incoming import Received
from services.referral import holding, legal_terms, offering, records, reporter, store
from services.referral.answering import Submission, settle
from services.referral.domain import Outcome, Standing, Verdict
from services.referral.effects import Count, Effects, Publishing
from services.referral.partners import Partners

OnRegister = Callable[[Connection, Sequence[RegisterActivated], datetime], Awaitable[None]]
NOTICES: dict[type[Event], str] = {
    ReportWithdrawn: "withdrawn",
    IdentityHidden: "identity-hidden",
    NotHelped: "not-helped",
}
NOTICED: dict[str, Callable[[Standing, datetime], Outcome]] = {
    "withdrawn": reporter.withdrawn,
    "identity-hidden": reporter.identity_hidden,
    "not-helped": reporter.not_helped,
}
"""What the reporter does, by the name under which it waits for a case that is not known yet."""


class Handlers:
    """The handlers; each works on a whole batch in the transaction that it is given."""

    def __init__(
        self,
        publishing: Publishing,
        partners: Partners,
        count: Count,
        clock: Clock,
        on_register: OnRegister | None = None,
    ) -> None:
        self._publishing = publishing
        self._partners = partners
        self._count = count
        self._clock = clock
        self._on_register = on_register

    async def handle_routing(self, connection: Connection, received: Sequence[Received]) -> None:
        """Offer each case that routing decided, or put it at the desk; tell refused holders."""
        await self._partners.ready()
        now = self._clock()
        registers = [item.event for item in received if isinstance(item.event, RegisterActivated)]
        effects = await self._effects(connection, received)
        if registers and self._on_register is not None:
            # Findings come after cases, here as everywhere.
            await self._on_register(connection, registers, now)
        for item in received:
            outcome: Outcome | None
            match item.event:
                case CaseAssigned():
                    outcome = self._assigned(effects, item.event, now)
                case OnwardRefused():
                    outcome = _onward_refused(effects, item.event, now)
                case _:
                    continue
            self._took(effects, item, outcome)
        await effects.write(connection, now)

    async def handle_reporter(self, connection: Connection, received: Sequence[Received]) -> None:
        """Withdrawals, questions and answers, hidden identities.

        What concerns a case that routing has not decided yet is kept until it has.
        """
        await self._partners.ready()
        now = self._clock()
        effects = await self._effects(connection, received)
        early: list[tuple[UUID, str]] = []
        for item in received:
            event = item.event
            standing = effects.standing(_case_of(event))
            notice = NOTICES.get(type(event))
            if standing is None:
                if notice is not None:
                    early.append((_case_of(event), notice))
                continue
            match event:
                case QuestionAsked():
                    outcome = reporter.asked(standing, event.referral_id, event.answer_by, now)
                case QuestionAnswered():
                    outcome = reporter.answered(standing, event.question_id, now)
                case _:
                    assert notice is not None
                    outcome = NOTICED[notice](standing, now)
            self._took(effects, item, outcome)
        if early:
            await records.save_notices(connection, early, now)
        await effects.write(connection, now)

    async def handle_answers(self, connection: Connection, received: Sequence[Received]) -> None:
        """Apply partners' answers; what has no effect is told on the sender's own feed.

        Never parked: a parked answer would hold back the case for a partner's mistake.
        """
        await self._partners.ready()
        submissions = [_submission(item) for item in received]
        partners = await store.partners(connection)
        settled = await settle(connection, self._publishing, partners, submissions, self._clock())
        for result in settled:
            self._count(ReferralAnswered.event_name, result.verdict)

    async def _effects(self, connection: Connection, received: Sequence[Received]) -> Effects:
        """The cases of a batch, locked in the order of their ids, with their live referrals."""
        case_ids = [
            _case_of(item.event)
            for item in received
            if not isinstance(item.event, RegisterActivated)
        ]
        cases = await store.lock_cases(connection, case_ids) if case_ids else {}
        live = await store.live_referrals(connection, cases) if cases else []
        return Effects(self._publishing, await store.partners(connection), cases, live)

    def _assigned(self, effects: Effects, event: CaseAssigned, now: datetime) -> Outcome:
        standing = effects.standing(event.case_id)
        outcome = offering.assign(standing, event, effects.offering(event.organisation), now)
        if outcome.verdict is Verdict.APPLIED:
            effects.keep_terms(legal_terms.terms_of(event, now))
        return outcome

    def _took(self, effects: Effects, item: Received, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._count(item.event.event_name, outcome.verdict)
            effects.add(outcome, item.traceparent)


def _onward_refused(effects: Effects, event: OnwardRefused, now: datetime) -> Outcome | None:
    standing = effects.standing(event.case_id)
    if standing is None or event.asked_number != standing.case.decision_number + 1:
        return None
    held = standing.holding
    if held is None or held.onward_to != event.organisation:
        # What an earlier holder had asked, under the same number.
        return None
    return holding.onward_refused(standing, event.problem, now)


def _case_of(event: Event) -> UUID:
    case_id: UUID = vars(event)["case_id"]
    return case_id


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
