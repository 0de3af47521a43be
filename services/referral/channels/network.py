"""Connections that go only to addresses which the guard has judged.

A name is looked up once per connection; the connection is made to an address of that very answer.
A DNS server that gives another address a moment later is never asked again.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import httpcore

from services.referral.channels.guard import Policy, Refusal, address_refusal

_LOOKUPS_MAX = 32

SocketOptions: TypeAlias = Iterable[httpcore.SOCKET_OPTION]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a name; raises OSError when it has none."""


class AddressRefused(Exception):
    """A name leads to an address that webhooks may not reach."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class NameUnknown(Exception):
    """A name has no address now."""


class Resolver:
    """Looks names up in threads of its own; one thread per name, however many ask.

    The operating system's look-up cannot be cancelled: with shared threads, a few partners whose
    DNS hangs would keep all others from being looked up.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_MAX, thread_name_prefix="lookup")
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses of a name, each once."""
        key = (host, port)
        running = self._running.get(key)
        if running is None:
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, _look_up, host, port)
            self._running[key] = running
            running.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(running)

    def _forget(self, key: tuple[str, int], done: "asyncio.Future[list[str]]") -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            # Read, so that an error that nobody waits for any more is no complaint of asyncio.
            done.exception()

    def close(self) -> None:
        """Let the threads end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    # With a dot at its end a name is whole. Without it the resolver would first try it below the
    # search domains of this machine, which in a cluster are the names of our own services.
    whole = f"{host}." if "." in host and not _is_address(host) else host
    found = socket.getaddrinfo(whole, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """The only way out for webhooks; TLS still checks the name, because httpcore passes it on."""

    def __init__(
        self, policy: Policy, resolve: Resolve, inner: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a judged address; raises AddressRefused, NameUnknown or httpcore's errors."""
        addresses = await self._judged(host, port)
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or NameUnknown(host)

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the interface of httpcore
        timeout: float | None = None,  # noqa: ARG002
        socket_options: SocketOptions | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Never: a socket of this machine is no partner."""
        raise AddressRefused(Refusal.LOOPBACK)

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks between its own tries."""
        await asyncio.sleep(seconds)

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise NameUnknown from error
        # One forbidden address refuses the name: an honest partner has none.
        for address in addresses:
            refused = address_refusal(address, self._policy)
            if refused is not None:
                raise AddressRefused(refused)
        return addresses
