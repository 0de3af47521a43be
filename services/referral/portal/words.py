"""All Dutch texts of the page (level B1), and what they say of a referral's present state. Pure.

Nothing here says what a report is about, or names a person or another organisation.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts.reference import case_reference
from contracts.referral import (
    DESK,
    Answer,
    BusinessStatus,
    CompletedAs,
    DeclineReason,
    NextAction,
    Status,
)
from services.referral.channels.notice import dutch_limit
from services.referral.domain import (
    HOLDING,
    OPEN,
    REASON_TEXT_CHARACTERS_MAX,
    Case,
    Channel,
    Referral,
    Verdict,
)

REASONS = {
    DeclineReason.NOT_COMPETENT: "Wij gaan hier niet over",
    DeclineReason.NOT_ELIGIBLE: "De situatie past niet bij wat wij doen",
    DeclineReason.CAPACITY: "Wij hebben nu geen tijd of plek",
    DeclineReason.WRONG_REGION: "Dit hoort bij een andere regio",
    DeclineReason.ALREADY_HANDLED: "Iemand anders helpt hier al mee",
    DeclineReason.REPORTER_CHOICE: "De melder wil niet dat wij dit doen",
    DeclineReason.NO_CONTACT: "Wij krijgen geen contact met de melder",
    DeclineReason.CONFLICT_OF_INTEREST: "Wij zijn er zelf bij betrokken",
    DeclineReason.OTHER: "Anders",
}
# Without `decided`: a decision on a complaint has findings, which this page cannot take.
OUTCOMES = {
    CompletedAs.HELPED: "Wij hebben de melder geholpen",
    CompletedAs.ADVISED: "Wij hebben advies gegeven",
    CompletedAs.MEDIATED: "Wij hebben bemiddeld",
    CompletedAs.INFORMED: "Wij hebben informatie gegeven",
    CompletedAs.NOT_HELPED: "Wij konden niet helpen",
    CompletedAs.NO_CONTACT: "Wij kregen geen contact met de melder",
    CompletedAs.WITHDRAWN: "De melder wilde niet verder",
}
BUTTONS = {
    Answer.RECEIVED: "Wij hebben dit ontvangen",
    Answer.ACCEPTED: "Wij pakken dit op",
    Answer.REJECTED: "Dit is niet voor ons",
    Answer.IN_PROGRESS: "Wij zijn hiermee bezig",
    Answer.COMPLETED: "Wij zijn klaar",
    Answer.RETURNED: "Dit is toch niet voor ons",
}
HINTS = {
    Answer.RECEIVED: "U laat alleen weten dat u de melding heeft gezien. U kunt daarna nog kiezen.",
    Answer.ACCEPTED: "Uw organisatie is daarna verantwoordelijk voor de melding.",
    Answer.REJECTED: "Het meldpunt zoekt dan een andere organisatie.",
    Answer.IN_PROGRESS: "U laat weten dat u eraan werkt. U krijgt dan meer tijd.",
    Answer.COMPLETED: "Heeft u een besluit genomen over een klacht? Bel dan het meldpunt.",
    Answer.RETURNED: "U geeft de melding terug. Het meldpunt zoekt een andere organisatie.",
}
REASON_LABEL = "Waarom is dit niet voor u?"
REASON_MISSING = "Kies een reden."
TEXT_LABEL = "Toelichting (verplicht bij ‘Anders’)"
TEXT_HINT = (
    f"Hoogstens {REASON_TEXT_CHARACTERS_MAX} tekens. Alleen het meldpunt leest dit."
    " Schrijf geen namen op."
)
TEXT_MISSING = "U koos ‘Anders’. Schrijf kort waarom dit niet voor u is."
TEXT_TOO_LONG = f"De toelichting is te lang. Gebruik hoogstens {REASON_TEXT_CHARACTERS_MAX} tekens."
OUTCOME_LABEL = "Wat is het resultaat?"
OUTCOME_MISSING = "Kies het resultaat."
ANSWER_MISSING = "Kies een antwoord en druk op de knop."
CHOOSE = "Maak een keuze"
WRONG_TITLE = "Uw antwoord is nog niet verstuurd"
NO_EFFECT = "Uw antwoord heeft niets veranderd. Hieronder leest u hoe het nu met de melding is."
NO_EFFECT_TITLE = "Uw antwoord had geen gevolg"
CONTENT_TITLE = "De inhoud van de melding"
ANSWER_TITLE = "Uw antwoord"
LINK_TITLE = "Over deze link"
REFERENCE = "Kenmerk"
ASKED = "Wat vragen wij van u?"
UNTIL = "Uiterlijk"
UNKNOWN_TITLE = "Deze link werkt niet"
UNKNOWN = "De link is niet goed of te oud. Kijk of u de hele link uit de e-mail heeft gebruikt."
BUSY_TITLE = "Wacht even"
BUSY = "Deze pagina is te vaak geopend. Probeer het over een minuut nog een keer."
AWAY_TITLE = "Er is een storing"
AWAY = "Wij konden dit nu niet verwerken. Er is niets veranderd. Probeer het zo nog een keer."
LEAVES_OUT = "Op deze pagina staat met opzet niets over de inhoud van de melding."

_TOO_LATE = {
    Status.CANCELLED: "Deze melding is niet meer bij u.",
    Status.ENTERED_IN_ERROR: "Deze melding was per ongeluk bij u terechtgekomen.",
    Status.REJECTED: "U heeft laten weten dat deze melding niet voor u is.",
    Status.FAILED: "De tijd om te antwoorden is voorbij.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of a referral, and which answers it offers."""

    reference: str
    state: str
    asked: str
    until: str | None
    answers: tuple[Answer, ...]


def told(case: Case, referral: Referral) -> Told:
    """The present state in plain words."""
    reference = case_reference(case.case_id)
    if referral.status in OPEN:
        return _asked(reference, referral)
    if referral.status in HOLDING:
        return _held(reference, case, referral)
    state = f"{_end(referral)} {_after(case, referral)}".rstrip()
    return Told(reference, state, "U hoeft niets meer te doen.", None, ())


def title(reference: str) -> str:
    """The heading of the page of a referral."""
    return f"Melding {reference}"


def page_title(heading: str) -> str:
    """What a browser shows in its tab."""
    return f"{heading} - Meldpunt"


def wrong(text: str) -> str:
    """A text that is read as a mistake, also by who sees no colours."""
    return f"Fout: {text}"


def how_to_read(phone: str) -> str:
    """How an organisation gets the content of a report."""
    return f"Bel {_desk(phone)} en noem het kenmerk, of log in met uw eigen systeem."


def whom_to_call(phone: str) -> str:
    """What helps when a link does not work."""
    return f"Bel {_desk(phone)}. Noem het kenmerk uit de e-mail. Dan helpen wij u verder."


def link_ends(expires_at: datetime) -> str:
    """Until when the link works, and for whom it is."""
    return (
        f"Deze link werkt tot {dutch_limit(expires_at)}. Stuur de link alleen door binnen uw"
        " organisatie: wie de link heeft, kan voor u antwoorden."
    )


def refused(verdict: Verdict) -> str | None:
    """Why an answer had no effect; None when there was one or it was given before."""
    return None if verdict in {Verdict.APPLIED, Verdict.DUPLICATE} else NO_EFFECT


def _desk(phone: str) -> str:
    return f"het meldpunt ({phone})" if phone else "het meldpunt"


def _asked(reference: str, referral: Referral) -> Told:
    choices = (Answer.ACCEPTED, Answer.REJECTED)
    if referral.signal:
        state = "Deze melding is een signaal voor u."
        return Told(reference, state, "U hoeft niet te antwoorden. Het mag wel.", None, choices)
    if referral.status is Status.REQUESTED and referral.channel is Channel.DESK:
        # The link of before works on: it is still the same referral, only brought by a person now.
        state = "U heeft niet op tijd geantwoord. Het meldpunt gaat u bellen."
        return Told(reference, state, "U kunt hier nog steeds antwoorden.", None, choices)
    if referral.status is Status.REQUESTED:
        due = dutch_limit(min(referral.received_by, referral.accepted_by))
        asked = "Laat weten dat u de melding heeft gezien, of u deze oppakt, of dat niet kan."
        return Told(
            reference, "Deze melding wacht op uw antwoord.", asked, due, (Answer.RECEIVED, *choices)
        )
    return Told(
        reference,
        "U heeft laten weten dat u deze melding heeft ontvangen.",
        "Laat weten of u de melding oppakt.",
        dutch_limit(referral.accepted_by),
        choices,
    )


def _held(reference: str, case: Case, referral: Referral) -> Told:
    answers = (Answer.IN_PROGRESS, Answer.COMPLETED, Answer.RETURNED)
    state = "U heeft deze melding opgepakt."
    if referral.business_status is BusinessStatus.NO_CONTACT:
        state += " U krijgt geen contact met de melder. Het meldpunt probeert het nu."
    step = case.next_step
    if step is None or step.actor != referral.organisation:
        return Told(
            reference, state, "U hoeft nu niets te laten weten. Het mag wel.", None, answers
        )
    if step.action is not NextAction.HANDLE:
        asked = "U moet iets doen dat op deze pagina niet kan. Bel het meldpunt."
        return Told(reference, state, asked, dutch_limit(step.due_at), answers)
    asked = "Laat weten of u ermee bezig bent, of dat u klaar bent."
    return Told(reference, state, asked, dutch_limit(step.due_at), answers)


def _end(referral: Referral) -> str:
    match referral.status, referral.business_status:
        case Status.COMPLETED, BusinessStatus.REFERRED_ONWARD:
            return "U heeft deze melding overgedragen aan een andere organisatie."
        case Status.COMPLETED, _:
            return "U heeft laten weten dat u klaar bent met deze melding."
        case Status.FAILED, BusinessStatus.RETURNED:
            return "U heeft deze melding teruggegeven."
        case status, _:
            return _TOO_LATE[status]


def _after(case: Case, referral: Referral) -> str:
    if not case.open:
        return "De melding is afgesloten."
    if case.holder == DESK:
        return "Het meldpunt zorgt nu voor de melding."
    return "" if case.holder == referral.organisation else "Een andere organisatie heeft deze nu."
