"""Deadlines: what time does to a case happens once, also with several instances, never early."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.chassis.db import Connection, Database
from services.chassis.errors import is_transient
from services.chassis.ids import Clock
from services.chassis.telemetry import Logger
from services.referral import escalation, legal_terms, postponing, records, store
from services.referral.domain import Case, LegalTerm, Outcome, Referral, Verdict
from services.referral.effects import Count, Effects, Publishing
from services.referral.handlers import NOTICED
from services.referral.postponing import PutOff

BATCH_MAX = 200
Fire = Callable[[Connection, datetime], Awaitable[int]]
Act = Callable[[Effects, UUID], None]
"""What time does to one case, in memory."""


class Deadlines:
    """Everything that happens because of time: expiry, reminders, warnings, what came too early.

    For `grace_seconds` after the start nothing expires, so that answers which came while this
    service was down are read before the silence is believed. `others` are more works of this
    kind; each claims its rows and gives how many there were. One case that cannot be handled is
    logged and put off; it holds up no other case, and one work no other work.
    """

    def __init__(
        self,
        database: Database,
        publishing: Publishing,
        count: Count,
        clock: Clock,
        grace_seconds: float,
        others: Iterable[Fire] = (),
        log: Logger | None = None,
    ) -> None:
        self._log = log
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
        defects: list[Exception] = []
        for fire in self._works:
            try:
                await self._all_of(fire)
            except Exception as error:
                if is_transient(error):
                    raise
                if self._log is None:
                    defects.append(error)
                    continue
                # A service that ends for it would end again and again, and offer nothing meanwhile.
                name = type(error).__name__
                self._log.error("deadlines_defect", work=fire.__qualname__, error=name)
        if defects:
            raise defects[0]

    async def _all_of(self, fire: Fire) -> None:
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

        def act(effects: Effects, case_id: UUID) -> None:
            standing = effects.standing(case_id)
            assert standing is not None
            request = standing.request
            if request is not None and request.due_at is not None and request.due_at <= now:
                reach = effects.reach(request.organisation)
                self._took(effects, escalation.expire(standing, request, reach, now), "expired")

        await self._each(connection, cases, live, now, act, postponing.offer)
        return len(cases)

    async def tick(self, connection: Connection, now: datetime) -> int:
        """Reminders, and steps that have taken too long."""
        cases, live = await store.lock_timers(connection, now, BATCH_MAX)
        if not cases:
            return 0

        def act(effects: Effects, case_id: UUID) -> None:
            standing = effects.standing(case_id)
            assert standing is not None
            self._took(effects, escalation.tick(standing, now), "timer")

        await self._each(connection, cases, live, now, act, postponing.timer)
        return len(cases)

    async def warn(self, connection: Connection, now: datetime) -> int:
        """Warnings of legal terms that end soon."""
        terms = await records.lock_terms(connection, now, BATCH_MAX)
        if not terms:
            return 0
        cases = await store.lock_cases(connection, [item.case_id for item in terms])
        live = await store.live_referrals(connection, cases)
        of_case: dict[UUID, list[LegalTerm]] = {}
        for term in terms:
            of_case.setdefault(term.case_id, []).append(term)
        ahead = [legal_terms.after_warning(term, now) for term in terms]
        await records.warned(connection, terms, ahead)

        def act(effects: Effects, case_id: UUID) -> None:
            for term in of_case[case_id]:
                standing = effects.standing(case_id)
                assert standing is not None
                self._took(effects, legal_terms.warn(standing, term, now), "term")

        async def put_off(connection: Connection, case_id: UUID, until: datetime) -> None:
            names = [term.term for term in of_case[case_id]]
            await postponing.warnings(connection, case_id, names, until)

        await self._each(connection, cases, live, now, act, put_off)
        return len(terms)

    async def notice(self, connection: Connection, now: datetime) -> int:
        """What the reporter did before the case was known here."""
        notices = await records.take_notices(connection, BATCH_MAX)
        if not notices:
            return 0
        cases = await store.lock_cases(connection, [case_id for case_id, _ in notices])
        live = await store.live_referrals(connection, cases)
        kinds: dict[UUID, list[str]] = {}
        for case_id, kind in notices:
            kinds.setdefault(case_id, []).append(kind)

        def act(effects: Effects, case_id: UUID) -> None:
            for kind in kinds[case_id]:
                standing = effects.standing(case_id)
                assert standing is not None
                self._took(effects, NOTICED[kind](standing, now), kind)

        async def keep(connection: Connection, case_id: UUID, _: datetime) -> None:
            again = [(case_id, kind) for kind in kinds[case_id]]
            await records.save_notices(connection, again, now)

        await self._each(connection, cases, live, now, act, keep)
        return len(notices)

    async def _each(
        self,
        connection: Connection,
        cases: Mapping[UUID, Case],
        live: Sequence[Referral],
        now: datetime,
        act: Act,
        put_off: PutOff,
    ) -> None:
        partners = await store.partners(connection)

        async def at_once(case_ids: Sequence[UUID]) -> None:
            known = {case_id: cases[case_id] for case_id in case_ids}
            own = [item for item in live if item.case_id in known]
            effects = Effects(self._publishing, partners, known, own)
            for case_id in known:
                act(effects, case_id)
            await effects.write(connection, now)

        await postponing.each(connection, cases, now, at_once, put_off, self._log)

    def _took(self, effects: Effects, outcome: Outcome, what: str) -> None:
        if outcome.verdict is Verdict.APPLIED:
            self._count(what, outcome.verdict)
        effects.add(outcome, None)
