"""Events of made-up cases, numbered per source as the services number them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.envelope import Envelope, service_source
from contracts.event import Event
from contracts.intake import ContentField, IntakeChannel, ReportReceived
from contracts.operations import EventParked, EventRedriven, ParkReason, TallyPublished
from contracts.referral import (
    DESK,
    CaseAtDesk,
    DeclineReason,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import CaseAssigned, HandlingLimits, Mode
from contracts.situation import Kind, Reporter, Sector, Situation, Subject, Urgency
from services.audit.domain import Seen
from services.audit.handlers import seen_of
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


def seen(item: Received) -> Seen:
    return seen_of(item.envelope)


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
        self, status: Status, organisation: str = "lkc", reason: DeclineReason | None = None
    ) -> "Story":
        if status is Status.ACCEPTED:
            self.handoff += 1
            self.holder = organisation
        return self._tell(
            "referral",
            ReferralStatusChanged(
                **self._common(actor=organisation),
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
