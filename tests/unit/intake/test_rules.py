"""Status words, stages and the right to fetch content: every stage, every refusal."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.referral import (
    CaseAtDesk,
    DeskReason,
    NextAction,
    NextStep,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.situation import Kind
from services.intake.domain import (
    CLOSED_STAGES,
    CaseStanding,
    ReferralKnown,
    ReportFound,
    Stage,
)
from services.intake.rules import (
    Capability,
    Refusal,
    capability_refusal,
    referral_refusal,
    referral_stage,
)
from services.intake.words import status_words

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CASE, REFERRAL, REPORT = UUID(int=1), UUID(int=2), UUID(int=3)
STEP = NextStep(actor="lkc", action=NextAction.DECIDE, due_at=NOW)


def offered(holder: str = "vangnet", signal: bool = False) -> ReferralOffered:
    return ReferralOffered(
        case_id=CASE, holder=holder, handoff=0, next_step=STEP, at=NOW, referral_id=REFERRAL,
        attempt=1, organisation="lkc", channel="kafka", decision_id=uuid4(), signal=signal,
    )  # fmt: skip


def changed(
    status: Status, holder: str = "vangnet", step: NextStep | None = STEP
) -> ReferralStatusChanged:
    return ReferralStatusChanged(
        case_id=CASE, holder=holder, handoff=0, next_step=step, at=NOW, referral_id=REFERRAL,
        attempt=1, organisation="lkc", status=status,
    )  # fmt: skip


def at_desk() -> CaseAtDesk:
    reason = DeskReason.SECOND_RETURN
    return CaseAtDesk(case_id=CASE, holder="vangnet", handoff=0, at=NOW, reason=reason)


def redecision() -> RedecisionRequested:
    return RedecisionRequested(
        case_id=CASE, holder="vangnet", handoff=0, at=NOW, excluded=("lkc",), decision_number=2,
        reason="rejected",
    )  # fmt: skip


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
    ],
)
def test_stage_of_each_event(event: ReferralOffered, stage: Stage) -> None:
    assert referral_stage(event) is stage


def found(
    standing: CaseStanding | None = None,
    *,
    kind: Kind = Kind.MELDING,
    pending: datetime | None = None,
    age: timedelta = timedelta(hours=1),
) -> ReportFound:
    then = NOW - age
    return ReportFound(CASE, kind, then, then, standing or CaseStanding(), pending, REPORT)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words_and_every_open_one_a_next_actor_and_time(stage: Stage) -> None:
    words = status_words(found(CaseStanding(stage)), NOW)
    assert words.text.endswith(".")
    assert "{" not in words.text
    assert words.standing.stage is stage
    if stage in CLOSED_STAGES:
        assert words.standing.next_actor is None
        assert words.standing.next_by is None
    else:
        assert words.standing.next_actor == "vangnet"
        assert words.standing.next_by is not None
        assert "De volgende stap is van het meldpunt, uiterlijk op" in words.text


@pytest.mark.parametrize("stage", [Stage.OFFERED, Stage.SEEN, Stage.SEARCHING, Stage.SIGNALLED])
def test_delivered_is_never_told_as_picked_up(stage: Stage) -> None:
    text = status_words(found(CaseStanding(stage)), NOW).text
    assert "aangenomen en" not in text
    assert "aan de slag" not in text


@pytest.mark.parametrize(
    ("kind", "word"),
    [(Kind.KLACHT, "klacht"), (Kind.HULPVRAAG, "hulpvraag"), (Kind.UNKNOWN, "melding")],
)
def test_words_name_the_kind(kind: Kind, word: str) -> None:
    assert status_words(found(kind=kind), NOW).text.startswith(f"Uw {word} is veilig opgeslagen.")


def test_the_time_is_told_in_dutch_and_in_dutch_time() -> None:
    due = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    words = status_words(found(CaseStanding(Stage.OFFERED, "vangnet", "lkc", due)), NOW)
    assert words.text.endswith(
        "De volgende stap is van de organisatie, uiterlijk op 2 juli 2026 om 00:30 uur."
    )
    assert words.standing.next_by == due


def test_forwarding_waits_while_an_event_as_old_is_pending() -> None:
    waiting = status_words(found(pending=NOW - timedelta(hours=2)), NOW)
    assert waiting.forwarding == "waiting"
    assert "wacht op een storing bij ons" in waiting.text
    assert waiting.standing.next_actor == "vangnet"
    assert waiting.standing.next_by is not None
    assert status_words(found(pending=NOW - timedelta(minutes=1)), NOW).forwarding == "done"
    answered = found(CaseStanding(Stage.OFFERED), pending=NOW - timedelta(hours=2))
    assert status_words(answered, NOW).forwarding == "done"


def test_the_first_seconds_are_no_fault() -> None:
    young = found(pending=NOW - timedelta(seconds=3), age=timedelta(seconds=2))
    words = status_words(young, NOW)
    assert words.forwarding == "waiting"
    assert "storing" not in words.text


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
