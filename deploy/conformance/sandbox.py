"""The sandbox: stands before meldpunt's interface as the partner's address, and provokes faults.

Everything goes through to the real services. What it changes: the faults that were asked for,
addresses of content (so that those calls come here too), and events that were put into the feed.
"""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx

from deploy.conformance.notebook import (
    Call,
    Fault,
    Notebook,
    Provoked,
    Said,
    acknowledged_in,
    said_in,
)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
# Short rounds, so that an event that is put in, or an outage, does not wait for a long poll.
POLL_SECONDS = 0.3
BODY_BYTES_MAX = 65_536
_STATUS = {Fault.BUSY: 503, Fault.TOO_MANY: 429, Fault.TOO_EARLY: 425}
_HOP = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding", b"te"})
_BACK = ("content-type", "retry-after", "cache-control")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the partner."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Sandbox:
    """An ASGI application; `url` is its own address. `close` it when it is served no more."""

    def __init__(self, referral_url: str, intake_url: str, url: str, notebook: Notebook) -> None:
        self.notebook = notebook
        self.always: list[Provoked] = []
        self._urls = {"referral": referral_url, "intake": intake_url, "own": url}
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)
        self._plans: dict[str, deque[Provoked]] = {}
        self._holds: dict[str, tuple[frozenset[str], asyncio.Event]] = {}
        self._cases: dict[str, str] = {}
        self._changes: dict[str, dict[str, Any]] = {}
        self._put_in: deque[tuple[dict[str, Any], asyncio.Event]] = deque()
        self._given: list[asyncio.Event] = []
        self._away = False
        self._open: set[asyncio.Transport] = set()
        self._tries: defaultdict[str, int] = defaultdict(int)

    async def close(self) -> None:
        """Give back the connections to meldpunt."""
        await self._http.aclose()

    def plan(self, case_id: str, faults: list[Provoked]) -> None:
        """The next answers about a case meet these faults, one each."""
        self._plans[case_id] = deque(faults)

    def hold(self, case_id: str, answers: frozenset[str]) -> asyncio.Event:
        """Answers of these kinds about a case wait, until the event that is given is set."""
        released = asyncio.Event()
        self._holds[case_id] = (answers, released)
        return released

    def change(self, case_id: str, fields: dict[str, Any]) -> None:
        """The offer of a case has these fields, whatever referral says."""
        self._changes[case_id] = fields

    async def put_in(self, item: dict[str, Any], seconds_max: float) -> bool:
        """Give this event with the next page of the feed; whether the partner asked for the page
        after it in time, and so has handled it.
        """
        handled = asyncio.Event()
        self._put_in.append((item, handled))
        try:
            async with asyncio.timeout(seconds_max):
                await handled.wait()
        except TimeoutError:
            return False
        return True

    def go(self, *, away: bool) -> None:
        """Cut all connections, and every new one; or come back."""
        self._away = away
        for transport in list(self._open) if away else ():
            transport.abort()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call."""
        transport: asyncio.Transport = scope["transport"]
        self._open.add(transport)
        try:
            body = await _body(receive)
            answer = None if self._away else await self._handle(scope, body)
            if self._away or answer is None:
                if answer is None and self._away:
                    self.notebook.calls.append(_call(scope, status=0))
                transport.abort()
                # The server must see the end of the connection before this call ends.
                await asyncio.sleep(0.05)
                return
            await _respond(send, answer)
        finally:
            self._open.discard(transport)

    async def _handle(self, scope: Scope, body: bytes) -> Answer | None:
        call = _call(scope)
        self.notebook.calls.append(call)
        if call.path == "/v1/partner-events" and call.method == "GET":
            answer: Answer | None = await self._feed(scope, call)
        elif call.path.endswith("/answers") and call.method == "POST":
            answer = await self._answers(scope, body, call)
        else:
            if call.path == "/v1/partner-events/_acknowledge":
                call.acknowledged = acknowledged_in(body)
            if call.path.startswith("/v1/referrals/"):
                call.case_id = await self._case_of(scope, call.path)
            answer = self._own_addresses(await self._forward(scope, body))
        call.status = answer.status if answer else 0
        return answer

    async def _answers(self, scope: Scope, body: bytes, call: Call) -> Answer | None:
        call.case_id = case_id = await self._case_of(scope, call.path)
        said = said_in(call, body)
        self.notebook.said.append(said)
        provoked = self._fault_for(case_id, said)
        fault = provoked.fault if provoked else None
        said.provoked = call.provoked = fault
        if provoked and fault in _STATUS:
            said.status = _STATUS[fault]
            return _refusal(said.status, provoked.seconds)
        if fault is Fault.CUT:
            said.status = 0
            return None
        answers, released = self._holds.get(case_id, (frozenset(), None))
        if released is not None and said.answer in answers:
            await released.wait()
        answer = await self._forward(scope, body)
        if provoked and fault is Fault.SLOW:
            await asyncio.sleep(provoked.seconds or 0)
        said.status = 0 if fault is Fault.LOST else answer.status
        return None if fault is Fault.LOST else answer

    def _fault_for(self, case_id: str, said: Said) -> Provoked | None:
        plan = self._plans.get(case_id)
        if plan:
            return plan.popleft()
        if self.always and case_id not in self._plans:
            key = f"{said.referral_id}:{said.answer}"
            self._tries[key] += 1
            number = self._tries[key]
            return self.always[number - 1] if number <= len(self.always) else None
        return None

    async def _feed(self, scope: Scope, call: Call) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(_query(scope)).items()}
        deadline = time.monotonic() + _number(query.pop("waitSeconds", "0"))
        while self._given:
            self._given.pop().set()
        while True:
            left = max(0.0, min(POLL_SECONDS, deadline - time.monotonic()))
            answer = await self._forward(scope, b"", urlencode(query | {"waitSeconds": f"{left}"}))
            if answer.status != 200:
                return answer
            page = json.loads(answer.body)
            if page["events"] or self._put_in or self._away or time.monotonic() >= deadline:
                break
        while self._put_in:
            item, handled = self._put_in.popleft()
            page["events"].append(item)
            self._given.append(handled)
        for item in page["events"]:
            self._change(item)
        call.given = int(page["lastSequence"])
        return Answer(200, json.dumps(page).encode(), answer.headers)

    def _change(self, item: dict[str, Any]) -> None:
        data = item.get("data", {})
        if "referral_id" in data:
            self._cases[data["referral_id"]] = data["case_id"]
        if item["type"].endswith(".referral-offer.v1"):
            data |= self._changes.get(data["case_id"], {})
        if "dataref" in item:
            item["dataref"] = item["dataref"].replace(self._urls["intake"], self._urls["own"])

    async def _case_of(self, scope: Scope, path: str) -> str:
        """The case of a referral in a path; empty when it is not the caller's."""
        referral_id = path.split("/")[3]
        if referral_id not in self._cases:
            answer = await self._http.get(
                f"{self._urls['referral']}/v1/referrals/{referral_id}", headers=_headers(scope)
            )
            if answer.status_code != 200:
                return ""
            self._cases[referral_id] = answer.json()["caseId"]
        return self._cases[referral_id]

    async def _forward(self, scope: Scope, body: bytes, query: str | None = None) -> Answer:
        content = scope["path"].startswith(("/v1/contents/", "/v1/cases/"))
        base = self._urls["intake" if content else "referral"]
        query = _query(scope) if query is None else query
        try:
            answer = await self._http.request(
                scope["method"],
                f"{base}{scope['path']}" + (f"?{query}" if query else ""),
                headers=_headers(scope),
                content=body,
            )
        except httpx.HTTPError:
            return _refusal(503, 1)
        headers = {name: answer.headers[name] for name in _BACK if name in answer.headers}
        return Answer(answer.status_code, answer.content, headers)

    def _own_addresses(self, answer: Answer) -> Answer:
        body = answer.body.replace(self._urls["intake"].encode(), self._urls["own"].encode())
        return Answer(answer.status, body, answer.headers)


def _call(scope: Scope, status: int | None = None) -> Call:
    after = parse_qs(_query(scope)).get("after")
    names = {name for name, _ in scope["headers"]}
    return Call(
        at=time.monotonic(),
        method=scope["method"],
        path=scope["path"],
        after=int(_number(after[-1])) if after else None,
        capability=b"content-capability" in names,
        status=status,
    )


def _refusal(status: int, retry_after: float | None) -> Answer:
    problem = {
        "type": "urn:meldpunt:problem:sandbox",
        "title": "Provoked by the sandbox",
        "status": status,
        "detail": "Nothing is lost. Send the same again in a moment.",
        "whoMustAct": "meldpunt",
    }
    headers = {"content-type": "application/problem+json"}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    return Answer(status, json.dumps(problem).encode(), headers)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) <= BODY_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _respond(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in scope["headers"] if name not in _HOP]


def _query(scope: Scope) -> str:
    return str(scope["query_string"].decode("ascii", "replace"))


def _number(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
