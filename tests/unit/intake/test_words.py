"""The status in plain Dutch: every stage has words, an open one a next actor and a time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from contracts.finding import FindingState
from contracts.referral import CompletedAs, NextAction
from contracts.situation import Kind
from services.intake.domain import (
    CLOSED_STAGES,
    CaseStanding,
    IdentityState,
    QuestionOpen,
    ReportFound,
    Stage,
    TermEnds,
)
from services.intake.words import status_words

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CASE, REPORT = UUID(int=1), UUID(int=3)


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


def question(n: int, answer_by: datetime) -> QuestionOpen:
    return QuestionOpen(UUID(int=n), "lkc", b"Waar?", NOW, answer_by)


def test_an_open_question_makes_the_reporter_the_next_actor() -> None:
    held = found(CaseStanding(Stage.PICKED_UP, "lkc", "lkc", NOW + timedelta(days=40)))
    first, second = NOW + timedelta(days=3), NOW + timedelta(days=9)
    words = status_words(held, NOW, [question(1, second), question(2, first)])
    assert (words.standing.stage, words.standing.holder) == (Stage.QUESTION, "lkc")
    assert (words.standing.next_actor, words.standing.next_by) == ("reporter", first)
    assert "stelt u 2 vragen." in words.text
    assert "De volgende stap is aan u, uiterlijk op 27 november 2026" in words.text


def test_a_withdrawal_goes_before_everything_else_of_an_open_case() -> None:
    held = CaseStanding(Stage.PICKED_UP, "lkc", "lkc", NOW, NextAction.HANDLE)
    words = status_words(replace(found(held), withdrawn_at=NOW), NOW, [question(1, NOW)])
    assert words.standing.stage is Stage.WITHDRAWN
    assert (words.standing.next_actor, words.standing.next_by) == ("lkc", NOW)
    assert "meldplicht" in words.text


@pytest.mark.parametrize("stage", sorted(CLOSED_STAGES))
def test_not_helped_after_the_end_gives_the_desk_the_next_step(stage: Stage) -> None:
    ended = replace(found(CaseStanding(stage, "lkc")), standing_at=NOW, not_helped_at=NOW)
    words = status_words(ended, NOW)
    assert (words.standing.stage, words.standing.holder) == (Stage.NOT_HELPED, "vangnet")
    assert words.standing.next_by == NOW + timedelta(minutes=15)
    # Whatever referral says after it is news.
    later = replace(ended, standing_at=NOW + timedelta(seconds=1))
    assert status_words(later, NOW).standing.stage is stage


@pytest.mark.parametrize("stage", [Stage.PICKED_UP, Stage.SIGNALLED, Stage.AT_DESK])
def test_not_helped_keeps_the_stage_of_an_open_case(stage: Stage) -> None:
    words = status_words(replace(found(CaseStanding(stage)), not_helped_at=NOW), NOW)
    assert words.standing.stage is stage
    assert "Op 24 november 2026 hebt u laten weten dat u niet bent geholpen." in words.text


@pytest.mark.parametrize("outcome", CompletedAs)
def test_every_outcome_is_told_as_what_the_organisation_says(outcome: CompletedAs) -> None:
    bare = status_words(found(CaseStanding(Stage.FINISHED)), NOW).text
    text = status_words(found(CaseStanding(Stage.FINISHED, outcome=outcome)), NOW).text
    assert "organisatie" in text
    assert len(text) > len(bare)
    assert text.endswith("Dan kunt u dat met uw code laten weten.")


@pytest.mark.parametrize("state", FindingState)
def test_every_state_of_a_finding_has_words(state: FindingState) -> None:
    text = status_words(found(CaseStanding(Stage.FINDING, finding=state)), NOW).text
    assert text.startswith("De commissie heeft een oordeel gegeven over uw melding.")
    assert ("bestuur" in text) is (state not in {"issued", "with-supervisor", "closed"})


def test_the_day_of_an_on_hold_is_told() -> None:
    until = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    text = status_words(found(CaseStanding(Stage.ON_HOLD, "lkc", until=until)), NOW).text
    assert "Zij wacht nu even met de behandeling, tot 1 januari 2027." in text


def test_terms_that_have_ended_are_not_told_and_few_of_the_others() -> None:
    days = [date(2026, 11, n) for n in range(20, 30)]
    terms = [TermEnds(f"term-{day.day}", "lkc", day) for day in days]
    open_case = found(CaseStanding(Stage.PICKED_UP, "lkc", "lkc", NOW))
    words = status_words(open_case, NOW, terms=terms)
    assert [term.last_day.day for term in words.terms] == [24, 25, 26, 27, 28, 29]
    assert words.text.count("Let op: een wettelijke termijn loopt af op") == 3
    closed = found(CaseStanding(Stage.FINISHED, "lkc"))
    assert status_words(closed, NOW, terms=terms).terms == ()


def test_a_hidden_identity_is_confirmed() -> None:
    for state in IdentityState:
        text = status_words(replace(found(), identity=state), NOW).text
        assert ("aan niemand meer door" in text) is (state is IdentityState.HIDDEN)


def test_a_term_of_whole_days_names_its_last_day_and_not_the_midnight_after_it() -> None:
    midnight = datetime(2026, 12, 23, 23, 0, tzinfo=UTC)
    standing = CaseStanding(
        Stage.FINDING, "vangnet", "bevoegd_gezag", midnight, NextAction.REPLY_TO_FINDING
    )
    text = status_words(found(standing), NOW).text
    assert "van het bestuur van de school, uiterlijk op 23 december 2026." in text
    assert "24 december" not in text
