"""Changes of a lane, written once and told to everybody who follows `meldpunt.referral`."""

from dataclasses import dataclass
from datetime import datetime

from contracts.referral import DeliveryChanged, DeliveryState, delivery_key
from services.chassis import journal
from services.chassis.db import Connection
from services.chassis.journal import Outgoing
from services.referral.channels import escalation, store
from services.referral.channels.domain import Lane


@dataclass(frozen=True, slots=True)
class Telling:
    """Where the changes are told: the topic and source of the service."""

    topic: str
    source: str


async def change_lane(
    connection: Connection, telling: Telling, before: Lane, after: Lane, now: datetime
) -> None:
    """Write a locked lane and what follows from it; last in the transaction.

    Back in order: what waited for the endpoint is due at once, what was given up is brought again,
    and the desk's task is closed.
    Switched off: all that waits has failed.
    """
    if after == before:
        return
    await store.save_lane(connection, after)
    if after.state is DeliveryState.DELIVERED:
        await store.wake(connection, after, now)
        await store.revive(connection, after, now)
        await escalation.close_tasks(connection, after, now)
    if before.enabled and not after.enabled:
        await store.fail_waiting(connection, after, now)
    if after.state is before.state:
        return
    changed = DeliveryChanged(
        organisation=after.organisation,
        channel=after.channel,
        state=after.state,
        waiting=await store.waiting(connection, after),
        since=after.since,
        at=now,
    )
    key = delivery_key(after.organisation)
    await journal.append(connection, [Outgoing(changed, key, telling.topic, telling.source)], now)
