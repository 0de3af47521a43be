"""Tokens of links: random, never stored, and known again by their digest."""

import hashlib
import re
import secrets
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

LIFETIME = timedelta(days=30)
_BYTES = 24
_SHAPE = re.compile(r"[A-Za-z0-9_-]{32}")


def new_token() -> str:
    """A token of 192 random bits, fit for a URL."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> bytes | None:
    """SHA-256 of a token; None for what cannot be one.

    A plain digest is enough: the token is random and too long to guess, unlike a password.
    """
    return hashlib.sha256(token.encode()).digest() if _SHAPE.fullmatch(token) else None


def answer_id(digest: bytes, *said: str | None) -> UUID:
    """The id of an answer that was given with a token: what is said twice is one answer."""
    return uuid5(NAMESPACE_URL, "|".join([digest.hex(), *(part or "" for part in said)]))
