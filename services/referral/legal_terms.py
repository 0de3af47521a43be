"""Warnings before a legal term lapses: to the holder, and through intake to the reporter. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from contracts.calendar import ZONE, local_day
from contracts.referral import CaseNews, News, TermWarned
from contracts.routing import CaseAssigned
from services.referral import announce
from services.referral.domain import FeedItem, LegalTerm, Outcome, Referral, Standing, Verdict

WARN_DAYS_BEFORE = (14, 3)
_MORNING = time(9)
# Terms of many cases end on the same days.
_DAYS_MAX = 1000


@lru_cache(_DAYS_MAX)
def warn_moments(last_day: date) -> tuple[datetime, ...]:
    """When is warned of a term: two weeks and three days before, at nine in the morning."""
    return tuple(
        datetime.combine(last_day - timedelta(days=days), _MORNING, ZONE).astimezone(UTC)
        for days in WARN_DAYS_BEFORE
    )


def next_warning(last_day: date, warned: int, now: datetime) -> datetime | None:
    """The next moment to warn; when moments were missed, one warning at once stands for them.

    None when all were given, or when the term is over.
    """
    moments = warn_moments(last_day)
    left = moments[warned:]
    if not left or local_day(now) > last_day:
        return None
    ahead = [moment for moment in left if moment > now]
    missed = len(ahead) < len(left)
    return now if missed else ahead[0]


def terms_of(event: CaseAssigned, now: datetime) -> list[LegalTerm]:
    """The terms of a decision of which a last day is known."""
    return [
        LegalTerm(
            case_id=event.case_id,
            term=term.term,
            organisation=term.organisation,
            last_day=term.last_day,
            warn_at=next_warning(term.last_day, 0, now),
        )
        for term in event.terms
        if term.last_day is not None
    ]


def warn(standing: Standing, term: LegalTerm, now: datetime) -> Outcome:
    """Warn of a term, unless the case is closed or the term is over."""
    case = standing.case
    if not case.open or local_day(now) > term.last_day:
        return Outcome(Verdict.OUTDATED, case)
    event = TermWarned(
        **announce.standing(case, now),
        term=term.term,
        organisation=term.organisation,
        last_day=term.last_day,
    )
    held = standing.holding
    told = () if held is None else (told_holder(held, term, now),)
    return Outcome(Verdict.APPLIED, case, events=(event,), feed=told)


def told_holder(held: Referral, term: LegalTerm, now: datetime) -> FeedItem:
    """The warning for who holds the case."""
    news = CaseNews(
        referral_id=held.referral_id,
        case_id=held.case_id,
        organisation=held.organisation,
        news=News.TERM_ENDS,
        term=term.term,
        last_day=term.last_day,
        at=now,
    )
    return FeedItem(held.organisation, news)


def after_warning(term: LegalTerm, now: datetime) -> datetime | None:
    """When to warn next, after the warning that is given now; missed ones are not made up."""
    return next((moment for moment in warn_moments(term.last_day) if moment > now), None)
