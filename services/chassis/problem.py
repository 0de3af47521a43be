"""Errors that leave over HTTP: RFC 9457 problem details that say who must do what."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

TYPE_PREFIX = "urn:meldpunt:problem:"
# Whoever knows a path below this may do something, so the rest of it is never shown or logged.
LINK_PATH = "/link/"
WhoMustAct = Literal["partner", "meldpunt", "reporter"]
"""Who can repair it; a partner is any organisation whose system calls, a channel too."""
_TITLES = {
    400: "The request cannot be read",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "In conflict with the present state",
    413: "The request is too large",
    415: "Unsupported media type",
    422: "Not possible",
    425: "Too early",
    429: "Too many requests",
    500: "A defect of meldpunt",
    503: "Not available now",
}


class FieldProblem(BaseModel):
    """What is wrong with one field and what to do about it."""

    field: str
    problem: str
    remedy: str


class ProblemDocument(BaseModel):
    """The body of an `application/problem+json` answer."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FieldProblem] | None = None
    who_must_act: Annotated[WhoMustAct | None, Field(alias="whoMustAct")] = None


class Problem(Exception):
    """Raise anywhere below a route; `code` ends the problem's type."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        retry_after_seconds: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)

    def body(self, instance: str | None = None, caller: WhoMustAct = "partner") -> bytes:
        """The problem document as JSON bytes.

        Who called must act on a bad call and meldpunt on a defect, unless `extra` knows better.
        """
        document: dict[str, Any] = {
            "type": f"{TYPE_PREFIX}{self.code}",
            "title": _TITLES.get(self.status, "Problem"),
            "status": self.status,
            "detail": self.detail,
            "whoMustAct": "meldpunt" if self.status >= 500 else caller,
        }
        if instance is not None:
            document["instance"] = shown_path(instance)
        if self.errors:
            document["errors"] = [item.model_dump() for item in self.errors]
        return orjson.dumps(document | self.extra)

    def response(self, instance: str | None = None, caller: WhoMustAct = "partner") -> Response:
        """The whole answer."""
        return Response(
            self.body(instance, caller),
            status_code=self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def shown_path(path: str) -> str:
    """A path as it may be shown: without the secret that it ends in, if it does."""
    return f"{LINK_PATH}***" if path.startswith(LINK_PATH) else path


_REMEDIES = {
    "missing": "Send this field.",
    "json_invalid": "Send valid JSON.",
    "extra_forbidden": "Leave this field out; it is not part of the contract.",
    "string_pattern_mismatch": "Use the pattern that the contract gives.",
    "string_too_long": "Shorten the text.",
    "uuid_parsing": "Send a UUID.",
    "datetime_parsing": "Send a moment as RFC 3339.",
}


def field_problems(error: ValidationError, prefix: str = "") -> list[FieldProblem]:
    """Field by field what a validation found, without the values that were sent."""
    found = []
    for item in error.errors(include_input=False, include_url=False)[:20]:
        where = ".".join(str(part) for part in item["loc"])
        found.append(
            describe(f"{prefix}{where}" or "body", item["type"], item["msg"], item.get("ctx"))
        )
    return found


def describe(
    where: str, kind: str, message: str, context: Mapping[str, Any] | None = None
) -> FieldProblem:
    """One field's problem in the words of the contract."""
    expected = (context or {}).get("expected")
    remedy = _REMEDIES.get(kind)
    if kind == "enum" and expected:
        remedy = f"Use one of: {expected}."
        message = "This value is not in the list of the contract"
    return FieldProblem(field=where, problem=message, remedy=remedy or f"Correct it: {message}.")
