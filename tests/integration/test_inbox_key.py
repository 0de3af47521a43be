"""Events that had their effect before the inbox had short keys are known after it."""

import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.provision import DatabaseUrls
from services.chassis import inbox
from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from services.chassis.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = "urn:nld:oin:00000004003214345001:systeem:partner-é"
IDS = [
    str(new_id()),
    str(uuid4()),
    str(uuid4()).upper(),
    "7",
    "antwoord-van-maandag",
    "é" * 40,
    "12345678\n1234",
    "1234 678-12 4-and more",
    "00000000-0000",
    "0000000g-0000",
]


async def test_what_was_claimed_by_name_stays_claimed(
    databases: dict[str, DatabaseUrls], tmp_path: Path
) -> None:
    urls = databases["routing"]
    for file in sorted(CHASSIS_MIGRATIONS.glob("[0-9]*.sql"))[:2]:
        shutil.copy(file, tmp_path)
    await migrate(urls.owner, [tmp_path], 10)
    connection = await asyncpg.connect(urls.application)
    try:
        await connection.executemany(
            "INSERT INTO inbox (source, id) VALUES ($1, $2)", [(SOURCE, name) for name in IDS]
        )
        await migrate(urls.owner, [CHASSIS_MIGRATIONS], 10)
        await connection.reload_schema_state()
        known = [inbox.key_of(SOURCE, name) for name in IDS]
        new = inbox.key_of(SOURCE, str(uuid4()))
        assert await inbox.claim(connection, [*known, new]) == ({new}, False)
    finally:
        await connection.close()
