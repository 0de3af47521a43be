"""Identifiers and the clock, in one place so that tests can hold both."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

Clock = Callable[[], datetime]


def new_id() -> UUID:
    """Random UUID of version 7: 74 random bits, ordered by time so that indexes stay compact."""
    return uuid7()


def utc_now() -> datetime:
    """The present moment with time zone UTC."""
    return datetime.now(UTC)
