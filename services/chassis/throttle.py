"""A limit on calls per address or other name, in memory, without keeping it."""

import hashlib
import os
from collections import OrderedDict


class Throttle:
    """At most `calls_max` per address in any `window_seconds`, for the last `addresses_max` ones.

    Counts the present and the previous window, the latter in proportion to what is left of it.
    """

    def __init__(
        self, calls_max: int, *, window_seconds: float = 60.0, addresses_max: int = 10_000
    ) -> None:
        self._calls_max = calls_max
        self._window_seconds = window_seconds
        self._addresses_max = addresses_max
        self._salt = os.urandom(16)
        self._seen: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()

    def allows(self, address: str, now_seconds: float) -> bool:
        """Count a call; False when it is one too many. `now_seconds` is monotonic."""
        # A salted hash that dies with the process: no address is stored anywhere.
        key = hashlib.blake2b(address.encode(), key=self._salt, digest_size=16).digest()
        window, part = divmod(now_seconds, self._window_seconds)
        number = int(window)
        last, count, before = self._seen.pop(key, (number, 0, 0))
        if last < number:
            count, before = 0, count if last == number - 1 else 0
        allowed = count + before * (1 - part / self._window_seconds) < self._calls_max
        self._seen[key] = (number, count + allowed, before)
        if len(self._seen) > self._addresses_max:
            self._seen.popitem(last=False)
        return allowed
