"""Routes of what people at the desk do: take back, assign, hand over, call a silent holder."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request

from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral import by_desk, records, reporter, rules, store
from services.referral.by_desk import HandedOver
from services.referral.desk import case_document
from services.referral.desk_models import (
    AssignmentGiven,
    CaseView,
    EndGiven,
    HandOverGiven,
)
from services.referral.domain import Outcome, Referral, Standing, Verdict
from services.referral.effects import Effects, Publishing
from services.referral.findings import store as findings
from services.referral.records import HandOver

_DESK = Annotated[Principal, Depends(Requires(Scope.DESK))]
_DETAILS = {
    Verdict.NEVER: "The case is about this organisation, so it cannot get it. Choose another one.",
    Verdict.BUSY: "Somebody holds the case or is asked for it. Take that referral back first.",
    Verdict.ILLEGAL: "With this outcome nobody was helped, so the case stays open.",
    Verdict.OUTDATED: "The case is not in a state for this any more; look at it again.",
}


def router(publishing: Publishing) -> APIRouter:
    """Routes with the scope `cases:desk`."""
    routes = APIRouter(tags=["desk"])
    _add_assignment(routes, publishing)
    _add_referral_actions(routes, publishing)
    _add_case_actions(routes, publishing)
    return routes


def _add_assignment(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post("/cases/{caseId}/assignments", operation_id="assignCase", status_code=201)
    async def assign(
        request: Request,
        _: _DESK,
        case_id: Annotated[UUID, Path(alias="caseId")],
        body: AssignmentGiven,
    ) -> CaseView:
        """Ask an organisation by the judgement of the desk, whatever routing decided.

        An organisation that is no partner is asked by phone or letter: `hand-over` comes next.
        """

        def change(effects: Effects, standing: Standing, now: datetime) -> Outcome:
            offering = effects.offering(body.organisation)
            if offering.channel is None:
                raise Problem(409, "switched-off", "This organisation takes no cases now.")
            return by_desk.assigned(standing, body.organisation, body.loket, offering, now)

        return await _on_case(request, publishing, case_id, change)


def _add_referral_actions(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post("/referrals/{referralId}/_withdraw", operation_id="withdrawReferral")
    async def withdraw(
        request: Request, _: _DESK, referral_id: Annotated[UUID, Path(alias="referralId")]
    ) -> CaseView:
        """Take a referral back; the desk holds the case then, and must assign it.

        A referral that has ended already stays as it is.
        """

        def change(standing: Standing, referral: Referral, now: datetime) -> Outcome:
            return rules.withdraw(standing, referral, now)

        return await _on_referral(request, publishing, referral_id, change)

    @routes.post(
        "/referrals/{referralId}/hand-overs", operation_id="recordHandOver", status_code=201
    )
    async def hand_over(
        request: Request,
        principal: _DESK,
        referral_id: Annotated[UUID, Path(alias="referralId")],
        body: HandOverGiven,
    ) -> CaseView:
        """Write down that the desk brought the case by phone, letter or visit.

        `accepted` only when the organisation said so itself; a letter proves no more than that
        it was sent. A repeat with the same `handOverId` is harmless.
        """
        now = request.app.state.runtime.clock()
        if body.handed_at > now:
            raise Problem(400, "invalid-input", "`handedAt` lies ahead; send when it happened.")
        if body.accepted and body.declined is not None:
            raise Problem(400, "invalid-input", "It is accepted or declined; send one of the two.")
        item = HandOver(
            hand_over_id=body.hand_over_id,
            referral_id=referral_id,
            how=body.how,
            accepted=body.accepted,
            declined=body.declined,
            handed_at=body.handed_at,
            spoken_with=body.spoken_with,
            recorded_by=principal.client,
            recorded_at=now,
        )

        how = HandedOver(body.how, body.accepted, body.declined)

        def change(standing: Standing, referral: Referral, now: datetime) -> Outcome:
            return by_desk.handed_over(standing, referral, how, now)

        return await _on_referral(request, publishing, referral_id, change, item)


def _add_case_actions(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post("/cases/{caseId}/_end", operation_id="endCase")
    async def end(
        request: Request,
        _: _DESK,
        case_id: Annotated[UUID, Path(alias="caseId")],
        body: EndGiven,
    ) -> CaseView:
        """End a case that rests with the desk, by what came of it and never by silence."""

        def change(_: Effects, standing: Standing, now: datetime) -> Outcome:
            return by_desk.ended(standing, body.outcome, now)

        return await _on_case(request, publishing, case_id, change, ends=True)

    @routes.post("/cases/{caseId}/_void", operation_id="enterCaseInError")
    async def in_error(
        request: Request, _: _DESK, case_id: Annotated[UUID, Path(alias="caseId")]
    ) -> CaseView:
        """There is no case at all, such as a test; everybody who was asked is told."""

        def change(_: Effects, standing: Standing, now: datetime) -> Outcome:
            return reporter.entered_in_error(standing, now)

        return await _on_case(request, publishing, case_id, change, ends=True)

    @routes.post("/cases/{caseId}/_resume", operation_id="holderCalled")
    async def called(
        request: Request, _: _DESK, case_id: Annotated[UUID, Path(alias="caseId")]
    ) -> CaseView:
        """The desk spoke with a holder that kept silent, and it goes on with the case."""

        def change(_: Effects, standing: Standing, now: datetime) -> Outcome:
            return by_desk.called_holder(standing, now)

        return await _on_case(request, publishing, case_id, change)


async def _on_case(
    request: Request,
    publishing: Publishing,
    case_id: UUID,
    change: Callable[[Effects, Standing, datetime], Outcome],
    *,
    ends: bool = False,
) -> CaseView:
    """Apply a rule to a case under its lock; gives the case as it is then.

    What `ends` the case waits for an open finding: the board's reply would be seen by nobody.
    """
    runtime: Runtime = request.app.state.runtime
    now = runtime.clock()
    async with runtime.database.transaction() as connection:
        cases = await store.lock_cases(connection, [case_id])
        live = await store.live_referrals(connection, cases)
        effects = Effects(publishing, await store.partners(connection), cases, live)
        standing = effects.standing(case_id)
        if standing is None:
            raise Problem(404, "case-unknown", "There is no case with this id.")
        finding = await findings.of_case(connection, case_id) if ends else None
        if finding is not None and finding.open:
            raise Problem(409, "finding-open", "The case has an open finding; settle that first.")
        _take(effects, change(effects, standing, now))
        await effects.write(connection, now)
    return await case_document(runtime, case_id, now)


async def _on_referral(
    request: Request,
    publishing: Publishing,
    referral_id: UUID,
    change: Callable[[Standing, Referral, datetime], Outcome],
    record: HandOver | None = None,
) -> CaseView:
    """Apply a rule to a referral under its case's lock, and keep what was written down."""
    runtime: Runtime = request.app.state.runtime
    now = runtime.clock()
    async with runtime.database.transaction() as connection:
        cases, referrals = await store.lock_cases_of(connection, [referral_id])
        referral = referrals.get(referral_id)
        if referral is None:
            raise Problem(404, "referral-unknown", "There is no referral with this id.")
        if record is None or await records.save_hand_over(connection, record):
            known = await store.partners(connection)
            effects = Effects(publishing, known, cases, referrals.values())
            standing = effects.standing(referral.case_id)
            assert standing is not None
            _take(effects, change(standing, referral, now))
            await effects.write(connection, now)
    return await case_document(runtime, referral.case_id, now)


def _take(effects: Effects, outcome: Outcome) -> None:
    """Take an outcome over; raises Problem for one that people have to know of."""
    detail = _DETAILS.get(outcome.verdict)
    if detail is not None:
        raise Problem(409, outcome.verdict.value, detail, extra={"whoMustAct": "meldpunt"})
    effects.add(outcome, None)
