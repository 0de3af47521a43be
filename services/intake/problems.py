"""Refusals of intake: what is wrong, who must act, and never what somebody wrote."""

from collections.abc import Sequence

from pydantic import ValidationError

from services.chassis.problem import FieldProblem, Problem, describe
from services.intake.rules import QUESTIONS_MAX, QUESTIONS_OPEN_MAX, Denied, Refusal

_FIELD_CHARACTERS_MAX = 100
_ID_FORM = "Use an id of lower-case letters, digits and underscores, as the register has it."
_FORMS = {
    "situation.brin": "Give the BRIN number as two digits and two capital letters, and for a branch"
    " two more digits: 12AB or 12AB03. Leave it out when it is not known.",
    "situation.affiliation": _ID_FORM,
    "situation.steps_tried": _ID_FORM,
    "identity.email": "Give an address like naam@voorbeeld.nl, or leave it out.",
    "identity.phone": "Give 6 to 30 digits, spaces, dashes and brackets, with or without a + in"
    " front, or leave it out.",
    "knownDates.starts": "Use a start event of the register, such as decision, event or absence.",
}
_RETRY_SECONDS = 1
_REFUSALS = {
    Refusal.EXPIRED: "The capability has expired; ask referral for a new one.",
    Refusal.LIFE_TOO_LONG: "The capability lives longer than five minutes; meldpunt must act.",
    Refusal.OTHER_ORGANISATION: "The capability is of another organisation than your token.",
    Refusal.OTHER_CASE: "The capability is for another case; ask referral for one of this case.",
    Refusal.CLOSED: "Your referral was closed: it expired, was withdrawn or another organisation"
    " has the case; or the consultation was answered. You need not act.",
    Refusal.SUPERSEDED: "A later attempt has replaced this referral; use the offer of that one.",
}
_UNKNOWN = frozenset({Denied.QUESTION_UNKNOWN, Denied.CONTENT_ERASED})
_DENIED = {
    Denied.CASE_CLOSED: "The case is closed already, so there is nothing to take back.",
    Denied.WITHDRAWN: "The reporter has withdrawn the report.",
    Denied.QUESTION_UNKNOWN: "Your report has no question with this id; see its status.",
    Denied.QUESTION_CLOSED: "The organisation that asked no longer has the case, so nobody waits"
    " for an answer. Nothing was stored.",
    Denied.QUESTION_ANSWERED: "This question was answered before with another text; the first"
    " answer stands.",
    Denied.QUESTION_ID_REUSED: "This questionId was used before for another question. Send a new id"
    " for a new question, or the unchanged text to repeat the earlier one.",
    Denied.NOT_HOLDER: "Only the organisation that has the case may ask the reporter. Accept the"
    " referral first; if you did so just now, repeat in a moment.",
    Denied.TOO_MANY_QUESTIONS: f"At most {QUESTIONS_OPEN_MAX} questions wait for a reporter, and"
    f" {QUESTIONS_MAX} in all. Wait for answers, or ask what you want to know in one question.",
    Denied.CONTENT_ERASED: "The content of this case was erased for good.",
}


def invalid_report(error: ValidationError) -> Problem:
    """The 400 answer to a body that does not fit `NewReport`."""
    found = [
        _field_problem(item["loc"], item["type"], item["msg"], item.get("ctx"))
        for item in error.errors(include_input=False, include_url=False)[:20]
    ]
    return Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=found)


def _field_problem(
    location: tuple[int | str, ...], kind: str, message: str, context: dict[str, object] | None
) -> FieldProblem:
    where = ".".join(str(part) for part in location)[:_FIELD_CHARACTERS_MAX] or "body"
    if kind == "string_pattern_mismatch":
        field = ".".join(str(part) for part in location if isinstance(part, str))
        if field in _FORMS:
            return FieldProblem(
                field=where, problem="It does not have the right form", remedy=_FORMS[field]
            )
    if kind == "identity_empty":
        remedy = "Give at least one of name, email and phone, or leave identity out."
        return FieldProblem(field=where, problem=message, remedy=remedy)
    if kind == "starts_repeated":
        remedy = "Give each start event once, with the day that is known best."
        return FieldProblem(field=where, problem=message, remedy=remedy)
    return describe(where, kind, message, context)


def dates_to_come(positions: Sequence[int]) -> Problem:
    """The 400 answer to known dates that have not come yet."""
    remedy = "Give the day on which it happened, or leave it out until it has happened."
    found = [
        FieldProblem(
            field=f"knownDates.{n}.day", problem="This day lies in the future", remedy=remedy
        )
        for n in positions
    ]
    return Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=found)


def denied(reason: Denied) -> Problem:
    """The answer to a reporter or a holder who asks what cannot be done now."""
    retry = _RETRY_SECONDS if reason is Denied.NOT_HOLDER else None
    status = 404 if reason in _UNKNOWN else 409
    return Problem(status, reason.value, _DENIED[reason], retry_after_seconds=retry)


def refused(refusal: Refusal | None) -> None:
    """Raise the answer to a capability that gives no right; nothing for None."""
    if refusal is None:
        return
    if refusal is Refusal.NOT_KNOWN_YET:
        detail = "Your referral has not reached intake yet; try again in a moment."
        raise Problem(503, refusal.value, detail, retry_after_seconds=_RETRY_SECONDS)
    raise Problem(403, refusal.value, _REFUSALS[refusal])
