from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.intake import ContentDisclosed, ContentField
from contracts.referral import Status
from services.audit.domain import Standing, State
from services.audit.merges import blank, merge
from services.audit.rules import FACTS, due_at, missing, standing
from services.audit.verdicts import verdict
from tests.unit.audit.builders import ALL, STORIES, Story, at, counts, picked_up, seen


def fold(story, events=None):
    picture = blank(story.case_id)
    for item in story.told if events is None else events:
        picture = merge(picture, item.event, seen(item))
    return picture


@pytest.mark.parametrize("name", ALL)
def test_every_order_of_a_case_gives_the_same_picture(name):
    story = ALL[name]()
    expected = fold(story)
    # All orders of up to six events; the longer stories are drawn from in the next test.
    for order in permutations(story.told[:6]):
        assert fold(story, [*order, *story.told[6:]]) == expected


@settings(max_examples=300)
@given(st.sampled_from(sorted(ALL)), st.integers(0, 3), st.data())
def test_any_order_with_parkings_gives_the_same_picture(name, parkings, data):
    story = ALL[name]()
    for _ in range(parkings):
        parked_id = uuid4()
        story.parked(parked_id)
        if data.draw(st.booleans()):
            story.redriven(parked_id)
    order = data.draw(st.permutations(story.told))
    assert fold(story, order) == fold(story)


@pytest.mark.parametrize(
    ("name", "state", "holder"),
    [
        ("picked-up", State.PICKED_UP, "lkc"),
        ("declined", State.PICKED_UP, "gcbo"),
        ("shown-only", State.AT_DESK, "vangnet"),
        ("signalled", State.AT_DESK, "vangnet"),
        ("handed-on", State.PICKED_UP, "gcbo"),
        ("given-back", State.AT_DESK, "vangnet"),
        ("offered", State.WAITING, "vangnet"),
        ("completed", State.CLOSED, "lkc"),
        ("withdrawn", State.CLOSED, "vangnet"),
        ("opened-again", State.AT_DESK, "vangnet"),
        ("escalated", State.AT_DESK, "vangnet"),
        ("conferred", State.PICKED_UP, "lkc"),
        ("taken-back", State.AT_DESK, "vangnet"),
        ("with-finding", State.PICKED_UP, "lkc"),
    ],
)
def test_state_of_each_story(name, state, holder):
    picture = fold(ALL[name]())
    assert verdict(picture, at(10)).state is state
    assert picture.holder == holder


def test_first_pick_up_is_kept_when_the_case_goes_on():
    picture = fold(STORIES["handed-on"]())
    assert picture.accepted_at == at(4)
    assert picture.accepted_by == "gcbo"
    assert "4 minuten na ontvangst" in verdict(picture, at(10)).explanation


def test_declines_and_decisions_are_counted():
    picture = fold(STORIES["declined"]())
    assert (picture.returns, picture.decisions, picture.organisation) == (1, 2, "gcbo")


def test_silence_beyond_the_term_is_a_return_but_no_receipt():
    picture = fold(STORIES["offered"]().status(Status.FAILED))
    assert (picture.returns, picture.referral_received_at) == (1, None)


def test_case_taken_back_from_a_partner_rests_at_the_desk_even_without_a_reason():
    story = picked_up()
    story.handoff, story.holder = 2, "vangnet"
    judged = verdict(fold(story.status(Status.CANCELLED, actor="vangnet")), at(10))
    assert (judged.state, judged.due_at) == (State.AT_DESK, at(60))
    assert "het meldpunt nam de zaak terug" in judged.explanation


def test_received_is_not_picked_up():
    story = STORIES["offered"]().status(Status.RECEIVED)
    picture = fold(story)
    assert picture.referral_received_at == at(3)
    assert verdict(picture, at(10)).state is State.WAITING


@pytest.mark.parametrize("name", ["shown-only", "offered"])
def test_late_step_is_overdue_and_names_who_must_act(name):
    judged = verdict(fold(STORIES[name]()), at(61))
    assert judged.state is State.OVERDUE
    assert judged.due_at == at(60)
    assert judged.actor in {"lkc", "vangnet"}
    assert judged.explanation.startswith("Te laat sinds 02-11-2026 11:00.")


def test_holder_that_lets_its_time_go_by_is_overdue_but_the_case_stays_picked_up():
    picture = fold(picked_up())
    assert verdict(picture, at(60)).state is State.PICKED_UP
    judged = verdict(picture, at(61))
    assert (judged.state, judged.actor, judged.action) == (State.HOLDER_OVERDUE, "lkc", "handle")
    assert judged.explanation.startswith("Te laat sinds 02-11-2026 11:00. Opgepakt door lkc")
    assert standing(picture) is Standing.PICKED_UP


def test_holder_without_a_next_step_is_overdue_at_once():
    story = STORIES["offered"]().status(Status.ACCEPTED, named=False)
    assert verdict(fold(story), at(3.1)).state is State.HOLDER_OVERDUE


def test_desk_case_without_next_step_is_overdue_at_once():
    picture = fold(Story().reported().assigned().at_desk(named=False))
    assert standing(picture) is Standing.WAITING
    assert due_at(picture) == at(2)
    assert verdict(picture, at(2.1)).state is State.OVERDUE


def test_report_that_nobody_assigns_is_late_after_a_minute():
    picture = fold(Story().reported())
    assert verdict(picture, at(0) + timedelta(seconds=59)).state is State.WAITING
    assert verdict(picture, at(0) + timedelta(seconds=61)).state is State.OVERDUE


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (0, "report-received"),
        (1, "case-assigned"),
        (4, "accepted by lkc"),
    ],
)
def test_case_without_a_needed_event_is_incomplete(lost, named):
    story = picked_up().status(Status.IN_PROGRESS)
    picture = fold(story, story.told[:lost] + story.told[lost + 1 :])
    judged = verdict(picture, at(10))
    assert judged.state is State.INCOMPLETE
    assert named in judged.missing


def test_skipped_decision_and_handoff_are_incomplete():
    story = STORIES["declined"]()
    without_first = [item for item in story.told if item is not story.told[1]]
    assert missing(fold(story, without_first)) == ("case-assigned 1",)
    onward = STORIES["handed-on"]()
    without_accept = [i for i in onward.told if getattr(i.event, "handoff", None) != 1]
    assert missing(fold(onward, without_accept)) == ("handoff 1",)


def test_parked_event_counts_until_it_is_redriven():
    parked_id = uuid4()
    story = picked_up().parked(parked_id)
    assert verdict(fold(story), at(10)).state is State.PARKED
    story.redriven(parked_id)
    assert verdict(fold(story), at(10)).state is State.PICKED_UP


def test_event_that_the_picture_does_not_need_changes_only_counts():
    story = picked_up()
    before = fold(story)
    event = ContentDisclosed(
        case_id=story.case_id,
        referral_id=story.referral_id,
        attempt=1,
        organisation="lkc",
        fields=(ContentField.NARRATIVE,),
        disclosed_at=at(6),
    )
    after = merge(before, event, seen(story.sources.publish("intake", event, at(6))))
    assert (after.entries, after.last_event_at) == (before.entries + 1, at(6))
    assert counts(after) == counts(before)


@pytest.mark.parametrize("name", ALL)
def test_each_case_has_exactly_one_standing(name):
    named = dict(zip(FACTS, counts(fold(ALL[name]())), strict=True))
    assert sum(named[item] for item in Standing) == named["cases"] == 1
