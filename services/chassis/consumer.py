"""From Kafka into PostgreSQL: a batch, one transaction, then the offsets.

Order of each batch: read -> claim in the inbox -> effect and outbox rows -> commit -> commit the
offsets of exactly these records. Dying anywhere only repeats a batch, and the inbox makes a repeat
harmless. One event that cannot be handled is parked; the rest of its batch goes on.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from opentelemetry.trace import SpanKind

from contracts.event import Catalogue, Event
from contracts.operations import EventParked, EventRedriven, ParkReason
from services.chassis import inbox, journal, parked
from services.chassis.db import Connection, Database
from services.chassis.errors import TRANSIENT, Rejected, Unavailable, is_transient
from services.chassis.ids import Clock
from services.chassis.incoming import Reader, Received, Unfit
from services.chassis.journal import Outgoing
from services.chassis.metrics import Metrics
from services.chassis.parked import Record
from services.chassis.telemetry import Logger, Tracing, Work

_URN = re.compile(r"urn:nld:[a-z]{2,10}:[0-9A-Za-z]{1,40}:systeem:[a-z0-9_-]{1,80}")
_TYPE = re.compile(r"nl\.sociale-veiligheid\.meldingen\.[a-z-]{1,60}\.v[0-9]{1,3}")
_BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)


Handler = Callable[[Connection, Sequence[Received]], Awaitable[None]]
"""Effect of a batch, in the given transaction; raises Rejected for what can never work."""


class Processor:
    """Handles batches of records; knows nothing of the consumer that reads them."""

    def __init__(
        self,
        *,
        service: str,
        source: str,
        topic: str,
        database: Database,
        catalogue: Catalogue,
        handler: Handler,
        reads: Callable[[str], bool],
        metrics: Metrics,
        tracing: Tracing,
        log: Logger,
        clock: Clock,
        retry_seconds_max: float,
        consecutive_defects_max: int,
        ordered: bool = True,
        many_senders: bool = False,
    ) -> None:
        self._many_senders = many_senders
        self._ordered = ordered
        self._service = service
        self._source = source
        self._topic = topic
        self._database = database
        self._reader = Reader(catalogue)
        self._handler = handler
        self._reads = reads
        self._metrics = metrics
        self._tracing = tracing
        self._log = log
        self._clock = clock
        self._retry_seconds_max = retry_seconds_max
        self._consecutive_defects_max = consecutive_defects_max
        self._consecutive_defects = 0
        self._defect_topics: set[str] = set()

    async def process(self, records: Sequence[Record]) -> None:
        """Handle a batch wholly; raises Unavailable when the database stays away."""
        items = [item for record in records if (item := self._reader.read(record)) is not None]
        self._metrics.events.labels("ignored").inc(len(records) - len(items))
        if not items:
            return
        with self._metrics.batch_seconds.time():
            await self._patiently(items)

    async def redrive(self, parked_id: UUID) -> int:
        """Try a parked event again, and after it the ones behind it; gives how many succeeded.

        Gives 0 for an event of a topic that is not read here. Raises Rejected, with the problem,
        when the first of them still cannot be handled.
        """
        done = 0
        works: list[Work] = []
        async with self._database.transaction() as connection:
            for row in await parked.next_of(connection, parked_id):
                if not self._reads(row.record.topic):
                    # Another subscription of this service parked it.
                    return 0
                item = self._reader.read(row.record)
                if isinstance(item, Unfit):
                    if done:
                        break
                    raise Rejected(item.problem)
                try:
                    async with connection.transaction():
                        if item is not None:
                            # What waited behind another was never claimed: without this it would be
                            # taken for new when it comes again. That it was claimed before does not
                            # matter.
                            await inbox.claim(connection, [self._key_of(item)])
                            await self._handler(connection, [self._traced(item, works)])
                except Exception as error:
                    if not done or is_transient(error):
                        raise
                    # Those before it are mended, whatever is wrong with this one.
                    break
                now = self._clock()
                await parked.mark_redriven(connection, row.id, now)
                case_id = None if item is None else _uuid(item.envelope.subject)
                event = EventRedriven(
                    parked_id=row.id, consumer=self._service, case_id=case_id, at=now
                )
                await self._publish(connection, event, case_id or row.id)
                done += 1
        for work in works:
            work.end()
        return done

    async def _patiently(self, items: Sequence[Received | Unfit]) -> None:
        """Try until it works; gives up with Unavailable, so that the records are read again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._retry_seconds_max
        attempt = 0
        while True:
            try:
                await self._whole_or_one_by_one(items)
            except TRANSIENT as error:
                self._metrics.batch_retries.inc()
                if loop.time() > deadline:
                    raise Unavailable(type(error).__name__) from error
                await asyncio.sleep(_BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)])
                attempt += 1
            else:
                return

    async def _whole_or_one_by_one(self, items: Sequence[Received | Unfit]) -> None:
        try:
            handled = await self._in_one_transaction(items)
        except Exception as error:
            if is_transient(error):
                raise
            # A defect must park one event, not stop all.
            if len(items) == 1:
                await self._park_alone(items[0], error)
                return
            # Somewhere in this batch is an event that cannot be handled: find it by itself.
            for item in items:
                await self._whole_or_one_by_one([item])
        else:
            # A repeat that is skipped shows nothing of this release.
            if handled:
                self._consecutive_defects = 0
                self._defect_topics.clear()

    async def _in_one_transaction(self, items: Sequence[Received | Unfit]) -> int:
        """Handle all of it or nothing; gives how many events were handled and not skipped."""
        works: list[Work] = []
        keys = [self._key_of(item) if isinstance(item, Received) else None for item in items]
        readable = [key for key in keys if key is not None]
        async with self._database.transaction() as connection:
            claimed, any_parked = await inbox.claim(connection, readable)
            fresh = _first_of_each(items, keys, claimed)
            unfit: list[Unfit] = []
            if any_parked or len(readable) < len(items):
                fresh, unfit = await self._divide(connection, fresh)
            if fresh:
                work = [self._traced(item, works) for item in fresh if isinstance(item, Received)]
                await self._handler(connection, work)
            for rest in unfit:
                await self._park(connection, rest)
        for ended in works:
            ended.end()
        self._metrics.events.labels("handled").inc(len(fresh))
        self._metrics.events.labels("repeated").inc(len(items) - len(fresh) - len(unfit))
        self._metrics.events.labels("parked").inc(len(unfit))
        return len(fresh)

    def _key_of(self, item: Received | Unfit) -> bytes:
        """The key in the inbox; of many senders none can use up the name of another's event."""
        envelope = item.envelope
        assert envelope is not None
        scope = f"{item.record.topic} " if self._many_senders else ""
        return inbox.key_of(scope + envelope.source, envelope.id)

    def _traced(self, item: Received, works: list[Work]) -> Received:
        parent = item.envelope.traceparent
        name = f"{self._service} {item.event.event_name}"
        work = self._tracing.start(name, parent, SpanKind.CONSUMER)
        if work.traceparent == item.traceparent:
            return item
        works.append(work)
        return Received(item.envelope, item.event, item.record, work.traceparent)

    async def _divide(
        self, connection: Connection, items: Sequence[Received | Unfit]
    ) -> tuple[list[Received | Unfit], list[Unfit]]:
        """Separate what can be handled from what must be parked, also behind a parked event."""
        blocked: set[tuple[str, str]] = set()
        if self._ordered:
            places = {place for item in items if (place := item.record.place) is not None}
            blocked = await parked.blocked(connection, sorted(places))
        fit: list[Received | Unfit] = []
        unfit: list[Unfit] = []
        for item in items:
            if isinstance(item, Unfit):
                unfit.append(item)
            elif item.record.place in blocked:
                problem = "an earlier event of this case is parked; re-drive that one"
                reason = ParkReason.BEHIND_PARKED
                unfit.append(Unfit(item.record, reason, problem, item.envelope))
            else:
                fit.append(item)
                continue
            if self._ordered and item.record.place is not None:
                blocked.add(item.record.place)
        return fit, unfit

    async def _park_alone(self, item: Received | Unfit, error: Exception) -> None:
        """Park the one event that made its transaction fail; stop when too many do in a row."""
        refused = isinstance(error, Rejected)
        if not refused:
            self._consecutive_defects += 1
            self._defect_topics.add(item.record.topic)
            self._log.error(
                "event_defect", error=type(error).__name__, exc_info=not _private(error)
            )
        if self._must_stop():
            raise Unavailable("too many defects in a row: is this release broken?") from error
        problem = str(error) if refused else f"defect: {type(error).__name__}"
        reason = ParkReason.REFUSED if refused else ParkReason.DEFECT
        envelope = item.envelope
        async with self._database.transaction() as connection:
            if envelope is not None:
                await inbox.claim(connection, [self._key_of(item)])
            await self._park(connection, Unfit(item.record, reason, problem, envelope))
        self._metrics.events.labels("parked").inc()

    def _must_stop(self) -> bool:
        """Whether so much fails that it is our release, and not one of many senders."""
        one_of_many = self._many_senders and len(self._defect_topics) == 1
        return self._consecutive_defects > self._consecutive_defects_max and not one_of_many

    async def _park(self, connection: Connection, item: Unfit) -> None:
        now = self._clock()
        parked_id = await parked.park(connection, item.record, item.reason, item.problem, now)
        if parked_id is None:
            return
        envelope = item.envelope
        case_id = _uuid(envelope.subject if envelope else item.record.key)
        event = EventParked(
            parked_id=parked_id,
            consumer=self._service,
            reason=item.reason,
            topic=item.record.topic,
            partition=item.record.partition,
            offset=item.record.offset,
            # Only what has a known form: a stranger's attributes could hold an address or a name.
            failed_source=_of_form(_URN, envelope.source) if envelope else None,
            failed_id=_uuid(envelope.id) if envelope else None,
            failed_type=_of_form(_TYPE, envelope.type) if envelope else None,
            case_id=case_id,
            at=now,
        )
        await self._publish(connection, event, case_id or parked_id)
        self._log.warning("event_parked", parked_id=str(parked_id), reason=item.reason.value)

    async def _publish(self, connection: Connection, event: Event, key: UUID) -> None:
        outgoing = Outgoing(event, key, self._topic, self._source)
        await journal.append(connection, [outgoing], self._clock())


def _first_of_each(
    items: Sequence[Received | Unfit], keys: Sequence[bytes | None], claimed: set[bytes]
) -> list[Received | Unfit]:
    """What is not readable (it has no key), and of each event claimed now its first record."""
    left = set(claimed)
    fresh: list[Received | Unfit] = []
    for item, key in zip(items, keys, strict=True):
        if key is not None:
            if key not in left:
                continue
            left.discard(key)
        fresh.append(item)
    return fresh


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _of_form(pattern: re.Pattern[str], text: str) -> str | None:
    return text if pattern.fullmatch(text) else None


def _private(error: Exception) -> bool:
    # A driver's message can quote the row that broke a constraint.
    return type(error).__module__.startswith("asyncpg")
