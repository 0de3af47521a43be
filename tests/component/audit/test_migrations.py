"""What was stored before a migration reads the same after it."""

import secrets
import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.provision import drop_databases, provision_databases
from services.audit import batch_store, store
from services.audit.batch_store import Changes
from services.audit.chain import EMPTY
from services.audit.domain import Picture
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


async def test_pictures_in_columns_become_documents(servers, tmp_path: Path) -> None:
    prefix = f"m{secrets.token_hex(4)}"
    urls = (await provision_databases(servers.postgres_admin_url, prefix))["audit"]
    try:
        await migrate(urls.owner, [CHASSIS_MIGRATIONS, _until(3, tmp_path)], 10)
        connection = await asyncpg.connect(urls.owner)
        names = ", ".join(Picture._fields)
        places = ", ".join(f"${n}" for n in range(1, len(OLD) + 1))
        await connection.execute(
            f"INSERT INTO case_picture ({names}, standing) VALUES ({places}, 'parked')", *OLD
        )
        await migrate(urls.owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 10)
        await connection.reload_schema_state()
        assert await store.pictures(connection, [OLD.case_id]) == {OLD.case_id: OLD}
        changed = OLD._replace(entries=8)
        judged = [(changed, standing(changed))]
        changes = Changes(EMPTY, judged, [], [0] * len(FACTS), [], [], {})
        await batch_store.write(connection, changes)
        assert (await store.picture(connection, OLD.case_id)) == OLD._replace(entries=8)
        await connection.close()
    finally:
        await drop_databases(servers.postgres_admin_url, prefix)


def _until(last: int, folder: Path) -> Path:
    """A folder with the migrations up to a number."""
    for file in sorted(MIGRATIONS.glob("[0-9]*.sql"))[:last]:
        shutil.copy(file, folder)
    return folder
