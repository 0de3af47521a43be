"""Deadlines: what time does to a case happens once, also with several instances, never early."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from services.chassis.db import Connection, Database
from services.chassis.ids import Clock
from services.referral import escalation, legal_terms, records, store
from services.referral.domain import Case, Outcome, Referral, Verdict
from services.referral.effects import Count, Effects, Publishing
from services.referral.handlers import NOTICED

BATCH_MAX = 200
Fire = Callable[[Connection, datetime], Awaitable[int]]


class Deadlines:
    """Everything that happens because of time: expiry, reminders, warnings, what came too early.

    For `grace_seconds` after the start nothing expires, so that answers which came while this
    service was down are read before the silence is believed. `others` are more works of this
    kind; each claims its rows and gives how many there were.
    """

    def __init__(
        self,
        database: Database,
        publishing: Publishing,
        count: Count,
        clock: Clock,
        grace_seconds: float,
        others: Iterable[Fire] = (),
    ) -> None:
        self._database = database
        self._publishing = publishing
        self._count = count
        self._clock = clock
        self._grace_seconds = grace_seconds
        self._begun_at: float | None = None
        self._works: tuple[Fire, ...] = (
            self.notice,
            self.expire,
            self.tick,
            self.warn,
            *others,
        )

    async def work(self) -> None:
        """One round; call it regularly."""
        loop = asyncio.get_running_loop()
        if self._begun_at is None:
            self._begun_at = loop.time()
        if loop.time() < self._begun_at + self._grace_seconds:
            return
        for fire in self._works:
            claimed = BATCH_MAX
            while claimed >= BATCH_MAX:
                async with self._database.transaction() as connection:
                    claimed = await fire(connection, self._clock())

    async def expire(self, connection: Connection, now: datetime) -> int:
        """Offers whose time is over; gives how many cases were claimed.

        What another instance has locked is skipped: it is being handled there.
        """
        cases, live = await store.lock_due(connection, now, BATCH_MAX)
        if not cases:
            return 0
        effects = await self._effects(connection, cases.values(), live)
        for referral in live:
            if referral.due_at is not None and referral.due_at <= now:
                standing = effects.standing(referral.case_id)
                assert standing is not None
                reach = effects.reach(referral.organisation)
                self._took(effects, escalation.expire(standing, referral, reach, now), "expired")
        await effects.write(connection, now)
        return len(cases)

    async def tick(self, connection: Connection, now: datetime) -> int:
        """Reminders, and steps that have taken too long."""
        cases, live = await store.lock_timers(connection, now, BATCH_MAX)
        if not cases:
            return 0
        effects = await self._effects(connection, cases.values(), live)
        for case_id in cases:
            standing = effects.standing(case_id)
            assert standing is not None
            self._took(effects, escalation.tick(standing, now), "timer")
        await effects.write(connection, now)
        return len(cases)

    async def warn(self, connection: Connection, now: datetime) -> int:
        """Warnings of legal terms that end soon."""
        terms = await records.lock_terms(connection, now, BATCH_MAX)
        if not terms:
            return 0
        cases = await store.lock_cases(connection, [item.case_id for item in terms])
        live = await store.live_referrals(connection, cases)
        effects = await self._effects(connection, cases.values(), live)
        for term in terms:
            standing = effects.standing(term.case_id)
            assert standing is not None
            self._took(effects, legal_terms.warn(standing, term, now), "term")
            await records.warned(connection, term, legal_terms.after_warning(term, now))
        await effects.write(connection, now)
        return len(terms)

    async def notice(self, connection: Connection, now: datetime) -> int:
        """What the reporter did before the case was known here."""
        notices = await records.take_notices(connection, BATCH_MAX)
        if not notices:
            return 0
        cases = await store.lock_cases(connection, [case_id for case_id, _ in notices])
        live = await store.live_referrals(connection, cases)
        effects = await self._effects(connection, cases.values(), live)
        for case_id, kind in notices:
            standing = effects.standing(case_id)
            assert standing is not None
            self._took(effects, NOTICED[kind](standing, now), kind)
        await effects.write(connection, now)
        return len(notices)

    async def _effects(
        self, connection: Connection, cases: Iterable[Case], live: Iterable[Referral]
    ) -> Effects:
        partners = await store.partners(connection)
        known = {case.case_id: case for case in cases}
        return Effects(self._publishing, partners, known, live)

    def _took(self, effects: Effects, outcome: Outcome, what: str) -> None:
        if outcome.verdict is Verdict.APPLIED:
            self._count(what, outcome.verdict)
        effects.add(outcome, None)
