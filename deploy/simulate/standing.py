"""What must be true of a case at rest, whatever happened before: P1 to P4 and P7."""

from uuid import UUID

from contracts.referral import DESK, REPORTER, Status
from deploy.simulate.ladder_rules import awaited
from deploy.simulate.past import ENDED, Past, require
from deploy.simulate.world import Book
from services.referral.domain import HOLDING, OPEN, Case, Referral
from services.referral.reminding import DESK_REMINDERS_MAX

_KNOWN = frozenset({Status.RECEIVED, Status.ACCEPTED, Status.REJECTED}) | HOLDING
Proofs = set[tuple[UUID, str, bool]]
"""Referral, who proved it, and whether that is acceptance (True) or only arrival (False)."""


def check_standing(book: Book, case: Case, past: Past, proofs: Proofs) -> None:
    """Raise Broken for the first invariant that a case violates."""
    own = book.of_case(case.case_id)
    requests = [item for item in own if item.status in OPEN]
    holding = [item for item in own if item.status in HOLDING]
    attempts = [item.attempt for item in own]
    require(attempts == [*range(1, case.attempts + 1)], "P1", f"attempts are {attempts}")
    require(len(requests) <= 1, "P2", "two organisations are asked at once")
    require(len(holding) <= 1, "P2", "two organisations hold the case")
    if case.open:
        holder = holding[0].organisation if holding else DESK
        require(case.holder == holder, "P2", f"holder is {case.holder}, must be {holder}")
    else:
        require(not requests and not holding, "P2", "a closed case has a live referral")
    request = requests[0] if requests else None
    held = holding[0] if holding else None
    _proved(case, request, own, proofs)
    _next_step(case, request, held, ladder=awaited(book, case))
    require(case.first_received_at == past.first_received_at, "P7", "the first receipt was changed")


def _next_step(
    case: Case, request: Referral | None, held: Referral | None, *, ladder: bool
) -> None:
    step = case.next_step
    if not case.open:
        require(step is None and case.timer_at is None, "P3", "a closed case waits for somebody")
        return
    require(step is not None and case.step_since is not None, "P3", "nobody acts next")
    assert step is not None
    actors = {DESK}
    if held is not None:
        actors |= {held.organisation, REPORTER}
    if request is not None and not request.signal:
        actors.add(request.organisation)
    require(step.actor in actors or ladder, "P3", f"{step.actor} must act, but has nothing")
    moves = (
        case.timer_at is not None
        or (request is not None and request.due_at is not None)
        or (step.actor == DESK and case.reminders >= DESK_REMINDERS_MAX)
        or ladder
    )
    require(moves, "P3", f"no time ever moves the case from {step.actor} {step.action.value}")


def _proved(case: Case, request: Referral | None, own: list[Referral], proofs: Proofs) -> None:
    if request is not None and request.signal and request.onward_of is None:
        silent = case.next_step is None or case.next_step.actor != request.organisation
        require(silent, "P4", "a party that reports nothing back is waited for")
    for item in own:
        accepted = item.accepted_at is not None or item.status in HOLDING
        if accepted:
            require(
                (item.referral_id, item.organisation, True) in proofs,
                "P4",
                "an acceptance that nobody gave",
            )
        if item.received_at is not None or item.status in _KNOWN:
            proved = (item.referral_id, item.organisation, False) in proofs
            require(proved, "P4", "a receipt that nobody confirmed")
        if item.status in ENDED:
            require(item.closed_at is not None, "P4", "an end without its moment")
