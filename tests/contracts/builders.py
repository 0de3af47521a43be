"""One full example of every event, and how an event becomes a record."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from contracts import envelope, intake, operations, referral, routing
from contracts.catalogue import PARTNER, PARTNER_OUT, publications_of
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.situation import (
    Accused,
    Flag,
    Kind,
    Reporter,
    Sector,
    Situation,
    Subject,
    Urgency,
)
from tests.contracts import finding_examples

NOW = datetime(2026, 11, 24, 9, 30, 0, 123000, tzinfo=UTC)
CASE, REPORT, REFERRAL, DECISION, QUESTION, CONSULTATION = (
    UUID(int=(4 << 76) | (8 << 60) | n) for n in range(1, 7)
)
ORGANISATION = "veilig_thuis"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

SITUATION = Situation(
    sector=Sector.VO,
    reporter=Reporter.OUDER,
    kind=Kind.KLACHT,
    subject=Subject.PESTEN,
    accused=Accused.LEERLING,
    flags=(Flag.SCHOOL_TRIED, Flag.SEVERE),
    steps_tried=("school", "board"),
    age=44,
    affiliation="lkc",
    brin="12AB01",
)
NEXT = referral.NextStep(
    actor=ORGANISATION, action=referral.NextAction.DECIDE, due_at=NOW + timedelta(days=1)
)
_HELD = {"case_id": CASE, "holder": referral.DESK, "handoff": 0, "next_step": NEXT, "at": NOW}
_ATTEMPT = {"referral_id": REFERRAL, "attempt": 1, "organisation": ORGANISATION}

EXAMPLES: tuple[Event, ...] = (
    intake.ReportReceived(
        report_id=REPORT,
        case_id=CASE,
        channel=intake.IntakeChannel.WEB,
        situation=SITUATION,
        received_at=NOW,
        content=tuple(intake.ContentField),
        commitment="ab" * 32,
        known_dates=(intake.KnownDate(starts="decision", day=date(2026, 11, 2)),),
    ),
    intake.ReportWithdrawn(report_id=REPORT, case_id=CASE, withdrawn_at=NOW),
    intake.QuestionAsked(
        question_id=QUESTION,
        case_id=CASE,
        referral_id=REFERRAL,
        organisation=ORGANISATION,
        answer_by=NOW + timedelta(days=14),
        asked_at=NOW,
    ),
    intake.QuestionAnswered(question_id=QUESTION, case_id=CASE, answered_at=NOW),
    intake.IdentityHidden(report_id=REPORT, case_id=CASE, hidden_at=NOW),
    intake.NotHelped(report_id=REPORT, case_id=CASE, at=NOW),
    intake.ContentDisclosed(
        case_id=CASE, **_ATTEMPT, fields=(intake.ContentField.NARRATIVE,), disclosed_at=NOW
    ),
    routing.CaseAssigned(
        decision_id=DECISION,
        case_id=CASE,
        report_id=REPORT,
        number=1,
        mode=routing.Mode.REFER,
        organisation=ORGANISATION,
        loket="veilig_thuis_utrecht",
        also=("lkc",),
        shown=("kindertelefoon",),
        excluded=("gcbo",),
        urgency=Urgency.SPOED,
        kind_at_primary=Kind.MELDING,
        rule="thuis-1",
        why="Huiselijk geweld gaat naar Veilig Thuis.",
        terms=(
            routing.Term(
                term="awb-9-11",
                organisation="lkc",
                length="P42D",
                starts="received_at",
                source="Awb 9:11",
                to_verify=True,
            ),
        ),
        limits=routing.HandlingLimits(received_within_minutes=60, accepted_within_minutes=1440),
        situation=SITUATION,
        content=(intake.ContentField.NARRATIVE,),
        received_at=NOW,
        decided_at=NOW,
        register_version="2026.11",
        register_hash="cd" * 32,
    ),
    routing.OnwardRefused(
        case_id=CASE,
        asked_number=2,
        organisation="gcbo",
        problem=routing.ProposalProblem.NOT_COMPETENT,
        why="Deze commissie gaat hier niet over.",
        decided_at=NOW,
    ),
    routing.RegisterActivated(
        version="2026-11-24.1",
        hash="cd" * 32,
        valid_from=NOW + timedelta(days=7),
        activated_at=NOW,
        activated_by="operator",
    ),
    referral.ReferralOffered(
        **_HELD,
        **_ATTEMPT,
        loket="veilig_thuis_utrecht",
        channel="kafka",
        decision_id=DECISION,
        signal=True,
    ),
    referral.ReferralStatusChanged(
        **_HELD,
        **_ATTEMPT,
        status=referral.Status.REJECTED,
        business_status=referral.BusinessStatus.RETURNED,
        reason=referral.DeclineReason.CAPACITY,
        outcome=referral.CompletedAs.DECIDED,
        decision=referral.ComplaintDecision.UPHELD,
        until=NOW + timedelta(days=10),
        onward_to="gcbo",
        handed_over_by=referral.HandOverBy.LETTER,
    ),
    referral.CaseAtDesk(**_HELD, reason=referral.DeskReason.SECOND_RETURN),
    referral.RedecisionRequested(
        **_HELD,
        excluded=(ORGANISATION,),
        decision_number=1,
        reason="not-competent",
        proposed="gcbo",
        onward=True,
    ),
    referral.CaseClosed(
        **(_HELD | {"next_step": None}),
        because=referral.ClosedBecause.COMPLETED,
        outcome=referral.CompletedAs.HELPED,
    ),
    referral.ReferralReminded(
        **_HELD,
        referral_id=REFERRAL,
        actor=ORGANISATION,
        action=referral.NextAction.DECIDE,
        number=1,
    ),
    referral.ReferralEscalated(**_HELD, **_ATTEMPT, rung=referral.Rung.OTHER_LOKET),
    referral.TermWarned(
        **_HELD, term="awb-9-11", organisation=ORGANISATION, last_day=date(2027, 1, 5)
    ),
    referral.DeliveryChanged(
        organisation=ORGANISATION,
        channel="webhook",
        state=referral.DeliveryState.RETRYING,
        waiting=3,
        since=NOW,
        at=NOW,
    ),
    referral.ConsultationAsked(**_HELD, consultation_id=CONSULTATION, organisation="gcbo"),
    referral.ConsultationAnswered(
        **_HELD, consultation_id=CONSULTATION, organisation="gcbo", advised=True
    ),
    referral.ReferralOffer(
        case_id=CASE,
        **_ATTEMPT,
        reference="MP-2345-6789",
        loket="veilig_thuis_utrecht",
        kind=Kind.MELDING,
        urgency=Urgency.NORMAAL,
        situation=SITUATION,
        content=(intake.ContentField.NARRATIVE,),
        first_received_at=NOW,
        received_by=NOW + timedelta(hours=1),
        accepted_by=NOW + timedelta(days=1),
        signal=True,
    ),
    referral.ReferralWithdrawn(
        case_id=CASE,
        **_ATTEMPT,
        status=referral.Status.FAILED,
        business_status=referral.BusinessStatus.TERM_EXPIRED,
        at=NOW,
    ),
    referral.ReferralReminder(
        case_id=CASE,
        **_ATTEMPT,
        action=referral.NextAction.ACKNOWLEDGE,
        number=1,
        due_at=NOW + timedelta(hours=1),
        at=NOW,
    ),
    referral.CaseNews(
        referral_id=REFERRAL,
        case_id=CASE,
        organisation=ORGANISATION,
        news=referral.News.CONSULTATION_ANSWERED,
        other="gcbo",
        reference_id=CONSULTATION,
        problem="not-competent",
        term="awb-9-11",
        last_day=date(2027, 1, 5),
        at=NOW,
    ),
    referral.ConsultationRequest(
        consultation_id=CONSULTATION,
        case_id=CASE,
        reference="MP-2345-6789",
        organisation="gcbo",
        asked_by=ORGANISATION,
        situation=SITUATION,
        answer_by=NOW + timedelta(days=5),
        at=NOW,
    ),
    referral.ConsultationEnded(
        consultation_id=CONSULTATION,
        case_id=CASE,
        reference="MP-2345-6789",
        organisation="gcbo",
        at=NOW,
    ),
    referral.AnswerRefused(
        referral_id=REFERRAL,
        case_id=CASE,
        answer_id=uuid4(),
        answer="accepted",
        status=referral.Status.FAILED,
        business_status=referral.BusinessStatus.TERM_EXPIRED,
        problem="The term had passed.",
        who_must_act="Nobody: the case is with another organisation.",
        at=NOW,
    ),
    referral.ReferralAnswered(
        answer_id=uuid4(),
        referral_id=REFERRAL,
        case_id=CASE,
        attempt=1,
        answer=referral.Answer.REJECTED,
        reason=referral.DeclineReason.NOT_COMPETENT,
        suggested_organisation="gcbo",
        until=NOW + timedelta(days=10),
        outcome=referral.CompletedAs.DECIDED,
        decision=referral.ComplaintDecision.UPHELD,
        at=NOW,
    ),
    operations.EventParked(
        parked_id=uuid4(),
        consumer="referral",
        reason=operations.ParkReason.CONTRACT_BROKEN,
        topic="meldpunt.routing",
        partition=3,
        offset=17,
        failed_source=envelope.service_source("routing"),
        failed_id=str(uuid4()),
        failed_type=envelope.type_of("case-assigned", 1),
        case_id=CASE,
        at=NOW,
    ),
    operations.EventRedriven(parked_id=uuid4(), consumer="referral", case_id=CASE, at=NOW),
    operations.TallyPublished(
        tallied_source=envelope.service_source("intake"), through_sequence=41, at=NOW
    ),
    *finding_examples.EXAMPLES,
)


def minimal(event: Event) -> Event:
    """The same event with nothing but what its contract requires."""
    required = {name for name, field in type(event).model_fields.items() if field.is_required()}
    return type(event).model_validate(event.model_dump(include=required))


def source_of(model: type[Event]) -> str:
    """Source of the first place where an event is published."""
    publication = publications_of(model)[0]
    if publication.publisher == PARTNER:
        return envelope.partner_source(ORGANISATION)
    if publication.topic == PARTNER_OUT:
        return envelope.feed_source(ORGANISATION)
    return envelope.service_source(publication.publisher)


def enveloped(event: Event, *, sequence: int = 1, dataref: str | None = None) -> Envelope:
    """The event as its publisher sends it."""
    return Envelope(
        id=str(uuid4()),
        source=source_of(type(event)),
        type=event.event_type(),
        time=NOW,
        subject=str(CASE),
        sequence=sequence,
        data=event.encode(),
        dataschema=event.schema_urn(),
        dataref=dataref,
        traceparent=TRACE,
    )
