"""The check as activation asks for it: what a register fails on, with the smallest case."""

from services.routing.activation import Counterexample
from services.routing.check.report import DESK_SHARE_MAX, check
from services.routing.check.words import failure_words
from services.routing.domain import Register

PROCESSES = 2
REMEDIES = {
    "gap": "Voeg een regel of een bevoegdheid toe, of stuur dit bewust naar het vangnet.",
    "primary-not-competent": "Verruim de partij in het register, of wijs een andere partij aan.",
    "accused-is-recipient": "Zet accused_when bij deze partij.",
    "queue-on-show-only": "Zet referral_mode: show_only bij deze partij.",
    "loop": "Verbeter de regels: een uitgesloten partij mag niet terugkomen.",
}
OTHER_REMEDY = "Verbeter het register en controleer het met `meldpunt register check`."


def counterexamples(register: Register, processes: int = PROCESSES) -> list[Counterexample]:
    """What forbids activation; empty when the register may decide. Takes most of a minute."""
    outcome = check(register, processes=processes, compare=False)
    found = [
        Counterexample(code, failure_words(failure), REMEDIES.get(code, OTHER_REMEDY))
        for code, (failure, _) in outcome.tally.failures.items()
    ]
    found += [
        Counterexample(finding.code, finding.words, OTHER_REMEDY)
        for finding in outcome.findings
        if not finding.warning
    ]
    if outcome.desk_share > DESK_SHARE_MAX:
        text = f"{outcome.desk_share:.1%} van de situaties komt eerst bij het vangnet"
        found.append(Counterexample("desk-share", text, OTHER_REMEDY))
    return found
