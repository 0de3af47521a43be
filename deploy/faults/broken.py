"""The services with one seeded defect, to prove that the checker can fail.

`python -m deploy.faults.broken DEFECT SERVICE` runs a service in which one safeguard is replaced
by what is commonly done instead. Only the fault run starts it; nothing else imports it.
"""

import asyncio
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from services.chassis import inbox, relay, subscriber

_WAIT_SECONDS = 0.3


def _acknowledge_before_work() -> None:
    """Commit the offsets first and work behind them, as an acknowledged pool of workers does."""
    kept = subscriber.Subscription._consume  # noqa: SLF001

    async def consume(self: subscriber.Subscription, batch: subscriber.RawBatch) -> None:
        self._note_done(batch)
        await self.commit()
        # Acknowledged work waits its turn in memory; a kill in this time loses it for good.
        await asyncio.sleep(_WAIT_SECONDS)
        await kept(self, batch)

    subscriber.Subscription._consume = consume  # type: ignore[method-assign]  # noqa: SLF001


def _no_inbox_key() -> None:
    """Take every event for a new one."""

    async def claim(
        connection: Any,  # noqa: ARG001
        keys: Sequence[bytes],
    ) -> tuple[set[bytes], bool]:
        return set(keys), True

    # The consumer calls it through the module, so this reaches it.
    inbox.claim = claim


def _relay_by_cursor() -> None:
    """Publish what lies after the last position seen, as if it had been published up to there."""
    relay._TAKE = relay._TAKE.replace(  # noqa: SLF001
        "FROM outbox ORDER BY position LIMIT $1",
        "FROM outbox WHERE position > (SELECT last_position FROM pg_temp.cursor)"
        " ORDER BY position LIMIT $1",
    )
    kept = relay.Relay._drain_until_stopped  # noqa: SLF001

    async def drain(self: relay.Relay, connection: Any, producer: Any) -> None:
        await connection.execute(
            "CREATE TEMP TABLE cursor AS SELECT coalesce(max(position), 0) AS last_position"
            " FROM outbox"
        )
        await kept(self, connection, producer)

    relay.Relay._drain_until_stopped = drain  # type: ignore[method-assign]  # noqa: SLF001


DEFECTS: dict[str, Callable[[], None]] = {
    "ack-before-work": _acknowledge_before_work,
    "no-inbox-key": _no_inbox_key,
    "relay-by-cursor": _relay_by_cursor,
}


def main() -> None:
    """Break, then run the service."""
    defect, service = sys.argv[1:3]
    DEFECTS[defect]()
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__")


if __name__ == "__main__":
    main()
