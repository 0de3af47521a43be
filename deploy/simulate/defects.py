"""Seeded defects: what a simulation must find, each against the promise that it breaks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    ClosedBecause,
    DeclineReason,
    NextAction,
    ReferralAnswered,
    Status,
)
from deploy.simulate.core import Core, Shell, Subject
from services.referral import announce, by_desk, escalation, moves, reporter, rules
from services.referral.domain import Case, Outcome, Referral, Standing, Verdict

_CORE = Core()


@dataclass(frozen=True, slots=True)
class Defect:
    """A way to get it wrong; `promise` is the one that it breaks first."""

    text: str
    promise: str
    subject: Subject


def _on_case(outcome: Outcome, **changes: Any) -> Outcome:
    """The outcome with another case, said consistently in its events."""
    case: Case = outcome.case._replace(**changes)
    events = tuple(announce.of_case(case, event) for event in outcome.events)
    return outcome._replace(case=case, events=events)


def _accept_expired(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    outcome = _CORE.answer(standing, referral, event, now, **more)
    late = outcome.verdict in {Verdict.EXPIRED, Verdict.WITHDRAWN, Verdict.HELD_BY_OTHER}
    if late and event.answer is Answer.ACCEPTED:
        return rules.accepted(standing, referral._replace(status=Status.RECEIVED), now)
    return outcome


def _keep_old_holder(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    outcome = _CORE.answer(standing, referral, event, now, **more)
    if event.answer is not Answer.ACCEPTED or outcome.verdict is not Verdict.APPLIED:
        return outcome
    taken = tuple(item for item in outcome.referrals if item.status is not Status.COMPLETED)
    events = tuple(
        item for item in outcome.events if getattr(item, "status", None) is not Status.COMPLETED
    )
    return outcome._replace(referrals=taken, events=events)


def _let_go_at_once(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    outcome = _CORE.answer(standing, referral, event, now, **more)
    if event.answer is not Answer.REFERRED_ONWARD or outcome.verdict is not Verdict.APPLIED:
        return outcome
    done = moves.moved(referral, Status.COMPLETED, now, business=BusinessStatus.REFERRED_ONWARD)
    case = moves.to_desk(outcome.case, referral)
    changed = announce.status_changed(case, done, now)
    return _on_case(outcome, holder=case.holder, handoff=case.handoff)._replace(
        referrals=(done,),
        events=(changed, announce.of_case(case, outcome.events[-1])),
    )


def _forget_next_step(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    outcome = _CORE.answer(standing, referral, event, now, **more)
    declines = event.answer is Answer.REJECTED and outcome.verdict is Verdict.APPLIED
    return _on_case(outcome, next_step=None, timer_at=None) if declines else outcome


def _forgive_second_return(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    before = standing.case.returns
    first = standing._replace(case=standing.case._replace(returns=0))
    outcome = _CORE.answer(first, referral, event, now, **more)
    return outcome._replace(case=outcome.case._replace(returns=before + outcome.case.returns))


def _need_no_reason(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    if event.answer is not Answer.REJECTED or event.reason is not None:
        return _CORE.answer(standing, referral, event, now, **more)
    given = event.model_copy(update={"reason": DeclineReason.CAPACITY})
    outcome = _CORE.answer(standing, referral, given, now, **more)
    silent = tuple(item._replace(reason=None) for item in outcome.referrals)
    return outcome._replace(referrals=silent)


def _forget_who_had_it(
    standing: Standing, referral: Referral, event: ReferralAnswered, now: datetime, **more: Any
) -> Outcome:
    outcome = _CORE.answer(standing, referral, event, now, **more)
    if outcome.verdict is not Verdict.APPLIED or event.answer is not Answer.ACCEPTED:
        return outcome
    return outcome._replace(case=outcome.case._replace(returned_by=()))


def _signal_is_pick_up(standing: Standing | None, event: Any, offering: Any, now: Any) -> Outcome:
    outcome = _CORE.assign(standing, event, offering, now)
    if not any(item.signal and item.status is Status.REQUESTED for item in outcome.referrals):
        return outcome
    case = moves.handled_by(outcome.case, event.organisation, now)
    return _on_case(outcome._replace(case=case), next_step=case.next_step)


def _reset_receipt(standing: Standing | None, event: Any, offering: Any, now: Any) -> Outcome:
    again = standing is not None
    given = event.model_copy(update={"received_at": now}) if again else event
    outcome = _CORE.assign(standing, given, offering, now)
    if not again or outcome.verdict is not Verdict.APPLIED:
        return outcome
    return outcome._replace(case=outcome.case._replace(first_received_at=now))


def _forget_onward(standing: Standing | None, event: Any, offering: Any, now: Any) -> Outcome:
    outcome = _CORE.assign(standing, event, offering, now)
    if standing is None or standing.holding is None or outcome.referrals:
        return outcome
    number = max(standing.case.decision_number, event.number)
    return Outcome(Verdict.BUSY, standing.case._replace(decision_number=number))


def _ask_the_accused(
    standing: Standing, organisation: str, loket: str | None, offering: Any, now: datetime
) -> Outcome:
    blind = standing._replace(case=standing.case._replace(never=()))
    outcome = by_desk.assigned(blind, organisation, loket, offering, now)
    return outcome._replace(case=outcome.case._replace(never=standing.case.never))


def _silence_closes(standing: Standing, now: datetime) -> Outcome:
    outcome = _CORE.tick(standing, now)
    step = outcome.case.next_step
    if outcome.verdict is not Verdict.APPLIED or step is None or step.actor != DESK:
        return outcome
    if step.action is not NextAction.CALL_HOLDER or standing.holding is None:
        return outcome
    done = moves.moved(standing.holding, Status.COMPLETED, now)
    rest = moves.closed(outcome.case, ClosedBecause.COMPLETED, now)
    changed = announce.status_changed(rest.case, done, now)
    return rest._replace(referrals=(done,), events=(changed, *rest.events))


def _forget_timer(standing: Standing, now: datetime) -> Outcome:
    outcome = _CORE.tick(standing, now)
    if outcome.verdict is not Verdict.APPLIED:
        return outcome
    return outcome._replace(case=outcome.case._replace(timer_at=None))


def _expire_early(standing: Standing, referral: Referral, reach: Any, now: datetime) -> Outcome:
    return escalation.expire(standing, referral, reach, referral.due_at or now)


def _say_nothing(standing: Standing, referral_id: Any, answer_by: datetime, now: Any) -> Outcome:
    outcome = reporter.asked(standing, referral_id, answer_by, now)
    return outcome._replace(events=())


def _core(**changes: Callable[..., Outcome]) -> Subject:
    return Subject(core=replace(_CORE, **changes))


DEFECTS = {
    "accept-expired": Defect(
        "fencing is off: an expired referral can be accepted",
        "P2",
        _core(answer=_accept_expired),
    ),
    "two-holders": Defect(
        "who referred onward stays holder beside the next one",
        "P2",
        _core(answer=_keep_old_holder),
    ),
    "let-go-early": Defect(
        "a referral onward ends the holder's own before the next accepts",
        "P2",
        _core(answer=_let_go_at_once),
    ),
    "no-next-step": Defect(
        "a decline leaves the case without a next step",
        "P3",
        _core(answer=_forget_next_step),
    ),
    "no-timer": Defect(
        "after a reminder no timer is set any more",
        "P3",
        _core(tick=_forget_timer),
    ),
    "silence-closes": Defect(
        "a holder that keeps silent is taken to be done",
        "P3",
        _core(tick=_silence_closes),
    ),
    "expires-early": Defect(
        "an offer expires before its time",
        "P3",
        _core(expire=_expire_early),
    ),
    "onward-forgotten": Defect(
        "a decision that was under way makes routing drop what a holder asks",
        "P3",
        _core(assign=_forget_onward),
    ),
    "signal-is-pick-up": Defect(
        "a party without feedback is taken to handle what was sent to it",
        "P4",
        _core(assign=_signal_is_pick_up),
    ),
    "untold-change": Defect(
        "a question to the reporter changes who acts next, and no event says so",
        "P4",
        _core(asked=_say_nothing),
    ),
    "receipt-reset": Defect(
        "a new decision starts the first receipt anew",
        "P7",
        _core(assign=_reset_receipt),
    ),
    "second-return-again": Defect(
        "a second return goes to routing instead of the desk",
        "P7",
        _core(answer=_forgive_second_return),
    ),
    "no-reason": Defect(
        "a decline needs no reason",
        "P7",
        _core(answer=_need_no_reason),
    ),
    "circle": Defect(
        "who had the case is forgotten when the next one accepts",
        "P7",
        _core(answer=_forget_who_had_it),
    ),
    "accused-asked": Defect(
        "the desk can bring a case to those whom it is about",
        "P7",
        _core(desk_assigned=_ask_the_accused),
    ),
    "no-inbox": Defect(
        "what was read before is handled again",
        "P1",
        Subject(shell=Shell(inbox=False)),
    ),
    "offsets-first": Defect(
        "offsets are committed before the transaction",
        "P1",
        Subject(shell=Shell(offsets_last=False)),
    ),
    "pointers-first": Defect(
        "the relay forgets what it is about to publish",
        "P1",
        Subject(shell=Shell(pointers_last=False)),
    ),
}
