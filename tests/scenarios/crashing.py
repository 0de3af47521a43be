"""Referral as a process of its own that dies at one chosen point, as a power cut would end it.

`python -m tests.scenarios.crashing JSON`: fault, case, topics, consumer group and settings.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from contracts import topics
from services.chassis import relay, subscriber
from services.chassis.runtime import Runtime
from services.referral import app as referral_app
from services.referral.settings import ReferralSettings

STATUS = 70


def _die() -> None:
    # No `finally`, no rollback that was asked for, no goodbye to the broker.
    os._exit(STATUS)


def _before_commit(runtime: Runtime, case_id: str) -> None:
    """Everything is written, nothing is committed."""
    processor = runtime.processors[0]
    kept = processor._handler

    async def handle(connection: Any, received: Any) -> None:
        await kept(connection, received)
        if any(item.envelope.subject == case_id for item in received):
            _die()

    processor._handler = handle


def _after_commit(runtime: Runtime, case_id: str) -> None:
    """Committed in the database, while the broker still knows nothing of it."""
    kept = subscriber.Subscription._note_done

    def note(self: subscriber.Subscription, batch: subscriber.RawBatch) -> None:
        if any(raw.key == case_id.encode() for raw in batch):
            _die()
        kept(self, batch)

    subscriber.Subscription._note_done = note
    _hold_the_relay()


def _hold_the_relay() -> None:
    async def publish(*_: Any) -> None:
        await asyncio.Event().wait()

    relay._publish = publish


def _before_publish(runtime: Runtime, case_id: str) -> None:
    """Stored, and never handed to the broker."""
    runtime._broker = None

    async def publish(*_: Any) -> None:
        _die()

    relay._publish = publish


def _after_publish(runtime: Runtime, case_id: str) -> None:
    """The broker has it, and the outbox still says that it has not."""
    runtime._broker = None
    kept = relay._publish

    async def publish(producer: Any, rows: Any) -> None:
        await kept(producer, rows)
        _die()

    relay._publish = publish


FAULTS: Mapping[str, Callable[[Runtime, str], None]] = {
    "before-commit": _before_commit,
    "after-commit": _after_commit,
    "before-publish": _before_publish,
    "after-publish": _after_publish,
}


def on_topics(names: Mapping[str, str]) -> Callable[[], None]:
    """Let the service use other topics from now on; gives what undoes that."""
    kept = {name: getattr(topics, name) for name in names}

    def to(values: Mapping[str, str]) -> None:
        for name, value in values.items():
            setattr(topics, name, value)

    to(names)
    return lambda: to(kept)


def in_group(suffix: str) -> Callable[[], None]:
    """Let the consumers of this process be a group that has read nothing; gives what undoes that.

    So nobody waits until the broker has noticed that a member died.
    """
    kept = Runtime.consume

    def consume(self: Runtime, *given: Any, group: str | None = None, **more: Any) -> Any:
        return kept(self, *given, group=f"{group or 'meldpunt'}-{suffix}", **more)

    Runtime.consume = consume

    def undo() -> None:
        Runtime.consume = kept

    return undo


async def _run(runtime: Runtime) -> None:
    await runtime._start(referral_app.Path(referral_app.__file__).parent / "migrations")
    await asyncio.Event().wait()


def main() -> None:
    """Run until the fault."""
    given = json.loads(sys.argv[1])
    on_topics(given["topics"])
    in_group(given["group"])
    runtime = referral_app.build(ReferralSettings(**given["settings"])).state.runtime
    FAULTS[given["fault"]](runtime, given["case"])
    asyncio.run(_run(runtime))


if __name__ == "__main__":
    main()
