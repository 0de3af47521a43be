"""The decision in words that a person reads: Dutch, level B1."""

from dataclasses import fields

import orjson
from pydantic import BaseModel

from contracts.routing import Mode
from contracts.situation import Kind, Urgency
from services.routing.domain import Decision

KIND_WORDS = {
    Kind.MELDING: "een melding",
    Kind.KLACHT: "een klacht",
    Kind.HULPVRAAG: "een vraag om hulp",
    Kind.UNKNOWN: "een melding",
}
_DOCUMENTED = tuple(f.name for f in fields(Decision) if f.name != "situation")
URGENCY_WORDS = {Urgency.ACUUT: "nu", Urgency.SPOED: "spoed", Urgency.NORMAAL: "gewoon"}
MODE_WORDS = {
    Mode.REFER: "doorgestuurd naar",
    Mode.SIGNAL: "als signaal naar",
    Mode.SHOW: "zelf contact met",
    Mode.DESK: "blijft bij",
}


def explain_citizen(decision: Decision) -> str:
    """One to three sentences: why this party, what happens now, and what became of a complaint."""
    sentences = [decision.why, _what_happens(decision)]
    conversion = _conversion(decision)
    if conversion is not None:
        sentences.append(conversion)
    return " ".join(sentences)


def explain_line(decision: Decision) -> str:
    """One line for a table: party, how, urgency, rule."""
    also = f"; ook: {', '.join(decision.also)}" if decision.also else ""
    how = f"{URGENCY_WORDS[decision.urgency]}, regel {decision.rule}"
    return f"{MODE_WORDS[decision.mode]} {decision.party} ({how}){also}"


def _what_happens(decision: Decision) -> str:
    name = decision.primary_name
    contact = f" ({decision.contact})" if decision.contact else ""
    match decision.mode:
        case Mode.SHOW:
            return (
                f"Neem zelf contact op met {name}{contact}; "
                "wij sturen niets door en houden uw zaak bij ons."
            )
        case Mode.SIGNAL:
            return (
                f"{name} laat ons niet weten wat ermee gebeurt; "
                "daarom houden wij uw zaak en vragen wij u of u geholpen bent."
            )
        case Mode.DESK:
            return "Een medewerker van het meldpunt zegt u wie de volgende stap zet."
        case Mode.REFER:
            return (
                f"Wij sturen uw zaak naar {name}, "
                "en houden hem bij ons tot die partij hem aanneemt."
            )


def _conversion(decision: Decision) -> str | None:
    if decision.kind in (decision.kind_at_primary, Kind.UNKNOWN):
        return None
    if decision.conversion_why is not None:
        return decision.conversion_why
    what = KIND_WORDS[decision.kind_at_primary]
    return f"Deze partij behandelt dit als {what}; dat kunt u later weer veranderen."


def explanation_document(decision: Decision) -> str:
    """The whole decision as JSON: what matched, who else was weighed and why not."""
    document = {name: getattr(decision, name) for name in _DOCUMENTED}
    return orjson.dumps(document, default=_plain).decode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(type(value).__name__)
