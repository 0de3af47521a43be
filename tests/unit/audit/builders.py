"""Events of made-up cases, numbered per source as the services number them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.envelope import Envelope, service_source
from contracts.event import Event
from contracts.finding import (
    BOARD,
    BoardReply,
    EscalatedBecause,
    FindingEscalated,
    FindingIssued,
    FindingReplied,
    FindingSettled,
    FindingState,
    Settlement,
    ToldBy,
)
from contracts.intake import ContentField, IntakeChannel, ReportReceived, ReportWithdrawn
from contracts.operations import EventParked, EventRedriven, ParkReason, TallyPublished
from contracts.referral import (
    DESK,
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    ClosedBecause,
    ComplaintDecision,
    CompletedAs,
    ConsultationAnswered,
    ConsultationAsked,
    DeclineReason,
    DeliveryChanged,
    DeliveryState,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralEscalated,
    ReferralOffered,
    ReferralReminded,
    ReferralStatusChanged,
    Rung,
    Status,
    TermWarned,
)
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Kind, Reporter, Sector, Situation, Subject, Urgency
from services.audit.domain import Picture
from services.audit.rules import counted, standing, traits
from services.chassis.incoming import Received
from services.chassis.parked import Record

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SITUATION = Situation(
    sector=Sector.PO, reporter=Reporter.OUDER, kind=Kind.MELDING, subject=Subject.PESTEN
)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@dataclass
class Sources:
    """The sequence counters of the four services."""

    last: Counter[str] = field(default_factory=Counter)

    def publish(self, service: str, event: Event, moment: datetime = START) -> Received:
        source = service_source(service)
        self.last[source] += 1
        case_id = getattr(event, "case_id", None) or uuid4()
        envelope = Envelope(
            id=str(uuid4()),
            source=source,
            type=event.event_type(),
            time=moment,
            subject=str(case_id),
            sequence=self.last[source],
            data=event.encode(),
        )
        record = Record(f"meldpunt.{service}", 0, 0, str(case_id), (), envelope.data)
        return Received(envelope, event, record, "")

    def tally(self, service: str, through: int | None = None) -> Received:
        source = service_source(service)
        count = self.last[source] if through is None else through
        event = TallyPublished(tallied_source=source, through_sequence=count, at=START)
        return self.publish(service, event)


def seen(item: Received) -> Envelope:
    return item.envelope


def step(
    action: NextAction = NextAction.HANDLE, actor: str = DESK, minutes: float = 60
) -> NextStep:
    return NextStep(actor=actor, action=action, due_at=at(minutes))


class Story:
    """One case, told event by event; `told` holds them in the order of publication."""

    def __init__(self, sources: Sources | None = None, case_id: UUID | None = None) -> None:
        self.sources = sources or Sources()
        self.case_id = case_id or uuid4()
        self.report_id = uuid4()
        self.referral_id = uuid4()
        self.told: list[Received] = []
        self.minutes = 0.0
        self.decision = 0
        self.attempt = 0
        self.handoff = 0
        self.holder = DESK

    def _tell(self, service: str, event: Event) -> "Story":
        self.told.append(self.sources.publish(service, event, at(self.minutes)))
        self.minutes += 1
        return self

    def reported(self) -> "Story":
        return self._tell(
            "intake",
            ReportReceived(
                report_id=self.report_id,
                case_id=self.case_id,
                channel=IntakeChannel.WEB,
                situation=SITUATION,
                received_at=at(self.minutes),
                content=(ContentField.NARRATIVE,),
                commitment="ab" * 32,
            ),
        )

    def assigned(self, organisation: str = "lkc", mode: Mode = Mode.REFER) -> "Story":
        self.decision += 1
        return self._tell(
            "routing",
            CaseAssigned(
                decision_id=uuid4(),
                case_id=self.case_id,
                report_id=self.report_id,
                number=self.decision,
                mode=mode,
                organisation=organisation,
                urgency=Urgency.NORMAAL,
                kind_at_primary=Kind.MELDING,
                rule="r1",
                why="eerste regel",
                limits=HandlingLimits(received_within_minutes=60, accepted_within_minutes=600),
                situation=SITUATION,
                content=(),
                received_at=START,
                decided_at=at(self.minutes),
                register_version="1",
                register_hash="00",
            ),
        )

    def _common(self, **next_step: Any) -> dict[str, Any]:
        return {
            "case_id": self.case_id,
            "holder": self.holder,
            "handoff": self.handoff,
            "next_step": step(**next_step) if next_step.pop("named", True) else None,
            "at": at(self.minutes),
        }

    def offered(self, organisation: str = "lkc", *, signal: bool = False) -> "Story":
        self.attempt += 1
        return self._tell(
            "referral",
            ReferralOffered(
                **self._common(actor=organisation, action=NextAction.ACKNOWLEDGE),
                referral_id=self.referral_id,
                attempt=self.attempt,
                organisation=organisation,
                channel="kafka",
                decision_id=uuid4(),
                signal=signal,
            ),
        )

    def status(
        self,
        status: Status,
        organisation: str = "lkc",
        reason: DeclineReason | None = None,
        *,
        actor: str | None = None,
        named: bool = True,
        **more: Any,
    ) -> "Story":
        if status is Status.ACCEPTED:
            self.handoff += 1
            self.holder = organisation
        return self._tell(
            "referral",
            ReferralStatusChanged(
                **more,
                **self._common(actor=actor or organisation, named=named),
                referral_id=self.referral_id,
                attempt=self.attempt,
                organisation=organisation,
                status=status,
                reason=reason,
            ),
        )

    def redecision(self) -> "Story":
        return self._tell(
            "referral",
            RedecisionRequested(
                **self._common(action=NextAction.ASSIGN),
                excluded=("lkc",),
                decision_number=self.decision,
                reason="declined",
            ),
        )

    def at_desk(self, reason: DeskReason = DeskReason.SHOWN_ONLY, **next_step: Any) -> "Story":
        if self.holder != DESK:
            self.handoff += 1
            self.holder = DESK
        return self._tell(
            "referral",
            CaseAtDesk(**self._common(**next_step), reason=reason),
        )

    def closed(
        self,
        because: ClosedBecause = ClosedBecause.COMPLETED,
        outcome: CompletedAs | None = CompletedAs.HELPED,
    ) -> "Story":
        common = self._common(named=False)
        return self._tell("referral", CaseClosed(**common, because=because, outcome=outcome))

    def withdrawn(self) -> "Story":
        event = ReportWithdrawn(
            report_id=self.report_id, case_id=self.case_id, withdrawn_at=at(self.minutes)
        )
        return self._tell("intake", event)

    def reminded(self, actor: str = "lkc", number: int = 1) -> "Story":
        event = ReferralReminded(
            **self._common(actor=actor),
            referral_id=self.referral_id,
            actor=actor,
            action=NextAction.HANDLE,
            number=number,
        )
        return self._tell("referral", event)

    def escalated(self, organisation: str = "lkc", rung: Rung = Rung.OTHER_LOKET) -> "Story":
        event = ReferralEscalated(
            **self._common(actor=organisation),
            referral_id=self.referral_id,
            attempt=self.attempt,
            organisation=organisation,
            rung=rung,
        )
        return self._tell("referral", event)

    def warned(self, organisation: str = "lkc") -> "Story":
        event = TermWarned(
            **self._common(actor=organisation),
            term="klacht",
            organisation=organisation,
            last_day=START.date(),
        )
        return self._tell("referral", event)

    def consulted(self, organisation: str = "gcbo", *, advised: bool = True) -> "Story":
        consultation_id = uuid4()
        asked = ConsultationAsked(
            **self._common(actor=self.holder),
            consultation_id=consultation_id,
            organisation=organisation,
        )
        self._tell("referral", asked)
        answered = ConsultationAnswered(
            **self._common(actor=self.holder),
            consultation_id=consultation_id,
            organisation=organisation,
            advised=advised,
        )
        return self._tell("referral", answered)

    def found(self, regime: str, reply_days: int | None) -> "Story":
        """A finding that the board follows after so many days, or not a word of the board."""
        common: dict[str, Any] = {
            "finding_id": uuid4(),
            "issued_on": START.date(),
            "regime": regime,
        }

        def tell(model: type[Event], state: FindingState, **more: Any) -> None:
            standing = self._common(actor=self.holder)
            self._tell("referral", model(**common, **standing, state=state, **more))

        tell(
            FindingIssued,
            FindingState.REPLY_DUE,
            committee="lkc",
            board=BOARD,
            decision=ComplaintDecision.UPHELD,
            advice=True,
        )
        if reply_days is None:
            told = {"because": EscalatedBecause.SILENCE, "rung": 0, "told_by": ToldBy.DESK}
            tell(FindingEscalated, FindingState.SILENT, organisation=DESK, **told)
            return self
        tell(
            FindingReplied,
            FindingState.REPLIED_FOLLOWING,
            reply_id=uuid4(),
            reply=BoardReply.FOLLOWS,
            replied_on=START.date(),
            reply_days=reply_days,
            late=False,
            on_behalf=False,
        )
        settled = {"settlement": Settlement.FOLLOWED, "settled_by": DESK}
        tell(FindingSettled, FindingState.FOLLOWED, evidence=1, settle_days=90, **settled)
        return self

    def parked(self, parked_id: UUID, service: str = "referral") -> "Story":
        return self._tell(
            service,
            EventParked(
                parked_id=parked_id,
                consumer=service,
                reason=ParkReason.DEFECT,
                topic="meldpunt.routing",
                partition=0,
                offset=1,
                case_id=self.case_id,
                at=at(self.minutes),
            ),
        )

    def redriven(self, parked_id: UUID, service: str = "referral") -> "Story":
        return self._tell(
            service,
            EventRedriven(
                parked_id=parked_id, consumer=service, case_id=self.case_id, at=at(self.minutes)
            ),
        )


def picked_up(sources: Sources | None = None) -> Story:
    story = Story(sources).reported().assigned().offered()
    return story.status(Status.RECEIVED).status(Status.ACCEPTED)


def declined_then_picked_up(sources: Sources | None = None) -> Story:
    story = Story(sources).reported().assigned().offered()
    story.status(Status.REJECTED, reason=DeclineReason.NOT_COMPETENT).redecision()
    return story.assigned("gcbo").offered("gcbo").status(Status.ACCEPTED, "gcbo")


def shown_only(sources: Sources | None = None) -> Story:
    return Story(sources).reported().assigned(mode=Mode.SHOW).at_desk()


def signalled(sources: Sources | None = None) -> Story:
    story = Story(sources).reported().assigned(mode=Mode.SIGNAL)
    return story.at_desk(DeskReason.NO_FEEDBACK_PARTY).offered(signal=True).status(Status.RECEIVED)


def handed_on(sources: Sources | None = None) -> Story:
    return picked_up(sources).offered("gcbo").status(Status.ACCEPTED, "gcbo")


def given_back(sources: Sources | None = None) -> Story:
    return picked_up(sources).at_desk(DeskReason.SECOND_RETURN)


def offered_only(sources: Sources | None = None) -> Story:
    return Story(sources).reported().assigned().offered()


STORIES: dict[str, Callable[..., Story]] = {
    "picked-up": picked_up,
    "declined": declined_then_picked_up,
    "shown-only": shown_only,
    "signalled": signalled,
    "handed-on": handed_on,
    "given-back": given_back,
    "offered": offered_only,
}


def completed(sources: Sources | None = None) -> Story:
    story = picked_up(sources).status(Status.COMPLETED, named=False, outcome=CompletedAs.HELPED)
    return story.closed()


def withdrawn(sources: Sources | None = None) -> Story:
    story = offered_only(sources).withdrawn().status(Status.CANCELLED, actor=DESK)
    return story.closed(ClosedBecause.WITHDRAWN, None)


def opened_again(sources: Sources | None = None) -> Story:
    return completed(sources).at_desk(DeskReason.NOT_HELPED)


def silent_then_escalated(sources: Sources | None = None) -> Story:
    story = offered_only(sources).reminded().reminded(number=2).escalated()
    story.status(Status.FAILED, actor=DESK, business_status=BusinessStatus.TERM_EXPIRED)
    return story.at_desk(DeskReason.TERM_EXPIRED)


def conferred(sources: Sources | None = None) -> Story:
    return picked_up(sources).consulted().warned().reminded()


def taken_back(sources: Sources | None = None) -> Story:
    story = picked_up(sources)
    story.handoff, story.holder = 2, DESK
    return story.status(Status.CANCELLED, actor=DESK).at_desk(DeskReason.TAKEN_BACK)


def with_finding(sources: Sources | None = None) -> Story:
    return picked_up(sources).found("wet_2027", 12)


LOOP: dict[str, Callable[..., Story]] = {
    "completed": completed,
    "withdrawn": withdrawn,
    "opened-again": opened_again,
    "escalated": silent_then_escalated,
    "conferred": conferred,
    "taken-back": taken_back,
    "with-finding": with_finding,
}
ALL = STORIES | LOOP


def delivery(
    sources: Sources, state: DeliveryState, organisation: str = "lkc", minutes: float = 0
) -> Received:
    event = DeliveryChanged(
        organisation=organisation,
        channel="webhook",
        state=state,
        waiting=3,
        since=at(minutes),
        at=at(minutes),
    )
    return sources.publish("referral", event, at(minutes))


def counts(picture: Picture) -> tuple[int, ...]:
    """What a case adds to the counters, in the order of `rules.FACTS`."""
    return counted(traits(picture, standing(picture)))
