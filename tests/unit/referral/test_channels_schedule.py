from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Envelope
from contracts.referral import DeliveryState
from contracts.situation import Urgency
from services.referral.channels import rules
from services.referral.channels.domain import (
    OF_THE_EVENT,
    DeliveryStatus,
    Job,
    Lane,
    Push,
    Try,
    TryProblem,
)
from services.referral.channels.options import ChannelOptions
from services.referral.channels.schedule import (
    ATTEMPTS_MAX,
    ESCALATE_AFTER,
    GIVE_UP_AFTER,
    RETRY_AFTER_SECONDS_MAX,
    lane_pause,
    next_try_at,
    retry_after_seconds,
)
from services.referral.channels.webhook import judge

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT = UUID("0198c0de-0000-7000-8000-000000000001")
TIMEOUT = Try(TryProblem.TIMEOUT)


def job(attempts: int = 1, event_id: UUID = EVENT) -> Job:
    event = Envelope(str(event_id), "urn:x", "t", NOW, str(uuid4()), 1, b"{}")
    return Job("school", Push.WEBHOOK, attempts, event)


def lane(**changes) -> Lane:
    return Lane(**({"organisation": "school", "channel": Push.WEBHOOK,
                    "state": DeliveryState.DELIVERED, "since": NOW} | changes))  # fmt: skip


def moments(event_id: UUID) -> list[datetime]:
    found = [NOW]
    while (again := next_try_at(event_id, len(found), found[-1])) is not None:
        found.append(again)
    return found


@given(st.uuids())
def test_the_tries_of_any_event_span_at_least_75_hours_and_end_before_it_is_given_up(event_id):
    found = moments(event_id)
    assert len(found) == ATTEMPTS_MAX
    assert timedelta(hours=75) <= found[-1] - NOW < GIVE_UP_AFTER
    assert all(later > sooner for sooner, later in pairwise(found))
    assert found[1] - NOW <= timedelta(seconds=6)


def test_the_spread_is_fixed_by_the_event_and_differs_between_events():
    assert moments(EVENT) == moments(EVENT)
    seconds = {(next_try_at(uuid4(), 2, NOW) - NOW).total_seconds() for _ in range(200)}
    assert len(seconds) > 150
    assert max(seconds) - min(seconds) > 30


@given(st.uuids(), st.integers(1, ATTEMPTS_MAX - 1), st.integers(0, 10**9))
def test_retry_after_only_lengthens_and_is_bounded(event_id, attempts, asked):
    plain = next_try_at(event_id, attempts, NOW)
    longer = next_try_at(event_id, attempts, NOW, asked)
    assert longer >= plain
    assert longer <= max(plain, NOW + timedelta(seconds=RETRY_AFTER_SECONDS_MAX))
    if asked <= RETRY_AFTER_SECONDS_MAX:
        assert longer >= NOW + timedelta(seconds=asked)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 7 ", 7),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("99999999999999999999", RETRY_AFTER_SECONDS_MAX),
        ("Mon, 02 Mar 2026 09:10:00 GMT", 600),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("Mon, 02 Mar 2099 08:00:00 GMT", RETRY_AFTER_SECONDS_MAX),
        ("٣", None),
    ],
)
def test_retry_after_is_read_or_ignored(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds


def test_acute_cases_take_the_fallback_within_minutes():
    assert ESCALATE_AFTER[Urgency.ACUUT] <= timedelta(minutes=5)
    assert ESCALATE_AFTER[Urgency.ACUUT] < ESCALATE_AFTER[Urgency.SPOED] < GIVE_UP_AFTER
    assert set(ESCALATE_AFTER) == set(Urgency)


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, None),
        (201, None),
        (204, None),
        (301, TryProblem.REDIRECT),
        (302, TryProblem.REDIRECT),
        (308, TryProblem.REDIRECT),
        (304, TryProblem.REDIRECT),
        (400, TryProblem.REJECTED),
        (409, TryProblem.REJECTED),
        (422, TryProblem.REJECTED),
        (401, TryProblem.REFUSED),
        (404, TryProblem.REFUSED),
        (408, TryProblem.BUSY),
        (429, TryProblem.BUSY),
        (503, TryProblem.BUSY),
        (410, TryProblem.GONE),
        (500, TryProblem.SERVER_ERROR),
        (502, TryProblem.SERVER_ERROR),
        (504, TryProblem.SERVER_ERROR),
        (101, TryProblem.SERVER_ERROR),
        (999, TryProblem.SERVER_ERROR),
    ],
)
def test_only_2xx_is_a_success(status, problem):
    assert judge(status, None, NOW).problem is problem


def test_a_try_settles_its_delivery():
    assert rules.settle(job(), Try(), NOW).status is DeliveryStatus.DELIVERED
    waits = rules.settle(job(), TIMEOUT, NOW)
    assert (waits.status, waits.problem) == (DeliveryStatus.WAITING, TryProblem.TIMEOUT)
    assert waits.next_try_at > NOW
    assert rules.settle(job(ATTEMPTS_MAX), TIMEOUT, NOW).status is DeliveryStatus.FAILED
    assert rules.settle(job(), Try(TryProblem.GONE), NOW).status is DeliveryStatus.FAILED


def test_a_lane_in_trouble_pauses_and_asks_with_one_request():
    after = rules.lane_after(lane(), [(job(), TIMEOUT), (job(), TIMEOUT)], NOW)
    assert (after.state, after.failures) == (DeliveryState.RETRYING, 1)
    assert after.paused_until > NOW
    assert rules.in_flight_max(lane(), 4) == 4
    assert rules.in_flight_max(after, 4) == 1


def test_one_success_shows_that_the_endpoint_works():
    sick = lane(state=DeliveryState.RETRYING, failures=7, paused_until=NOW)
    after = rules.lane_after(sick, [(job(), TIMEOUT), (job(), Try())], NOW)
    assert after == lane()


def test_refused_events_do_not_stop_a_lane_until_there_are_many():
    after = lane()
    for count in range(1, rules.REJECTED_IN_A_ROW_MAX):
        after = rules.lane_after(after, [(job(), Try(TryProblem.REJECTED))], NOW)
        assert (after.state, after.failures, after.paused_until) == (
            DeliveryState.DELIVERED,
            count,
            None,
        )
    after = rules.lane_after(after, [(job(), Try(TryProblem.REJECTED))], NOW)
    assert after.state is DeliveryState.RETRYING
    assert after.paused_until is not None


def test_a_410_switches_the_lane_off_at_once():
    after = rules.lane_after(lane(), [(job(), Try()), (job(), Try(TryProblem.GONE))], NOW)
    assert (after.enabled, after.state) == (False, DeliveryState.FAILED)
    assert rules.lane_after(after, [(job(), Try())], NOW) == after
    assert rules.working(after, NOW).enabled


def test_the_end_of_the_table_fails_the_lane_and_only_a_success_ends_that():
    later = NOW + timedelta(hours=76)
    sick = lane(state=DeliveryState.RETRYING, failures=30)
    failed = rules.lane_after(sick, [(job(ATTEMPTS_MAX), TIMEOUT)], later)
    assert (failed.state, failed.since, failed.enabled) == (DeliveryState.FAILED, later, True)
    still = rules.lane_after(failed, [(job(1), TIMEOUT)], later + timedelta(hours=1))
    assert (still.state, still.since) == (DeliveryState.FAILED, later)
    assert rules.lane_after(still, [(job(2), Try())], later).state is DeliveryState.DELIVERED


_tries = st.lists(
    st.tuples(
        st.builds(job, st.integers(1, ATTEMPTS_MAX), st.uuids()),
        st.builds(Try, st.one_of(st.none(), st.sampled_from(TryProblem))),
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(_tries, max_size=20))
def test_a_lane_never_stops_silently(rounds):
    present, now = lane(), NOW
    for tries in rounds:
        now += timedelta(minutes=1)
        present = rules.lane_after(present, tries, now)
        # Off means failed, which is told; on means that it asks again within a quarter of an hour.
        assert present.enabled or present.state is DeliveryState.FAILED
        if present.paused_until is not None:
            assert now < present.paused_until <= now + timedelta(minutes=18)
        healthy = all(t.problem is None or t.problem in OF_THE_EVENT for _, t in tries)
        if not healthy and all(t.problem is not None for _, t in tries):
            assert present.state is not DeliveryState.DELIVERED


def test_the_pause_of_a_lane_grows_to_a_quarter_of_an_hour():
    pauses = [lane_pause(count, EVENT) for count in range(1, 60)]
    assert pauses[0] <= timedelta(seconds=6)
    assert timedelta(minutes=15) <= pauses[-1] <= timedelta(minutes=18)
    assert lane_pause(1, EVENT, 3600) == timedelta(hours=1)


@pytest.mark.parametrize(
    "values",
    [
        {"webhook_allow_loopback": True},
        {"smtp_starttls": False},
        {"portal_url": "http://portaal.nl"},
        {"lease_seconds": 10, "try_seconds_max": 15},
    ],
)
def test_what_is_only_for_development_is_refused_in_production(values):
    options = ChannelOptions(**values)
    with pytest.raises(ValueError):
        options.check("production")
    ChannelOptions().check("production")


def test_networks_of_the_settings_must_be_networks():
    with pytest.raises(ValueError):
        ChannelOptions(webhook_denied_networks=("145.100.0.1/16",))
