"""Meldpunt's partner interface over HTTP: answers and content, tried until they are settled.

Every call here may be tried again: a repeated answer carries the same id, which makes it harmless.
So a timeout, a broken connection, 425, 429 and 5xx mean "again, later"; all else is final.
"""

import asyncio
import ssl
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from contracts.referral import ReferralOffer
from examples.partners.behaviour import Reply
from examples.partners.journal import PartnerLog

WAIT_SECONDS = 20
AT_ONCE_MAX = 8
RETRY_SECONDS = 0.5
RETRY_SECONDS_MAX = 30.0
# 425 says that the same answer is being handled at this moment.
AGAIN = frozenset({425, 429})


class MeldpuntApi:
    """`http` has meldpunt's address as its base, and your organisation's token."""

    def __init__(self, http: httpx.AsyncClient, log: PartnerLog) -> None:
        self._http = http
        self._log = log
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def give(self, offer: ReferralOffer, replies: list[Reply], think_seconds: float) -> None:
        """Say the first reply at once; read the content, think, and say the others."""
        async with self._at_once:
            for reply in replies[:1]:
                await self._answer(offer, reply)
            if len(replies) > 1:
                await self.read_content(offer)
                await asyncio.sleep(think_seconds)
            for reply in replies[1:]:
                await self._answer(offer, reply)

    async def events(self, after: int | None, limit: int) -> httpx.Response:
        """The next events of your feed; waits for a first one.

        With None they are those behind what you acknowledged.
        """
        asked = {"limit": limit, "waitSeconds": WAIT_SECONDS}
        asked |= {} if after is None else {"after": after}
        return await self._call("GET", "/v1/partner-events", params=asked)

    async def acknowledge(self, sequence: int) -> httpx.Response:
        """Say that you have all events up to and with this one; a repeat changes nothing."""
        body = {"sequence": sequence}
        return await self._call("POST", "/v1/partner-events/_acknowledge", json=body)

    async def _answer(self, offer: ReferralOffer, reply: Reply) -> None:
        body = {
            "answerId": str(reply.answer_id),
            "attempt": offer.attempt,
            "answer": reply.answer.value,
        }
        if reply.reason is not None:
            body["reason"] = reply.reason.value
        if reply.until is not None:
            body["until"] = reply.until.isoformat()
        if reply.outcome is not None:
            body["outcome"] = reply.outcome.value
        answer = await self._call("POST", f"/v1/referrals/{offer.referral_id}/answers", json=body)
        # 409 tells the true state: this referral is no longer ours to answer.
        self._log.write(offer, answer=reply.answer.value, status=answer.status_code)

    async def read_content(self, offer: ReferralOffer) -> None:
        """Fetch what the reporter said. Your case system would take it; no log ever does."""
        granted = await self._call(
            "POST", f"/v1/referrals/{offer.referral_id}/content-capabilities"
        )
        if granted.is_error:
            self._log.write(offer, answer="content", status=granted.status_code)
            return
        grant = granted.json()
        content = await self._call(
            "GET", grant["contentUrl"], headers={"Content-Capability": grant["capability"]}
        )
        self._log.write(offer, answer="content", status=content.status_code)

    async def _call(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """Call until there is an answer that another try would not change."""
        delay = RETRY_SECONDS
        while True:
            try:
                answer = await self._http.request(method, url, **arguments)
                if answer.status_code < 500 and answer.status_code not in AGAIN:
                    return answer
                wait = retry_after(answer, delay)
            except httpx.TransportError:
                wait = delay
            await asyncio.sleep(wait)
            delay = min(delay * 2, RETRY_SECONDS_MAX)


def retry_after(answer: httpx.Response, otherwise: float) -> float:
    """Seconds to wait: what meldpunt asks, or else your own pause."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), RETRY_SECONDS_MAX) if asked.isdecimal() else otherwise


class TokenFile(httpx.Auth):
    """The token of a file, which is read again when meldpunt refuses the one that was used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; once more with a fresh one after a 401."""
        self._token = self._token or self._path.read_text(encoding="ascii").strip()
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = self._path.read_text(encoding="ascii").strip()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def make_client(url: str, token: str | Path) -> httpx.AsyncClient:
    """An HTTP client for one organisation; it waits longer than meldpunt holds a question open."""
    own = {"Authorization": f"Bearer {token}"} if isinstance(token, str) else None
    return httpx.AsyncClient(
        base_url=url,
        headers=own,
        auth=TokenFile(token) if isinstance(token, Path) else None,
        timeout=httpx.Timeout(10.0, read=WAIT_SECONDS + 15.0),
        limits=httpx.Limits(max_connections=AT_ONCE_MAX + 1),
        verify=_certificates(),
        trust_env=False,
    )


@cache
def _certificates() -> ssl.SSLContext:
    # Shared: each partner of a fleet would otherwise read all certificates anew.
    return ssl.create_default_context()
