"""Situations and failures in a Dutch sentence, for who reads the outcome of a check."""

from contracts.situation import UNKNOWN, Flag, Kind
from services.routing.check.classes import Case
from services.routing.check.entries import flags_of
from services.routing.check.space import Base
from services.routing.check.walk import Failure

FLAG_WORDS: dict[Flag, str] = {
    Flag.DANGER_NOW: "er is nu gevaar",
    Flag.FRESH_7D: "het gebeurde in de laatste zeven dagen",
    Flag.SEVERE: "het is ernstig",
    Flag.WITHIN_TERM: "de termijn na het besluit loopt nog",
    Flag.FINDING_OVERDUE: "het bestuur reageerde niet op tijd op een oordeel",
    Flag.NO_LAWFUL_COMMITTEE: "er is geen wettige klachtencommissie",
    Flag.ENROLMENT_CONFLICT: "twee instellingen wijzen naar elkaar",
    Flag.HOME_GT_4W: "het kind zit langer dan vier weken thuis",
    Flag.SELF_UNDER_12: "het kind is jonger dan twaalf",
    Flag.OUTSIDE_SCHOOL: "het gebeurde buiten school",
    Flag.SCHOOL_TRIED: "de school is al geprobeerd",
    Flag.BOARD_TRIED: "het bestuur is al geprobeerd",
}
KIND_WORDS = {
    Kind.MELDING: "melding",
    Kind.KLACHT: "klacht",
    Kind.HULPVRAAG: "vraag om hulp",
}
FAILURE_WORDS = {
    "gap": "geen enkele regel leidt naar een partij; alleen de laatste regel vangt dit op",
    "primary-not-competent": "komt eerst bij {party}, en dat kan niet: {detail}",
    "accused-is-recipient": "komt bij {party}, en dat is de beklaagde zelf",
    "queue-on-show-only": "wordt als zaak gestuurd naar {party}, dat alleen getoond mag worden",
    "loop": "komt opnieuw bij {party}, dat al was uitgesloten",
}
DETAIL_WORDS = {
    "the entry does not list these answers": "de partij neemt dit volgens het register niet aan",
    "the board is not affiliated with it": "het bestuur hoort niet bij deze commissie",
    "a fact that the entry requires is absent": "niet voldaan aan een voorwaarde van de partij",
    "the loket does not take these answers": "dit loket neemt dit niet aan",
}


def case_words(case: Case) -> str:
    """For instance: po, ouder, klacht over pesten door leerling; het gebeurde buiten school."""
    parts = [base_words(case.base)]
    parts += [FLAG_WORDS[flag] for flag in flags_of(case.flags | case.step.said)]
    if case.step.steps:
        parts.append(f"al geprobeerd: {', '.join(case.step.steps)}")
    if case.affiliation != UNKNOWN:
        parts.append(f"klachtencommissie: {case.affiliation}")
    return "; ".join(parts)


def base_words(base: Base) -> str:
    """The five answers in one breath."""
    kind = KIND_WORDS.get(base.kind, str(base.kind))
    subject = str(base.subject).replace("_", " ")
    accused = str(base.accused).replace("_", " ")
    return f"{base.sector}, {base.reporter}, {kind} over {subject} door {accused}"


def failure_words(failure: Failure) -> str:
    """What is wrong, in one sentence with the situation that shows it."""
    text = FAILURE_WORDS[failure.code].format(
        party=failure.party, detail=DETAIL_WORDS.get(failure.detail, failure.detail)
    )
    without = f" (zonder {', '.join(failure.excluded)})" if failure.excluded else ""
    return f"{case_words(failure.case)}{without}: {text}."
