"""Ceilings: what each part does at most on this machine when it does nothing else."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
from uuid_utils.compat import uuid7

from benchmarks.designs import Place, delete_topics, tag, until_listening
from benchmarks.load import LoadPlan
from benchmarks.measure import send
from benchmarks.parts import GroupCommit, consumer, producer
from benchmarks.skeleton import ASSIGN, SCHEMAS
from contracts.intake import ContentField, IntakeChannel, ReportReceived
from contracts.situation import Kind, Reporter, Sector, Situation, Subject
from contracts.topics import TopicSpec
from deploy.local.process import Child, Program
from deploy.local.provision import drop_databases, provision_databases, provision_topics
from deploy.local.state import HOST, Ports

EVENT_BYTES = 1160
_BATCH = 500
_WAITING = 128
_ANSWER = b'{"caseId":"00000000-0000-4000-8000-000000000000"}'

Show = Callable[[str], None]


@dataclass(frozen=True)
class Ceiling:
    """One part: how often per second, and what one costs our process in us of CPU."""

    name: str
    per_second: float
    cpu_us: float


async def bare_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI application that reads the request and answers, no more."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


async def measure_ceilings(place: Place, scale: int, show: Show) -> list[Ceiling]:
    """All ceilings; `scale` is the number of thousands of pieces of the cheapest parts."""
    name = tag()
    topic = TopicSpec(f"bench.{name}.ceiling", 12, 3_600_000, "bench")
    urls = await provision_databases(place.admin_url, f"bench_{name}", services=["routing"])
    await provision_topics(place.bootstrap, [topic])
    connection = await asyncpg.connect(urls["routing"].owner)
    await connection.execute(SCHEMAS["routing"])
    await connection.execute("CREATE TABLE accepted (id uuid PRIMARY KEY, body bytea NOT NULL)")
    found = []
    parts: list[Callable[[], Awaitable[Ceiling]]] = [
        lambda: _http(place, 500 * scale),
        lambda: _group_commit(connection, 1000 * scale),
        lambda: _batches(connection, 1000 * scale),
        lambda: _produce(place, topic.name, 2000 * scale),
        lambda: _consume(place, topic.name, 2000 * scale),
        lambda: _decode(2000 * scale),
    ]
    try:
        for part in parts:
            found.append(await part())
            show(f"{found[-1].name}: {found[-1].per_second:,.0f}/s")
    finally:
        await connection.close()
        await drop_databases(place.admin_url, f"bench_{name}", services=["routing"])
        await delete_topics(place.bootstrap, [topic.name])
    return found


class _Watch:
    """Wall and CPU time of this process around a piece of work."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def ceiling(self, name: str, pieces: int) -> Ceiling:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Ceiling(name, pieces / wall, cpu / pieces * 1e6)


async def _http(place: Place, requests: int) -> Ceiling:
    port = Ports(place.folder).get("ceiling-http")
    command = (sys.executable, "-m", "benchmarks.ceilings", str(port))
    child = Child(Program("ceiling-http", command, _environment()), place.folder / "logs")
    try:
        await until_listening(port, child)
        await send(LoadPlan(HOST, port, "/v1/reports", {}, place.body, requests // 10))
        before = _cpu_seconds(child.pid)
        result = await send(LoadPlan(HOST, port, "/v1/reports", {}, place.body, requests))
        used = _cpu_seconds(child.pid) - before
    finally:
        child.kill()
    seconds = result.ended_at - result.began_at
    return Ceiling("HTTP request, raw ASGI, no work", requests / seconds, used / requests * 1e6)


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def _cpu_seconds(pid: int) -> float:
    from benchmarks.usage import read_usage

    return read_usage({"it": pid}).cpu["it"]


async def _group_commit(connection: Any, rows: int) -> Ceiling:
    body = bytes(EVENT_BYTES)

    async def write(ids: Sequence[Any]) -> Sequence[None]:
        await connection.execute(
            "INSERT INTO accepted SELECT * FROM unnest($1::uuid[], $2::bytea[])",
            ids,
            [body] * len(ids),
        )
        return [None] * len(ids)

    group: GroupCommit[Any, None] = GroupCommit(write)
    runner = asyncio.create_task(group.run())

    async def request(number: int) -> None:
        for _ in range(number):
            await group.submit(uuid7())

    watch = _Watch()
    await asyncio.gather(*(request(rows // _WAITING) for _ in range(_WAITING)))
    runner.cancel()
    name = f"group-committed insert, {_WAITING} waiting"
    return watch.ceiling(name, rows // _WAITING * _WAITING)


async def _batches(connection: Any, rows: int) -> Ceiling:
    body = bytes(EVENT_BYTES)
    made = [[[uuid7() for _ in range(_BATCH)] for _ in range(3)] for _ in range(rows // _BATCH)]
    watch = _Watch()
    for ids, cases, events in made:
        await connection.execute(ASSIGN, ids, cases, events, [body] * _BATCH, "topic")
    return watch.ceiling(f"inbox + state + outbox, {_BATCH} per batch", len(made) * _BATCH)


async def _produce(place: Place, topic: str, records: int) -> Ceiling:
    body, sender = bytes(EVENT_BYTES), producer(place.bootstrap)
    await sender.start()
    watch = _Watch()
    for _ in range(records // _BATCH):
        sent = [await sender.send(topic, body, key=uuid4().bytes) for _ in range(_BATCH)]
        await asyncio.gather(*sent)
    ceiling = watch.ceiling(f"produce, pipelined, {_BATCH} acknowledged together", records)
    await sender.stop()
    return ceiling


async def _consume(place: Place, topic: str, records: int) -> Ceiling:
    reader = consumer(place.bootstrap, f"bench-{topic}", [topic])
    await reader.start()
    while not reader.assignment():  # noqa: ASYNC110 - the client offers no event for it
        await asyncio.sleep(0.05)
    watch, seen = _Watch(), 0
    while seen < records:
        found = await reader.getmany(timeout_ms=200, max_records=_BATCH)
        seen += sum(len(batch) for batch in found.values())
    ceiling = watch.ceiling("consume, getmany", seen)
    await reader.stop()
    return ceiling


async def _decode(events: int) -> Ceiling:
    data = example_event().encode()
    watch = _Watch()
    for _ in range(events):
        ReportReceived.model_validate_json(data)
    return watch.ceiling(f"decode report-received, {len(data)} bytes", events)


def example_event() -> ReportReceived:
    """A report event as intake publishes it."""
    situation = Situation(
        sector=Sector.VO, reporter=Reporter.OUDER, kind=Kind.MELDING, subject=Subject.PESTEN
    )
    return ReportReceived(
        report_id=uuid4(),
        case_id=uuid4(),
        channel=IntakeChannel.WEB,
        situation=situation,
        received_at=datetime.now(UTC),
        content=(ContentField.NARRATIVE,),
        commitment="0" * 64,
    )


if __name__ == "__main__":
    from benchmarks.skeleton import serve

    serve(bare_app, int(sys.argv[1]))
