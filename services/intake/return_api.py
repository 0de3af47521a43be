"""Routes for whoever returns with the code of a receipt, which goes in the body, never in a URL."""

import time
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.reference import case_reference
from contracts.referral import CompletedAs, NextAction
from services.chassis.problem import Problem
from services.chassis.throttle import Throttle
from services.intake.domain import ANSWER_CHARACTERS_MAX, IdentityState, QuestionOpen, Stage
from services.intake.returning import ReportStanding, Returner

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime


class StatusQuestion(BaseModel):
    """The code of a receipt; case, spaces and dashes do not matter."""

    model_config = ConfigDict(hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=60)]


class QuestionAnswer(StatusQuestion):
    """An answer to a question that the status shows."""

    questionId: UUID
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=ANSWER_CHARACTERS_MAX),
    ]


class OpenQuestion(BaseModel):
    """What the organisation that has the case wants to know; `text` is in its own words."""

    questionId: UUID
    organisation: str
    text: str
    askedAt: datetime
    answerBy: datetime


class EndingTerm(BaseModel):
    """A legal term that ends soon; the last day still counts."""

    term: str
    organisation: str
    lastDay: date


class ReportStatus(BaseModel):
    """How the report stands. `text` is Dutch for the reporter; `forwarding` waits while the broker
    is away, which loses nothing.

    `nextActor` is an organisation, the meldpunt's desk (`vangnet`) or the reporter (`reporter`).
    `onwardTo` is the organisation that the holder asks to take over.
    """

    reference: str
    state: Stage
    holder: str
    text: str
    nextActor: str | None
    nextAction: NextAction | None
    nextBy: datetime | None
    onHoldUntil: datetime | None
    onwardTo: str | None
    outcome: CompletedAs | None
    questions: list[OpenQuestion]
    terms: list[EndingTerm]
    identity: IdentityState
    receivedAt: datetime
    withdrawnAt: datetime | None
    forwarding: Literal["done", "waiting"]


def router(returner: Returner, throttle: Throttle) -> APIRouter:
    """Routes under `/v1`; all of them count against the same limit per address."""
    routes = APIRouter()
    _add_statuses(routes, returner, throttle)
    _add_answers(routes, returner, throttle)
    _add_actions(routes, returner, throttle)
    return routes


def _add_statuses(routes: APIRouter, returner: Returner, throttle: Throttle) -> None:
    @routes.post("/report-statuses", operation_id="findReportStatus", tags=["reports"])
    async def find_status(request: Request, question: StatusQuestion) -> ReportStatus:
        """How a report stands, for whoever has its code."""
        _limited(request, throttle)
        return await _status(request, returner, question.code)


def _add_answers(routes: APIRouter, returner: Returner, throttle: Throttle) -> None:
    @routes.post(
        "/report-answers",
        operation_id="answerQuestion",
        tags=["reports"],
        responses={404: {"description": "No such question"}, 409: {"description": "Too late"}},
    )
    async def answer_question(request: Request, answer: QuestionAnswer) -> ReportStatus:
        """Answer a question of the organisation that has the case; the same again is harmless."""
        _limited(request, throttle)
        runtime: Runtime = request.app.state.runtime
        await returner.answer(answer.code, answer.questionId, answer.text, runtime.clock())
        return await _status(request, returner, answer.code)


def _add_actions(routes: APIRouter, returner: Returner, throttle: Throttle) -> None:
    @routes.post(
        "/report-withdrawals",
        operation_id="withdrawReport",
        tags=["reports"],
        responses={409: {"description": "The case is closed already"}},
    )
    async def withdraw(request: Request, question: StatusQuestion) -> ReportStatus:
        """Take a report back; an organisation that has it may have a duty to act nevertheless."""
        return await _acted(request, returner, throttle, question.code, returner.withdraw)

    @routes.post("/report-identity-removals", operation_id="hideReportIdentity", tags=["reports"])
    async def hide_identity(request: Request, question: StatusQuestion) -> ReportStatus:
        """Give name and contact data to nobody any more; what was told stays."""
        return await _acted(request, returner, throttle, question.code, returner.hide_identity)

    @routes.post(
        "/report-not-helped-notices",
        operation_id="reportNotHelped",
        tags=["reports"],
        responses={409: {"description": "The report was withdrawn"}},
    )
    async def not_helped(request: Request, question: StatusQuestion) -> ReportStatus:
        """Say that no help came, also after a case was closed; the desk takes it up."""
        return await _acted(request, returner, throttle, question.code, returner.not_helped)


async def _acted(
    request: Request,
    returner: Returner,
    throttle: Throttle,
    code: str,
    action: Callable[[str, datetime], Awaitable[None]],
) -> ReportStatus:
    """Do what the reporter asks; the answer is how the report stands after it."""
    _limited(request, throttle)
    runtime: Runtime = request.app.state.runtime
    await action(code, runtime.clock())
    return await _status(request, returner, code)


def _limited(request: Request, throttle: Throttle) -> None:
    address = request.client.host if request.client else ""
    if not throttle.allows(address, time.monotonic()):
        raise Problem(
            429, "too-many-requests", "Wait a minute and try again.", retry_after_seconds=60
        )


async def _status(request: Request, returner: Returner, code: str) -> ReportStatus:
    runtime: Runtime = request.app.state.runtime
    return _view(await returner.standing(code, runtime.clock()))


def _view(report: ReportStanding) -> ReportStatus:
    found, words, standing = report.found, report.words, report.words.standing
    return ReportStatus(
        reference=case_reference(found.case_id),
        state=standing.stage,
        holder=standing.holder,
        text=words.text,
        nextActor=standing.next_actor,
        nextAction=standing.next_action,
        nextBy=standing.next_by,
        onHoldUntil=standing.until,
        onwardTo=standing.onward_to,
        outcome=standing.outcome,
        questions=[_open_question(item) for item in report.questions],
        terms=[
            EndingTerm(term=term.term, organisation=term.organisation, lastDay=term.last_day)
            for term in words.terms
        ],
        identity=found.identity,
        receivedAt=found.received_at,
        withdrawnAt=found.withdrawn_at,
        forwarding=words.forwarding,
    )


def _open_question(item: QuestionOpen) -> OpenQuestion:
    return OpenQuestion(
        questionId=item.question_id,
        organisation=item.organisation,
        text=item.text.decode(),
        askedAt=item.asked_at,
        answerBy=item.answer_by,
    )
