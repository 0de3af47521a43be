"""Legal terms of a case: warned of in time, never early, never after the last day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from contracts.calendar import local_day
from contracts.referral import TermWarned
from contracts.routing import CaseAssigned, Term
from deploy.simulate.past import require
from deploy.simulate.world import Book, World
from services.referral import legal_terms
from services.referral.domain import Outcome, Standing, Verdict

_DAYS = (1, 5, 20, 42, 365)


def some_terms(world: World, organisation: str) -> tuple[Term, ...]:
    """The terms that a decision names, with a known last day."""
    today = local_day(world.now)
    return tuple(
        Term(
            term=f"termijn_{days}",
            organisation=organisation,
            length=f"{days} days",
            starts="decision",
            source="T",
            last_day=today + timedelta(days=days),
        )
        for days in world.rng.sample(_DAYS, world.rng.choice((0, 0, 1, 2)))
    )


def keep_terms(book: Book, event: CaseAssigned, now: datetime) -> None:
    """Keep the terms of a decision; a changed last day is warned of anew."""
    for term in legal_terms.terms_of(event, now):
        key = (term.case_id, term.term)
        known = book.terms.get(key)
        if known is None or known.last_day != term.last_day:
            book.terms[key] = term


def warn_due(book: Book, now: datetime, take: Callable[[str, Standing, Outcome], None]) -> None:
    """Every warning that is due, once."""
    for key, term in list(book.terms.items()):
        if term.warn_at is None or term.warn_at > now:
            continue
        standing = book.standing(term.case_id)
        assert standing is not None
        outcome = legal_terms.warn(standing, term, now)
        if outcome.verdict is Verdict.APPLIED:
            over = local_day(now) > term.last_day
            require(not over, "P3", "a term was warned of that is over")
            enough = term.warned < len(legal_terms.WARN_DAYS_BEFORE)
            require(enough, "P3", "a term was warned of once too often")
            told = any(isinstance(event, TermWarned) for event in outcome.events)
            require(told, "P3", "a warning that nobody hears")
        take(f"warns of {term.term}", standing, outcome)
        book.terms[key] = replace(
            term, warned=term.warned + 1, warn_at=legal_terms.after_warning(term, now)
        )
