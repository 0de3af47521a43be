"""When to try again, when to take another way, and when to give up; pure.

Times of one event: tries by the table of Standard Webhooks, spread by a factor that is fixed by the
event's id, so that an outage does not end in one wave. The table spans more than three days;
independently of it the urgency of the case says when the fallback channel is used as well.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

from contracts.situation import Urgency

DELAYS_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pause after the first, second ... failure: 75 hours and 35 minutes together."""
ATTEMPTS_MAX = len(DELAYS_SECONDS) + 1
SPREAD_MAX = 0.2
# Longer than the longest spread table: what has not been tried so often by then is given up too.
GIVE_UP_AFTER = timedelta(hours=96)
RETRY_AFTER_SECONDS_MAX = 86_400
_LANE_PAUSES_SECONDS = (5, 15, 60, 300, 900)

ESCALATE_AFTER = {
    Urgency.ACUUT: timedelta(minutes=2),
    Urgency.SPOED: timedelta(minutes=30),
    Urgency.NORMAAL: timedelta(hours=24),
}
"""How long an event may wait before it takes the fallback channel as well."""
FALLBACK_DELIVERED_WITHIN = timedelta(minutes=5)
"""How long the fallback of an acute event may take before a person is asked."""


def spread(event_id: UUID, attempt: int) -> float:
    """A factor from 1 to 1.2, always the same for one event and attempt; never below 1."""
    digest = hashlib.sha256(event_id.bytes + attempt.to_bytes(2, "big")).digest()
    return 1.0 + SPREAD_MAX * int.from_bytes(digest[:4], "big") / 2**32


def next_try_at(
    event_id: UUID, attempts: int, now: datetime, retry_after_seconds: int | None = None
) -> datetime | None:
    """Moment of the next try after so many failures; None when the table is used up.

    A `Retry-After` can only make the pause longer, by at most a day.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    pause = DELAYS_SECONDS[max(attempts, 1) - 1] * spread(event_id, attempts)
    asked = min(retry_after_seconds or 0, RETRY_AFTER_SECONDS_MAX)
    return now + timedelta(seconds=max(pause, asked))


def lane_pause(failures: int, event_id: UUID, retry_after_seconds: int | None = None) -> timedelta:
    """How long nothing at all is sent to an endpoint that failed so often in a row.

    Much shorter than the pauses of an event: the first event that gets through frees all others.
    """
    step = min(max(failures, 1), len(_LANE_PAUSES_SECONDS)) - 1
    pause = _LANE_PAUSES_SECONDS[step] * spread(event_id, failures % 0xFFFF)
    asked = min(retry_after_seconds or 0, RETRY_AFTER_SECONDS_MAX)
    return timedelta(seconds=max(pause, asked))


def escalate_at(urgency: Urgency, since: datetime) -> datetime:
    """When an event that is not delivered takes the fallback channel as well."""
    return since + ESCALATE_AFTER[urgency]


def retry_after_seconds(value: str | None, now: datetime) -> int | None:
    """Read a Retry-After header, in seconds or as a date; None when it is absent or unreadable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - now).total_seconds()
    return max(0, min(int(seconds), RETRY_AFTER_SECONDS_MAX))
