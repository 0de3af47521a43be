"""The status of a report in plain Dutch, for whoever returns with the code. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from contracts.calendar import ZONE, local_day
from contracts.dutch import date_words
from contracts.finding import FindingState
from contracts.referral import DESK, REPORTER, CompletedAs, NextAction
from contracts.situation import Kind
from services.intake.domain import (
    CaseStanding,
    IdentityState,
    QuestionOpen,
    ReportFound,
    Stage,
    TermEnds,
)

DECIDE_WITHIN = timedelta(minutes=15)
# Forwarding normally takes milliseconds; only a longer wait is told as a fault of ours.
FAULT_AFTER = timedelta(seconds=10)
TERMS_TOLD_MAX = 3
_WORDS = {Kind.KLACHT: "klacht", Kind.HULPVRAAG: "hulpvraag"}


@dataclass(frozen=True, slots=True)
class StatusWords:
    """The answer to a reporter who returns; `terms` are those that have not ended."""

    standing: CaseStanding
    text: str
    forwarding: Literal["done", "waiting"]
    terms: tuple[TermEnds, ...]


def status_words(
    found: ReportFound,
    now: datetime,
    questions: Sequence[QuestionOpen] = (),
    terms: Sequence[TermEnds] = (),
) -> StatusWords:
    """Status in plain Dutch: what happened, who acts next and by when."""
    waiting = _waits(found)
    standing = shown_standing(found, questions)
    running = () if standing.closed else _running(terms, now)
    word = _WORDS.get(found.kind, "melding")
    if standing.stage is Stage.RECEIVED and waiting and now - found.committed_at > FAULT_AFTER:
        text = _FAULT_WORDS.format(word=word)
    else:
        text = _stage_words(standing, word, len(questions)) + _next_words(standing)
    if found.not_helped_at is not None and standing.stage not in _SAID_STAGES:
        text += _NOT_HELPED_WORDS.format(day=_dutch_day(found.not_helped_at))
    text += _warnings(running)
    if found.identity is IdentityState.HIDDEN:
        text += _HIDDEN_WORDS
    return StatusWords(standing, text, "waiting" if waiting else "done", running)


def shown_standing(found: ReportFound, questions: Sequence[QuestionOpen]) -> CaseStanding:
    """The standing with what the reporter did and is asked; an open one has a next step (P3)."""
    standing = found.standing
    if _unheard(found):
        # Until the desk has taken it up: the meldpunt acts next.
        assert found.not_helped_at is not None
        by = found.not_helped_at + DECIDE_WITHIN
        return CaseStanding(Stage.NOT_HELPED, DESK, DESK, by)
    if standing.closed:
        return standing
    next_by = standing.next_by or found.received_at + DECIDE_WITHIN
    actor, action, stage = standing.next_actor or DESK, standing.next_action, standing.stage
    if found.withdrawn_at is not None:
        stage = Stage.WITHDRAWN
    elif questions:
        stage, actor, action = Stage.QUESTION, REPORTER, NextAction.ANSWER_QUESTION
        next_by = min(question.answer_by for question in questions)
    return CaseStanding(
        stage, standing.holder, actor, next_by, action,
        standing.until, standing.onward_to, standing.outcome, standing.finding,
    )  # fmt: skip


def _unheard(found: ReportFound) -> bool:
    """Whether the reporter said that no help came of a closed case, and nothing happened since."""
    if found.not_helped_at is None or not found.standing.closed:
        return False
    return found.standing_at is None or found.standing_at <= found.not_helped_at


def _waits(found: ReportFound) -> bool:
    # Once another service has answered on the case, its first event has certainly been forwarded.
    pending = found.oldest_pending_at
    return (
        found.standing.stage is Stage.RECEIVED
        and pending is not None
        and pending <= found.committed_at
    )


def _running(terms: Sequence[TermEnds], now: datetime) -> tuple[TermEnds, ...]:
    today = local_day(now)
    running = [term for term in terms if term.last_day >= today]
    return tuple(sorted(running, key=lambda term: (term.last_day, term.organisation, term.term)))


def _warnings(terms: Sequence[TermEnds]) -> str:
    days = sorted({term.last_day for term in terms})[:TERMS_TOLD_MAX]
    return "".join(_TERM_WORDS.format(day=date_words(day)) for day in days)


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
    Stage.QUESTION: "De organisatie die uw {word} heeft, stelt u {questions}. U kunt met uw code"
    " antwoord geven.",
    Stage.ON_HOLD: "Een organisatie heeft uw {word} aangenomen. Zij wacht nu even met de"
    " behandeling{until}.",
    Stage.NO_CONTACT: "Een organisatie wilde u helpen, maar kon u niet bereiken. Neem zelf contact"
    " op met de organisatie als u dat kunt. Uw {word} blijft open.",
    Stage.ONWARD: "De organisatie die uw {word} heeft, vraagt een andere organisatie om u verder te"
    " helpen. Tot die andere organisatie ja zegt, zorgt de eerste organisatie voor uw {word}.",
    Stage.FINDING: "De commissie heeft een oordeel gegeven over uw {word}.{finding}",
    Stage.NOT_HELPED: "U hebt laten weten dat u niet bent geholpen. Een medewerker van het meldpunt"
    " gaat hiermee aan de slag.",
    Stage.WITHDRAWN: "U hebt uw {word} ingetrokken. Heeft een organisatie uw {word} al gekregen?"
    " Dan moet die organisatie soms toch iets doen. Dat staat in de wet: de organisatie kan een"
    " meldplicht of een aangifteplicht hebben.",
    Stage.FINISHED: "De behandeling van uw {word} is klaar.{outcome} Bent u niet geholpen? Dan kunt"
    " u dat met uw code laten weten.",
    Stage.CLOSED: "Uw {word} is gesloten. Volgens de organisatie is uw {word} per vergissing"
    " ingevoerd. Klopt dat niet? Dan kunt u dat met uw code laten weten.",
}
_OUTCOME_WORDS = {
    CompletedAs.HELPED: " Volgens de organisatie bent u geholpen.",
    CompletedAs.ADVISED: " Volgens de organisatie hebt u advies gekregen.",
    CompletedAs.MEDIATED: " Volgens de organisatie is er bemiddeld.",
    CompletedAs.INFORMED: " Volgens de organisatie hebt u informatie gekregen.",
    CompletedAs.DECIDED: " De organisatie heeft een oordeel gegeven.",
    CompletedAs.NOT_HELPED: " Het is de organisatie niet gelukt om u te helpen.",
    CompletedAs.NO_CONTACT: " De organisatie kon u niet bereiken.",
    CompletedAs.WITHDRAWN: " De organisatie is gestopt, omdat u dat wilde.",
}
_REPLY_DUE_WORDS = " Nu moet het bestuur van de school laten weten wat het met het oordeel doet."
_FINDING_WORDS = {
    FindingState.ISSUED: "",
    FindingState.REPLY_DUE: _REPLY_DUE_WORDS,
    FindingState.DEVIATION_ANNOUNCED: " Het bestuur van de school heeft meer tijd gevraagd en een"
    " nieuwe datum genoemd.",
    FindingState.REPLIED_FOLLOWING: " Het bestuur van de school zegt dat het doet wat de commissie"
    " vraagt. Het meldpunt controleert dat.",
    FindingState.PARTLY: " Het bestuur van de school zegt dat het een deel doet van wat de"
    " commissie vraagt.",
    FindingState.NOT_FOLLOWED: " Het bestuur van de school zegt dat het niet doet wat de commissie"
    " vraagt.",
    FindingState.SILENT: " Het bestuur van de school heeft niet op tijd gereageerd.",
    FindingState.WITH_SUPERVISOR: " De toezichthouder is op de hoogte gebracht.",
    FindingState.FOLLOWED: " Het bestuur van de school heeft gedaan wat de commissie vroeg.",
    FindingState.CLOSED: " Het meldpunt is klaar met het volgen van dit oordeel.",
}
_SAID_STAGES = frozenset({Stage.NOT_HELPED, Stage.WITHDRAWN})
_NOT_HELPED_WORDS = " Op {day} hebt u laten weten dat u niet bent geholpen."
_FAULT_WORDS = (
    "Uw {word} is veilig opgeslagen. Het doorsturen wacht op een storing bij ons."
    " U hoeft niets te doen: wij sturen alles door zodra de storing voorbij is."
)
_TERM_WORDS = " Let op: een wettelijke termijn loopt af op {day}. Die dag telt nog mee."
_HIDDEN_WORDS = (
    " Uw naam en uw contactgegevens geven wij aan niemand meer door. Een organisatie die ze al"
    " heeft gezien, kent ze nog wel."
)


def _stage_words(standing: CaseStanding, word: str, questions: int) -> str:
    outcome, until = standing.outcome, standing.until
    return _STAGE_WORDS[standing.stage].format(
        word=word,
        questions="een vraag" if questions == 1 else f"{questions} vragen",
        until=f", tot {_dutch_day(until)}" if until else "",
        outcome=_OUTCOME_WORDS[outcome] if outcome else "",
        finding=_finding_words(standing),
    )


def _finding_words(standing: CaseStanding) -> str:
    if standing.finding is not None:
        return _FINDING_WORDS[standing.finding]
    return _REPLY_DUE_WORDS if standing.next_action is NextAction.REPLY_TO_FINDING else ""


def _next_words(standing: CaseStanding) -> str:
    if standing.next_by is None:
        return ""
    return f" De volgende stap is {_who(standing)}, uiterlijk op {_until(standing.next_by)}."


def _until(moment: datetime) -> str:
    """A last moment; of a whole day the day itself, because midnight reads as a day more."""
    local = moment.astimezone(ZONE)
    if local.time() == time.min:
        return date_words(local.date() - timedelta(days=1))
    return f"{date_words(local.date())} om {local:%H:%M} uur"


def _who(standing: CaseStanding) -> str:
    if standing.next_actor == REPORTER:
        return "aan u"
    if standing.next_actor == DESK:
        return "van het meldpunt"
    if standing.next_action is NextAction.REPLY_TO_FINDING:
        return "van het bestuur van de school"
    return "van de organisatie"


def _dutch_day(moment: datetime) -> str:
    return date_words(local_day(moment))
