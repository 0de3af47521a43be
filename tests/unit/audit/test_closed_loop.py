"""What audit makes of the events of the closed loop: closings, figures, and what is no case."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import PUBLICATIONS
from contracts.intake import QuestionAnswered, QuestionAsked, ReportReceived
from contracts.operations import TallyPublished
from contracts.referral import (
    BusinessStatus,
    ClosedBecause,
    CompletedAs,
    DeliveryChanged,
    DeliveryState,
    HandOverBy,
    ReferralOffered,
    Status,
)
from contracts.routing import CaseAssigned, RegisterActivated
from contracts.topics import CORE_TOPICS
from services.audit.app import CATALOGUE, TOPICS
from services.audit.domain import Standing, State
from services.audit.entries import entry_of
from services.audit.figures import figures_of, summed
from services.audit.merges import case_of
from services.audit.rules import FACTS, due_at, standing
from services.audit.verdicts import verdict
from tests.unit.audit.builders import (
    ALL,
    LOOP,
    Sources,
    at,
    completed,
    counts,
    delivery,
    offered_only,
    opened_again,
    picked_up,
    seen,
    withdrawn,
)
from tests.unit.audit.test_rules import fold


def named(picture):
    return dict(zip(FACTS, counts(picture), strict=True))


def test_audit_reads_every_core_topic_and_knows_every_event_on_it():
    core = {spec.name for spec in CORE_TOPICS}
    assert set(TOPICS) == core
    unknown = [
        item.model.event_type()
        for item in PUBLICATIONS
        if item.topic in core and not CATALOGUE.knows_name(item.model.event_type())
    ]
    assert unknown == []


@pytest.mark.parametrize("model", [DeliveryChanged, RegisterActivated, TallyPublished])
def test_event_about_no_case_has_none_whatever_its_key(model):
    assert "case_id" not in model.model_fields
    sources = Sources()
    told = delivery(sources, DeliveryState.FAILED)
    assert case_of(told.event) is None
    entry = entry_of(told.event, seen(told), None)
    assert (entry.case_id, entry.organisation, entry.status) == (None, "lkc", "failed")


@pytest.mark.parametrize("events", [1, 2])
def test_a_case_that_referral_has_not_spoken_of_is_being_routed(events):
    story = picked_up()
    found = verdict(fold(story, story.told[:events]), at(1))
    assert (found.state, found.action) == (State.WAITING, "route")
    assert "kiest de organisatie" in found.explanation


def test_an_entry_has_the_moment_of_its_own_event():
    told = {type(item.event): item for item in picked_up().told}
    for model, name in ((ReportReceived, "received_at"), (CaseAssigned, "decided_at")):
        item = told[model]
        assert entry_of(item.event, seen(item), 1).at == getattr(item.event, name)
    assert told[CaseAssigned].event.decided_at > told[CaseAssigned].event.received_at


@pytest.mark.parametrize(
    ("because", "outcome", "words"),
    [
        (ClosedBecause.COMPLETED, CompletedAs.HELPED, "De zaak is klaar: de melder is geholpen."),
        (ClosedBecause.COMPLETED, None, "De zaak is klaar."),
        (
            ClosedBecause.WITHDRAWN,
            CompletedAs.WITHDRAWN,
            "De zaak is gesloten, omdat de melder de melding introk.",
        ),
        (
            ClosedBecause.ENTERED_IN_ERROR,
            None,
            "De zaak is gesloten, omdat die door een vergissing ontstond.",
        ),
    ],
)
def test_closed_case_is_accounted_for_with_its_reason_and_never_late(because, outcome, words):
    picture = fold(picked_up().closed(because, outcome))
    assert standing(picture) is Standing.CLOSED
    assert due_at(picture) is None
    judged = verdict(picture, at(1_000_000))
    assert (judged.state, judged.explanation, judged.due_at) == (State.CLOSED, words, None)
    assert named(picture)[f"closed {because}"] == named(picture)["closed"] == 1


def test_case_that_goes_on_after_its_closing_is_open_again():
    picture = fold(opened_again())
    assert standing(picture) is Standing.AT_DESK
    assert picture.closed_because == "completed"
    assert [name for name, number in named(picture).items() if number and "closed" in name] == []


def test_late_disclosure_or_answer_does_not_open_a_closed_case():
    story = completed()
    event = QuestionAnswered(question_id=uuid4(), case_id=story.case_id, answered_at=at(9))
    told = story.sources.publish("intake", event, at(9))
    assert standing(fold(story, [*story.told, told])) is Standing.CLOSED


def test_closed_case_with_a_lost_event_is_incomplete():
    story = completed()
    assert standing(fold(story, story.told[1:])) is Standing.INCOMPLETE


def test_withdrawal_is_told_before_and_after_the_case_is_closed():
    story = withdrawn()
    open_still = fold(story, story.told[:4])
    assert (named(open_still)["withdrawn"], standing(open_still)) == (1, Standing.WAITING)
    assert fold(story).withdrawn_at == at(3)


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({"status": Status.REJECTED}, ["rejected"]),
        ({"status": Status.REJECTED, "business_status": BusinessStatus.RETURNED}, ["rejected"]),
        ({"status": Status.CANCELLED, "business_status": BusinessStatus.RETURNED}, ["returned"]),
        (
            {"status": Status.FAILED, "business_status": BusinessStatus.TERM_EXPIRED},
            ["term-expired"],
        ),
        (
            {"status": Status.COMPLETED, "business_status": BusinessStatus.REFERRED_ONWARD},
            ["referred-onward"],
        ),
        (
            {"status": Status.COMPLETED, "outcome": CompletedAs.MEDIATED},
            ["completed", "completed-mediated"],
        ),
        (
            {"status": Status.RECEIVED, "handed_over_by": HandOverBy.PHONE},
            ["received", "handed-over"],
        ),
        # Only who acts next has changed.
        ({"status": Status.ACCEPTED, "again": True}, []),
    ],
)
def test_what_became_of_a_referral_is_counted_once(more, facts):
    event = offered_only().status(**more).told[-1].event
    assert list(figures_of(event)) == [("lkc", fact) for fact in facts]


def test_reminders_escalations_and_advice_are_counted_per_organisation():
    sources = Sources()
    events = [item.event for build in LOOP.values() for item in build(sources).told]
    found = {(f.organisation, f.fact): f.number for f in summed(events)}
    assert found["lkc", "reminded"] == 3
    assert found["lkc", "escalated"] == found["lkc", "escalated-other-loket"] == 1
    assert found["lkc", "term-warned"] == 1
    assert found["gcbo", "consulted"] == found["gcbo", "advised"] == 1
    assert found["lkc", "consultation-asked"] == 1
    assert found["reporter", "report-withdrawn"] == 1
    assert found["vangnet", "at-desk-taken-back"] == 1
    assert found["lkc", "closed-completed"] == 2


def test_question_counts_for_who_asks_and_its_answer_for_the_reporter():
    asked = QuestionAsked(
        question_id=uuid4(),
        case_id=uuid4(),
        referral_id=uuid4(),
        organisation="lkc",
        answer_by=at(60),
        asked_at=at(1),
    )
    answered = QuestionAnswered(question_id=uuid4(), case_id=uuid4(), answered_at=at(2))
    assert [*figures_of(asked), *figures_of(answered)] == [
        ("lkc", "question-asked"),
        ("reporter", "question-answered"),
    ]


@given(st.data())
def test_figures_do_not_depend_on_order_or_batches(data):
    sources = Sources()
    events = [item.event for build in ALL.values() for item in build(sources).told]
    order = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    added: dict[tuple[str, str], int] = {}
    for part in (order[:cut], order[cut:]):
        for figure in summed(part):
            key = figure.organisation, figure.fact
            added[key] = added.get(key, 0) + figure.number
    assert added == {(f.organisation, f.fact): f.number for f in summed(events)}
    offers = sum(isinstance(event, ReferralOffered) for event in events)
    assert sum(n for (_, fact), n in added.items() if fact in {"offered", "signalled"}) == offers
