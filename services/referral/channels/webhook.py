"""Sends one event to one partner's webhook: signed, guarded, limited; never follows a redirect."""

import asyncio
import contextlib
import ssl
from datetime import datetime

import httpcore
import orjson

from contracts.envelope import Envelope, to_structured
from services.referral.channels.domain import Destination, Job, Try, TryProblem
from services.referral.channels.guard import Policy, refusal
from services.referral.channels.keyring import KeySafe, SealBroken
from services.referral.channels.network import (
    AddressRefused,
    GuardedBackend,
    NameUnknown,
    Resolve,
)
from services.referral.channels.schedule import retry_after_seconds
from services.referral.channels.signing import signed_headers

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_USER_AGENT = "meldpunt-webhooks/1"
_IDLE_SECONDS = 30.0
# Answers about the endpoint as a whole, not about the event that was sent.
_REFUSED = frozenset({401, 402, 403, 404, 405, 407, 421, 426, 451})
_BUSY = frozenset({408, 425, 429, 503})
_NETWORK = (
    AddressRefused,
    NameUnknown,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
)


def body_of(event: Envelope) -> bytes:
    """The event as a structured CloudEvent: the same as the inbox API gives, so without content."""
    return orjson.dumps(to_structured(event) | {"data": orjson.loads(event.data)})


def judge(status: int, retry_after: str | None, now: datetime) -> Try:
    """What an HTTP status says of a try."""
    if 200 <= status < 300:
        return Try(http_status=status)
    match status:
        case 410:
            problem = TryProblem.GONE
        case _ if status in _BUSY:
            problem = TryProblem.BUSY
        case _ if status in _REFUSED:
            problem = TryProblem.REFUSED
        case _ if 300 <= status < 400:
            problem = TryProblem.REDIRECT
        case _ if 400 <= status < 500:
            problem = TryProblem.REJECTED
        case _:
            problem = TryProblem.SERVER_ERROR
    return Try(problem, retry_after_seconds(retry_after, now), status)


def problem_of(error: BaseException) -> TryProblem:
    """The code of a failed connection."""
    match error:
        case AddressRefused():
            return TryProblem.ADDRESS_REFUSED
        case NameUnknown():
            return TryProblem.NAME_UNKNOWN
        case TimeoutError() | httpcore.TimeoutException():
            return TryProblem.TIMEOUT
        case httpcore.ConnectError() if _is_tls(error):
            return TryProblem.TLS
        case httpcore.ConnectError():
            return TryProblem.UNREACHABLE
        case _:
            return TryProblem.BROKEN


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


class WebhookSender:
    """A pool of connections per partner, so that one who hangs uses up only its own."""

    def __init__(
        self,
        policy: Policy,
        safe: KeySafe,
        resolve: Resolve,
        *,
        tls: ssl.SSLContext,
        connections_max: int,
        seconds_max: float,
        answer_bytes_max: int,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._policy = policy
        self._safe = safe
        self._backend = GuardedBackend(policy, resolve, inner)
        self._tls = tls
        self._connections_max = connections_max
        self._seconds_max = seconds_max
        self._answer_bytes_max = answer_bytes_max
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def send(self, destination: Destination, job: Job, now: datetime) -> Try:
        """Try once, within the time limit for name, connection, request and answer together."""
        # Judged again at every try: the rules may have become stricter since the URL was set.
        if refusal(destination.address, self._policy) is not None:
            return Try(TryProblem.ADDRESS_REFUSED)
        body = body_of(job.event)
        try:
            keyring = self._safe.open(destination.organisation, destination.sealed_keys or b"")
        except SealBroken:
            return Try(TryProblem.KEYS)
        headers = signed_headers(job.event.id, now, body, keyring.active(now))
        headers |= {"content-type": CONTENT_TYPE, "user-agent": _USER_AGENT}
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._post(destination, headers, body, now)
        except _NETWORK as error:
            # httpcore closes the connection of a failed or cancelled request, and no other.
            return Try(problem_of(error))

    async def close(self) -> None:
        """Close all connections."""
        while self._pools:
            _, pool = self._pools.popitem()
            with contextlib.suppress(*_NETWORK, RuntimeError):
                await pool.aclose()

    async def _post(
        self, destination: Destination, headers: dict[str, str], body: bytes, now: datetime
    ) -> Try:
        pool = self._pool(destination.organisation)
        async with pool.stream(
            "POST", destination.address, headers=list(headers.items()), content=body
        ) as response:
            given = {name.lower(): value for name, value in response.headers}
            retry_after = given.get(b"retry-after", b"").decode("latin-1")
            tried = judge(response.status, retry_after, now)
            await self._read_a_little(response)
        return tried

    async def _read_a_little(self, response: httpcore.Response) -> None:
        # A short answer is read, so that the connection can be used again. A long or broken one is
        # cut off: the status has said what counts.
        read = 0
        with contextlib.suppress(httpcore.ReadError, httpcore.RemoteProtocolError):
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > self._answer_bytes_max:
                    break

    def _pool(self, organisation: str) -> httpcore.AsyncConnectionPool:
        pool = self._pools.get(organisation)
        if pool is None:
            pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=self._connections_max,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=self._backend,
            )
            self._pools[organisation] = pool
        return pool
