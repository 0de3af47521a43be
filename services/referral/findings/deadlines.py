"""Time and the register: what happens to findings without anybody calling."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.finding import FindingState
from contracts.routing import RegisterActivated
from services.chassis.db import Connection
from services.chassis.telemetry import Logger
from services.referral import postponing
from services.referral.effects import Publishing
from services.referral.findings import ladder, store
from services.referral.findings.domain import Finding, InForce
from services.referral.findings.effects import begin

BATCH_MAX = 200


class Findings:
    """Both work in the caller's transaction; several instances may do so at once."""

    def __init__(self, publishing: Publishing, log: Logger | None = None) -> None:
        self._publishing = publishing
        self._log = log

    async def on_register(
        self, connection: Connection, events: Sequence[RegisterActivated], now: datetime
    ) -> None:
        """Keep the legal regimes of registers that routing activated."""
        for event in events:
            await store.save_regimes(connection, event)
        if any(event.regimes for event in events):
            await store.wake_waiting(connection, now)

    async def fire(self, connection: Connection, now: datetime) -> int:
        """Do what time does to one batch of findings; gives how many cases were claimed."""
        case_ids = await store.lock_due(connection, now, BATCH_MAX)
        if not case_ids:
            return 0

        async def at_once(some: Sequence[UUID]) -> None:
            effects = await begin(connection, self._publishing, some, now)
            for finding in await store.due_of_cases(connection, some, now):
                in_force = await _regime_for(connection, finding, now)
                held = effects.held(finding.case_id)
                effects.add(ladder.fire(finding, effects.reachable, held, now, in_force))
            await effects.write(connection)

        await postponing.each(connection, case_ids, now, at_once, postponing.finding, self._log)
        return len(case_ids)


async def _regime_for(connection: Connection, finding: Finding, now: datetime) -> InForce | None:
    if finding.state is not FindingState.ISSUED:
        return None
    return await store.in_force(connection, finding.issued_on, now)
