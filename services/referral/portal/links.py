"""Makes the link of a notice at the moment that the notice is sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from contracts.envelope import Envelope
from services.chassis.db import Database
from services.chassis.problem import LINK_PATH
from services.referral.portal import store
from services.referral.portal.tokens import digest_of, new_token


class Links:
    """Links below the public address of the page; without an address there are none."""

    def __init__(self, database: Database, portal_url: str) -> None:
        self._database = database
        self._base = f"{portal_url.rstrip('/')}{LINK_PATH}" if portal_url else None

    async def make(self, organisation: str, event: Envelope, now: datetime) -> str:
        """A new link to the referral of an event; empty when it is about none.

        Every try of a notice gets a link of its own, because no token is kept to be sent again.
        """
        data: dict[str, Any] = orjson.loads(event.data)
        if self._base is None or "referral_id" not in data:
            return ""
        token = new_token()
        digest = digest_of(token)
        assert digest is not None
        async with self._database.transaction() as connection:
            known = await store.add(
                connection, digest, organisation, UUID(data["referral_id"]), now
            )
        return f"{self._base}{token}" if known else ""
