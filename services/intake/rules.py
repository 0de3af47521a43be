"""Pure decisions of intake: stage of a case, words for the reporter, who may fetch content."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.referral import (
    DESK,
    CaseAtDesk,
    RedecisionRequested,
    ReferralOffered,
    ReferralStatusChanged,
    Status,
)
from contracts.routing import Mode
from contracts.situation import Kind
from services.intake.domain import CaseStanding, ReferralKnown, ReportFound, Stage

CaseEvent = ReferralOffered | ReferralStatusChanged | CaseAtDesk | RedecisionRequested

DECIDE_WITHIN = timedelta(minutes=15)
# Forwarding normally takes milliseconds; only a longer wait is told as a fault of ours.
FAULT_AFTER = timedelta(seconds=10)
CAPABILITY_SECONDS_MAX = 300
CLOCK_LEEWAY_SECONDS = 30

LIVE = frozenset(
    {Status.REQUESTED, Status.RECEIVED, Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD}
)
_ENDED = frozenset({Status.COMPLETED, Status.CANCELLED, Status.ENTERED_IN_ERROR})
_AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_MONTHS = ("januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus",
           "september", "oktober", "november", "december")  # fmt: skip
_WORDS = {Kind.KLACHT: "klacht", Kind.HULPVRAAG: "hulpvraag"}


def assigned_stage(mode: Mode) -> Stage:
    """Stage after a decision of routing, until referral has said something."""
    return Stage.ASSIGNED if mode in (Mode.REFER, Mode.SIGNAL) else Stage.AT_DESK


def referral_stage(event: CaseEvent) -> Stage:
    """Stage after an event of referral.

    A case that a partner holds stays picked up whatever happens to an offer at another partner.
    """
    match event:
        case CaseAtDesk():
            return Stage.AT_DESK
        case ReferralStatusChanged(next_step=None) if event.status in _ENDED:
            return Stage.FINISHED
        case _ if event.holder != DESK:
            return Stage.PICKED_UP
        case _:
            return _stage_of_offer(event)


def _stage_of_offer(event: CaseEvent) -> Stage:
    match event:
        case ReferralOffered(signal=True):
            return Stage.SIGNALLED
        case ReferralOffered() | ReferralStatusChanged(status=Status.REQUESTED):
            return Stage.OFFERED
        case ReferralStatusChanged(status=Status.RECEIVED):
            return Stage.SEEN
        case _:
            return Stage.SEARCHING


@dataclass(frozen=True, slots=True)
class StatusWords:
    """The answer to a reporter who returns."""

    stage: Stage
    holder: str
    text: str
    next_actor: str | None
    next_by: datetime | None
    forwarding: Literal["done", "waiting"]


def status_words(found: ReportFound, now: datetime) -> StatusWords:
    """Status in plain Dutch: what happened, who acts next and by when."""
    waiting = _waits(found)
    standing = _complete(found)
    word = _WORDS.get(found.kind, "melding")
    if waiting and now - found.committed_at > FAULT_AFTER:
        text = _FAULT_WORDS.format(word=word)
    else:
        text = _STAGE_WORDS[standing.stage].format(word=word) + _term_words(standing)
    return StatusWords(
        standing.stage,
        standing.holder,
        text,
        standing.next_actor,
        standing.next_by,
        "waiting" if waiting else "done",
    )


def _waits(found: ReportFound) -> bool:
    # Once another service has answered on the case, its first event has certainly been forwarded.
    pending = found.oldest_pending_at
    return (
        found.standing.stage is Stage.RECEIVED
        and pending is not None
        and pending <= found.committed_at
    )


def _complete(found: ReportFound) -> CaseStanding:
    """Every open case has a next actor and a time (P3), also before routing has spoken."""
    standing = found.standing
    if standing.next_actor is not None or standing.stage is Stage.FINISHED:
        return standing
    next_by = standing.next_by or found.received_at + DECIDE_WITHIN
    return CaseStanding(standing.stage, standing.holder, DESK, next_by)


_STAGE_WORDS = {
    Stage.RECEIVED: "Uw {word} is veilig opgeslagen. Het meldpunt zoekt nu uit wie u het beste"
    " kan helpen.",
    Stage.ASSIGNED: "Wij weten welke organisatie het beste past bij uw {word}. Wij sturen uw"
    " {word} nu naar deze organisatie.",
    Stage.OFFERED: "Uw {word} is verstuurd naar een organisatie. De organisatie heeft nog niet"
    " gereageerd. Tot die tijd zorgt het meldpunt voor uw {word}.",
    Stage.SIGNALLED: "Uw {word} is doorgegeven aan een organisatie. Deze organisatie laat ons"
    " niet weten wat zij ermee doet. Daarom vragen wij u later of u bent geholpen.",
    Stage.SEEN: "De organisatie heeft uw {word} ontvangen, maar zegt nog niet of zij u gaat"
    " helpen. Tot die tijd zorgt het meldpunt voor uw {word}.",
    Stage.PICKED_UP: "Een organisatie heeft uw {word} aangenomen en gaat ermee aan de slag.",
    Stage.SEARCHING: "De organisatie neemt uw {word} niet aan. Het meldpunt zoekt een andere"
    " organisatie. Tot die tijd zorgt het meldpunt voor uw {word}.",
    Stage.AT_DESK: "Een medewerker van het meldpunt behandelt uw {word} zelf.",
    Stage.FINISHED: "De behandeling van uw {word} is klaar.",
}
_FAULT_WORDS = (
    "Uw {word} is veilig opgeslagen. Het doorsturen wacht op een storing bij ons."
    " U hoeft niets te doen: wij sturen alles door zodra de storing voorbij is."
)


def _term_words(standing: CaseStanding) -> str:
    if standing.next_by is None:
        return ""
    who = "het meldpunt" if standing.next_actor == DESK else "de organisatie"
    local = standing.next_by.astimezone(_AMSTERDAM)
    moment = f"{local.day} {_MONTHS[local.month - 1]} {local.year} om {local:%H:%M} uur"
    return f" De volgende stap is van {who}, uiterlijk op {moment}."


class Refusal(StrEnum):
    """Why content is not handed over; the value ends the problem's type."""

    LIFE_TOO_LONG = "capability-lives-too-long"
    EXPIRED = "capability-expired"
    OTHER_ORGANISATION = "capability-of-another-organisation"
    OTHER_CASE = "capability-for-another-case"
    CLOSED = "referral-closed"
    SUPERSEDED = "attempt-superseded"
    NOT_KNOWN_YET = "referral-not-known-yet"


@dataclass(frozen=True, slots=True)
class Capability:
    """What referral allows: this organisation, for this attempt, until `expires_at` (epoch s)."""

    organisation: str
    case_id: UUID
    referral_id: UUID
    attempt: int
    expires_at: float


def capability_refusal(
    capability: Capability, organisation: str | None, case_id: UUID, now: datetime
) -> Refusal | None:
    """Why the capability does not serve this call, or None."""
    left = capability.expires_at - now.timestamp()
    if left < -CLOCK_LEEWAY_SECONDS:
        return Refusal.EXPIRED
    if left > CAPABILITY_SECONDS_MAX + CLOCK_LEEWAY_SECONDS:
        return Refusal.LIFE_TOO_LONG
    if capability.organisation != organisation:
        return Refusal.OTHER_ORGANISATION
    if capability.case_id != case_id:
        return Refusal.OTHER_CASE
    return None


def referral_refusal(capability: Capability, known: ReferralKnown | None) -> Refusal | None:
    """Why the referral gives no right any more; what intake has not heard of yet may come."""
    if known is None or known.attempt < capability.attempt:
        return Refusal.NOT_KNOWN_YET
    if (known.case_id, known.organisation) != (capability.case_id, capability.organisation):
        return Refusal.OTHER_CASE
    if known.attempt > capability.attempt:
        return Refusal.SUPERSEDED
    return None if known.status in LIVE else Refusal.CLOSED
