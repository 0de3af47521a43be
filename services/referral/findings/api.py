"""Routes of findings: the committee's finding, the board's reply, evidence, and figures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from contracts.referral import DESK
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.db import Connection
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.referral.effects import Publishing
from services.referral.findings import figures, recording, store
from services.referral.findings.domain import Evidence, Finding, Reply, Verdict
from services.referral.findings.models import (
    EvidenceGiven,
    FindingFigures,
    FindingGiven,
    Findings,
    FindingSettled,
    FindingView,
    ReplyGiven,
    SettlementGiven,
    row_of,
    summary_of,
    view_of,
)
from services.referral.findings.problems import effective, refused
from services.referral.findings.recording import Given, Refused, Settled
from services.referral.findings.times import today
from services.referral.inbox import own

_LIMIT_MAX = 500
_ACTOR = Annotated[Principal, Depends(Requires(Scope.PARTNER, Scope.DESK))]
_DESK = Annotated[Principal, Depends(Requires(Scope.DESK))]
_READER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR))]
_COUNTER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.AUDITOR))]
_CONFLICTS: dict[int | str, dict[str, Any]] = {
    404: {"description": "No finding that you take part in"},
    409: {"description": "No effect; the present state and who must act"},
}


def router(publishing: Publishing) -> APIRouter:
    """Routes for committees, boards, supervisors and the desk; figures for auditors too."""
    routes = APIRouter(tags=["findings"])
    _add_issue(routes, publishing)
    _add_replies(routes, publishing)
    _add_evidence(routes, publishing)
    _add_settlement(routes, publishing)
    _add_reading(routes)
    _add_figures(routes)
    return routes


def _add_issue(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/cases/{caseId}/findings",
        operation_id="createFinding",
        status_code=201,
        responses={**_CONFLICTS, 200: {"description": "It was recorded before"}},
    )
    async def issue(
        request: Request,
        response: Response,
        principal: _ACTOR,
        case_id: Annotated[UUID, Path(alias="caseId")],
        body: FindingGiven,
    ) -> FindingSettled:
        """Record a finding: by the committee that decided, or by the desk for a committee.

        The board's term runs from the day of the finding, by the legal regime of that day.
        """
        runtime: Runtime = request.app.state.runtime
        by = _actor(principal)
        given = Given(
            finding_id=body.finding_id,
            case_id=case_id,
            committee=_committee(by, body),
            decision=body.decision,
            advice=body.advice,
            issued_on=body.issued_on,
            by=by,
        )
        async with _commands(runtime) as connection:
            settled = await recording.issue(connection, publishing, given, runtime.clock())
        return _shown(runtime, response, settled)


def _add_replies(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/findings/{findingId}/replies",
        operation_id="replyToFinding",
        responses=_CONFLICTS,
    )
    async def reply(
        request: Request,
        principal: _ACTOR,
        finding_id: Annotated[UUID, Path(alias="findingId")],
        body: ReplyGiven,
    ) -> FindingSettled:
        """The board's reply: by the board, or by the desk with the digest of the letter."""
        runtime: Runtime = request.app.state.runtime
        by, now = _actor(principal), runtime.clock()
        await _takes_part(runtime, finding_id, by, only_board=True)
        said = _reply(body, by, today(now))
        async with _commands(runtime) as connection:
            day_given = by == DESK and body.replied_on is not None
            settled = await recording.reply(
                connection, publishing, finding_id, said, now, day_given=day_given
            )
        return _shown(runtime, None, settled)


def _add_evidence(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/findings/{findingId}/evidence",
        operation_id="addFindingEvidence",
        responses=_CONFLICTS,
    )
    async def evidence(
        request: Request,
        principal: _ACTOR,
        finding_id: Annotated[UUID, Path(alias="findingId")],
        body: EvidenceGiven,
    ) -> FindingSettled:
        """What shows whether the finding was followed: by desk, committee or a told supervisor."""
        runtime: Runtime = request.app.state.runtime
        by = _actor(principal)
        finding = await _takes_part(runtime, finding_id, by)
        if by == finding.board:
            raise Problem(
                403, "forbidden", "The board shows its evidence to the committee or the desk."
            )
        shown = Evidence(
            evidence_id=body.evidence_id,
            kind=body.kind,
            day=body.day,
            by=by,
            digest=body.digest,
            text=body.text,
            confirms=body.confirms,
        )
        async with _commands(runtime) as connection:
            settled = await recording.evidence(
                connection, publishing, finding_id, shown, runtime.clock()
            )
        return _shown(runtime, None, settled)


def _add_settlement(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/findings/{findingId}/_settle", operation_id="settleFinding", responses=_CONFLICTS
    )
    async def settle(
        request: Request,
        _: _DESK,
        finding_id: Annotated[UUID, Path(alias="findingId")],
        body: SettlementGiven,
    ) -> FindingSettled:
        """End a finding that was not wholly followed, when everybody was told who has to be."""
        runtime: Runtime = request.app.state.runtime
        async with _commands(runtime) as connection:
            settled = await recording.settle(
                connection, publishing, finding_id, body.settlement, runtime.clock()
            )
        return _shown(runtime, None, settled)


def _add_reading(routes: APIRouter) -> None:
    @routes.get("/findings", operation_id="listFindings")
    async def listing(
        request: Request,
        _: _READER,
        overdue: bool = False,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 100,
    ) -> Findings:
        """Open findings, the one that is due first in front."""
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.connection() as connection:
            found = await store.list_open(connection, now if overdue else None, after, limit)
        return Findings(
            findings=[summary_of(item, now) for item in found],
            next_after=found[-1].finding_id if len(found) == limit else None,
        )

    @routes.get(
        "/findings/{findingId}", operation_id="getFinding", responses={404: _CONFLICTS[404]}
    )
    async def one(
        request: Request, principal: _ACTOR, finding_id: Annotated[UUID, Path(alias="findingId")]
    ) -> FindingView:
        """One finding with replies and evidence; a board sees no words of others."""
        runtime: Runtime = request.app.state.runtime
        by = _actor(principal)
        finding = await _takes_part(runtime, finding_id, by)
        async with runtime.database.connection() as connection:
            replies = await store.replies(connection, finding_id)
            evidence = await store.evidence(connection, finding_id)
        return view_of(finding, replies, evidence, runtime.clock(), texts=by != finding.board)


def _add_figures(routes: APIRouter) -> None:
    @routes.get("/finding-figures", operation_id="getFindingFigures")
    async def counted(request: Request, _: _COUNTER, public: bool = False) -> FindingFigures:
        """How findings are followed, per legal regime and year of the finding.

        With `public` small numbers are left out, and what would give them away.
        """
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = [figures.figures_of(row) for row in await store.figures(connection)]
        rows = figures.public(found) if public else found
        return FindingFigures(
            public=public, small_below=figures.SMALL_BELOW, rows=[row_of(row) for row in rows]
        )


@asynccontextmanager
async def _commands(runtime: Runtime) -> AsyncIterator[Connection]:
    """A transaction in which a refusal becomes a problem."""
    try:
        async with runtime.database.transaction() as connection:
            yield connection
    except Refused as error:
        raise refused(error) from None


def _actor(principal: Principal) -> str:
    """The caller as an organisation; the desk when the token is the desk's."""
    if Scope.DESK in principal.scopes:
        return DESK
    return own(principal)


def _committee(by: str, body: FindingGiven) -> str:
    if by != DESK:
        return by
    if body.committee is None:
        problem = FieldProblem(
            field="committee",
            problem="The desk records a finding of a committee, but of which?",
            remedy="Send the organisation id of the committee.",
        )
        raise Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=[problem])
    return body.committee


async def _takes_part(
    runtime: Runtime, finding_id: UUID, by: str, *, only_board: bool = False
) -> Finding:
    """The finding, for who has a part in it; a stranger meets none."""
    async with runtime.database.connection() as connection:
        finding = await store.find(connection, finding_id)
    known = finding is not None and by in {DESK, finding.committee, finding.board, *finding.told}
    if finding is None or not known:
        raise refused(Refused("finding-unknown"))
    if only_board and by not in {DESK, finding.board}:
        raise Problem(
            403, "forbidden", "Only the board replies, or the desk of meldpunt on its behalf."
        )
    return finding


def _reply(body: ReplyGiven, by: str, day: date) -> Reply:
    """A board replies now; the desk says on which day the letter that it saw came."""
    return Reply(
        reply_id=body.reply_id,
        reply=body.reply,
        replied_on=(body.replied_on or day) if by == DESK else day,
        by=by,
        reasons=body.reasons,
        new_date=body.until,
        measures_by=body.measures_by,
        digest=body.digest,
    )


def _shown(runtime: Runtime, response: Response | None, settled: Settled) -> FindingSettled:
    finding = effective(settled)
    duplicate = settled.verdict is Verdict.DUPLICATE
    if duplicate and response is not None:
        response.status_code = 200
    return FindingSettled(duplicate=duplicate, finding=summary_of(finding, runtime.clock()))
