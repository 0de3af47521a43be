"""What an event counts as, and of whom. Pure: a sum, so order and batches do not matter.

Facts have the names of states and outcomes in the contracts. How many findings there are is not
told here but by `figure_store.finding_figures`, because a finding can be told of twice. The
desk and the reporter are counted under their own ids, `vangnet` and `reporter`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from contracts.event import Event
from contracts.finding import (
    BOARD,
    FindingEscalated,
    FindingReminded,
    FindingReplied,
    FindingSettled,
)
from contracts.intake import (
    ContentDisclosed,
    IdentityHidden,
    QuestionAnswered,
    QuestionAsked,
    ReportWithdrawn,
)
from contracts.referral import (
    DESK,
    REPORTER,
    BusinessStatus,
    CaseAtDesk,
    CaseClosed,
    ConsultationAnswered,
    ConsultationAsked,
    RedecisionRequested,
    ReferralEscalated,
    ReferralOffered,
    ReferralReminded,
    ReferralStatusChanged,
    Status,
    TermWarned,
)
from contracts.routing import CaseAssigned, OnwardRefused
from services.audit.domain import Figure

Counted = tuple[str, str]
"""Organisation and fact."""


def figures_of(event: Event) -> Iterable[Counted]:
    """What an event counts as; nothing for most events of the chain's own work."""
    own = _FIGURES.get(type(event))
    return own(event) if own else ()


def summed(events: Iterable[Event]) -> list[Figure]:
    """The figures of a batch, in a fixed order, so that two writers cannot deadlock."""
    numbers: dict[Counted, int] = {}
    for event in events:
        for counted in figures_of(event):
            numbers[counted] = numbers.get(counted, 0) + 1
    return [Figure(*counted, number) for counted, number in sorted(numbers.items())]


def _offered(event: ReferralOffered) -> list[Counted]:
    return [(event.organisation, "signalled" if event.signal else "offered")]


def _status(event: ReferralStatusChanged) -> list[Counted]:
    organisation = event.organisation
    if event.again:
        return []
    asks_onward = event.business_status is BusinessStatus.REFERRED_ONWARD
    if asks_onward and event.status is not Status.COMPLETED:
        # Its status is what it was; that it was asked is counted as `onward-asked`.
        return []
    counted = [(organisation, _end(event))]
    if event.outcome is not None:
        counted.append((organisation, f"completed-{event.outcome.value}"))
    if event.handed_over_by is not None:
        counted.append((organisation, "handed-over"))
    return counted


def _end(event: ReferralStatusChanged) -> str:
    match event.business_status, event.status:
        case BusinessStatus.REFERRED_ONWARD, Status.COMPLETED:
            return BusinessStatus.REFERRED_ONWARD.value
        case BusinessStatus.RETURNED, status if status is not Status.REJECTED:
            return BusinessStatus.RETURNED.value
        case (BusinessStatus.NO_CONTACT | BusinessStatus.TERM_EXPIRED) as why, _:
            return why.value
        case _:
            return event.status.value


def _escalated(event: ReferralEscalated) -> list[Counted]:
    named = (event.organisation, f"escalated-{event.rung.value}")
    return [(event.organisation, "escalated"), named]


def _redecision(event: RedecisionRequested) -> list[Counted]:
    return [(event.holder, "onward-asked")] if event.onward else []


def _asked(event: ConsultationAsked) -> list[Counted]:
    return [(event.holder, "consultation-asked"), (event.organisation, "consulted")]


def _advised(event: ConsultationAnswered) -> list[Counted]:
    return [(event.organisation, "advised" if event.advised else "not-advised")]


def _finding_up(event: FindingEscalated) -> list[Counted]:
    return [(event.organisation, "finding-escalated")]


_FIGURES: dict[type[Event], Callable[[Any], Iterable[Counted]]] = {
    CaseAssigned: lambda event: [(event.organisation, "assigned")],
    OnwardRefused: lambda event: [(event.organisation, "onward-refused")],
    ReferralOffered: _offered,
    ReferralStatusChanged: _status,
    CaseAtDesk: lambda event: [(DESK, f"at-desk-{event.reason.value}")],
    CaseClosed: lambda event: [(event.holder, f"closed-{event.because.value}")],
    RedecisionRequested: _redecision,
    ReferralReminded: lambda event: [(event.actor, "reminded")],
    ReferralEscalated: _escalated,
    TermWarned: lambda event: [(event.organisation, "term-warned")],
    ConsultationAsked: _asked,
    ConsultationAnswered: _advised,
    FindingReplied: lambda event: [(BOARD, f"finding-{event.reply.value}")],
    FindingReminded: lambda event: [(event.actor, "finding-reminded")],
    FindingEscalated: _finding_up,
    FindingSettled: lambda event: [(BOARD, f"finding-settled-{event.settlement.value}")],
    QuestionAsked: lambda event: [(event.organisation, "question-asked")],
    QuestionAnswered: lambda _: [(REPORTER, "question-answered")],
    ReportWithdrawn: lambda _: [(REPORTER, "report-withdrawn")],
    IdentityHidden: lambda _: [(REPORTER, "identity-hidden")],
    ContentDisclosed: lambda event: [(event.organisation, "content-disclosed")],
}
