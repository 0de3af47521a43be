"""What was stored before a migration reads the same after it."""

import secrets
import shutil
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.provision import drop_databases, provision_databases
from services.audit import batch_store, log_store, store
from services.audit.batch_store import Changes
from services.audit.chain import EMPTY, conclude, extend, follow, link
from services.audit.domain import Entry, Picture
from services.audit.rules import FACTS, standing
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from tests.component.audit.conftest import MIGRATIONS
from tests.unit.audit.builders import at

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD = Picture(
    case_id=uuid4(),
    reference="MP-2222-3333",
    entries=7,
    report_id=uuid4(),
    received_at=at(1),
    kind="melding",
    first_channel="web",
    decisions_seen=1 << 62 | 2,
    organisation="vangnet",
    offer_sequence=3,
    accept_handoff=-1,
    handoff=0,
    parked_open=-1,
    last_event_at=at(9),
)

CASE = uuid4()
BARE = Entry(None, None, "s", 0, "e", "t", at(1), at(1), *[None] * 10, digest=bytes(32))
ENTRIES = [
    BARE,
    BARE._replace(sequence=2, event_id='a "quoted" \\ id / with\ttab'),
    Entry(
        case_id=CASE,
        entry=1,
        source="urn:nld:oin:00000004003214345001:systeem:meldpunt-referral",
        sequence=2**31 - 1,
        event_id=str(uuid4()),
        type="nl.sociale-veiligheid.meldingen.referral-status-changed.v1",
        time=at(2) + timedelta(microseconds=7),
        at=datetime(2027, 3, 28, 0, 59, 59, 999_999, tzinfo=UTC),
        holder="lkc",
        handoff=0,
        organisation="lkc",
        referral=str(uuid4()),
        attempt=1,
        status="accepted",
        reason="",
        next_actor="lkc",
        next_action="inform",
        next_due_at=at(9),
        digest=bytes(range(32)),
        facts='{"handed_over_by":"phone","signal":true}',
    ),
]


@pytest_asyncio.fixture(loop_scope="session")
async def urls(servers):
    """An empty database of audit, of its own for each test."""
    prefix = f"m{secrets.token_hex(4)}"
    yield (await provision_databases(servers.postgres_admin_url, prefix))["audit"]
    await drop_databases(servers.postgres_admin_url, prefix)


@asynccontextmanager
async def migrated(urls, folder: Path):
    """The owner's connection, with the migrations of a folder applied."""
    await migrate(urls.owner, [CHASSIS_MIGRATIONS, folder], 10)
    connection = await asyncpg.connect(urls.owner)
    try:
        yield connection
    finally:
        await connection.close()


async def write_in_columns(connection, logged):
    """Entries as they were written before they were texts."""
    await connection.copy_records_to_table(
        "trail",
        columns=["log_index", *Entry._fields, "leaf", "chain"],
        records=[(item.log_index, *item.entry, item.leaf, item.chain) for item in logged],
    )


async def test_pictures_in_columns_become_documents(urls, tmp_path: Path) -> None:
    async with migrated(urls, _until(3, tmp_path)) as connection:
        names = ", ".join(Picture._fields)
        places = ", ".join(f"${n}" for n in range(1, len(OLD) + 1))
        await connection.execute(
            f"INSERT INTO case_picture ({names}, standing) VALUES ({places}, 'parked')", *OLD
        )
    async with migrated(urls, MIGRATIONS) as connection:
        assert await store.pictures(connection, [OLD.case_id]) == {OLD.case_id: OLD}
        changed = OLD._replace(entries=8)
        judged = [(changed, standing(changed))]
        changes = Changes(EMPTY, judged, [], [0] * len(FACTS), [], [], {})
        await batch_store.write(connection, changes)
        assert (await store.picture(connection, OLD.case_id)) == OLD._replace(entries=8)


async def test_entries_in_columns_become_the_text_of_their_leaf(urls, tmp_path: Path) -> None:
    head, logged = extend(EMPTY, ENTRIES)
    async with migrated(urls, _until(6, tmp_path)) as connection:
        await write_in_columns(connection, logged)
    async with migrated(urls, MIGRATIONS) as connection:
        found = await log_store.page(connection, 0, 100)
        assert found == logged
        conclude(follow(EMPTY, map(link, found)), head)
        assert [i.entry.entry for i in await log_store.of_case(connection, CASE)] == [1]


async def test_a_log_that_was_changed_is_not_carried_over(urls, tmp_path: Path) -> None:
    _, logged = extend(EMPTY, ENTRIES)
    async with migrated(urls, _until(6, tmp_path)) as connection:
        await write_in_columns(connection, logged)
        await connection.execute("UPDATE trail SET sequence = 77 WHERE log_index = 1")
    with pytest.raises(asyncpg.RaiseError, match="entry 1 of the log does not give its leaf"):
        await migrate(urls.owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 10)


def _until(last: int, folder: Path) -> Path:
    """A folder with the migrations up to a number."""
    for file in sorted(MIGRATIONS.glob("[0-9]*.sql"))[:last]:
        shutil.copy(file, folder)
    return folder
