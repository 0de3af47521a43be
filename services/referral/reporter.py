"""What the reporter does with the receipt code, as it changes a case. Pure.

A reporter may always stop; a case in acute danger is looked at by people before it is closed,
because duties to report (WPO 4a, Wet verplichte meldcode) do not end with a withdrawal.
"""

from datetime import datetime
from uuid import UUID

from contracts.intake import ContentField
from contracts.referral import (
    DESK,
    REPORTER,
    ClosedBecause,
    DeskReason,
    News,
    NextAction,
    NextStep,
    Status,
)
from contracts.situation import Urgency
from services.referral import announce, holding
from services.referral.domain import Outcome, Referral, Standing, Verdict
from services.referral.moves import at_desk, closed, desk_step, handled_by, joined, moved, stepped


def withdrawn(standing: Standing, now: datetime) -> Outcome:
    """The reporter takes the report back: every live referral ends.

    A finding that was given stands: the board still has to answer it, and the desk sees to that.
    """
    case = standing.case
    if case.desk_reason is DeskReason.FINDING:
        return Outcome(Verdict.OUTDATED, case)
    if not case.open or case.desk_reason is DeskReason.WITHDRAWN:
        return Outcome(Verdict.DUPLICATE, case)
    live = _live(standing)
    if case.urgency is Urgency.ACUUT:
        ended = tuple(moved(item, Status.CANCELLED, now) for item in live)
        return holding.taken_back(standing, ended, DeskReason.WITHDRAWN, now)
    return _ended(standing, live, Status.CANCELLED, ClosedBecause.WITHDRAWN, now)


def entered_in_error(standing: Standing, now: datetime) -> Outcome:
    """The desk found that there is no case at all, such as a test."""
    if not standing.case.open:
        return Outcome(Verdict.DUPLICATE, standing.case)
    live = _live(standing)
    error = Status.ENTERED_IN_ERROR
    return _ended(standing, live, error, ClosedBecause.ENTERED_IN_ERROR, now)


def _ended(
    standing: Standing,
    live: tuple[Referral, ...],
    status: Status,
    because: ClosedBecause,
    now: datetime,
) -> Outcome:
    ended = tuple(moved(item, status, now) for item in live)
    case = standing.case
    if standing.holding is not None:
        # Nobody has the case any more, so it is on file at the desk.
        case = case._replace(holder=DESK, handoff=case.handoff + 1)
    rest = closed(case, because, now)
    changed = (announce.status_changed(rest.case, item, now) for item in ended)
    return rest._replace(
        referrals=ended,
        events=(*changed, *rest.events),
        feed=tuple(announce.withdrawn_item(item, now) for item in ended),
    )


def asked(standing: Standing, referral_id: UUID, answer_by: datetime, now: datetime) -> Outcome:
    """The holder put a question to the reporter, who acts next."""
    held = standing.holding
    if held is None or held.referral_id != referral_id:
        return Outcome(Verdict.OUTDATED, standing.case)
    step = NextStep(actor=REPORTER, action=NextAction.ANSWER_QUESTION, due_at=answer_by)
    case = stepped(standing.case, step, now)
    return Outcome(
        Verdict.APPLIED, case, (held,), (announce.status_changed(case, held, now, again=True),)
    )


def answered(standing: Standing, question_id: UUID, now: datetime) -> Outcome:
    """The reporter answered: the holder fetches the words and goes on."""
    held = standing.holding
    if held is None:
        return Outcome(Verdict.OUTDATED, standing.case)
    case = standing.case
    waits = case.next_step is not None and case.next_step.actor == REPORTER
    case = handled_by(case, held.organisation, now) if waits else case._replace(changed_at=now)
    item = announce.news(held, News.QUESTION_ANSWERED, now, reference_id=question_id)
    return Outcome(
        Verdict.APPLIED,
        case,
        (held,),
        (announce.status_changed(case, held, now, again=True),),
        (item,),
    )


def identity_hidden(standing: Standing, now: datetime) -> Outcome:
    """The identity is given to nobody any more; who has the case is told."""
    case = standing.case
    if ContentField.IDENTITY not in case.content:
        return Outcome(Verdict.DUPLICATE, case)
    content = tuple(item for item in case.content if item is not ContentField.IDENTITY)
    case = case._replace(content=content, changed_at=now)
    told = tuple(announce.news(item, News.IDENTITY_HIDDEN, now) for item in _live(standing))
    return Outcome(Verdict.APPLIED, case, feed=told)


def not_helped(standing: Standing, now: datetime) -> Outcome:
    """The reporter says that nobody helped: a closed case opens again, a holder is called.

    Where the desk was to ask the reporter, this is the answer, and the desk finds a party.
    """
    case, held = standing.case, standing.holding
    if case.next_step is not None and case.next_step.action is NextAction.CALL_HOLDER:
        # Saying it once more must not give the desk more time.
        return Outcome(Verdict.DUPLICATE, case)
    if held is not None:
        step = desk_step(case.urgency, NextAction.CALL_HOLDER, now)
        case = stepped(case, step, now)
        return Outcome(
            Verdict.APPLIED, case, (held,), (announce.status_changed(case, held, now, again=True),)
        )
    asking = case.next_step is not None and case.next_step.action is NextAction.ASK_REPORTER
    if case.open and not asking:
        return Outcome(Verdict.DUPLICATE, case)
    moved_on = case.holder != DESK
    case = case._replace(open=True, holder=DESK, handoff=case.handoff + moved_on)
    return joined(Outcome(Verdict.APPLIED, case), at_desk(case, DeskReason.NOT_HELPED, now))


def _live(standing: Standing) -> tuple[Referral, ...]:
    return tuple(item for item in (standing.request, standing.holding) if item is not None)
