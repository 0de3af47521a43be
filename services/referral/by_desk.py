"""What people at the desk do: assign, hand over by phone or letter, switch a party off. Pure."""

from dataclasses import dataclass
from datetime import datetime

from contracts.referral import (
    DESK,
    ClosedBecause,
    CompletedAs,
    DeclineReason,
    DeskReason,
    HandOverBy,
    NextAction,
    NextStep,
    Status,
)
from services.referral import announce, holding, rules
from services.referral.domain import (
    OPEN,
    Outcome,
    Referral,
    Standing,
    Verdict,
)
from services.referral.moves import (
    closed,
    handled_by,
    joined,
    left_out,
    moved,
    redecide,
    stepped,
    to_desk,
)
from services.referral.offering import Offering, asking_step, offered

# Why routing decides again; it declined nothing, so this is no reason of a decline.
SWITCHED_OFF = "switched-off"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """How the desk brought a case, and what the organisation said to that, if anything."""

    by: HandOverBy
    accepted: bool = False
    declined: DeclineReason | None = None


def assigned(
    standing: Standing, organisation: str, loket: str | None, offering: Offering, now: datetime
) -> Outcome:
    """The desk asks an organisation by its own judgement; it may have had the case before.

    NEVER when the case is about that party; BUSY while somebody else holds it or is asked.
    """
    case, request = standing.case, standing.request
    if case.refuses(organisation, loket) or organisation == DESK:
        return Outcome(Verdict.NEVER, case)
    if not case.open:
        return Outcome(Verdict.OUTDATED, case)
    if standing.holding is not None or (request is not None and not request.signal):
        return Outcome(Verdict.BUSY, case)
    # The lokets that routing named belong to the organisation of its decision.
    case = case._replace(other_lokets=())
    offer = offered(case, organisation, loket, offering, now)
    return joined(_given_way(standing, now), offer)


def _given_way(standing: Standing, now: datetime) -> Outcome:
    """A signal that is out is taken back, because nobody answers it."""
    case, request = standing.case, standing.request
    if request is None:
        return Outcome(Verdict.APPLIED, case)
    cancelled = moved(request, Status.CANCELLED, now)
    return Outcome(
        Verdict.APPLIED,
        case,
        (cancelled,),
        (announce.status_changed(case, cancelled, now),),
        (announce.withdrawn_item(cancelled, now),),
    )


def ended(standing: Standing, outcome: CompletedAs, now: datetime) -> Outcome:
    """The desk ends a case that rests with it, because of what came of it and never of silence.

    ILLEGAL for an outcome that helps nobody; BUSY while somebody else holds it or is asked.
    """
    case, request = standing.case, standing.request
    if not case.open:
        return Outcome(Verdict.DUPLICATE, case)
    if outcome in {CompletedAs.NOT_HELPED, CompletedAs.NO_CONTACT}:
        return Outcome(Verdict.ILLEGAL, case)
    if standing.holding is not None or (request is not None and not request.signal):
        return Outcome(Verdict.BUSY, case)
    stopped = outcome is CompletedAs.WITHDRAWN
    because = ClosedBecause.WITHDRAWN if stopped else ClosedBecause.COMPLETED
    return joined(_given_way(standing, now), closed(case, because, now, outcome))


def handed_over(standing: Standing, referral: Referral, how: HandedOver, now: datetime) -> Outcome:
    """The desk brought the case by phone or letter; a letter proves no acceptance (P4)."""
    if referral.status not in OPEN:
        return Outcome(Verdict.DUPLICATE, standing.case)
    brought = referral._replace(handed_over_by=how.by)
    if how.declined is not None:
        return rules.declined(standing, brought, how.declined, None, now)
    if how.accepted:
        return rules.accepted(standing, brought, now)
    if referral.status is Status.RECEIVED:
        return Outcome(Verdict.DUPLICATE, standing.case)
    return rules.received(standing, brought, now)


def switched_off(standing: Standing, organisation: str, now: datetime) -> Outcome:
    """An organisation stops taking cases: what it was asked or holds goes to another.

    Nothing was declined, so it counts as no return; the organisation is left out from now on.
    """
    case = standing.case
    gone = tuple(
        item
        for item in (standing.request, standing.holding)
        if item is not None and item.organisation == organisation
    )
    if not gone:
        return Outcome(Verdict.OUTDATED, case)
    request, held = standing.request, standing.holding
    if request in gone and request is not None and request.onward_of is not None:
        return holding.onward_ended(standing, moved(request, Status.CANCELLED, now), now)
    if held in gone and request is not None and request not in gone:
        # Somebody is asked already: the case waits for that answer at the desk.
        ended = moved(held, Status.CANCELLED, now) if held is not None else None
        assert ended is not None
        asked = request._replace(onward_of=None)
        case = stepped(to_desk(case, held), asking_step(asked), now)
        return Outcome(
            Verdict.APPLIED,
            left_out(case, organisation),
            (ended, asked),
            (announce.status_changed(case, ended, now),),
            (announce.withdrawn_item(ended, now),),
        )
    ended_all = tuple(moved(item, Status.CANCELLED, now) for item in gone)
    case = to_desk(case, held) if held in gone else case
    case = left_out(case, organisation)._replace(other_lokets=())
    rest = redecide(case, SWITCHED_OFF, now)
    return rest._replace(
        referrals=ended_all,
        events=(*(announce.status_changed(rest.case, i, now) for i in ended_all), *rest.events),
        feed=tuple(announce.withdrawn_item(i, now) for i in ended_all),
    )


def followed(standing: Standing, step: NextStep, now: datetime) -> Outcome:
    """A finding has another next step; the case shows it as its own."""
    case = standing.case
    if not case.open or case.desk_reason is not DeskReason.FINDING or case.next_step == step:
        return Outcome(Verdict.OUTDATED, case)
    case = stepped(case, step, now)
    return Outcome(Verdict.APPLIED, case, events=(announce.at_desk(case, DeskReason.FINDING, now),))


def called_holder(standing: Standing, now: datetime) -> Outcome:
    """The desk spoke with the holder, who goes on: its time begins anew.

    About its silence, or about the reporter whom it could not reach and the desk could.
    """
    held, step = standing.holding, standing.case.next_step
    spoken_of = {NextAction.CALL_HOLDER, NextAction.ASK_REPORTER}
    if held is None or step is None or step.action not in spoken_of:
        return Outcome(Verdict.OUTDATED, standing.case)
    case = handled_by(standing.case, held.organisation, now)
    return Outcome(
        Verdict.APPLIED, case, (held,), (announce.status_changed(case, held, now, again=True),)
    )
