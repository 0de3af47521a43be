"""Checks that a message is from meldpunt, by Standard Webhooks 1.0. Needs nothing but Python.

What is signed is `<webhook-id>.<webhook-timestamp>.<body>`, the body exactly as it arrived.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE_SECONDS = 300


class NotFromMeldpunt(Exception):
    """The message is not proved to be from meldpunt: answer 401 and do nothing."""


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: float | None = None) -> str:
    """Check a message; gives its `webhook-id`, by which you know a repeat.

    `headers` have names in small letters. Raises `NotFromMeldpunt`.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not (timestamp.isascii() and timestamp.isdigit()):
        raise NotFromMeldpunt("a header is missing")
    # An old message may have been caught and sent again by somebody else.
    if abs(int(timestamp) - (time.time() if now is None else now)) > TOLERANCE_SECONDS:
        raise NotFromMeldpunt("too old or too new")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    expected = hmac.digest(key, content, hashlib.sha256)
    # While a secret is changed there are two signatures; one that fits is enough.
    for item in headers.get("webhook-signature", "").split():
        version, _, text = item.partition(",")
        if version == "v1" and hmac.compare_digest(expected, _decoded(text)):
            return message_id
    raise NotFromMeldpunt("no signature fits")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
