"""The judge of a simulation: every call of a rule, every batch and every moment at rest.

It keeps its own past and its own table of transitions, and asks the core for nothing.
"""

from collections.abc import Sequence
from uuid import UUID

from contracts.intake import ReportReceived
from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CaseClosed,
    RedecisionRequested,
    ReferralAnswered,
    ReferralOffer,
    ReferralReminder,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import OnwardRefused
from deploy.simulate.broker import Record
from deploy.simulate.ladder_rules import check_finding
from deploy.simulate.ledger import Ledger
from deploy.simulate.past import ENDED, Past, came_back, other_loket, remember, require
from deploy.simulate.standing import Proofs, check_standing
from deploy.simulate.world import Applied, Book, Cause, World
from services.referral.domain import Referral, Verdict

_RETURNS_MAX = 2
_R, _A = Status.REQUESTED, Status.ACCEPTED
_LIVE = {_R: 0, Status.RECEIVED: 1, _A: 2, Status.IN_PROGRESS: 3, Status.ON_HOLD: 3}
_PROVES_RECEIPT = {Answer.RECEIVED, Answer.ACCEPTED, Answer.REJECTED}


class Judge:
    """Raises Broken as soon as a promise is broken."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._past: dict[UUID, Past] = {}
        self._proofs: Proofs = set()
        self._rested: Book | None = None
        self._effects: set[tuple[str, str, UUID]] = set()

    def reported(self, event: ReportReceived) -> None:
        """A report got its receipt."""
        self._past[event.case_id] = Past(first_received_at=event.received_at)

    def said(self, organisation: str, event: ReferralAnswered) -> None:
        """An organisation really sent this answer."""
        if event.answer in _PROVES_RECEIPT:
            self._proofs.add((event.referral_id, organisation, False))
        if event.answer is Answer.ACCEPTED:
            self._proofs.add((event.referral_id, organisation, True))

    def proved(self, referral: Referral, *, accepted: bool) -> None:
        """Somebody at the desk heard or saw it."""
        self._proofs.add((referral.referral_id, referral.organisation, False))
        if accepted:
            self._proofs.add((referral.referral_id, referral.organisation, True))

    def passed(
        self, ledger: Ledger, reader: str, records: Sequence[Record], committed: bool
    ) -> None:
        """A batch was read; what lies before a committed offset must have had its effect."""
        for record in records if committed else ():
            known = (record.source, record.event_id)
            require(known in ledger.inbox, "P1", f"{reader} lost {record.event.event_name}")

    def handled(self, reader: str, record: Record) -> None:
        """An event had its effect in a committed transaction."""
        effect = (reader, record.source, record.event_id)
        require(effect not in self._effects, "P1", f"{record.event.event_name} was handled twice")
        self._effects.add(effect)

    def rest(self, book: Book) -> None:
        """Between two steps: every case, as it is committed.

        A step that committed nothing leaves the very same tables, of which all was just found true.
        """
        self._nothing_forgotten()
        if book is self._rested:
            return
        self._rested = book
        for case_id, case in book.cases.items():
            require(case_id in self._past, "P1", "a case without a report")
            check_standing(book, case, self._past[case_id], self._proofs)
        for finding in book.findings.values():
            check_finding(book, finding)

    def _nothing_forgotten(self) -> None:
        """An event of the journal is published, or its pointer is still there."""
        for name, ledger in self._world.ledgers.items():
            unpublished = len(ledger.journal) - ledger.sent
            require(len(ledger.pointers) >= unpublished, "P1", f"{name} forgot to publish")

    def applied(self, applied: Applied) -> None:
        """One call of a rule, after its commit."""
        outcome, before = applied.outcome, applied.before
        if outcome.verdict is not Verdict.APPLIED:
            quiet = not (outcome.referrals or outcome.events or outcome.feed)
            # The number of a decision is noted even so: routing has used it up.
            number = outcome.case.decision_number
            same = before is None or outcome.case == before.case._replace(decision_number=number)
            require(quiet and same, "P1", f"{outcome.verdict.value}, but something changed")
            return
        past = self._past[outcome.case.case_id]
        _statuses(past, applied)
        _holder(applied)
        _silence(applied)
        _said_as_it_is(applied)
        _doors(past, applied)
        remember(past, applied)


def _statuses(past: Past, applied: Applied) -> None:
    for item in applied.outcome.referrals:
        known = past.seen.get(item.referral_id)
        if known is None:
            require(item.status is _R, "P2", f"a referral began as {item.status.value}")
            continue
        require(
            known.status not in ENDED or known == item,
            "P2",
            f"{item.organisation} has {item.status.value} after {known.status.value}",
        )
        if item.status in _LIVE:
            forward = _LIVE[item.status] >= _LIVE[known.status]
            require(forward, "P2", f"{known.status.value} became {item.status.value}")
        again = item.status is _A and known.status is not _A
        require(not again or item.referral_id not in past.accepted, "P2", "accepted twice")


def _holder(applied: Applied) -> None:
    before, case = applied.before, applied.outcome.case
    was, handoff = (DESK, 0) if before is None else (before.case.holder, before.case.handoff)
    changed = case.holder != was
    require(case.handoff == handoff + changed, "P2", f"handoff {handoff} became {case.handoff}")
    if changed and case.holder != DESK:
        taken = any(
            item.status is _A and item.organisation == case.holder
            for item in applied.outcome.referrals
        )
        require(taken, "P2", f"{case.holder} holds the case without having accepted")
    event = applied.event
    if isinstance(event, OnwardRefused) and before is not None and before.holding is not None:
        asked = before.holding.onward_to == event.organisation
        require(asked, "P7", "a holder was refused what another had asked")
    onward = isinstance(event, ReferralAnswered) and event.answer is Answer.REFERRED_ONWARD
    require(not (changed and onward), "P2", "who refers onward let go before the next accepts")


def _silence(applied: Applied) -> None:
    before, outcome = applied.before, applied.outcome
    ended = before is not None and before.case.open and not outcome.case.open
    require(not (ended and applied.cause is Cause.TIME), "P3", "silence closed the case")
    if ended:
        says = any(isinstance(event, CaseClosed) for event in outcome.events)
        require(says, "P3", "a case was closed without a word")
    if applied.cause is Cause.TIME and before is not None and applied.name in {"expire", "tick"}:
        target = applied.target
        due = before.case.timer_at if target is None else target.due_at
        require(due is not None and due <= applied.now, "P3", "time acted before its moment")


def _said_as_it_is(applied: Applied) -> None:
    """What is published says neither more nor less than what is."""
    outcome, before = applied.outcome, applied.before
    case = outcome.case
    stands = (case.holder, case.handoff, case.next_step)
    if outcome.events:
        last = outcome.events[-1]
        told = (last.holder, last.handoff, last.next_step)  # type: ignore[attr-defined]
        require(told == stands, "P4", f"{last.event_name} tells another holder or next step")
    elif before is not None:
        known = (before.case.holder, before.case.handoff, before.case.next_step)
        require(known == stands, "P4", "the case changed and nothing tells it")
    became = {(item.referral_id, item.status) for item in outcome.referrals}
    for event in outcome.events:
        if isinstance(event, ReferralStatusChanged):
            fact = (event.referral_id, event.status)
            require(fact in became, "P4", f"{event.status.value} was published and is not so")
    for fed in outcome.feed:
        if isinstance(fed.event, ReferralReminder):
            step = case.next_step
            right = step is not None and step.actor == fed.organisation
            require(right, "P3", f"{fed.organisation} was reminded of what another must do")
        if isinstance(fed.event, ReferralOffer):
            kept = fed.event.first_received_at == case.first_received_at
            require(kept, "P7", "an offer tells another first receipt")


def _doors(past: Past, applied: Applied) -> None:
    outcome, case = applied.outcome, applied.outcome.case
    for item in outcome.referrals:
        given_back = item.business_status is BusinessStatus.RETURNED
        declined = item.status is Status.REJECTED or given_back
        require(not declined or item.reason is not None, "P7", "a decline without a reason")
        if item.referral_id not in past.seen:
            _offered(past, applied, item)
    for event in outcome.events:
        if isinstance(event, RedecisionRequested):
            left_out = past.had.keys() <= {*event.excluded}
            require(left_out, "P7", "routing is not told of all who had the case")
    if came_back(past, applied) and past.returns + 1 >= _RETURNS_MAX:
        step = case.next_step
        at_desk = case.holder == DESK and (step is None or step.actor == DESK)
        asks = any(isinstance(event, RedecisionRequested) for event in outcome.events)
        require(at_desk and not asks, "P7", "a second return did not go to the desk")


def _offered(past: Past, applied: Applied, item: Referral) -> None:
    case = applied.outcome.case
    about = {item.organisation, f"{item.organisation}/{item.loket}"} & {*case.never}
    require(not about, "P7", f"the case is about {item.organisation}, which was asked")
    own = item.loket is None or item.loket.startswith(item.organisation)
    require(own, "P7", f"{item.organisation} was asked at {item.loket}, which is not its own")
    again = item.organisation in past.had
    by_loket = any(
        other_loket(gone, applied.outcome.referrals)
        for gone in applied.outcome.referrals
        if gone.status is Status.FAILED
    )
    by_people = applied.cause is Cause.DESK
    allowed = by_people or by_loket
    went_on = by_people or not past.withdrawn
    require(went_on, "P7", f"{item.organisation} was asked after the reporter had withdrawn")
    require(not again or allowed, "P7", f"{item.organisation} had the case before")
