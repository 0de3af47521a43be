"""The servers of the test run, once for the whole session, and fresh databases per module.

The order of choice is that of `deploy.local.stack`: addresses from the environment, containers
where a Docker engine answers, else the embedded servers. A test sees no difference.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.provision import DatabaseUrls, drop_databases, provision_databases
from deploy.local.stack import ServerAddresses, running_servers

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerAddresses]:
    """Kafka and PostgreSQL; the data folder is kept between runs, so that a run starts fast."""
    with running_servers(ROOT / ".meldpunt" / "test", print) as addresses:
        yield addresses


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def databases(servers: ServerAddresses) -> AsyncIterator[dict[str, DatabaseUrls]]:
    """Empty databases of the four services with their roles, removed after the module."""
    prefix = f"test_{secrets.token_hex(4)}"
    urls = await provision_databases(servers.postgres_admin_url, prefix)
    yield urls
    await drop_databases(servers.postgres_admin_url, prefix)
