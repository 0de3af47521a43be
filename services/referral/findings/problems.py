"""Why a command has no effect, in the words of problem details: what is true and who must act."""

from services.chassis.problem import FieldProblem, Problem
from services.referral.findings.domain import Finding, Verdict
from services.referral.findings.models import who_must_act
from services.referral.findings.recording import Refused, Settled

_REFUSED = {
    "case-unknown": (404, "Your organisation has no case with this id."),
    "finding-unknown": (404, "There is no finding with this id that you take part in."),
    "id-reused": (409, "This id was used for something else; send a new one."),
    "not-decided": (
        409,
        "First answer the referral with `completed`, outcome `decided` and the decision.",
    ),
    "case-not-at-desk": (
        409,
        "The case is closed, or another organisation has it or is asked. The desk must act first.",
    ),
    "finding-exists": (
        409,
        "The case has a finding already. If that one is wrong, the desk ends it as an error first.",
    ),
}
_FIELDS = {
    Verdict.DATE_REFUSED: FieldProblem(
        field="date",
        problem="A date lies outside what is possible for this finding.",
        remedy="A finding is at most a year old; a reply lies between the finding and today; the"
        " new date of a deviation lies after the present term; nothing more than a year ahead.",
    ),
    Verdict.REASONS_MISSING: FieldProblem(
        field="reasons",
        problem="A reply that does not follow, or that asks for another date, has no reasons.",
        remedy="Give the board's reasons in at most 2000 characters.",
    ),
    Verdict.EVIDENCE_MISSING: FieldProblem(
        field="digest",
        problem="What is said here is shown by nothing.",
        remedy="Send the SHA-256 of the document, or record evidence first.",
    ),
}
_CONFLICTS = {
    Verdict.ILLEGAL: "This does not follow from the present state of the finding, or is not for you"
    " to say.",
    Verdict.ENDED: "The finding was settled; nobody has to act.",
    Verdict.ID_REUSED: "This id was used for something else; send a new one.",
    Verdict.DEVIATION_TOO_LATE: "The term has passed, so its date cannot move any more. Say whether"
    " the board follows the finding; a late reply counts.",
    Verdict.DEVIATED_ALREADY: "The term was moved once already. Say whether the board follows the"
    " finding.",
    Verdict.REPLY_MISSING: "The board has not replied. Record its reply first; the desk can do that"
    " on its behalf.",
    Verdict.LADDER_NOT_DONE: "Not everybody whom the legal regime names has been told yet. Silence"
    " ends no finding.",
    Verdict.NOT_DUE: "Nothing is due.",
}


def refused(error: Refused) -> Problem:
    """There is nothing to act on, or not for this caller."""
    status, detail = _REFUSED[error.code]
    return Problem(status, error.code, detail)


def effective(settled: Settled) -> Finding:
    """The finding, if the command had an effect or had it before; raises Problem otherwise."""
    verdict, finding = settled.verdict, settled.finding
    if verdict in {Verdict.APPLIED, Verdict.DUPLICATE}:
        return finding
    if verdict in _FIELDS:
        raise Problem(
            400, "invalid-input", "Correct the fields in `errors`.", errors=[_FIELDS[verdict]]
        )
    step, actor = finding.step, who_must_act(finding)
    state = {
        "findingState": finding.state.value,
        "settlement": finding.settlement.value if finding.settlement else None,
        "whoMustAct": actor.value if actor else None,
        "nextActor": step.actor if step else None,
        "nextAction": step.action.value if step else None,
        "dueAt": step.due_at.isoformat().replace("+00:00", "Z") if step else None,
    }
    raise Problem(409, verdict.value, _CONFLICTS[verdict], extra=state)
