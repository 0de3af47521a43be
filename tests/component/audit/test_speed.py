"""Bounds that hold on a busy machine; the figures themselves are measured by the benchmark."""

import time
from uuid import UUID

from services.audit import completeness, store
from tests.unit.audit.builders import STORIES, Sources, at

CASES = 200_000


async def fill(superuser, store_events):
    sources = Sources()
    for build in STORIES.values():
        await store_events(build(sources).told)
    columns = [
        row["column_name"]
        for row in await superuser.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'case_picture'"
        )
    ]
    others = ", ".join(column for column in columns if column != "case_id")
    copies = CASES // len(STORIES)
    await superuser.execute(
        f"INSERT INTO case_picture (case_id, {others}) SELECT gen_random_uuid(), {others}"
        f" FROM case_picture, generate_series(1, {copies})"
    )
    await superuser.execute("UPDATE counter SET value = value * $1::bigint", copies + 1)
    await superuser.execute("VACUUM ANALYZE case_picture")


async def fastest(work, times=5):
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        durations.append(time.perf_counter() - started)
    return min(durations)


async def test_completeness_and_listing_are_fast_at_two_hundred_thousand_cases(
    connection, superuser, store_events
):
    await fill(superuser, store_events)
    total = await connection.fetchval("SELECT count(*) FROM case_picture")
    found = await completeness.measure(connection, at(10))
    assert found.counters["cases"] == total > CASES - len(STORIES)
    quiet = await fastest(lambda: completeness.measure(connection, at(10)))
    # Every case that can be late is late.
    late = await completeness.measure(connection, at(61))
    assert late.overdue == total // len(STORIES) * 4
    alarm = await fastest(lambda: completeness.measure(connection, at(61)))
    none = await fastest(lambda: store.unpicked(connection, UUID(int=0), 100, at(10)))
    assert quiet < 0.05
    assert alarm < 0.5
    assert none < 0.5
