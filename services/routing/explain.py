"""The decision in a few words, and whole as JSON. For the full texts see `explanations.py`."""

from dataclasses import fields

import orjson
from pydantic import BaseModel

from contracts.routing import Mode
from contracts.situation import Kind, Urgency
from services.routing.domain import Decision
from services.routing.language import address

KIND_WORDS = {
    Kind.MELDING: "een melding",
    Kind.KLACHT: "een klacht",
    Kind.HULPVRAAG: "een vraag om hulp",
    Kind.UNKNOWN: "een melding",
}
URGENCY_WORDS = {Urgency.ACUUT: "nu", Urgency.SPOED: "spoed", Urgency.NORMAAL: "gewoon"}
MODE_WORDS = {
    Mode.REFER: "doorgestuurd naar",
    Mode.SIGNAL: "als signaal naar",
    Mode.SHOW: "zelf contact met",
    Mode.DESK: "blijft bij",
}
# The situation is stored once, with the case. Lokets and who is kept out follow from the rest, and
# a proposal is there only where somebody made one: decisions of before these stay what they were.
_LEFT_OUT = ("situation", "other_lokets", "never", "proposal")
_DOCUMENTED = tuple(field.name for field in fields(Decision) if field.name not in _LEFT_OUT)


def explain_citizen(decision: Decision) -> str:
    """A few sentences: why this party, what happens now, and what became of a complaint.

    Says `je` to a pupil and `u` to anybody else. A party that was named in vain comes first.
    """
    sentences = [*declined_proposal(decision), decision.why]
    sentences.append(what_happens(decision, decision.primary_name))
    conversion = conversion_words(decision)
    if conversion is not None:
        sentences.append(conversion)
    return address(" ".join(sentences), decision.situation.reporter)


def declined_proposal(decision: Decision) -> list[str]:
    """Why a party that another one named does not get the case; nothing when it does."""
    proposal = decision.proposal
    return [proposal.why] if proposal is not None and not proposal.followed else []


def explain_line(decision: Decision) -> str:
    """One line for a table: party, how, urgency, rule."""
    also = f"; ook: {', '.join(decision.also)}" if decision.also else ""
    how = f"{URGENCY_WORDS[decision.urgency]}, regel {decision.rule}"
    return f"{MODE_WORDS[decision.mode]} {decision.party} ({how}){also}"


def what_happens(decision: Decision, name: str) -> str:
    """What is done with the case now; `name` is the party as it is called in a sentence."""
    contact = f" ({decision.contact})" if decision.contact else ""
    match decision.mode:
        case Mode.SHOW:
            return (
                f"Neem zelf contact op met {name}{contact}; "
                "wij sturen niets door en houden uw zaak bij ons."
            )
        case Mode.SIGNAL:
            return (
                f"Wij geven uw signaal door aan {name}; "
                "wij houden uw zaak en vragen later of u geholpen bent."
            )
        case Mode.DESK:
            return "Een medewerker van het meldpunt zegt u wie de volgende stap zet."
        case Mode.REFER:
            return (
                f"Wij sturen uw zaak naar {name}; "
                "wij houden de zaak zelf, tot die partij hem aanneemt."
            )


def conversion_words(decision: Decision) -> str | None:
    """What became of the reporter's own kind, where the party makes it another one."""
    if decision.kind in (decision.kind_at_primary, Kind.UNKNOWN):
        return None
    if decision.conversion_why is not None:
        return decision.conversion_why
    what = KIND_WORDS[decision.kind_at_primary]
    return f"Deze partij behandelt dit als {what}; dat kunt u later weer veranderen."


def explanation_document(decision: Decision) -> str:
    """The whole decision as JSON: what matched, who else was weighed and why not."""
    document = {name: getattr(decision, name) for name in _DOCUMENTED}
    if decision.proposal is not None:
        document["proposal"] = decision.proposal
    return orjson.dumps(document, default=_plain).decode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(type(value).__name__)
