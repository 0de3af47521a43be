from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.calendar import end_of_day
from contracts.finding import (
    BoardReply,
    EscalatedBecause,
    FindingAction,
    FindingState,
    NoticeRole,
    Settlement,
    ToldBy,
)
from contracts.referral import DESK, ComplaintDecision, NextAction
from services.referral.findings import rules, times
from services.referral.findings.domain import Verdict
from services.referral.findings.ladder import fire
from services.referral.findings.replying import reply
from services.routing.regimes import regimes_of
from services.routing.register import load_register
from tests.unit.referral.findings.builders import (
    ADVICE,
    BINDING,
    BOARD,
    COMPLY,
    FEEDS,
    HELD,
    NOW,
    TODAY,
    finding,
    in_force,
    issued,
    said,
    shown,
)

REGIMES = [ADVICE, COMPLY, BINDING]


def passed(standing, feeds=FEEDS, in_force=None):
    """The finding at its next moment, and what happened then."""
    return fire(standing, feeds, HELD, standing.fires_at, in_force)


def run_out(standing, times_=20):
    """Everything that time alone does, as (event, rung, organisation)."""
    story = []
    for _ in range(times_):
        outcome = passed(standing)
        standing = outcome.finding
        for event in outcome.events:
            rung = (event.rung, event.organisation) if hasattr(event, "rung") else (event.actor,)
            story.append((event.event_name, *rung))
    return standing, story


def test_a_finding_starts_the_boards_term_and_tells_the_board():
    outcome = issued()
    standing = outcome.finding

    assert standing.state is FindingState.REPLY_DUE
    assert standing.reply_due_at == end_of_day(date(2026, 3, 30))
    # Summer time begins in these weeks: midnight in Amsterdam is then 22:00 UTC.
    assert standing.reply_due_at == datetime(2026, 3, 30, 22, 0, tzinfo=UTC)
    assert standing.step.actor == BOARD
    assert standing.step.of_case.action is NextAction.REPLY_TO_FINDING
    [event], [notice] = outcome.events, outcome.notices
    assert (event.regime, event.register_version, event.kind) == ("advice_law", "2026-1", "advice")
    assert event.next_step == standing.step.of_case
    assert (notice.organisation, notice.role) == (BOARD, NoticeRole.BOARD)


@pytest.mark.parametrize(
    ("issued_on", "last_day"),
    [
        (date(2026, 3, 9), date(2026, 4, 7)),  # 6 April is Easter Monday
        (date(2026, 11, 27), date(2026, 12, 28)),  # Christmas Day, Boxing Day, Sunday
        (date(2026, 3, 30), date(2026, 4, 28)),  # the King's birthday
        (date(2026, 2, 28), date(2026, 3, 30)),  # a Saturday
    ],
)
def test_the_last_day_is_put_off_to_a_working_day(issued_on, last_day):
    assert times.last_reply_day(issued_on, 4) == last_day


def test_a_term_of_more_than_twelve_weeks_is_not_put_off():
    assert times.last_reply_day(date(2026, 2, 28), 13) == date(2026, 5, 30)


def test_a_finding_that_comes_late_still_lets_the_board_be_asked():
    standing = finding(issued_on=TODAY - timedelta(weeks=6))
    assert standing.reply_due_at < NOW
    assert standing.step.due_at == end_of_day(date(2026, 3, 9))
    assert standing.fires_at == standing.step.due_at


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"decision": ComplaintDecision.WITHDRAWN}, Verdict.ILLEGAL),
        ({"decision": ComplaintDecision.INADMISSIBLE}, Verdict.ILLEGAL),
        ({"issued_on": TODAY + timedelta(days=1)}, Verdict.DATE_REFUSED),
        ({"issued_on": TODAY - timedelta(days=367)}, Verdict.DATE_REFUSED),
    ],
)
def test_what_is_no_finding(changes, verdict):
    outcome = issued(**changes)
    assert (outcome.verdict, outcome.events) == (verdict, ())


def test_a_finding_waits_for_its_regime_and_takes_it_when_it_comes():
    waiting = finding(None)
    assert waiting.state is FindingState.ISSUED
    assert waiting.step.action is FindingAction.FIND_REGIME

    still = passed(waiting)
    assert still.finding.state is FindingState.ISSUED
    assert still.events[0].actor == DESK
    begun = passed(still.finding, in_force=in_force(COMPLY))
    assert begun.finding.state is FindingState.REPLY_DUE
    assert begun.finding.regime.regime.id == "comply_law"
    assert begun.events[0].kind == "comply-or-report"


def test_the_board_is_reminded_once_a_week_before_and_then_silent():
    standing = finding()
    early = fire(standing, FEEDS, HELD, standing.fires_at - timedelta(seconds=1))
    assert early.verdict is Verdict.NOT_DUE

    reminded = passed(standing)
    assert standing.fires_at == standing.step.due_at - timedelta(days=7)
    assert (reminded.events[0].actor, reminded.events[0].number) == (BOARD, 1)
    assert reminded.notices[0].organisation == BOARD
    assert reminded.finding.fires_at == standing.step.due_at

    silent = passed(reminded.finding)
    assert silent.finding.state is FindingState.SILENT
    assert silent.finding.silent_at == standing.step.due_at
    [event] = silent.events
    assert (event.because, event.rung, event.organisation) == (EscalatedBecause.SILENCE, 0, DESK)
    # The board may have answered the committee: that one is asked.
    assert silent.notices[0].organisation == "lkc"


def test_a_reminder_that_comes_late_is_no_early_silence():
    standing = finding()
    outcome = fire(standing, FEEDS, HELD, standing.step.due_at - timedelta(seconds=1))
    assert outcome.finding.state is FindingState.REPLY_DUE
    assert outcome.finding.fires_at == standing.step.due_at


def test_after_a_standstill_silence_comes_without_a_stale_reminder():
    standing = finding()
    outcome = fire(standing, FEEDS, HELD, standing.step.due_at + timedelta(days=30))
    assert [event.event_name for event in outcome.events] == ["finding-escalated"]


@pytest.mark.parametrize(
    ("regime", "rungs"),
    [
        (ADVICE, ["inspectie", "raad_van_toezicht", "rechter"]),
        (COMPLY, ["inspectie", "raad_van_toezicht", "rechter"]),
        (BINDING, ["inspectie", "rechter"]),
    ],
    ids=lambda value: value.id if hasattr(value, "id") else "",
)
def test_silence_takes_the_ladder_of_the_regime_and_never_closes(regime, rungs):
    standing, story = run_out(finding(regime))

    assert story[:2] == [("finding-reminded", BOARD), ("finding-escalated", 0, DESK)]
    steps = story[2 : 2 + len(rungs)]
    assert steps == [("finding-escalated", n, name) for n, name in enumerate(rungs, 1)]
    assert set(story[2 + len(rungs) :]) == {("finding-reminded", DESK)}
    assert standing.told == tuple(rungs)
    assert standing.open
    assert standing.state is FindingState.WITH_SUPERVISOR


@pytest.mark.parametrize(
    ("regime", "actor", "action", "due", "rungs"),
    [
        (ADVICE, DESK, FindingAction.CHECK_REPLY, date(2026, 3, 16), ["raad_van_toezicht", "rechter"]),
        (COMPLY, BOARD, FindingAction.REPORT_DEVIATION, date(2026, 3, 9), ["inspectie", "kinderombudsman"]),
        (BINDING, DESK, FindingAction.CHECK_REPLY, None, ["rechter"]),
    ],
)  # fmt: skip
def test_the_same_deviation_takes_its_own_path_under_each_regime(regime, actor, action, due, rungs):
    outcome = reply(finding(regime), said(BoardReply.DOES_NOT_FOLLOW), HELD, NOW)
    standing = outcome.finding

    assert standing.state is FindingState.NOT_FOLLOWED
    assert (standing.step.actor, standing.step.action) == (actor, action)
    assert standing.step.due_at == (end_of_day(due) if due else NOW)
    _, story = run_out(standing)
    assert story[: len(rungs)] == [
        ("finding-escalated", n, name) for n, name in enumerate(rungs, 1)
    ]


def test_who_has_no_feed_is_told_by_the_desk():
    standing = reply(finding(BINDING), said(BoardReply.PARTLY), HELD, NOW).finding
    outcome = passed(standing)
    assert (outcome.events[0].organisation, outcome.events[0].told_by) == ("rechter", ToldBy.DESK)
    assert outcome.events[0].because is EscalatedBecause.DEVIATION
    assert outcome.notices == ()
    # Told is not acting: the desk stays who acts next.
    assert outcome.finding.step.actor == DESK


def test_a_motivated_deviation_moves_the_term_once():
    outcome = reply(finding(), said(BoardReply.DEVIATES_FROM_TERM), HELD, NOW)
    standing = outcome.finding
    new_date = TODAY + timedelta(weeks=10)
    assert standing.state is FindingState.DEVIATION_ANNOUNCED
    assert standing.reply_due_at == end_of_day(new_date)
    assert standing.step.actor == BOARD
    assert standing.reply is None
    assert outcome.events[0].new_date == new_date
    assert outcome.notices[0].organisation == "lkc"

    again = reply(standing, said(BoardReply.DEVIATES_FROM_TERM), HELD, NOW)
    assert again.verdict is Verdict.DEVIATED_ALREADY
    _, story = run_out(standing, 3)
    assert story == [
        ("finding-reminded", BOARD),
        ("finding-escalated", 0, DESK),
        ("finding-escalated", 1, "inspectie"),
    ]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"reasons": None}, Verdict.REASONS_MISSING),
        ({"new_date": None}, Verdict.DATE_REFUSED),
        ({"new_date": date(2026, 3, 30)}, Verdict.DATE_REFUSED),
        ({"new_date": TODAY + timedelta(days=400)}, Verdict.DATE_REFUSED),
        ({"by": DESK}, Verdict.EVIDENCE_MISSING),
        ({"replied_on": TODAY + timedelta(days=1)}, Verdict.DATE_REFUSED),
        ({"replied_on": TODAY - timedelta(days=1)}, Verdict.DATE_REFUSED),
    ],
)
def test_a_deviation_that_cannot_stand(changes, verdict):
    outcome = reply(finding(), said(BoardReply.DEVIATES_FROM_TERM, **changes), HELD, NOW)
    assert (outcome.verdict, outcome.events) == (verdict, ())


def _silent():
    return passed(passed(finding()).finding).finding


def test_after_the_term_its_date_cannot_move_but_a_late_reply_counts():
    standing = _silent()
    now = standing.changed_at + timedelta(hours=1)
    day = times.today(now)
    late = reply(standing, said(BoardReply.DEVIATES_FROM_TERM, day), HELD, now)
    assert late.verdict is Verdict.DEVIATION_TOO_LATE

    follows = reply(standing, said(BoardReply.FOLLOWS, day), HELD, now)
    assert follows.finding.state is FindingState.REPLIED_FOLLOWING
    assert follows.events[0].late
    assert follows.finding.silent_at == standing.silent_at


def test_a_reply_in_time_that_only_the_committee_had_was_no_silence():
    standing = _silent()
    now = standing.changed_at + timedelta(days=1)
    letter = said(BoardReply.DOES_NOT_FOLLOW, date(2026, 3, 30), by=DESK, digest="ab" * 32)
    outcome = reply(standing, letter, HELD, now)
    assert not outcome.events[0].late
    assert outcome.events[0].on_behalf
    assert outcome.events[0].reply_days == 28
    assert outcome.finding.silent_at is None


def test_what_was_promised_must_show():
    promised = said(BoardReply.FOLLOWS, measures_by=date(2026, 5, 1))
    standing = reply(finding(), promised, HELD, NOW).finding
    assert standing.step.action is FindingAction.SHOW_MEASURES
    assert standing.fires_at == end_of_day(date(2026, 5, 1))

    asked = passed(standing)
    assert (asked.finding.step.actor, asked.events[0].number) == (DESK, 1)
    unshown = passed(asked.finding)
    assert unshown.finding.state is FindingState.SILENT
    assert unshown.events[0].because is EscalatedBecause.NO_EVIDENCE
    # It did reply: the figure of silent boards is not about this one.
    assert unshown.finding.silent_at is None
    told = passed(unshown.finding)
    assert told.events[0].organisation == "inspectie"
    assert told.events[0].because is EscalatedBecause.NO_EVIDENCE


@pytest.mark.parametrize("by", ["lkc", DESK])
def test_confirmed_evidence_settles(by):
    standing = reply(finding(), said(BoardReply.FOLLOWS), HELD, NOW).finding
    noted = rules.evidence(standing, shown(by, confirms=False), HELD, NOW)
    assert (noted.finding.state, noted.events) == (FindingState.REPLIED_FOLLOWING, ())

    outcome = rules.evidence(noted.finding, shown(by), HELD, NOW + timedelta(days=30))
    assert outcome.finding.state is FindingState.FOLLOWED
    assert outcome.finding.step is None
    [event] = outcome.events
    assert (event.settlement, event.settled_by, event.evidence) == (Settlement.FOLLOWED, by, 2)
    assert event.settle_days == 30
    assert event.next_step is None


@pytest.mark.parametrize(
    ("answer", "by", "verdict"),
    [
        (None, "lkc", Verdict.REPLY_MISSING),
        (BoardReply.FOLLOWS, "inspectie", Verdict.ILLEGAL),
        (BoardReply.DOES_NOT_FOLLOW, "lkc", Verdict.REPLY_MISSING),
    ],
)
def test_who_cannot_confirm_or_when(answer, by, verdict):
    standing = finding()
    if answer:
        standing = reply(standing, said(answer), HELD, NOW).finding
    assert rules.evidence(standing, shown(by), HELD, NOW).verdict is verdict


def test_the_desk_is_rung_zero_also_after_a_supervisor_was_told():
    standing = passed(_silent()).finding
    now = standing.changed_at
    standing = reply(standing, said(BoardReply.FOLLOWS, times.today(now)), HELD, now).finding
    _, story = run_out(standing, 4)
    assert story == [
        ("finding-reminded", DESK),
        ("finding-escalated", 0, DESK),
        ("finding-escalated", 2, "raad_van_toezicht"),
        ("finding-escalated", 3, "rechter"),
    ]


def test_evidence_of_tomorrow_is_no_evidence():
    tomorrow = replace(shown(), day=TODAY + timedelta(days=1))
    assert rules.evidence(finding(), tomorrow, HELD, NOW).verdict is Verdict.DATE_REFUSED


def test_a_board_can_come_round():
    standing = reply(finding(), said(BoardReply.DOES_NOT_FOLLOW), HELD, NOW).finding
    standing = passed(standing).finding
    assert standing.state is FindingState.WITH_SUPERVISOR
    now = standing.changed_at
    outcome = reply(standing, said(BoardReply.FOLLOWS, times.today(now)), HELD, now)
    assert outcome.finding.state is FindingState.REPLIED_FOLLOWING
    assert outcome.finding.told == ("raad_van_toezicht",)


def test_the_desk_ends_only_what_went_up_the_whole_ladder():
    standing = reply(finding(), said(BoardReply.DOES_NOT_FOLLOW), HELD, NOW).finding
    early = rules.settle(standing, Settlement.NOT_FOLLOWED, HELD, NOW)
    assert early.verdict is Verdict.LADDER_NOT_DONE

    standing = passed(passed(standing).finding).finding
    now = standing.changed_at
    assert rules.settle(standing, Settlement.NO_REPLY, HELD, now).verdict is Verdict.ILLEGAL
    partly = rules.settle(standing, Settlement.PARTLY_FOLLOWED, HELD, now)
    assert partly.verdict is Verdict.EVIDENCE_MISSING
    followed = rules.settle(standing, Settlement.FOLLOWED, HELD, now)
    assert followed.verdict is Verdict.EVIDENCE_MISSING
    outcome = rules.settle(standing, Settlement.NOT_FOLLOWED, HELD, now)
    assert outcome.finding.state is FindingState.CLOSED
    assert outcome.events[0].settled_by == DESK

    again = rules.settle(outcome.finding, Settlement.NOT_FOLLOWED, HELD, now)
    other = rules.settle(outcome.finding, Settlement.NO_REPLY, HELD, now)
    assert (again.verdict, other.verdict) == (Verdict.DUPLICATE, Verdict.ENDED)


@pytest.mark.parametrize("state", ["issued", "reply-due", "replied-following"])
def test_nothing_is_ended_by_silence(state):
    standing = finding(None if state == "issued" else ADVICE)
    if state == "replied-following":
        standing = reply(standing, said(BoardReply.FOLLOWS), HELD, NOW).finding
    for settlement in (Settlement.NO_REPLY, Settlement.NOT_FOLLOWED, Settlement.PARTLY_FOLLOWED):
        assert rules.settle(standing, settlement, HELD, NOW).verdict in {
            Verdict.REPLY_MISSING,
            Verdict.EVIDENCE_MISSING,
        }
    for settlement in (Settlement.WITHDRAWN, Settlement.ENTERED_IN_ERROR):
        assert rules.settle(standing, settlement, HELD, NOW).finding.settlement is settlement


@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_that_names_nobody_leaves_the_desk(regime):
    nobody = regime.model_copy(update={"after_silence": (), "after_deviation": ()})
    standing = reply(finding(nobody), said(BoardReply.DOES_NOT_FOLLOW), HELD, NOW).finding
    assert standing.step.actor == DESK
    assert standing.step.due_at > NOW
    assert passed(standing).events[0].event_name == "finding-reminded"
    assert rules.settle(standing, Settlement.NOT_FOLLOWED, HELD, NOW).verdict is Verdict.APPLIED


def test_each_regime_of_the_register_gives_the_same_case_its_own_path():
    paths = {}
    for regime in regimes_of(load_register()):
        law = regime.model_copy(update={"valid_from": date(2020, 1, 1)})
        standing = reply(finding(law), said(BoardReply.DOES_NOT_FOLLOW), HELD, NOW).finding
        _, story = run_out(standing, 4)
        told = tuple(step[2] for step in story if step[0] == "finding-escalated")
        paths[regime.finding] = (standing.step.actor, standing.step.due_at, told)

    assert paths.keys() == {"advice", "comply-or-report", "binding"}
    assert len(set(paths.values())) == 3
    assert paths["comply-or-report"][0] == BOARD
    assert paths["comply-or-report"][2][0] == "inspectie"
    assert paths["binding"][1] == NOW
    assert all(told[-1] == "rechter" for _, _, told in paths.values())
