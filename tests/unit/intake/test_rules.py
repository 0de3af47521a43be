"""Stages, what may be asked and answered, the right to fetch content: every case of each."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.intake import ContentField
from contracts.referral import (
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    ClosedBecause,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.situation import Urgency
from services.intake.domain import CaseAsked, NewReport, QuestionKnown, ReferralKnown, Stage
from services.intake.rules import (
    Capability,
    Denied,
    Refusal,
    answer_denied,
    capability_refusal,
    fields_allowed,
    future_dates,
    question_denied,
    referral_refusal,
    referral_stage,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CASE, REFERRAL = UUID(int=1), UUID(int=2)
STEP = NextStep(actor="lkc", action=NextAction.DECIDE, due_at=NOW)


def offered(holder: str = "vangnet", signal: bool = False) -> ReferralOffered:
    return ReferralOffered(
        case_id=CASE, holder=holder, handoff=0, next_step=STEP, at=NOW, referral_id=REFERRAL,
        attempt=1, organisation="lkc", channel="kafka", decision_id=uuid4(), signal=signal,
    )  # fmt: skip


def changed(
    status: Status, holder: str = "vangnet", step: NextStep | None = STEP, **more: Any
) -> ReferralStatusChanged:
    return ReferralStatusChanged(
        case_id=CASE, holder=holder, handoff=0, next_step=step, at=NOW, referral_id=REFERRAL,
        attempt=1, organisation="lkc", status=status, **more,
    )  # fmt: skip


def at_desk(reason: DeskReason = DeskReason.SECOND_RETURN) -> CaseAtDesk:
    return CaseAtDesk(case_id=CASE, holder="vangnet", handoff=0, at=NOW, reason=reason)


def redecision(holder: str = "vangnet", *, onward: bool = False) -> RedecisionRequested:
    return RedecisionRequested(
        case_id=CASE, holder=holder, handoff=0, at=NOW, excluded=("lkc",), decision_number=2,
        reason="rejected", onward=onward, proposed="gcbo" if onward else None,
    )  # fmt: skip


def closed(because: ClosedBecause) -> CaseClosed:
    return CaseClosed(case_id=CASE, holder="lkc", handoff=1, at=NOW, because=because)


@pytest.mark.parametrize(
    ("event", "stage"),
    [
        (offered(), Stage.OFFERED),
        (offered(signal=True), Stage.SIGNALLED),
        (offered(holder="gcbo"), Stage.ONWARD),
        (changed(Status.REQUESTED), Stage.OFFERED),
        (changed(Status.RECEIVED), Stage.SEEN),
        (changed(Status.ACCEPTED, "lkc"), Stage.PICKED_UP),
        (changed(Status.ON_HOLD, "lkc"), Stage.ON_HOLD),
        (changed(Status.REJECTED), Stage.SEARCHING),
        (changed(Status.REJECTED, step=None), Stage.SEARCHING),
        (changed(Status.REJECTED, "gcbo"), Stage.PICKED_UP),
        (changed(Status.FAILED), Stage.SEARCHING),
        (changed(Status.COMPLETED, "lkc", step=None), Stage.FINISHED),
        (changed(Status.COMPLETED, "lkc"), Stage.PICKED_UP),
        (changed(Status.CANCELLED, step=None), Stage.FINISHED),
        (at_desk(), Stage.AT_DESK),
        (redecision(), Stage.SEARCHING),
        (redecision("lkc", onward=True), Stage.ONWARD),
        (at_desk(DeskReason.FINDING), Stage.FINDING),
        (at_desk(DeskReason.NO_CONTACT), Stage.NO_CONTACT),
        (at_desk(DeskReason.NO_FEEDBACK_PARTY), Stage.SIGNALLED),
        (closed(ClosedBecause.COMPLETED), Stage.FINISHED),
        (closed(ClosedBecause.WITHDRAWN), Stage.WITHDRAWN),
        (closed(ClosedBecause.ENTERED_IN_ERROR), Stage.CLOSED),
        (changed(Status.COMPLETED), Stage.AT_DESK),
        (
            changed(Status.ON_HOLD, "lkc", business_status=BusinessStatus.NO_CONTACT),
            Stage.NO_CONTACT,
        ),
        (changed(Status.IN_PROGRESS, "lkc", onward_to="gcbo"), Stage.ONWARD),
        (changed(Status.REQUESTED, "gcbo"), Stage.ONWARD),
        (changed(Status.RECEIVED, "gcbo"), Stage.ONWARD),
        (changed(Status.COMPLETED, "gcbo", onward_to="gcbo"), Stage.PICKED_UP),
    ],
)
def test_stage_of_each_event(event: ReferralOffered, stage: Stage) -> None:
    assert referral_stage(event) is stage


def capability(**changes: object) -> Capability:
    values = {
        "organisation": "lkc", "case_id": CASE, "referral_id": REFERRAL, "attempt": 2,
        "expires_at": NOW.timestamp() + 200,
    } | changes  # fmt: skip
    return Capability(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"expires_at": NOW.timestamp() - 31}, Refusal.EXPIRED),
        ({"expires_at": NOW.timestamp() - 29}, None),
        ({"expires_at": NOW.timestamp() + 331}, Refusal.LIFE_TOO_LONG),
        ({"organisation": "gcbo"}, Refusal.OTHER_ORGANISATION),
        ({"case_id": UUID(int=9)}, Refusal.OTHER_CASE),
    ],
)
def test_capability(changes: dict[str, object], refusal: Refusal | None) -> None:
    assert capability_refusal(capability(**changes), "lkc", CASE, NOW) is refusal


@pytest.mark.parametrize("status", Status)
def test_only_a_live_referral_gives_a_right(status: Status) -> None:
    live = status in {"requested", "received", "accepted", "in-progress", "on-hold"}
    known = ReferralKnown(CASE, "lkc", 2, status)
    assert referral_refusal(capability(), known) is (None if live else Refusal.CLOSED)


@pytest.mark.parametrize(
    ("known", "refusal"),
    [
        (None, Refusal.NOT_KNOWN_YET),
        (ReferralKnown(CASE, "lkc", 1, Status.REQUESTED), Refusal.NOT_KNOWN_YET),
        (ReferralKnown(CASE, "lkc", 3, Status.REQUESTED), Refusal.SUPERSEDED),
        (ReferralKnown(UUID(int=9), "lkc", 2, Status.REQUESTED), Refusal.OTHER_CASE),
        (ReferralKnown(CASE, "gcbo", 2, Status.REQUESTED), Refusal.OTHER_CASE),
    ],
)
def test_another_referral_gives_none(known: ReferralKnown | None, refusal: Refusal) -> None:
    assert referral_refusal(capability(), known) is refusal


@pytest.mark.parametrize(
    ("consulted", "status", "allowed"),
    [
        (False, Status.REQUESTED, {"narrative", "identity"}),
        (False, Status.ACCEPTED, {"narrative", "identity", "answers"}),
        (True, Status.REQUESTED, {"narrative"}),
        (True, Status.ACCEPTED, {"narrative"}),
    ],
)
def test_what_may_be_read_at_most(consulted: bool, status: Status, allowed: set[str]) -> None:
    known = ReferralKnown(CASE, "lkc", 1, status, consulted)
    assert fields_allowed(known, ContentField) == allowed
    assert fields_allowed(known, [ContentField.NARRATIVE]) == {"narrative"}
    assert fields_allowed(known, []) == frozenset()


MAC, OTHER = b"m" * 32, b"o" * 32


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (None, Denied.QUESTION_UNKNOWN),
        (QuestionKnown(MAC, NOW, None, None), Denied.QUESTION_CLOSED),
        (QuestionKnown(MAC, NOW, None, Status.REQUESTED), Denied.QUESTION_CLOSED),
        (QuestionKnown(MAC, NOW, None, Status.COMPLETED), Denied.QUESTION_CLOSED),
        (QuestionKnown(MAC, NOW - timedelta(days=99), None, Status.ON_HOLD), None),
        (QuestionKnown(MAC, NOW, MAC, Status.COMPLETED), None),
        (QuestionKnown(MAC, NOW, OTHER, Status.ACCEPTED), Denied.QUESTION_ANSWERED),
    ],
)
def test_answers(known: QuestionKnown | None, reason: Denied | None) -> None:
    assert answer_denied(known, MAC) is reason


@pytest.mark.parametrize(
    ("status", "case", "reason"),
    [
        (Status.ACCEPTED, CaseAsked(b"k", Urgency.SPOED, False, 49, 4), None),
        (Status.REQUESTED, CaseAsked(b"k", Urgency.SPOED, False, 0, 0), Denied.NOT_HOLDER),
        (Status.ACCEPTED, None, Denied.CONTENT_ERASED),
        (Status.ACCEPTED, CaseAsked(None, Urgency.SPOED, False, 0, 0), Denied.CONTENT_ERASED),
        (Status.ACCEPTED, CaseAsked(b"k", Urgency.SPOED, True, 0, 0), Denied.WITHDRAWN),
        (Status.ACCEPTED, CaseAsked(b"k", Urgency.SPOED, False, 50, 0), Denied.TOO_MANY_QUESTIONS),
        (Status.ACCEPTED, CaseAsked(b"k", Urgency.SPOED, False, 9, 5), Denied.TOO_MANY_QUESTIONS),
    ],
)
def test_questions(status: Status, case: CaseAsked | None, reason: Denied | None) -> None:
    assert question_denied(ReferralKnown(CASE, "lkc", 1, status), case) is reason
    consulted = ReferralKnown(CASE, "lkc", 1, status, consulted=True)
    assert question_denied(consulted, case) is Denied.NOT_HOLDER


def dated(*days: str) -> NewReport:
    starts = ("decision", "event", "absence")
    known = [{"starts": word, "day": day} for word, day in zip(starts, days, strict=False)]
    situation = {"sector": "po", "reporter": "ouder", "kind": "klacht", "subject": "pesten"}
    body = {"situation": situation, "knownDates": known} if known else {"situation": situation}
    return NewReport.model_validate_json(json.dumps(body))


def test_a_day_has_come_when_it_has_in_the_netherlands() -> None:
    night = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    report = dated("2026-11-25", "2026-11-26")
    assert future_dates(report, night) == [1]
    assert future_dates(report, night - timedelta(hours=1)) == [0, 1]


def test_a_report_without_dates_is_the_same_report_as_before() -> None:
    assert b"dates" not in dated().canonical()
    assert b"2026-11-25" in dated("2026-11-25").canonical()
