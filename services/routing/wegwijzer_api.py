"""The wegwijzer over HTTP: public, nothing is stored, nothing of an answer is kept or logged."""

import asyncio
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from contracts.situation import Situation
from services.chassis.problem import FieldProblem, Problem, field_problems
from services.chassis.runtime import Runtime
from services.chassis.shell import too_large
from services.routing.activation import InForce, Registers
from services.routing.answers import Answer, answer, deciding
from services.routing.places.pace import Pace
from services.routing.questions import Option, Question, Questions, Text
from services.routing.rules import CompiledRegister
from services.routing.wegwijzer import AnswerUnknown, Step, Wegwijzer

BODY_BYTES_MAX = 8_192
CALLS_PER_SECOND = 100.0
QUESTIONS_MAX = 20
OPTIONS_MAX = 40

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class AnswersGiven(_View):
    """The ids of the chosen options per question; an empty list says that none of them holds."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    answers: Annotated[
        dict[_Name, Annotated[list[_Name], Field(max_length=OPTIONS_MAX)]],
        Field(max_length=QUESTIONS_MAX),
    ] = {}


class PartyView(_View):
    """A party by its id, its name and how a person reaches it."""

    id: str
    name: str
    contact: str | None


class OptionView(_View):
    """An answer that can be given; `unknown` is always one."""

    id: str
    text: Text


class QuestionView(_View):
    """The next question; with `multiple` any number of options may be chosen."""

    id: str
    text: Text
    help: Text | None
    multiple: bool
    options: list[OptionView]

    @classmethod
    def of(cls, question: Question, options: tuple[Option, ...]) -> Self:
        """A question with the options that still make sense."""
        return cls(
            id=question.id,
            text=question.text,
            help=question.help,
            multiple=question.multiple,
            options=[OptionView(id=option.id, text=option.text) for option in options],
        )


class ResultView(_View):
    """Where a report with these answers would go now, in words for the reporter."""

    organisation: str
    loket: str | None
    name: str
    contact: str | None
    mode: str
    urgency: str
    text: str
    also: list[str]
    shown: list[PartyView]

    @classmethod
    def of(cls, found: Answer, register: CompiledRegister) -> Self:
        """A decision with its words."""
        decision = found.decision
        return cls(
            organisation=decision.primary,
            loket=decision.loket,
            name=decision.primary_name,
            contact=decision.contact,
            mode=decision.mode,
            urgency=decision.urgency,
            text=found.why,
            also=list(decision.also),
            shown=_parties(register, decision.shown),
        )


class StepView(_View):
    """The next question, or the result; never both.

    `possibleParties` can still become the one that the report goes to. `helpLines` can be called at
    once. `settled` says of a result that no further answer changes it. `situation` is what a report
    may send along.
    """

    asked: int
    emergency: Text
    help_lines: list[PartyView]
    possible_parties: list[PartyView]
    question: QuestionView | None
    result: ResultView | None
    settled: bool
    situation: Situation
    register_version: str


class Guides:
    """The wegwijzer of the register that decides now, built anew when that changes."""

    def __init__(self, questions: Questions) -> None:
        self.questions = questions
        self._guide: tuple[str, Wegwijzer] | None = None
        self._lock = asyncio.Lock()

    async def step(self, register: CompiledRegister, answers: dict[str, tuple[str, ...]]) -> Step:
        """The next step; raises AnswerUnknown. Found beside the event loop, one at a time."""
        async with self._lock:
            return await asyncio.to_thread(self._step, register, answers)

    async def warm(self, register: CompiledRegister) -> None:
        """Do what the first step after a change of register would take a second for."""
        async with self._lock:
            if self._guide is None or self._guide[0] != register.hash:
                await asyncio.to_thread(lambda: self._of(register).warm())

    def _step(self, register: CompiledRegister, answers: dict[str, tuple[str, ...]]) -> Step:
        return self._of(register).next_step(answers)

    def _of(self, register: CompiledRegister) -> Wegwijzer:
        if self._guide is None or self._guide[0] != register.hash:
            self._guide = (register.hash, Wegwijzer(register, self.questions))
        return self._guide[1]


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": AnswersGiven.model_json_schema(),
                "example": {"answers": {}},
            }
        },
    }
}


def router(registers: Registers, guides: Guides) -> APIRouter:
    """One public route; a limit for all together keeps strangers from taking the whole process."""
    routes = APIRouter(tags=["wegwijzer"])
    pace = Pace(CALLS_PER_SECOND, int(CALLS_PER_SECOND) * 2)

    @routes.post("/wegwijzer-steps", operation_id="nextWegwijzerStep", openapi_extra=_BODY)
    async def next_step(request: Request) -> StepView:
        """From the answers so far to the next question that still matters, or the result."""
        if not pace.allows():
            raise Problem(
                429,
                "too-many-requests",
                "Many people ask at this moment; wait a second and try again.",
                retry_after_seconds=1,
            )
        given = await _given(request)
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            in_force = await registers.in_force(connection, runtime.clock())
        try:
            step = await guides.step(
                in_force.register, {name: tuple(ids) for name, ids in given.answers.items()}
            )
        except AnswerUnknown as error:
            raise Problem(
                400,
                "invalid-input",
                "Correct the fields in `errors`.",
                errors=[
                    FieldProblem(
                        field="answers",
                        problem=str(error),
                        remedy="Send ids that an earlier step gave.",
                    )
                ],
            ) from None
        return _shown(step, in_force, guides.questions)

    return routes


async def _given(request: Request) -> AnswersGiven:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise too_large(BODY_BYTES_MAX)
    try:
        return AnswersGiven.model_validate_json(bytes(body))
    except ValidationError as error:
        raise Problem(
            400, "invalid-input", "Correct the fields in `errors`.", errors=field_problems(error)
        ) from None


def _shown(step: Step, in_force: InForce, questions: Questions) -> StepView:
    register = in_force.register
    question = None if step.question is None else QuestionView.of(step.question, step.options)
    result, parties = None, step.parties
    if step.decision is not None:
        # The same decision as a report would get now: without who is closed.
        found = answer(register, deciding(step.situation), in_force.closed)
        result, parties = ResultView.of(found, register), (found.decision.primary,)
    return StepView(
        asked=step.asked,
        emergency=questions.emergency,
        help_lines=_parties(register, step.help_lines),
        possible_parties=_parties(register, parties),
        question=question,
        result=result,
        settled=step.settled,
        situation=step.situation,
        register_version=register.register.version,
    )


def _parties(register: CompiledRegister, ids: tuple[str, ...]) -> list[PartyView]:
    found = [register.by_id[name] for name in ids]
    return [PartyView(id=party.id, name=party.name, contact=party.contact) for party in found]
