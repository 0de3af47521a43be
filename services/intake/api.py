"""Routes of intake for channels and verifiers: reports in, keys of the receipts."""

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ValidationError

from services.chassis.auth import Scope, authorised
from services.chassis.http import Endpoint
from services.chassis.problem import FieldProblem, Problem
from services.intake.committer import (
    Committer,
    KeyReused,
    NotConfirmed,
    Outcome,
    Overloaded,
    Unstorable,
)
from services.intake.domain import NewReport
from services.intake.problems import dates_to_come, invalid_report
from services.intake.receiving import Receiver
from services.intake.rules import future_dates

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

KEY_HEADER = "Idempotency-Key"
_KEY_REMEDY = (
    f"Send the header {KEY_HEADER} with 8 to 200 printable characters that are new for this report,"
    " for example a UUID, and the same again when you repeat the request."
)
_RETRY_SECONDS = 2


class Receipt(BaseModel):
    """Proof of receipt, given after the report was stored durably.

    `code` is shown to the reporter, who returns with it; nobody can read it again elsewhere.
    `receipt` is a compact JWS, to be checked with the keys of `GET /v1/keys`.
    """

    reference: str
    caseId: UUID
    reportId: UUID
    receivedAt: datetime
    code: str
    statusUrl: str
    receipt: str


class KeySetDocument(BaseModel):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, Any]]


def router(receiver: Receiver, endpoint: Endpoint) -> APIRouter:
    """Routes under `/v1` of channels and verifiers; `endpoint` is that of `report_endpoint`."""
    routes = APIRouter()
    _add_reports(routes, endpoint)

    @routes.get("/keys", operation_id="listKeys", tags=["receipts"])
    async def keys() -> KeySetDocument:
        """Public keys with which anybody checks a signed receipt."""
        return KeySetDocument.model_validate(receiver.signer.jwks())

    return routes


def report_endpoint(receiver: Receiver, committer: Committer) -> Endpoint:
    """`POST /v1/reports` as it runs: on the raw request, without the dependency machinery, which
    would cost more than all work of a report.
    """

    async def create_report(request: Request) -> Response:
        runtime: Runtime = request.app.state.runtime
        headers = request.headers
        caller = await runtime.authenticator.principal(headers.get("authorization"))
        authorised(caller, Scope.CHANNEL, Scope.DESK)
        key = _idempotency_key(headers.get(KEY_HEADER))
        _require_json(headers.get("content-type"))
        now = runtime.clock()
        report = _parsed(await request.body(), now)
        prepared = receiver.prepare(report, caller.client, key, now)
        work = runtime.tracing.start("intake report", headers.get("traceparent"), SpanKind.SERVER)
        try:
            outcome = await _stored(
                committer.submit(prepared.row, prepared.event, work.traceparent)
            )
        finally:
            work.end()
        return Response(
            # A repeat gets the code of the report that was stored the first time.
            receiver.receipt(outcome.report, None if outcome.replayed else prepared.code),
            status_code=200 if outcome.replayed else 201,
            headers={"Idempotent-Replay": "true"} if outcome.replayed else None,
            media_type="application/json",
        )

    return create_report


def _add_reports(routes: APIRouter, endpoint: Endpoint) -> None:
    async def create_report(request: Request) -> Response:
        """Store a report; the receipt is given only after the commit.

        Repeat with the same `Idempotency-Key` and body after any error or silence: the answer is
        the same receipt, with status 200 and the header `Idempotent-Replay: true`.
        """
        return await endpoint(request)

    routes.add_api_route(
        "/reports",
        create_report,
        methods=["POST"],
        operation_id="createReport",
        tags=["reports"],
        status_code=201,
        response_model=Receipt,
        responses={200: {"model": Receipt, "description": "The same receipt as the first time"}},
        openapi_extra=_documentation(),
    )


async def _stored(submission: Awaitable[Outcome]) -> Outcome:
    try:
        return await submission
    except Overloaded:
        detail = "Too many reports at once; nothing was stored. Repeat with the same key."
        raise Problem(503, "overloaded", detail, retry_after_seconds=_RETRY_SECONDS) from None
    except NotConfirmed:
        detail = (
            "The report could not be confirmed as stored, so there is no receipt yet. Repeat the"
            f" request with the same {KEY_HEADER}: it is stored once, whatever happened now."
        )
        raise Problem(503, "not-confirmed", detail, retry_after_seconds=_RETRY_SECONDS) from None
    except KeyReused:
        detail = (
            f"This {KEY_HEADER} was used before for another report. Send a new key for a new"
            " report, or the unchanged body to get the receipt of the earlier one."
        )
        raise Problem(409, "idempotency-key-reused", detail) from None
    except Unstorable:
        detail = "Something is broken on our side; meldpunt must act. You may try again later."
        raise Problem(500, "defect", detail) from None


def _idempotency_key(key: str | None) -> str:
    if key is None:
        raise _key_problem("idempotency-key-missing", "The header is missing")
    if not 8 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise _key_problem("idempotency-key-invalid", "It does not have the right form")
    return key


def _key_problem(code: str, problem: str) -> Problem:
    found = FieldProblem(field=KEY_HEADER, problem=problem, remedy=_KEY_REMEDY)
    return Problem(400, code, _KEY_REMEDY, errors=[found])


def _require_json(content_type: str | None) -> None:
    if (content_type or "").split(";", 1)[0].strip().lower() != "application/json":
        raise Problem(
            415, "unsupported-media-type", "Send the body as Content-Type: application/json."
        )


def _parsed(body: bytes, now: datetime) -> NewReport:
    try:
        report = NewReport.model_validate_json(body)
    except ValidationError as error:
        raise invalid_report(error) from None
    if positions := future_dates(report, now):
        raise dates_to_come(positions)
    return report


def _documentation() -> dict[str, Any]:
    schema = NewReport.model_json_schema()
    definitions = schema.pop("$defs")
    header = {
        "name": KEY_HEADER,
        "in": "header",
        "required": True,
        "description": _KEY_REMEDY,
        "schema": {"type": "string", "minLength": 8, "maxLength": 200},
    }
    return {
        "security": [{"HTTPBearer": []}],
        "parameters": [header],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, definitions)}},
        },
    }


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, because the document has no place for the definitions."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    whole = dict(node)
    reference = whole.pop("$ref", None)
    if reference is not None:
        whole = definitions[reference.rpartition("/")[2]] | whole
    return {name: _inlined(item, definitions) for name, item in whole.items()}
