"""The load generator: keep-alive connections, prebuilt request bytes, a process of its own.

Closed loop: each connection sends its next report when the receipt is in, until `reports` are sent.
Fixed rate: reports are due at regular moments and measured from the moment they were due, so that a
stall shows in every report that had to wait for it. Reads one JSON object on standard input, writes
one on standard output.
"""

import asyncio
import json
import sys
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import uvloop

_STALL_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class LoadPlan:
    """What to send. `rate` 0 means closed loop; `moments`: a file for `case id, sent at` lines."""

    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    reports: int
    connections: int = 64
    rate: float = 0.0
    moments: str = ""


@dataclass(frozen=True)
class LoadResult:
    """What happened. Moments are seconds since 1970; percentiles are seconds per receipt."""

    sent: int
    receipts: int
    refused: Mapping[str, int]
    example_of_refusal: str
    began_at: float
    ended_at: float
    p50: float
    p99: float


@dataclass
class _Run:
    plan: LoadPlan
    head: bytes
    tail: bytes
    prefix: str
    sent: int = 0
    took: list[float] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    example: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    idle: deque["_Connection"] = field(default_factory=deque)
    due: deque[float] = field(default_factory=deque)

    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def again(self, connection: "_Connection") -> None:
        """Connect once more in the background."""
        task = asyncio.create_task(connection.connect())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def answered(self) -> int:
        return len(self.took) + sum(self.refused.values())

    def next_request(self) -> bytes:
        key = f"{self.prefix}{self.sent:012x}"
        self.sent += 1
        return b"%b%b%b" % (self.head, key.encode(), self.tail)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way.

    A server closes what is idle for long: a request that meets such an end is sent again, with the
    same key, over a new connection.
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.WriteTransport | None = None
        self._request = b""
        self._answer = b""
        self._since = 0.0
        self._sent_at = 0.0

    async def connect(self) -> None:
        """Open, or open again, and send what was under way."""
        plan = self._run.plan
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, plan.host, plan.port)
        except OSError as error:
            self._refused("no connection", type(error).__name__)
            self._next()
            return
        if self._request:
            self._write()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no asyncio class.
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._answer = b""
        if self._request and not self._run.done.is_set():
            self._run.again(self)

    def send(self, due_at: float) -> None:
        self._since = due_at
        self._sent_at = time.time()
        self._request = self._run.next_request()
        if self._transport is None:
            self._run.again(self)
        else:
            self._write()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._answer = self._answer + data if self._answer else data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0 or len(self._answer) < end + 4 + _length(self._answer[:end]):
            return
        answer, self._answer = self._answer, b""
        status = answer[9:12]
        if status[:1] == b"2":
            self._run.took.append(time.perf_counter() - self._since)
            if self._run.plan.moments:
                self._run.moments.append(f"{_case_id(answer)} {self._sent_at:.6f}\n")
        else:
            self._refused(status.decode(), answer[end + 4 :].decode(errors="replace"))
        self._next()

    def _write(self) -> None:
        assert self._transport is not None
        self._transport.write(self._request)

    def _refused(self, status: str, text: str) -> None:
        run = self._run
        run.refused[status] = run.refused.get(status, 0) + 1
        run.example = run.example or text[:400]

    def _next(self) -> None:
        run = self._run
        self._request = b""
        if run.answered() >= run.plan.reports:
            run.done.set()
        elif run.plan.rate:
            if run.due:
                self.send(run.due.popleft())
            else:
                run.idle.append(self)
        elif run.sent < run.plan.reports:
            self.send(time.perf_counter())


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    if at < 0:
        return 0
    return int(lowered[at + 15 :].split(b"\r\n", 1)[0])


def _case_id(answer: bytes) -> str:
    """The value of `caseId` in a JSON answer, without parsing the rest."""
    at = answer.find(b'"caseId":')
    return answer[at + 9 :].split(b'"', 2)[1].decode() if at >= 0 else ""


def _prepared(plan: LoadPlan) -> _Run:
    lines = [f"POST {plan.path} HTTP/1.1", f"Host: {plan.host}:{plan.port}"]
    lines += [f"{name}: {value}" for name, value in plan.headers.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(plan.body.encode())}"]
    head = "\r\n".join([*lines, "Idempotency-Key: "]).encode()
    tail = b"\r\n\r\n" + plan.body.encode()
    # A UUID whose last twelve digits count: unique per run and per report.
    return _Run(plan, head, tail, str(uuid.uuid4())[:24])


async def _fixed_rate(run: _Run) -> None:
    began = time.perf_counter()
    for number in range(run.plan.reports):
        due_at = began + number / run.plan.rate
        delay = due_at - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        if run.idle:
            # The one used last: what stays idle longest is what the server may close.
            run.idle.pop().send(due_at)
        else:
            run.due.append(due_at)


async def run_load(plan: LoadPlan) -> LoadResult:
    """Send all reports of a plan and wait for their receipts, at most a minute without any."""
    run = _prepared(plan)
    connections = [_Connection(run) for _ in range(min(plan.connections, plan.reports))]
    for connection in connections:
        await connection.connect()
    began_at = time.time()
    if plan.rate:
        run.idle.extend(connections)
        await _fixed_rate(run)
    else:
        for connection in connections:
            if run.sent < plan.reports:
                connection.send(time.perf_counter())
    await _until_done(run)
    ended_at = time.time()
    for connection in connections:
        connection.close()
    if plan.moments:
        Path(plan.moments).write_text("".join(run.moments), encoding="ascii")
    took = sorted(run.took)
    return LoadResult(
        run.sent,
        len(took),
        run.refused,
        run.example,
        began_at,
        ended_at,
        percentile(took, 0.50),
        percentile(took, 0.99),
    )


async def _until_done(run: _Run) -> None:
    while not run.done.is_set():
        before = run.answered()
        try:
            await asyncio.wait_for(run.done.wait(), _STALL_SECONDS_MAX)
        except TimeoutError:
            if run.answered() == before:
                return


def percentile(ordered: list[float], share: float) -> float:
    """Nearest-rank percentile of an ordered list; 0 when it is empty."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def main() -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    result = uvloop.run(run_load(LoadPlan(**given)))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
