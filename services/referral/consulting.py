"""Routes to confer: a holder asks another organisation for advice; the case stays where it is.

Question and advice are texts: they stay in referral's own table, for those two organisations and
the desk, and are in no event. The words of the reporter are fetched from intake, with a
capability of the organisation that is asked.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from contracts.intake import ContentField
from contracts.referral import DESK
from contracts.situation import Urgency
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.db import Connection
from services.chassis.ids import new_id
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral import conferring, records, store
from services.referral.capability import Signer
from services.referral.desk_models import (
    AdviceGiven,
    ConsultationGiven,
    Consultations,
    ConsultationView,
    consultation_view,
)
from services.referral.domain import HOLDING, Case, Consultation, Referral
from services.referral.effects import Effects, Publishing
from services.referral.inbox import own
from services.referral.models import CapabilityView

OPEN_PER_CASE_MAX = 5
# Everybody who is asked may read what the reporter wrote.
PER_CASE_MAX = 25
LIMIT_MAX = 500
ANSWER_MINUTES = {Urgency.ACUUT: 60, Urgency.SPOED: 1440, Urgency.NORMAAL: 7 * 1440}

_PARTNER = Annotated[Principal, Depends(Requires(Scope.PARTNER))]


def router(publishing: Publishing, signer: Signer) -> APIRouter:
    """Routes with the scope `referrals:partner`, for who asks and who is asked."""
    routes = APIRouter(tags=["partners"])
    _add_asking(routes, publishing)
    _add_reading(routes)
    _add_advice(routes, publishing)
    _add_capability(routes, publishing, signer)
    return routes


def _add_asking(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/referrals/{referralId}/consultations", operation_id="askConsultation", status_code=201
    )
    async def ask(
        request: Request,
        principal: _PARTNER,
        referral_id: Annotated[UUID, Path(alias="referralId")],
        body: ConsultationGiven,
    ) -> ConsultationView:
        """Ask another organisation for advice in a case that you hold; you stay its holder.

        A repeat with the same `consultationId` gives what there is.
        """
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.transaction() as connection:
            case, referral = await _held(connection, principal, referral_id)
            before = await records.find_consultation(connection, body.consultation_id)
            if before is not None:
                return _repeat(before, referral, body)
            await _check(connection, case, referral, body.organisation)
            item = Consultation(
                consultation_id=body.consultation_id,
                case_id=case.case_id,
                referral_id=referral_id,
                asked_by=referral.organisation,
                organisation=body.organisation,
                question=body.question,
                asked_at=now,
                answer_by=now + timedelta(minutes=ANSWER_MINUTES[case.urgency]),
            )
            if not await records.save_consultation(connection, item):
                # In another case at the same moment, or it is the id of a referral.
                raise _id_reused()
            effects = await _effects(connection, publishing, case)
            effects.publish(conferring.asked(case, item, now), case.case_id)
            effects.tell(item.organisation, conferring.request(case, item, now), case.case_id, None)
            await effects.write(connection, now)
        return consultation_view(item)


def _add_reading(routes: APIRouter) -> None:
    @routes.get("/consultations", operation_id="listConsultations")
    async def listing(
        request: Request,
        principal: _PARTNER,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    ) -> Consultations:
        """What your organisation asked and was asked."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = await records.consultations_of(connection, own(principal), after, limit)
        full = len(found) == limit
        return Consultations(
            consultations=[consultation_view(item) for item in found],
            next_after=found[-1].consultation_id if full else None,
        )

    @routes.get("/consultations/{consultationId}", operation_id="getConsultation")
    async def one(
        request: Request,
        principal: _PARTNER,
        consultation_id: Annotated[UUID, Path(alias="consultationId")],
    ) -> ConsultationView:
        """One consultation, with the question and the advice."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            item = await records.find_consultation(connection, consultation_id)
        return consultation_view(_known(item, principal, asked_only=False))


def _add_advice(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post(
        "/consultations/{consultationId}/advice", operation_id="giveAdvice", status_code=201
    )
    async def advise(
        request: Request,
        principal: _PARTNER,
        consultation_id: Annotated[UUID, Path(alias="consultationId")],
        body: AdviceGiven,
    ) -> ConsultationView:
        """Give the advice, or say by an empty one that you cannot; who asked is told."""
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.transaction() as connection:
            found = await records.find_consultation(connection, consultation_id)
            item = _known(found, principal, asked_only=True)
            cases = await store.lock_cases(connection, [item.case_id])
            case = cases[item.case_id]
            item = _known(
                await records.find_consultation(connection, consultation_id, lock=True),
                principal,
                asked_only=True,
            )
            if item.answered_at is not None:
                if item.advice == body.advice:
                    return consultation_view(item)
                raise Problem(409, "answered", "You have answered this consultation already.")
            await records.answer_consultation(connection, consultation_id, body.advice, now)
            item = replace(
                item, advice=body.advice, advised=body.advice is not None, answered_at=now
            )
            effects = await _effects(connection, publishing, case)
            effects.publish(conferring.answered(case, item, now), case.case_id)
            effects.tell(item.asked_by, conferring.news(item, now), case.case_id, None)
            await effects.write(connection, now)
        return consultation_view(item)


def _add_capability(routes: APIRouter, publishing: Publishing, signer: Signer) -> None:
    @routes.post(
        "/consultations/{consultationId}/content-capabilities",
        operation_id="createConsultationCapability",
        status_code=201,
    )
    async def capability(
        request: Request,
        principal: _PARTNER,
        consultation_id: Annotated[UUID, Path(alias="consultationId")],
    ) -> CapabilityView:
        """Permission for minutes to read the narrative, for who is asked and until the answer."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = await records.find_consultation(connection, consultation_id)
            item = _known(found, principal, asked_only=True)
            known = (await store.partners(connection)).get(item.organisation)
        if item.answered_at is not None:
            raise Problem(409, "answered", "This consultation is over, so it shows nothing more.")
        if known is None or not known.active:
            raise Problem(
                409, "switched-off", "Your organisation is switched off here; call the desk."
            )
        fields = [ContentField.NARRATIVE]
        signed = signer.sign(
            organisation=item.organisation,
            case_id=item.case_id,
            referral_id=item.consultation_id,
            attempt=1,
            fields=fields,
            capability_id=new_id(),
            now=runtime.clock(),
        )
        return CapabilityView(
            capability=signed.token,
            expires_at=signed.expires_at,
            content_url=publishing.content_url(item.case_id),
            fields=fields,
        )


async def _held(
    connection: Connection, principal: Principal, referral_id: UUID
) -> tuple[Case, Referral]:
    cases, referrals = await store.lock_cases_of(connection, [referral_id])
    referral = referrals.get(referral_id)
    if referral is None or referral.organisation != own(principal):
        raise Problem(404, "referral-unknown", "Your organisation has no referral with this id.")
    if referral.status not in HOLDING:
        raise Problem(
            409, "not-holder", "Only who holds a case asks for advice in it; accept it first."
        )
    return cases[referral.case_id], referral


async def _check(connection: Connection, case: Case, referral: Referral, organisation: str) -> None:
    if organisation in {DESK, referral.organisation}:
        raise Problem(400, "invalid-input", "Ask another organisation than your own or the desk.")
    # Advice is asked of no loket in particular, so one that the case is about closes all of them.
    if any(party.partition("/")[0] == organisation for party in case.never):
        raise Problem(
            409, "never", "The case is about that organisation, so it cannot be consulted."
        )
    partner = (await store.partners(connection)).get(organisation)
    if partner is None or not partner.active:
        raise Problem(
            409, "no-channel", "That organisation cannot be reached here; the desk can call it."
        )
    still_open, all_of_them = await records.count_consultations(connection, case.case_id)
    if still_open >= OPEN_PER_CASE_MAX or all_of_them >= PER_CASE_MAX:
        raise Problem(
            409,
            "too-many",
            f"At most {OPEN_PER_CASE_MAX} consultations are open in a case, and {PER_CASE_MAX} in"
            " all. Wait for an answer, or ask the desk.",
        )


def _repeat(before: Consultation, referral: Referral, body: ConsultationGiven) -> ConsultationView:
    same = (before.referral_id, before.organisation, before.question) == (
        referral.referral_id,
        body.organisation,
        body.question,
    )
    if not same:
        raise _id_reused()
    return consultation_view(before)


def _id_reused() -> Problem:
    return Problem(
        409, "consultation-id-reused", "This consultationId was used before; send a new one."
    )


def _known(item: Consultation | None, principal: Principal, *, asked_only: bool) -> Consultation:
    mine = own(principal)
    if item is None or mine not in ({item.organisation} if asked_only else _both(item)):
        raise Problem(
            404, "consultation-unknown", "Your organisation has no consultation with this id."
        )
    return item


def _both(item: Consultation) -> set[str]:
    return {item.organisation, item.asked_by}


async def _effects(connection: Connection, publishing: Publishing, case: Case) -> Effects:
    return Effects(publishing, await store.partners(connection), {case.case_id: case}, ())
