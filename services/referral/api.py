"""Routes of partners: their referrals, their answers, and permission to see content."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from contracts.intake import ContentField
from contracts.referral import ReferralAnswered, Status
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.ids import new_id
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.referral import store
from services.referral.answering import Settled, Submission, settle
from services.referral.capability import Signer
from services.referral.domain import HOLDING, OPEN, Case, Referral, Verdict
from services.referral.effects import Count, Publishing
from services.referral.inbox import own
from services.referral.models import (
    AnswerGiven,
    AnswerSettled,
    CapabilityView,
    Referrals,
    ReferralView,
    referral_view,
)
from services.referral.partners import Partners
from services.referral.underway import Underway

LIMIT_MAX = 500

_PARTNER = Annotated[Principal, Depends(Requires(Scope.PARTNER))]
_MISSING = {
    Verdict.REASON_MISSING: FieldProblem(
        field="reason",
        problem="A decline has no reason.",
        remedy="Send one of the coded reasons.",
    ),
    Verdict.TEXT_MISSING: FieldProblem(
        field="reasonText",
        problem="The reason `other` has no text.",
        remedy="Say in at most 500 characters why you decline; only the desk of meldpunt reads it.",
    ),
    Verdict.UNTIL_MISSING: FieldProblem(
        field="until",
        problem="`on-hold` has no date.",
        remedy="Send until when you wait, at most 180 days ahead.",
    ),
    Verdict.UNTIL_UNFIT: FieldProblem(
        field="until",
        problem="The date of `on-hold` is not ahead, or too far.",
        remedy="Send a moment after now, at most 180 days ahead; repeat it later if need be.",
    ),
    Verdict.OUTCOME_MISSING: FieldProblem(
        field="outcome",
        problem="`completed` has no outcome.",
        remedy="Send one of the coded outcomes.",
    ),
    Verdict.DECISION_MISSING: FieldProblem(
        field="decision",
        problem="The outcome `decided` has no decision.",
        remedy="Send one of the coded decisions on a complaint.",
    ),
    Verdict.TARGET_MISSING: FieldProblem(
        field="suggestedOrganisation",
        problem="`referred-onward` names no organisation.",
        remedy="Send the id of the organisation that should take the case.",
    ),
}
_DETAILS = {
    Verdict.EXPIRED: "The time to answer has passed and the case has moved on.",
    Verdict.WITHDRAWN: "Meldpunt has withdrawn this referral.",
    Verdict.HELD_BY_OTHER: "Another organisation holds the case now.",
    Verdict.ILLEGAL: "This answer does not follow from the present state; look at it and answer"
    " what does.",
    Verdict.LOOP: "That organisation had the case before or is your own; name another, or return"
    " the case with a reason.",
    Verdict.NEVER: "The case is about that organisation, so it cannot get it; name another.",
    Verdict.BUSY: "A referral onward is under way already; wait for its answer.",
    Verdict.WRONG_ATTEMPT: "`attempt` is not that of this referral; send the one of the offer.",
    Verdict.ANSWER_ID_REUSED: "This answerId was used for another answer; send a new one.",
}


def router(publishing: Publishing, partners: Partners, signer: Signer, count: Count) -> APIRouter:
    """Routes with the scope `referrals:partner`; a partner meets only what is its own."""
    routes = APIRouter()
    _add_referrals(routes)
    _add_answers(routes, publishing, partners, count)
    _add_capabilities(routes, publishing, signer)
    return routes


def _add_referrals(routes: APIRouter) -> None:
    @routes.get("/referrals", operation_id="listReferrals", tags=["partners"])
    async def listing(
        request: Request,
        principal: _PARTNER,
        status: Status | None = None,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    ) -> Referrals:
        """The caller's referrals, oldest first."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = await store.list_referrals(connection, own(principal), status, after, limit)
        full = len(found) == limit
        return Referrals(
            referrals=[referral_view(case, referral) for case, referral in found],
            next_after=found[-1][1].referral_id if full else None,
        )

    @routes.get("/referrals/{referralId}", operation_id="getReferral", tags=["partners"])
    async def one(request: Request, principal: _PARTNER, referralId: UUID) -> ReferralView:
        """One referral of the caller, in its present state."""
        return referral_view(*await _own(request.app.state.runtime, principal, referralId))


def _add_answers(
    routes: APIRouter, publishing: Publishing, partners: Partners, count: Count
) -> None:
    underway = Underway()

    @routes.post(
        "/referrals/{referralId}/answers",
        operation_id="answerReferral",
        tags=["partners"],
        responses={
            404: {"description": "Not yours"},
            409: {"description": "No effect; the state"},
            425: {"description": "The same answer is being handled at this moment"},
        },
    )
    async def answer(
        request: Request, principal: _PARTNER, referralId: UUID, body: AnswerGiven
    ) -> AnswerSettled:
        """Answer an offer, or tell how it goes as its holder; gives the state after it.

        A repeat gives the state once more: `duplicate` proves that the first one arrived.
        """
        runtime: Runtime = request.app.state.runtime
        organisation = own(principal)
        await partners.ready()
        _, referral = await _own(runtime, principal, referralId)
        now = runtime.clock()
        event = ReferralAnswered(
            answer_id=body.answer_id,
            referral_id=referralId,
            case_id=referral.case_id,
            attempt=body.attempt,
            answer=body.answer,
            reason=body.reason,
            suggested_organisation=body.suggested_organisation,
            until=body.until,
            outcome=body.outcome,
            decision=body.decision,
            at=now,
        )
        work = runtime.tracing.start("answer", request.headers.get("traceparent"))
        submission = Submission(
            organisation, event, work.traceparent, on_feed=False, reason_text=body.reason_text
        )
        try:
            with underway.only(organisation, body.answer_id):
                async with runtime.database.transaction() as connection:
                    known = await store.partners(connection)
                    [settled] = await settle(connection, publishing, known, [submission], now)
        finally:
            work.end()
        count(event.event_name, settled.verdict)
        return _settled(settled)


def _add_capabilities(routes: APIRouter, publishing: Publishing, signer: Signer) -> None:
    @routes.post(
        "/referrals/{referralId}/content-capabilities",
        operation_id="createContentCapability",
        status_code=201,
        tags=["partners"],
        responses={404: {"description": "Not yours"}, 409: {"description": "Not yours any more"}},
    )
    async def capability(request: Request, principal: _PARTNER, referralId: UUID) -> CapabilityView:
        """Permission for minutes to fetch the narrative, and after accepting also the identity."""
        runtime: Runtime = request.app.state.runtime
        case, referral = await _own(runtime, principal, referralId)
        fields = _fields(case, referral)
        if not fields:
            raise _conflict(Verdict.WITHDRAWN, case, referral, "This referral gives no content.")
        signed = signer.sign(
            organisation=referral.organisation,
            case_id=case.case_id,
            referral_id=referral.referral_id,
            attempt=referral.attempt,
            fields=fields,
            capability_id=new_id(),
            now=runtime.clock(),
        )
        return CapabilityView(
            capability=signed.token,
            expires_at=signed.expires_at,
            content_url=publishing.content_url(case.case_id),
            fields=fields,
        )

    @routes.get("/keys", operation_id="listKeys", tags=["keys"])
    async def keys() -> JSONResponse:
        """The public key of the capabilities as a JWKS; needs no token."""
        return JSONResponse(signer.key_set(), headers={"Cache-Control": "public, max-age=300"})


async def _own(runtime: Runtime, principal: Principal, referral_id: UUID) -> tuple[Case, Referral]:
    async with runtime.database.connection() as connection:
        found = await store.find(connection, referral_id, own(principal))
    if found is None:
        raise Problem(404, "referral-unknown", "Your organisation has no referral with this id.")
    return found


def _fields(case: Case, referral: Referral) -> list[ContentField]:
    """What this referral may show now; nothing once it is no longer the organisation's."""
    match referral.status:
        case status if status in OPEN:
            return [field for field in case.content if field is ContentField.NARRATIVE]
        case status if status in HOLDING:
            # Answers to its own questions are the holder's, whatever came with the report.
            return [*case.content, ContentField.ANSWERS]
        case _:
            return []


def _settled(settled: Settled) -> AnswerSettled:
    verdict, case, referral = settled.verdict, settled.case, settled.referral
    if case is None or referral is None:
        raise Problem(404, "referral-unknown", "Your organisation has no referral with this id.")
    if verdict in _MISSING:
        raise Problem(
            400, "invalid-input", "Correct the fields in `errors`.", errors=[_MISSING[verdict]]
        )
    if verdict not in {Verdict.APPLIED, Verdict.DUPLICATE}:
        raise _conflict(verdict, case, referral, _DETAILS[verdict])
    return AnswerSettled(
        duplicate=verdict is Verdict.DUPLICATE, referral=referral_view(case, referral)
    )


def _conflict(verdict: Verdict, case: Case, referral: Referral, detail: str) -> Problem:
    """The true present state, who holds the case and who must act."""
    state = {
        "referralStatus": referral.status.value,
        "businessStatus": referral.business_status.value if referral.business_status else None,
        "holder": case.holder,
        "whoMustAct": case.who_must_act.value,
    }
    return Problem(409, verdict.value, detail, extra=state)
