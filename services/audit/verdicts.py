"""What a reader is told of a case: its state at a moment and one sentence in plain Dutch. Pure."""

from datetime import datetime, timedelta

from contracts.calendar import ZONE
from contracts.referral import DESK, REPORTER
from services.audit.domain import Picture, Standing, State, Verdict
from services.audit.rules import due_at, missing, standing

_DESK_REASONS = {
    "no-competent-party": "geen organisatie is bevoegd",
    "shown-only": "de organisatie is alleen getoond en neemt geen zaken over",
    "no-feedback-party": "de organisatie meldt niet terug of zij de zaak oppakt",
    "second-return": "de zaak kwam twee keer terug",
    "no-channel": "de organisatie is niet te bereiken",
    "term-expired": "de organisatie reageerde niet op tijd",
    "taken-back": "het meldpunt nam de zaak terug",
    "withdrawn": "de melder wil de melding intrekken",
    "entered-in-error": "de zaak kwam hier door een vergissing",
    "no-contact": "de organisatie kreeg geen contact met de melder",
    "not-helped": "de melder is niet geholpen",
    "finding": "er ligt een oordeel waar het bestuur op moet reageren",
}
_ACTIONS = {
    "acknowledge": "bevestigt de ontvangst",
    "decide": "beslist of zij de zaak oppakt",
    "handle": "behandelt de zaak",
    "route": "kiest de organisatie die erbij past",
    "assign": "wijst de zaak toe",
    "ask-reporter": "vraagt de melder of die geholpen is",
    "find-party": "zoekt een organisatie die kan helpen",
    "hand-over": "draagt de zaak over, per telefoon, per brief of op bezoek",
    "call-holder": "belt de organisatie die de zaak heeft",
    "answer-question": "beantwoordt de vraag",
    "judge-withdrawal": "kijkt of de zaak dicht kan, omdat de melder de melding intrekt",
    "reply-to-finding": "reageert op het oordeel",
    "check-finding": "kijkt of het oordeel is opgevolgd",
}
_CLOSED = {
    "completed": "De zaak is klaar",
    "withdrawn": "De zaak is gesloten, omdat de melder de melding introk",
    "entered-in-error": "De zaak is gesloten, omdat die door een vergissing ontstond",
}
_OUTCOMES = {
    "helped": "de melder is geholpen",
    "advised": "de melder kreeg advies",
    "mediated": "er is bemiddeld",
    "informed": "de melder kreeg informatie",
    "decided": "er is een beslissing op de klacht",
    "not-helped": "de melder is niet geholpen",
    "no-contact": "er kwam geen contact met de melder",
    "withdrawn": "de melder trok de melding in",
}


def verdict(picture: Picture, now: datetime) -> Verdict:
    """Judge a case at a moment; `actor`, `action` and `due_at` say who must do what by when."""
    due = due_at(picture)
    actor = picture.next_actor or DESK
    # Until referral speaks of a case, routing is at work on it and no person needs to be.
    action = picture.next_action or ("route" if picture.holder is None else "assign")
    step = _step(actor, action, due)
    match standing(picture):
        case Standing.PARKED:
            text = f"Een bericht over deze zaak kon niet worden verwerkt. {DESK} herstelt dat nu."
            return Verdict(State.PARKED, text, DESK, "redrive", due)
        case Standing.INCOMPLETE:
            absent = missing(picture)
            text = f"Berichten ontbreken: {', '.join(absent)}. {DESK} zoekt dat nu uit."
            return Verdict(State.INCOMPLETE, text, DESK, "recover", due, absent)
        case Standing.CLOSED:
            return Verdict(State.CLOSED, _closed(picture), None, None, None)
        case Standing.PICKED_UP:
            return _held(picture, due, now)
        case Standing.AT_DESK:
            reason = _DESK_REASONS.get(picture.at_desk_reason or "", picture.at_desk_reason)
            state, text = State.AT_DESK, f"De zaak ligt bij {DESK}: {reason}. {step}"
        case Standing.WAITING:
            state, text = State.WAITING, f"Nog niet opgepakt. {step}"
    if due is not None and due < now:
        state, text = State.OVERDUE, f"Te laat sinds {_local(due)}. {text}"
    return Verdict(state, text, actor, action, due)


def _held(picture: Picture, due: datetime | None, now: datetime) -> Verdict:
    """Picked up; late when the time of the next step has gone by, or when none was named."""
    state, text = State.PICKED_UP, _picked_up(picture)
    actor, action = picture.next_actor, picture.next_action
    if due is not None and due < now:
        state = State.HOLDER_OVERDUE
        actor, action = actor or picture.holder, action or "handle"
        text = f"Te laat sinds {_local(due)}. {text} {_step(actor or DESK, action, None)}"
    return Verdict(state, text, actor, action, due)


def _closed(picture: Picture) -> str:
    text = _CLOSED.get(picture.closed_because or "", "De zaak is gesloten")
    outcome = picture.closed_outcome
    # That the reporter withdrew is said once.
    if outcome is None or outcome == picture.closed_because:
        return f"{text}."
    return f"{text}: {_OUTCOMES.get(outcome, outcome)}."


def _picked_up(picture: Picture) -> str:
    text = f"Opgepakt door {picture.holder}"
    if picture.accepted_at is None or picture.received_at is None:
        return f"{text}."
    return f"{text}, {duration(picture.accepted_at - picture.received_at)} na ontvangst."


def _step(actor: str, action: str, due: datetime | None) -> str:
    by = f", uiterlijk {_local(due)}" if due else ""
    who = "De melder" if actor == REPORTER else actor
    return f"{who} {_ACTIONS.get(action, action)}{by}."


def duration(length: timedelta) -> str:
    """A length of time in words, in its largest unit."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("dagen", 86_400), ("uur", 3_600), ("minuten", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return "1 seconde" if seconds == 1 else f"{seconds} seconden"


def _local(moment: datetime) -> str:
    return moment.astimezone(ZONE).strftime("%d-%m-%Y %H:%M")
