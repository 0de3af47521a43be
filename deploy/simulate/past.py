"""What a watcher remembers of each case, apart from the state that it judges."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.intake import NotHelped, ReportWithdrawn
from contracts.referral import BusinessStatus, Status
from deploy.simulate.world import Applied, Cause
from services.referral.domain import Referral

ENDED = frozenset(
    {
        Status.REJECTED,
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
        Status.ENTERED_IN_ERROR,
    }
)

# Of what a reporter does: whether the report is withdrawn after it.
_GOES_ON = {ReportWithdrawn.event_name: True, NotHelped.event_name: False}


class Broken(Exception):
    """An invariant does not hold; `promise` is the one of the design that it belongs to."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise
        self.text = text


def require(holds: bool, promise: str, text: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(promise, text)


@dataclass(slots=True)
class Past:
    """One case: its first receipt, its referrals as last seen, who had it, how often it came back.

    `had` are the organisations that declined it, kept silent, gave it back or passed it on: only
    the desk may bring it there again. `withdrawn` lasts until the reporter or the desk goes on.
    """

    first_received_at: datetime | None = None
    seen: dict[UUID, Referral] = field(default_factory=dict)
    had: dict[str, None] = field(default_factory=dict)
    accepted: dict[UUID, None] = field(default_factory=dict)
    returns: int = 0
    withdrawn: bool = False


def other_loket(ended: Referral, referrals: Iterable[Referral]) -> bool:
    """Whether the same outcome asks the same organisation again at another desk."""
    return any(
        item.organisation == ended.organisation and item.status is Status.REQUESTED
        for item in referrals
        if item.referral_id != ended.referral_id
    )


def came_back(past: Past, applied: Applied) -> bool:
    """Whether the case came back: declined, silent or given back, and not just passed onward."""
    before, outcome = applied.before, applied.outcome
    for item in outcome.referrals:
        known = past.seen.get(item.referral_id)
        fresh = known is not None and known.status is not item.status
        onward = item.onward_of is not None and (before is not None and before.holding is not None)
        if fresh and item.status in {Status.REJECTED, Status.FAILED}:
            holder = known is not None and known.accepted_at is not None
            if (holder or not onward) and not other_loket(item, outcome.referrals):
                return True
    return False


def remember(past: Past, applied: Applied) -> None:
    """Take an applied outcome into the past."""
    past.returns += came_back(past, applied)
    if applied.cause is Cause.REPORTER and applied.name in _GOES_ON:
        past.withdrawn = _GOES_ON[applied.name]
    elif applied.cause is Cause.DESK and applied.outcome.referrals:
        past.withdrawn = False
    for item in applied.outcome.referrals:
        passed_on = (
            item.status is Status.COMPLETED
            and item.business_status is BusinessStatus.REFERRED_ONWARD
        )
        silent = item.status is Status.FAILED and not other_loket(item, applied.outcome.referrals)
        if item.status is Status.REJECTED or passed_on or silent:
            past.had[item.organisation] = None
        if item.status is Status.ACCEPTED:
            past.accepted[item.referral_id] = None
        past.seen[item.referral_id] = item
