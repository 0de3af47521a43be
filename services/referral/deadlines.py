"""Deadlines: silence beyond a due time moves the case on, once, also with several instances."""

import asyncio

from contracts.referral import Status
from services.chassis.db import Connection, Database
from services.chassis.ids import Clock
from services.referral import rules, store
from services.referral.domain import Verdict
from services.referral.effects import Count, Effects, Publishing

BATCH_MAX = 200


class Deadlines:
    """Expires referrals whose due time has passed.

    For `grace_seconds` after the start nothing expires, so that answers which came while this
    service was down are read before the silence is believed.
    """

    def __init__(
        self,
        database: Database,
        publishing: Publishing,
        count: Count,
        clock: Clock,
        grace_seconds: float,
    ) -> None:
        self._database = database
        self._publishing = publishing
        self._count = count
        self._clock = clock
        self._grace_seconds = grace_seconds
        self._begun_at: float | None = None

    async def work(self) -> None:
        """One round; call it regularly."""
        loop = asyncio.get_running_loop()
        if self._begun_at is None:
            self._begun_at = loop.time()
        if loop.time() < self._begun_at + self._grace_seconds:
            return
        while True:
            async with self._database.transaction() as connection:
                fired = await self.fire(connection)
            if fired < BATCH_MAX:
                return

    async def fire(self, connection: Connection) -> int:
        """Expire one batch in the caller's transaction; gives how many cases were claimed.

        What another instance has locked is skipped: it is being handled there.
        """
        now = self._clock()
        cases, due = await store.lock_due(connection, now, BATCH_MAX)
        if not due:
            return 0
        channels = await store.channels(connection)
        effects = Effects(self._publishing, channels, cases, due)
        for referral in due:
            outcome = rules.expire(effects.cases[referral.case_id], referral, now)
            if outcome.verdict is Verdict.APPLIED:
                self._count(Status.FAILED.value, outcome.verdict)
            effects.add(outcome, None)
        await effects.write(connection, now)
        return len(cases)
