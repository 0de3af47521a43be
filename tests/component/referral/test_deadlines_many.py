"""Deadlines with a hundred thousand open cases: each fires once, none early, none late."""

from benchmarks.deadlines import LATE_SECONDS_MAX, measure


async def test_a_hundred_thousand_open_cases_hold_up_no_deadline(servers):
    found = await measure(servers.postgres_admin_url, cases=100_000, due=200, seconds=4.0)
    assert (found["fired"], found["twice"]) == (200, 0)
    assert 0 <= found["earliestSeconds"] <= found["latestSeconds"] <= LATE_SECONDS_MAX
