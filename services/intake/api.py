"""Routes of intake: reports in, status by code, content for partners, keys for verifiers."""

import time
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, Field, ValidationError

from contracts.intake import ContentField
from contracts.reference import case_reference
from services.chassis.auth import Principal, Requires, Scope, authorised
from services.chassis.http import Endpoint
from services.chassis.problem import FieldProblem, Problem
from services.intake import store
from services.intake.committer import (
    Committer,
    KeyReused,
    NotConfirmed,
    Outcome,
    Overloaded,
    Unstorable,
)
from services.intake.disclosure import Discloser
from services.intake.domain import Identity, NewReport, Stage
from services.intake.problems import invalid_report
from services.intake.receiving import Receiver
from services.intake.rules import status_words
from services.intake.throttle import Throttle

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

KEY_HEADER = "Idempotency-Key"
_KEY_REMEDY = (
    f"Send the header {KEY_HEADER} with 8 to 200 printable characters that are new for this report,"
    " for example a UUID, and the same again when you repeat the request."
)
_RETRY_SECONDS = 2
_PARTNER = Annotated[Principal, Depends(Requires(Scope.PARTNER))]


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


class StatusQuestion(BaseModel):
    """The code of a receipt; case, spaces and dashes do not matter."""

    code: Annotated[str, Field(min_length=1, max_length=60)]


class ReportStatus(BaseModel):
    """How the report stands. `text` is Dutch for the reporter; `forwarding` waits while the broker
    is away, which loses nothing.
    """

    reference: str
    state: Stage
    holder: str
    text: str
    nextActor: str | None
    nextBy: datetime | None
    receivedAt: datetime
    forwarding: Literal["done", "waiting"]


class Content(BaseModel):
    """The fields that the capability allows and the case holds."""

    narrative: str | None = None
    identity: Identity | None = None


class KeySetDocument(BaseModel):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, Any]]


def router(
    receiver: Receiver, endpoint: Endpoint, discloser: Discloser, throttle: Throttle
) -> APIRouter:
    """Routes under `/v1`; `endpoint` is that of `report_endpoint`."""
    routes = APIRouter()
    _add_reports(routes, endpoint)
    _add_statuses(routes, receiver, throttle)
    _add_contents(routes, discloser)

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
        report = _parsed(await request.body())
        row, event = receiver.prepare(report, caller.client, key, runtime.clock())
        work = runtime.tracing.start("intake report", headers.get("traceparent"), SpanKind.SERVER)
        try:
            outcome = await _stored(committer.submit(row, event, work.traceparent))
        finally:
            work.end()
        return Response(
            receiver.receipt(outcome.report),
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


def _parsed(body: bytes) -> NewReport:
    try:
        return NewReport.model_validate_json(body)
    except ValidationError as error:
        raise invalid_report(error) from None


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


def _add_statuses(routes: APIRouter, receiver: Receiver, throttle: Throttle) -> None:
    @routes.post("/report-statuses", operation_id="findReportStatus", tags=["reports"])
    async def find_status(request: Request, question: StatusQuestion) -> ReportStatus:
        """How a report stands, for whoever has its code, which goes in the body, not in a URL."""
        runtime: Runtime = request.app.state.runtime
        address = request.client.host if request.client else ""
        if not throttle.allows(address, time.monotonic()):
            raise Problem(
                429, "too-many-requests", "Wait a minute and try again.", retry_after_seconds=60
            )
        mac = receiver.codes.code_mac(question.code)
        found = None
        if mac is not None:
            async with runtime.database.connection() as connection:
                found = await store.find_by_code(connection, mac)
        if found is None:
            raise Problem(
                404, "code-unknown", "No report has this code. Check the code on your receipt."
            )
        words = status_words(found, runtime.clock())
        return ReportStatus(
            reference=case_reference(found.case_id),
            state=words.stage,
            holder=words.holder,
            text=words.text,
            nextActor=words.next_actor,
            nextBy=words.next_by,
            receivedAt=found.received_at,
            forwarding=words.forwarding,
        )


def _add_contents(routes: APIRouter, discloser: Discloser) -> None:
    @routes.get(
        "/contents/{caseId}",
        operation_id="getContent",
        tags=["content"],
        response_model_exclude_none=True,
    )
    async def get_content(
        request: Request,
        caller: _PARTNER,
        caseId: UUID,
        capability: Annotated[str | None, Header(alias="Content-Capability")] = None,
    ) -> Content:
        """Narrative and identity of a case, as far as referral's capability allows.

        Every disclosure is recorded as an event before the answer is given.
        """
        runtime: Runtime = request.app.state.runtime
        found = await discloser.disclose(caller.organisation, caseId, capability, runtime.clock())
        narrative = found.get(ContentField.NARRATIVE)
        identity = found.get(ContentField.IDENTITY)
        return Content(
            narrative=narrative.decode() if narrative is not None else None,
            identity=Identity.model_validate_json(identity) if identity is not None else None,
        )
