"""What is wrong with a report that was sent, field by field and without what it says."""

from collections.abc import Sequence

from pydantic import ValidationError

from services.chassis.problem import FieldProblem, Problem, describe

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


def future_dates(positions: Sequence[int]) -> Problem:
    """The 400 answer to known dates that have not come yet."""
    remedy = "Give the day on which it happened, or leave it out until it has happened."
    found = [
        FieldProblem(
            field=f"knownDates.{n}.day", problem="This day lies in the future", remedy=remedy
        )
        for n in positions
    ]
    return Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=found)
