"""A partner without Kafka: it asks meldpunt for its events over HTTP and answers over HTTP.

The cursor is stored after the work. A crash in between repeats the events; an answer that is sent
twice carries the same id, which makes it harmless. So every call here may simply be tried again.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from contracts.event import EventInvalid
from contracts.referral import FEED_EVENTS, ReferralOffer, ReferralWithdrawn
from examples.partners.behaviour import Behaviour, Reply
from examples.partners.journal import FeedEvent, PartnerLog

WAIT_SECONDS = 20
BATCH_MAX = 100
AT_ONCE_MAX = 8
RETRY_SECONDS = 0.5
RETRY_SECONDS_MAX = 30.0
_MODELS = {model.event_type(): model for model in FEED_EVENTS}


class InboxPartner:
    """One organisation over HTTP; `run` goes on until it is cancelled.

    `http` must have referral's address as its base and the organisation's token as its bearer.
    """

    def __init__(
        self,
        organisation: str,
        http: httpx.AsyncClient,
        behaviour: Behaviour,
        log: PartnerLog,
        cursor_file: Path,
    ) -> None:
        self._organisation = organisation
        self._http = http
        self._behaviour = behaviour
        self._log = log
        self._cursor_file = cursor_file
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def run(self) -> None:
        """Ask, work, store the cursor, ask again."""
        cursor = self._stored_cursor()
        while True:
            answer = await self._call(
                "GET",
                "/v1/partner-events",
                params={"after": cursor, "limit": BATCH_MAX, "waitSeconds": WAIT_SECONDS},
            )
            if answer.is_error:
                print(f"{self._organisation}: no events (status {answer.status_code})")
                await asyncio.sleep(RETRY_SECONDS_MAX)
                continue
            page = answer.json()
            await self._handle([event for item in page["events"] if (event := self._read(item))])
            if page["lastSequence"] > cursor:
                cursor = int(page["lastSequence"])
                self._store_cursor(cursor)

    def _read(self, item: Mapping[str, Any]) -> FeedEvent | None:
        model = _MODELS.get(item["type"])
        try:
            event = None if model is None else model.model_validate(item["data"])
        except (EventInvalid, ValueError):
            event = None
        if event is None:
            print(f"{self._organisation}: skipped event {item.get('id')} of type {item['type']}")
            return None
        assert isinstance(event, FeedEvent)
        return event

    async def _handle(self, events: list[FeedEvent]) -> None:
        for event in events:
            self._log.write(event)
        withdrawn = {
            (event.referral_id, event.attempt)
            for event in events
            if isinstance(event, ReferralWithdrawn)
        }
        await asyncio.gather(
            *(
                self._take(event)
                for event in events
                if isinstance(event, ReferralOffer)
                and (event.referral_id, event.attempt) not in withdrawn
            )
        )

    async def _take(self, offer: ReferralOffer) -> None:
        async with self._at_once:
            replies = self._behaviour.replies(offer)
            for reply in replies[:1]:
                await self._answer(offer, reply)
            if len(replies) > 1:
                await self._read_content(offer)
                await asyncio.sleep(self._behaviour.delay_ms / 1000)
            for reply in replies[1:]:
                await self._answer(offer, reply)

    async def _answer(self, offer: ReferralOffer, reply: Reply) -> None:
        body = {
            "answerId": str(reply.answer_id),
            "attempt": offer.attempt,
            "answer": reply.answer.value,
        }
        if reply.reason is not None:
            body["reason"] = reply.reason.value
        answer = await self._call("POST", f"/v1/referrals/{offer.referral_id}/answers", json=body)
        # 409 tells the true state: this referral is no longer ours to answer.
        self._log.write(offer, answer=reply.answer.value, status=answer.status_code)

    async def _read_content(self, offer: ReferralOffer) -> None:
        """Fetch what the reporter wrote. It belongs in your case file and in no log."""
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
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                wait = float(answer.headers.get("Retry-After", delay))
            except httpx.TransportError:
                wait = delay
            await asyncio.sleep(min(wait, RETRY_SECONDS_MAX))
            delay = min(delay * 2, RETRY_SECONDS_MAX)

    def _stored_cursor(self) -> int:
        try:
            return int(self._cursor_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0

    def _store_cursor(self, cursor: int) -> None:
        # Replaced in one step: half a number would skip or repeat events.
        scratch = self._cursor_file.with_suffix(".new")
        scratch.write_text(str(cursor), encoding="ascii")
        scratch.replace(self._cursor_file)


def make_client(referral_url: str, token: str) -> httpx.AsyncClient:
    """An HTTP client for one organisation; it waits longer than meldpunt holds a question open."""
    return httpx.AsyncClient(
        base_url=referral_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(10.0, read=WAIT_SECONDS + 15.0),
        limits=httpx.Limits(max_connections=AT_ONCE_MAX + 1),
        verify=_certificates(),
        trust_env=False,
    )


@cache
def _certificates() -> ssl.SSLContext:
    # Shared: each partner of a fleet would otherwise read all certificates anew.
    return ssl.create_default_context()
