"""What a running service is made of, started and stopped in the right order.

`Runtime` is built by a service's `app.py`, the only place that constructs; nothing connects before
`lifespan` starts. Stop order: consumers (drain), relay (publish what is left), producers, pool.
"""

import asyncio
import contextlib
import gc
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker

from contracts.envelope import service_source
from contracts.event import Catalogue
from services.chassis import journal, parked
from services.chassis.auth import Authenticator
from services.chassis.consumer import Handler, Processor
from services.chassis.db import CHASSIS_MIGRATIONS, Database, migrate, until_migrated
from services.chassis.errors import TRANSIENT, is_defect
from services.chassis.http import Endpoint, make_app
from services.chassis.ids import Clock, utc_now
from services.chassis.kafka import KafkaAccess
from services.chassis.metrics import Metrics
from services.chassis.operations import operations_router
from services.chassis.pace import Pace
from services.chassis.relay import Relay
from services.chassis.settings import ServiceSettings
from services.chassis.subscriber import Subscription
from services.chassis.tally import Tally
from services.chassis.telemetry import Tracing, logger

Background = Callable[[], Awaitable[None]]
_BROKER_RETRY_SECONDS = 1.0
# How late a consumer sees a new topic: of a new partner, or all of them after a wiped broker.
_METADATA_MS_MAX = 5_000
# Batches make many values that die at once and hardly any cycles.
_GC_THRESHOLDS = (50_000, 20, 100)


class Runtime:
    """The parts of one service process; see the module for the order of start and stop."""

    def __init__(
        self, service: str, topic: str, settings: ServiceSettings, clock: Clock = utc_now
    ) -> None:
        self.service = service
        self.topic = topic
        self.source = service_source(service)
        self.settings = settings
        self.clock = clock
        self.log = logger(service)
        self.metrics = Metrics(service)
        self.tracing = Tracing(service, settings)
        self.authenticator = Authenticator(settings)
        name = f"meldpunt-{service}"
        self.database = Database(
            settings.database_url.get_secret_value(), settings.database_pool_max, name
        )
        self.kafka = KafkaAccess.of(settings, f"{name}-{settings.instance}")
        self.relay = Relay(
            self.database,
            self.kafka,
            self.metrics,
            self.log,
            batch_max=settings.relay_batch_max,
            poll_seconds=settings.relay_poll_seconds,
            publish_timeout_seconds=settings.publish_timeout_seconds,
        )
        self.database.on_commit = self.relay.wake
        # Set by `serve`: whether the process was told to stop. A request that waits on purpose asks
        # it, because the stop itself waits for open requests.
        self.stopping: Callable[[], bool] = lambda: False
        self.processors: list[Processor] = []
        self._broker: KafkaBroker | None = None
        self._subscriptions: list[Subscription] = []
        self._background: dict[str, Background] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready_without_broker = False
        self._before: list[Background] = []
        tally = Tally(self.database, self.source, topic, clock)
        self.every("tally", settings.tally_seconds, tally.publish_if_changed)

    def consume(
        self,
        handler: Handler,
        catalogue: Catalogue,
        *,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        group: str | None = None,
        ordered: bool = True,
        pace: Pace | None = None,
    ) -> Subscription:
        """Subscribe this service to topics, or to a pattern of topics, in a consumer group.

        `pace` is for readers that nobody waits for: a small batch costs much the same as a large
        one, and what happens to a case within one batch is written once.

        With `ordered` an event waits behind a parked one of its key. A handler that takes events in
        any order goes without; one that reads the topic it reports its parkings on must, or each
        report would be parked behind the event that it reports.
        """
        processor = Processor(
            service=self.service,
            source=self.source,
            topic=self.topic,
            database=self.database,
            catalogue=catalogue,
            handler=handler,
            reads=lambda topic: topic in topics or bool(pattern and re.match(pattern, topic)),
            metrics=self.metrics,
            tracing=self.tracing,
            log=self.log,
            clock=self.clock,
            retry_seconds_max=self.settings.retry_seconds_max,
            consecutive_defects_max=self.settings.consecutive_defects_max,
            ordered=ordered,
            # Behind a pattern each topic has a sender of its own.
            many_senders=pattern is not None,
        )
        self.processors.append(processor)
        subscription = Subscription(
            self.broker,
            processor,
            self.log,
            group_id=group or f"meldpunt-{self.service}",
            topics=topics,
            pattern=pattern,
            pace=pace or Pace(self.settings.consume_batch_max),
            session_timeout_seconds=self.settings.session_timeout_seconds,
            drain_seconds_max=self.settings.drain_seconds_max,
            stuck_seconds_max=self.settings.stuck_seconds_max,
        )
        self._subscriptions.append(subscription)
        return subscription

    @property
    def broker(self) -> KafkaBroker:
        """The FastStream broker of the subscriptions; it never creates topics."""
        if self._broker is None:
            self._broker = KafkaBroker(
                self.settings.kafka_bootstrap,
                client_id=f"meldpunt-{self.service}-{self.settings.instance}",
                allow_auto_create_topics=False,
                metadata_max_age_ms=_METADATA_MS_MAX,
                acks="all",
                enable_idempotence=True,
                apply_types=False,
                logger=None,
                graceful_timeout=self.settings.drain_seconds_max,
                security=self.kafka.faststream_security(),
            )
        return self._broker

    def every(self, name: str, seconds: float, work: Background) -> None:
        """Repeat work in the background; a server that is away only delays it."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await work()
                except TRANSIENT as error:
                    if is_defect(error):
                        raise
                    self.log.warning("work_postponed", work=name, error=type(error).__name__)

        self._background[name] = repeat

    def background(self, name: str, work: Background) -> None:
        """Run work from start to stop; when it ends by itself, the service is no longer live."""
        self._background[name] = work

    def before_work(self, work: Background) -> None:
        """Do this once the database is open and before any event is read."""
        self._before.append(work)

    def ready_without_broker(self) -> None:
        """Say that the essential work goes on while the broker is away (intake)."""
        self._ready_without_broker = True

    def app(
        self,
        *,
        title: str,
        description: str,
        routers: Sequence[APIRouter],
        migrations: Path,
        hot_endpoints: Mapping[tuple[str, str], Endpoint] | None = None,
    ) -> FastAPI:
        """The HTTP application whose lifespan is that of the whole service."""

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            await self._start(migrations)
            try:
                yield
            finally:
                await self._stop()

        app = make_app(
            title=title,
            description=description,
            public_url=self.settings.public_url,
            routers=[*routers, operations_router(self.service)],
            lifespan=lifespan,
            health=self,
            metrics=self.metrics,
            log=self.log,
            request_bytes_max=self.settings.request_bytes_max,
            hot_endpoints=hot_endpoints,
        )
        app.state.runtime = self
        app.state.authenticator = self.authenticator
        return app

    async def redrive(self, parked_id: UUID) -> int:
        """Handle a parked event again, and those behind it; gives how many were handled."""
        done = 0
        for processor in self.processors:
            done += await processor.redrive(parked_id)
            if done:
                break
        return done

    async def _start(self, migrations: Path) -> None:
        seconds = self.settings.startup_seconds_max
        owner = self.settings.migration_database_url
        folders = [CHASSIS_MIGRATIONS, migrations]
        if owner is not None:
            applied = await migrate(owner.get_secret_value(), folders, seconds)
            self.log.info("migrated", applied=applied)
        await self.database.start(seconds)
        if owner is None:
            await until_migrated(self.database, folders, seconds)
        for first in self._before:
            await first()
        self.relay.start()
        for name, work in self._background.items():
            self._tasks[name] = asyncio.create_task(self._run(work), name=name)
        if self._broker is not None:
            self._tasks["consumers"] = asyncio.create_task(self._connect(), name="consumers")
        _calm_the_collector()
        self.log.info("started", instance=self.settings.instance)

    async def _connect(self) -> None:
        """Start the consumers as soon as the broker answers; then wait until cancelled."""
        broker = self.broker
        while True:
            try:
                await broker.start()
                break
            except TRANSIENT as error:
                self.log.warning("broker_away", error=type(error).__name__)
                with contextlib.suppress(Exception):
                    await broker.stop()
                await asyncio.sleep(_BROKER_RETRY_SECONDS)
        for subscription in self._subscriptions:
            subscription.start()
        await asyncio.Event().wait()

    async def _run(self, work: Background) -> None:
        await work()

    async def _stop(self) -> None:
        for name, task in self._tasks.items():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
            self.log.debug("stopped", part=name)
        for subscription in self._subscriptions:
            await subscription.stop()
        if self._broker is not None:
            with contextlib.suppress(*TRANSIENT):
                await asyncio.wait_for(self._broker.stop(), self.settings.drain_seconds_max)
        await self.relay.stop()
        await self.database.stop()
        self.tracing.stop()
        self.log.info("stopped", instance=self.settings.instance)

    def live_problems(self) -> list[str]:
        """Why this process should be restarted; empty when it makes progress."""
        problems = [f"{name} has ended" for name, task in self._tasks.items() if task.done()]
        if self.relay.ended():
            problems.append("relay has ended")
        problems += [
            f"{s.group_id} has made no progress for {s.stuck_seconds():.0f} s"
            for s in self._subscriptions
            if s.stuck()
        ]
        return problems

    async def ready_problems(self) -> list[str]:
        """Why this process cannot do its work now; empty when it can."""
        problems = []
        try:
            await self.database.ping()
        except TRANSIENT:
            problems.append("the database does not answer")
        if not self._ready_without_broker:
            for subscription in self._subscriptions:
                if not subscription.assigned():
                    problems.append(f"{subscription.group_id} has no partitions yet")
                elif subscription.paused_for is not None:
                    problems.append(f"{subscription.group_id} waits: {subscription.paused_for}")
            if self.relay.problem is not None:
                problems.append("the broker does not answer")
        return problems

    async def refresh_metrics(self) -> None:
        """Read the gauges that only the database knows."""
        with contextlib.suppress(*TRANSIENT):
            async with self.database.connection() as connection:
                self.metrics.outbox_pending.set(await journal.pending(connection))
                self.metrics.parked_open.set(await parked.count_open(connection))


def _calm_the_collector() -> None:
    """What lives as long as the process need not be looked at by each garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
