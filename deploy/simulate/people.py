"""Reporters and the people at the desk: what they do, in any order and more often than needed."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from contracts import topics
from contracts.envelope import service_source
from contracts.event import Event
from contracts.intake import (
    ContentField,
    IdentityHidden,
    IntakeChannel,
    NotHelped,
    QuestionAnswered,
    QuestionAsked,
    ReportReceived,
    ReportWithdrawn,
)
from contracts.referral import DESK, HandOverBy, NextAction
from contracts.situation import Accused, Kind, Reporter, Sector, Situation, Subject
from deploy.simulate.delivery import Fate
from deploy.simulate.invariants import Judge
from deploy.simulate.ledger import Outgoing
from deploy.simulate.shell import ReferralDraft, ReferralService
from deploy.simulate.world import LOKETS, ORGANISATIONS, World
from services.referral.by_desk import HandedOver
from services.referral.domain import HOLDING, OPEN, Channel, Referral
from services.referral.rules import Offering

_SITUATIONS = {
    kind: Situation(
        sector=Sector.PO,
        reporter=Reporter.OUDER,
        kind=kind,
        subject=Subject.PESTEN,
        accused=Accused.LEERLING,
    )
    for kind in Kind
}


class Intake:
    """A stand-in for intake: reports, and what reporters and holders do with a question."""

    def __init__(self, world: World, judge: Judge) -> None:
        self._world = world
        self._judge = judge
        self._withdrawing = world.chance(0.4)
        self.reports: list[ReportReceived] = []
        self.questions: list[QuestionAsked] = []

    def report(self) -> None:
        """Somebody reports and gets a receipt."""
        world = self._world
        kind = Kind.KLACHT if world.complaints else world.rng.choice(list(Kind))
        event = ReportReceived(
            report_id=world.new_id(),
            case_id=world.new_id(),
            channel=IntakeChannel.WEB,
            situation=_SITUATIONS[kind],
            received_at=world.now,
            content=(ContentField.NARRATIVE, ContentField.IDENTITY),
            commitment="00",
        )
        self.reports.append(event)
        world.name(event.case_id, f"case {len(self.reports)}")
        self._judge.reported(event)
        self._publish(event.case_id, event, f"a reporter reports ({kind.value})")

    def act(self) -> None:
        """A reporter does something with the receipt code."""
        world, rng = self._world, self._world.rng
        report, now = rng.choice(self.reports), world.now
        case_id, report_id = report.case_id, report.report_id
        draw = rng.random()
        if draw < 0.5 and self.questions:
            asked = self.questions.pop(rng.randrange(len(self.questions)))
            answered = QuestionAnswered(
                question_id=asked.question_id, case_id=asked.case_id, answered_at=now
            )
            self._publish(asked.case_id, answered, "the reporter answers a question")
        elif draw < 0.6 and self._withdrawing:
            withdrawn = ReportWithdrawn(report_id=report_id, case_id=case_id, withdrawn_at=now)
            self._publish(case_id, withdrawn, "the reporter withdraws")
        elif draw < 0.8:
            hidden = IdentityHidden(report_id=report_id, case_id=case_id, hidden_at=now)
            self._publish(case_id, hidden, "the reporter hides the identity")
        else:
            event = NotHelped(report_id=report_id, case_id=case_id, at=now)
            self._publish(case_id, event, "the reporter was not helped")

    def ask(self, organisation: str, case_id: UUID, referral_id: UUID) -> None:
        """A holder puts a question."""
        world = self._world
        event = QuestionAsked(
            question_id=world.new_id(),
            case_id=case_id,
            referral_id=referral_id,
            organisation=organisation,
            answer_by=world.now + timedelta(days=world.rng.randrange(1, 8)),
            asked_at=world.now,
        )
        self.questions.append(event)
        self._publish(case_id, event, f"{organisation} asks the reporter something")

    def _publish(self, case_id: UUID, event: Event, text: str) -> None:
        world = self._world
        world.commit("intake", [Outgoing(topics.INTAKE, case_id, service_source("intake"), event)])
        world.say(f"{world.named(case_id)}: {text}")


class Desk:
    """People of the meldpunt."""

    def __init__(self, world: World, service: ReferralService, judge: Judge) -> None:
        self._world = world
        self._service = service
        self._judge = judge
        self._actions: tuple[Callable[[ReferralDraft, UUID], None], ...] = (
            self._assign,
            self._assign,
            self._hand_over,
            self._hand_over,
            self._withdraw,
            self._call,
            self._switch,
            self._error,
        )

        self._asked = {
            NextAction.HAND_OVER: self._hand_over,
            NextAction.CALL_HOLDER: self._call,
            NextAction.FIND_PARTY: self._assign,
            NextAction.ASSIGN: self._assign,
        }

    def act(self, fate: Fate) -> None:
        """Somebody does one thing with one case."""
        if not self._service.book.cases:
            return
        case_id = self._world.rng.choice(list(self._service.book.cases))
        action = self._world.rng.choice(self._actions)
        calls = self._service.book.cases[case_id].next_step
        if calls is not None and calls.actor == DESK and self._world.chance(0.5):
            # People mostly do what is asked of them.
            action = self._asked.get(calls.action, action)
        self._service.within(fate, lambda draft: action(draft, case_id))

    def _assign(self, draft: ReferralDraft, case_id: UUID) -> None:
        world, service = self._world, self._service
        standing = draft.book.standing(case_id)
        assert standing is not None
        organisation = world.rng.choice(ORGANISATIONS)
        loket = world.rng.choice((None, *LOKETS))
        loket = loket and f"{organisation}_{loket}"
        offering = Offering(service.channel(organisation) or Channel.DESK, world.new_id())
        outcome = service.core.desk_assigned(standing, organisation, loket, offering, world.now)
        service.desk(draft, f"assign {organisation}", standing, outcome)

    def _hand_over(self, draft: ReferralDraft, case_id: UUID) -> None:
        world = self._world
        referral = self._one(draft, case_id, at_desk=True)
        standing = draft.book.standing(case_id)
        if referral is None or standing is None:
            return
        how = HandedOver(world.rng.choice(list(HandOverBy)), accepted=world.chance(0.5))
        self._judge.proved(referral, accepted=how.accepted)
        outcome = self._service.core.handed_over(standing, referral, how, world.now)
        text = f"hand over by {how.by.value}, {'accepted' if how.accepted else 'delivered'}"
        self._service.desk(draft, text, standing, outcome, referral)

    def _withdraw(self, draft: ReferralDraft, case_id: UUID) -> None:
        referral, standing = self._one(draft, case_id), draft.book.standing(case_id)
        if referral is not None and standing is not None and self._world.chance(0.3):
            outcome = self._service.core.withdraw(standing, referral, self._world.now)
            self._service.desk(draft, "take back", standing, outcome, referral)

    def _call(self, draft: ReferralDraft, case_id: UUID) -> None:
        standing = draft.book.standing(case_id)
        assert standing is not None
        outcome = self._service.core.called_holder(standing, self._world.now)
        self._service.desk(draft, "call the holder", standing, outcome)

    def _error(self, draft: ReferralDraft, case_id: UUID) -> None:
        standing = draft.book.standing(case_id)
        assert standing is not None
        if self._world.chance(0.1):
            outcome = self._service.core.entered_in_error(standing, self._world.now)
            self._service.desk(draft, "entered in error", standing, outcome)

    def _switch(self, draft: ReferralDraft, _: UUID) -> None:
        party = self._world.parties[self._world.rng.choice(ORGANISATIONS)]
        party.on = not party.on
        self._world.say(f"the desk switches {party.organisation} {'on' if party.on else 'off'}")
        if party.on:
            return
        for case_id in draft.book.cases:
            standing = draft.book.standing(case_id)
            assert standing is not None
            live = [item for item in (standing.request, standing.holding) if item is not None]
            if any(item.organisation == party.organisation for item in live):
                outcome = self._service.core.switched_off(
                    standing, party.organisation, self._world.now
                )
                self._service.desk(draft, f"without {party.organisation}", standing, outcome)

    def _one(
        self, draft: ReferralDraft, case_id: UUID, *, at_desk: bool = False
    ) -> Referral | None:
        """A referral, nearly always a live one."""
        own = draft.book.of_case(case_id)
        live = [item for item in own if item.status in OPEN | HOLDING]
        if at_desk:
            live = [item for item in live if item.channel is Channel.DESK]
        found = live if self._world.chance(0.9) else own
        return self._world.rng.choice(found) if found else None
