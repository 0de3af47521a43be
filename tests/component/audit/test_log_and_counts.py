import asyncio
import random

import asyncpg
import pytest

from services.audit import completeness, log_store, store
from services.audit.chain import EMPTY, ChainBroken, conclude, follow, link
from services.audit.handlers import fold, handle
from services.audit.rules import FACTS
from tests.unit.audit.builders import STORIES, Sources, at, counts, picked_up


def told(sources=None, repeat=1):
    sources = sources or Sources()
    stories = [build(sources) for build in STORIES.values() for _ in range(repeat)]
    return stories, [item for story in stories for item in story.told]


async def whole_log(connection):
    return await log_store.page(connection, 0, 10_000)


async def check_log(connection):
    head = await log_store.head(connection)
    conclude(follow(EMPTY, map(link, await whole_log(connection))), head)
    return head


async def test_order_and_batches_do_not_matter(connection, store_events):
    stories, events = told(repeat=4)
    random.Random(7).shuffle(events)  # any fixed order but the published one
    for start in range(0, len(events), 37):
        await store_events(events[start : start + 37])
    found = await store.pictures(connection, [story.case_id for story in stories])
    rows = await connection.fetch("SELECT standing, count(*) FROM case_picture GROUP BY 1")
    assert len(found) == len(stories)
    assert dict(rows) == {"picked-up": 12, "at-desk": 12, "waiting": 4}
    assert (await check_log(connection)).size == len(events)


async def test_counters_equal_a_recount(connection, store_events):
    stories, events = told(repeat=5)
    random.Random(1).shuffle(events)
    # Not all events: some cases stay incomplete.
    events = events[: len(events) * 2 // 3]
    for start in range(0, len(events), 20):
        await store_events(events[start : start + 20])
    found = await store.pictures(connection, [story.case_id for story in stories])
    sums = [sum(column) for column in zip(*map(counts, found.values()), strict=True)]
    counters = await store.counters(connection)
    assert [counters[str(name)] for name in FACTS] == sums
    standings = await connection.fetch("SELECT standing, count(*) FROM case_picture GROUP BY 1")
    assert {k: v for k, v in counters.items() if k in dict(standings)} == dict(standings)
    assert counters["incomplete"] > 0


async def test_stored_picture_is_the_folded_one(connection, store_events):
    story = STORIES["declined"]()
    for item in story.told:
        await store_events([item])
    pictures, _ = fold({}, story.told)
    assert await store.picture(connection, story.case_id) == pictures[story.case_id]


async def test_gap_is_found_and_closes(connection, store_events):
    sources = Sources()
    _, events = told(sources)
    tallies = [sources.tally(service) for service in ("intake", "routing", "referral")]
    lost = events[2]
    await store_events([*[e for e in events if e is not lost], *tallies])
    found = await completeness.measure(connection, at(10))
    assert not found.complete
    assert [(h.source, h.first, h.last) for h in found.holes] == [
        (lost.envelope.source, lost.envelope.sequence, lost.envelope.sequence)
    ]
    await store_events([lost])
    found = await completeness.measure(connection, at(10))
    assert (found.holes, found.missing_events) == ([], 0)
    assert found.complete
    assert found.settled


async def test_lost_last_event_shows_by_the_tally(connection, store_events):
    sources = Sources()
    story = picked_up(sources)
    last = story.told[-1]
    await store_events(story.told[:-1])
    found = await completeness.measure(connection, at(10))
    assert found.complete
    assert not found.settled
    await store_events([sources.tally("referral")])
    found = await completeness.measure(connection, at(10))
    assert [(h.first, h.last) for h in found.holes] == [(last.envelope.sequence,) * 2]


async def test_a_source_that_was_set_back_is_noticed(connection, store_events):
    sources = Sources()
    story = picked_up(sources)
    source = story.told[0].envelope.source
    await store_events(story.told)
    assert (await completeness.measure(connection, at(10))).complete
    # Its database comes from an old backup: numbers that others have seen are given once more.
    sources.last[source] -= 1
    await store_events(picked_up(sources).told)
    found = await completeness.measure(connection, at(10))
    assert (found.missing_events, found.reused_sequences) == (0, 1)
    assert [p.source for p in found.sources if p.reused] == [source]
    assert not found.complete


async def test_tally_beyond_what_was_seen_shows_before_later_events(connection, store_events):
    sources = Sources()
    await store_events([sources.tally("intake", through=7)])
    found = await completeness.measure(connection, at(10))
    assert [(h.first, h.last) for h in found.holes] == [(2, 7)]


async def test_wholly_missing_blocks_are_one_hole(connection, store_events):
    sources = Sources()
    first = picked_up(sources)
    sources.last[first.told[0].envelope.source] = 5000
    await store_events([*first.told, *picked_up(sources).told])
    found = await completeness.measure(connection, at(10))
    assert [(h.first, h.last) for h in found.holes] == [(2, 5000)]
    assert found.missing_events == 4999


@pytest.mark.parametrize(
    "statement",
    ["UPDATE trail SET metadata = '{}'", "DELETE FROM trail", "TRUNCATE trail"],
)
async def test_application_cannot_change_the_log(connection, store_events, statement):
    await store_events(picked_up().told)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    assert (await check_log(connection)).size == 5


@pytest.mark.parametrize(
    ("tampering", "index"),
    [
        ("UPDATE trail SET metadata = replace(metadata, 'lkc', 'gcbo') WHERE log_index = 3", 3),
        (
            "UPDATE trail SET metadata = jsonb_set(metadata::jsonb, '{new}', '1') WHERE log_index = 1",
            1,
        ),
        ("UPDATE trail SET metadata = replace(metadata, '0Z\"', '1Z\"') WHERE log_index = 0", 0),
        ("UPDATE trail SET case_id = gen_random_uuid() WHERE log_index = 2", 2),
        ("UPDATE trail SET entry = 9 WHERE log_index = 2", 2),
        ("UPDATE trail SET case_id = NULL, entry = NULL WHERE log_index = 3", 3),
        ("UPDATE trail SET digest = sha256('x') WHERE log_index = 2", 2),
        ("DELETE FROM trail WHERE log_index = 1", 1),
        ("DELETE FROM trail WHERE log_index = 4", 4),
        ("UPDATE log_head SET chain = sha256('x')", 5),
    ],
)
async def test_tampering_is_found_where_it_was_done(
    connection, superuser, store_events, tampering, index
):
    await store_events(picked_up().told)
    await superuser.execute(tampering)
    with pytest.raises(ChainBroken) as broken:
        await check_log(connection)
    assert broken.value.log_index == index


async def test_failed_batch_leaves_nothing(connection, store_events):
    story = picked_up()
    await store_events(story.told[:2])
    before = await log_store.head(connection)

    transaction = connection.transaction()
    await transaction.start()
    await store_events(story.told[2:])
    await transaction.rollback()
    assert await log_store.head(connection) == before
    await store_events(story.told[2:])
    assert (await check_log(connection)).size == 5
    assert (await store.picture(connection, story.case_id)).holder == "lkc"


async def test_two_writers_make_one_log(audit_urls, connection):
    other = await asyncpg.connect(audit_urls.application)
    sources = Sources()
    _, events = told(sources, repeat=6)

    async def write(through, mine):
        for start in range(0, len(mine), 11):
            async with through.transaction():
                await handle(through, mine[start : start + 11])

    # Events of the same cases on both sides, in opposite orders.
    await asyncio.gather(write(connection, events[::2]), write(other, events[1::2][::-1]))
    await other.close()
    assert (await check_log(connection)).size == len(events)
    found = await completeness.measure(connection, at(10))
    assert found.complete
    assert found.counters["incomplete"] == 0
