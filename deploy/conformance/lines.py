"""Ways to bring an event to a partner past referral: once more, or one that does not exist yet."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import httpx
from aiokafka import AIOKafkaProducer

from contracts.envelope import Envelope, to_headers
from contracts.topics import partner_out
from deploy.conformance.sandbox import Sandbox

TIMEOUT_SECONDS = 15.0
Item = dict[str, Any]
"""An event as the inbox gives it: a structured CloudEvent with its data."""


class Line(Protocol):
    """One partner's channel."""

    async def bring(self, item: Item) -> int | None:
        """Bring an event as it is; gives the HTTP status where the partner answers with one."""
        ...


@dataclass(frozen=True)
class InboxLine:
    """Puts the event into the next page of the feed."""

    sandbox: Sandbox
    seconds_max: float = 20.0

    async def bring(self, item: Item) -> int | None:
        """Nothing is answered to a page; 0 when the next one was not asked for in time."""
        return None if await self.sandbox.put_in(item, self.seconds_max) else 0


@dataclass(frozen=True)
class KafkaLine:
    """Writes the event to the partner's topic, as referral does."""

    bootstrap: str
    organisation: str

    async def bring(self, item: Item) -> int | None:
        """Nothing is answered to a record."""
        envelope = Envelope(
            id=item["id"],
            source=item["source"],
            type=item["type"],
            time=datetime.fromisoformat(item["time"]),
            subject=item["subject"],
            sequence=int(item.get("sequence") or 0),
            data=json.dumps(item["data"]).encode(),
            dataschema=item.get("dataschema"),
            dataref=item.get("dataref"),
        )
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(
                partner_out(self.organisation),
                key=item["subject"].encode(),
                value=envelope.data,
                headers=to_headers(envelope),
            )
        finally:
            await producer.stop()
        return None


@dataclass(frozen=True, repr=False)
class WebhookLine:
    """Posts the event with the partner's secret, or a message that the partner must refuse."""

    url: str
    secret: str

    async def bring(self, item: Item) -> int | None:
        """A signed message; the status, or 0 when there was no answer."""
        return await self.post(item, self.secret, int(time.time()))

    async def post(self, item: Item, secret: str, timestamp: int) -> int:
        """A message that is signed with this secret at this moment."""
        body = json.dumps(item).encode()
        signed = sign(secret, item["id"], timestamp, body)
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": item["id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signed,
        }
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
                return (await http.post(self.url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return 0


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of Standard Webhooks with a shared secret (`whsec_...`)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
