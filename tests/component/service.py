"""Helpers for tests of one service on the real database."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from contracts.envelope import Envelope
from contracts.event import Event
from deploy.local.provision import DatabaseUrls
from services.chassis.db import CHASSIS_MIGRATIONS, Database, migrate
from services.chassis.ids import new_id
from services.chassis.incoming import Received
from services.chassis.parked import Record

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def setting_values(urls: DatabaseUrls) -> dict[str, Any]:
    """Settings that every service needs, for a build that never touches Kafka."""
    return {
        "environment": "test",
        "http_port": 0,
        "database_url": SecretStr(urls.application),
        "kafka_bootstrap": "127.0.0.1:1",
        "auth_jwks": "unused.json",
        "auth_issuer": "urn:test",
    }


@contextlib.asynccontextmanager
async def open_database(urls: DatabaseUrls, migrations: Path) -> AsyncIterator[Database]:
    """The migrated database with the rights that the service has."""
    await migrate(urls.owner, [CHASSIS_MIGRATIONS, migrations], 20)
    database = Database(urls.application, 8, "test")
    await database.start(20)
    try:
        yield database
    finally:
        await database.stop()


def received(
    event: Event, case_id: UUID, *, source: str = "urn:test", sequence: int = 1
) -> Received:
    """An event as the chassis hands it to a handler."""
    envelope = Envelope(
        id=str(new_id()),
        source=source,
        type=event.event_type(),
        time=NOW,
        subject=str(case_id),
        sequence=sequence,
        data=event.encode(),
    )
    record = Record("test", 0, 0, str(case_id), (), envelope.data)
    return Received(envelope, event, record, TRACE)
