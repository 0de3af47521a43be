"""The services that a hard scenario needs, each on a real PostgreSQL."""

import pytest_asyncio

from tests.component.audit.conftest import audit, audit_urls, connection, superuser
from tests.component.referral.conftest import world
from tests.component.routing.conftest import make_world
from tests.scenarios.simulated import Simulated

__all__ = ["audit", "audit_urls", "connection", "make_world", "superuser", "world"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(world):
    # The partners of the shipped list are in the table before a test changes one.
    await world.runtime._background["partners"].__self__.ready()
    made = Simulated(world)
    yield made
    await made.close()
