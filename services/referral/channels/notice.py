"""The text of a notice by e-mail: that something waits, where and until when; never what.

Pure. The words are Dutch at level B1. A notice holds no situation, no name and no reason.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import orjson

from contracts.calendar import ZONE
from contracts.dutch import day_words
from contracts.envelope import Envelope, EnvelopeInvalid, name_and_version
from contracts.reference import case_reference

_WORDS = {
    "referral-offer": ("Er wacht een melding op u", "Er wacht een melding op u."),
    "referral-withdrawn": (
        "Een melding is niet meer bij u",
        "Deze melding is niet meer bij u. U hoeft er niets meer mee te doen.",
    ),
    "referral-reminder": (
        "Herinnering: een melding wacht op u",
        "U moet nog iets doen voor deze melding. Wilt u dat vandaag bekijken?",
    ),
    "case-news": ("Er is nieuws over een melding", "Er is nieuws over een melding die u heeft."),
    "consultation-request": (
        "Een andere organisatie vraagt uw advies",
        "Een andere organisatie vraagt uw advies over een melding.",
    ),
    "consultation-ended": (
        "Uw advies is niet meer nodig",
        "Een andere organisatie vroeg uw advies over een melding. Dat is niet meer nodig.",
    ),
    "answer-refused": (
        "Uw antwoord is niet verwerkt",
        "Wij konden uw antwoord niet verwerken. Er is niets veranderd.",
    ),
    "endpoint-test": (
        "Proefbericht van het meldpunt",
        "Dit is een proefbericht. U hoeft niets te doen.",
    ),
}
_OTHER = ("Er is een bericht over een melding", "Er is een bericht voor u over een melding.")
# The first field that the event has is the moment that the receiver must keep.
_DUE = ("received_by", "due_at", "answer_by")
_FOOTER = (
    "In deze e-mail staat met opzet niets over de inhoud van de melding.\n"
    "U kunt niet antwoorden op deze e-mail. Heeft u een vraag? Bel dan het meldpunt.\n"
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Subject and text."""

    subject: str
    text: str


def notice_of(event: Envelope, link: str) -> Notice:
    """The notice of one event of a partner's feed; `link` leads to its page, if it has one."""
    try:
        name, _ = name_and_version(event.type)
    except EnvelopeInvalid:
        name = ""
    title, opening = _WORDS.get(name, _OTHER)
    data: dict[str, Any] = orjson.loads(event.data)
    parts = ["Beste collega,", opening]
    if name != "endpoint-test":
        reference = case_reference(UUID(event.subject))
        title = f"{title} ({reference})"
        due = None if data.get("signal") else _due(data)
        parts += [f"Kenmerk: {reference}" + (f"\nUiterlijk: {due}" if due else "")]
        parts += [_way(link)]
    return Notice(title, "\n\n".join([*parts, _FOOTER]))


def dutch_moment(moment: datetime) -> str:
    """A moment as people say it, in the time of Amsterdam."""
    local = moment.astimezone(ZONE)
    return f"{day_words(local.date())} om {local:%H.%M} uur"


def dutch_limit(moment: datetime) -> str:
    """The last moment of a term; of whole days the day, because midnight reads as a day more."""
    local = moment.astimezone(ZONE)
    if local.time() != time.min:
        return dutch_moment(moment)
    return dutch_moment(moment - timedelta(seconds=1)).partition(" om ")[0]


def _due(data: dict[str, Any]) -> str | None:
    found = next((data[name] for name in _DUE if data.get(name)), None)
    return None if found is None else dutch_limit(datetime.fromisoformat(found))


def _way(link: str) -> str:
    if not link:
        return "Log in met uw eigen systeem, of bel het meldpunt en noem het kenmerk."
    return (
        "Op deze pagina leest u hoe het met de melding is en kunt u antwoorden:\n"
        f"{link}\n"
        "Stuur de link alleen door binnen uw organisatie: wie de link heeft, kan voor u antwoorden."
    )
