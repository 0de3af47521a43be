"""Routes of intake for partners: the content of a case, and questions to its reporter."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts.intake import ContentField
from services.chassis.auth import Principal, Requires, Scope
from services.intake.asking import Asker
from services.intake.disclosure import Answered, Discloser
from services.intake.domain import QUESTION_CHARACTERS_MAX, Identity

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

_PARTNER = Annotated[Principal, Depends(Requires(Scope.PARTNER))]


class AnsweredQuestion(BaseModel):
    """What `organisation` asked the reporter as holder of the case, and the answer."""

    questionId: UUID
    organisation: str
    question: str
    answer: str
    answeredAt: datetime


class Content(BaseModel):
    """The fields that the capability allows and the case holds; without those, they are absent.

    An identity that the reporter has hidden since is given to nobody.
    """

    narrative: str | None = None
    identity: Identity | None = None
    answers: list[AnsweredQuestion] | None = None


class Question(BaseModel):
    """A question to the reporter; `questionId` is yours to choose and makes a repeat harmless."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    questionId: UUID
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=QUESTION_CHARACTERS_MAX),
    ]


class QuestionStored(BaseModel):
    """The reporter is asked; `question-answered` follows, perhaps later than `answerBy`."""

    questionId: UUID
    answerBy: datetime


def router(discloser: Discloser, asker: Asker) -> APIRouter:
    """Routes under `/v1`; both need referral's capability besides the partner's token."""
    routes = APIRouter()
    _add_contents(routes, discloser)
    _add_questions(routes, asker)
    return routes


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
        """Narrative, identity and the reporter's answers, as far as referral's capability allows.

        Every disclosure is recorded as an event before the answer is given.
        """
        runtime: Runtime = request.app.state.runtime
        found = await discloser.disclose(caller.organisation, caseId, capability, runtime.clock())
        narrative = found.fields.get(ContentField.NARRATIVE)
        identity = found.fields.get(ContentField.IDENTITY)
        return Content(
            narrative=narrative.decode() if narrative is not None else None,
            identity=Identity.model_validate_json(identity) if identity is not None else None,
            answers=[_answered(item) for item in found.answers] or None,
        )


def _answered(item: Answered) -> AnsweredQuestion:
    return AnsweredQuestion(
        questionId=item.question_id,
        organisation=item.organisation,
        question=item.question.decode(),
        answer=item.answer.decode(),
        answeredAt=item.answered_at,
    )


def _add_questions(routes: APIRouter, asker: Asker) -> None:
    @routes.post(
        "/cases/{caseId}/questions",
        operation_id="askQuestion",
        tags=["content"],
        status_code=201,
        responses={200: {"model": QuestionStored, "description": "It was asked before"}},
    )
    async def ask_question(
        request: Request,
        response: Response,
        caller: _PARTNER,
        caseId: UUID,
        question: Question,
        capability: Annotated[str | None, Header(alias="Content-Capability")] = None,
    ) -> QuestionStored:
        """Ask the reporter something; only the organisation that has the case may.

        The reporter sees it who returns with the code. The answer is fetched from
        `GET /v1/contents/{caseId}`.
        """
        runtime: Runtime = request.app.state.runtime
        asked = await asker.ask(
            caller.organisation, caseId, capability, question.questionId, question.text,
            runtime.clock(),
        )  # fmt: skip
        if asked.replayed:
            response.status_code = 200
        return QuestionStored(questionId=question.questionId, answerBy=asked.answer_by)
