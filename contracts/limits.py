"""When the limits of a party lapse: clock minutes, or the end of a working day. Pure."""

from datetime import UTC, datetime, timedelta

from contracts.calendar import SchoolRegion, end_of_working_day
from contracts.routing import HandlingLimits


def limits_due(limits: HandlingLimits, at: datetime) -> tuple[datetime, datetime]:
    """Until when a party that got a case at `at` may confirm receipt, and may accept; both in UTC.

    Working days go before minutes where the register gives them: the end of that working day after
    the Dutch day of `at`. The second moment never lies before the first. Raises ValueError for a
    moment without a zone.
    """
    received_by = _due(
        at, limits.received_within_minutes, limits.received_within_working_days, limits.region
    )
    accepted_by = _due(
        at, limits.accepted_within_minutes, limits.accepted_within_working_days, limits.region
    )
    return received_by, max(received_by, accepted_by)


def _due(
    at: datetime, minutes: int, working_days: int | None, region: SchoolRegion | None
) -> datetime:
    if working_days is not None:
        return end_of_working_day(at, working_days, region)
    if at.utcoffset() is None:
        raise ValueError("a moment needs a time zone")
    return at.astimezone(UTC) + timedelta(minutes=minutes)
