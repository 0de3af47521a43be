"""A party that another one names as a better one: whether the register agrees, and the words. Pure.

The register decides as it always does; a name that somebody gives opens no door that is shut.
"""

from typing import NamedTuple

from contracts.routing import Proposal, ProposalProblem
from services.routing.admission import Case, first_loket, refusal_of
from services.routing.compiled import Party
from services.routing.domain import Reason

_PROBLEMS = {
    Reason.EXCLUDED: ProposalProblem.EXCLUDED,
    Reason.ACCUSED_PARTY: ProposalProblem.ACCUSED_PARTY,
    Reason.ALREADY_TRIED: ProposalProblem.ALREADY_TRIED,
}
_WORDS = {
    ProposalProblem.UNKNOWN: "wij kennen die partij niet",
    ProposalProblem.NOT_COMPETENT: "die gaat hier volgens ons register niet over",
    ProposalProblem.ACCUSED_PARTY: "de melding gaat over die partij zelf",
    ProposalProblem.EXCLUDED: "die had deze zaak al of kan haar nu niet oppakken",
    ProposalProblem.SHOWN_ONLY: "daar sturen wij geen zaken naartoe",
    ProposalProblem.ALREADY_TRIED: "daar is al om hulp gevraagd",
    ProposalProblem.THE_DESK: "dat is ons eigen loket",
}
_AGREED = "Volgens ons register mag die partij dit oppakken."


class Proposed(NamedTuple):
    """The organisation that was named; with `onward` by the holder, else by who declined."""

    organisation: str
    onward: bool = False


def problem_of(case: Case, proposed: Proposed) -> ProposalProblem | None:
    """Why the organisation cannot get the case, by its own entry in the register; None if it can.

    Ask it after the rules were gone through: what they keep the case away from counts here too.
    """
    party = case.register.by_id.get(proposed.organisation)
    if party is None:
        return ProposalProblem.UNKNOWN
    if party.id == case.register.register.desk:
        return ProposalProblem.THE_DESK
    refusal = refusal_of(case, party)
    if refusal is not None:
        return _PROBLEMS.get(refusal[0], ProposalProblem.NOT_COMPETENT)
    if party.show_only:
        return ProposalProblem.SHOWN_ONLY
    if party.ordered and first_loket(case, party) is None:
        return _without_loket(case, party)
    return None


def judged(case: Case, proposed: Proposed, problem: ProposalProblem | None) -> Proposal:
    """The proposal with what became of it, and why, in Dutch of level B1."""
    party = case.register.by_id.get(proposed.organisation)
    name = "een andere partij" if party is None else party.name
    if problem is not None and proposed.onward:
        why = f"De zaak kan niet naar {name}: {_WORDS[problem]}."
    elif problem is not None:
        why = f"De vorige partij noemde {name}, maar {_WORDS[problem]}."
    elif proposed.onward:
        why = f"De partij die uw zaak had, geeft haar door aan {name}. {_AGREED}"
    else:
        why = f"De vorige partij noemde {name} als een betere partij. {_AGREED}"
    return Proposal(
        organisation=proposed.organisation, followed=problem is None, why=why, problem=problem
    )


def english(case: Case, proposed: Proposed) -> str:
    """Why a proposal was followed, in English."""
    name = case.register.by_id[proposed.organisation].name
    who = "The party that had your case" if proposed.onward else "The party before"
    return f"{who} named {name}. By our register that party may take this."


def _without_loket(case: Case, party: Party) -> ProposalProblem:
    names = {f"{party.id}/{loket}" for loket in party.loketten}
    if names & case.excluded:
        return ProposalProblem.EXCLUDED
    return ProposalProblem.ALREADY_TRIED if names & case.tried else ProposalProblem.NOT_COMPETENT
