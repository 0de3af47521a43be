"""Routes to add a partner, to see how partners are reached, and to switch one off and on."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from contracts.referral import DESK, REPORTER
from contracts.situation import OrganisationId
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.referral import by_desk, inbox_store, records, store
from services.referral.desk_models import FeedView, PartnerGiven, Partners, PartnerView, SwitchedOff
from services.referral.domain import Channel, Verdict
from services.referral.effects import Effects, Publishing
from services.referral.inbox_store import InboxState

# One transaction moves at most so many cases; ask again until `moved` is 0.
SWITCH_BATCH_MAX = 200
# What reaches somebody who has stopped reading a topic or an inbox.
FALLBACKS = frozenset({Channel.WEBHOOK, Channel.EMAIL, Channel.DESK})

_READER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR, Scope.AUDITOR))]
_OPERATOR = Annotated[Principal, Depends(Requires(Scope.OPERATOR))]
_SWITCHER = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR))]


def router(publishing: Publishing) -> APIRouter:
    """Routes for operators; the desk may read, and switch an organisation off and on."""
    routes = APIRouter(tags=["partner-administration"])
    _add_partners(routes)
    _add_switches(routes, publishing)
    return routes


def _add_partners(routes: APIRouter) -> None:
    @routes.get("/partners", operation_id="listPartners")
    async def listing(request: Request, _: _READER) -> Partners:
        """Every partner with its channels and how far it is, in the order of the ids."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            found = await records.named_partners(connection)
            feeds = await inbox_store.states(connection, [item[0] for item in found])
        return Partners(
            partners=[
                PartnerView(
                    organisation=organisation,
                    name=name,
                    channel=partner.channel,
                    fallback=partner.fallback,
                    active=partner.active,
                    feed=_feed(feeds[organisation]),
                )
                for organisation, name, partner in found
            ]
        )

    @routes.put("/partners/{organisation}", operation_id="putPartner")
    async def put(
        request: Request, _: _OPERATOR, organisation: OrganisationId, body: PartnerGiven
    ) -> PartnerView:
        """Add a partner, or change how it is reached; cases under way keep their channel."""
        if organisation in {DESK, REPORTER}:
            raise Problem(400, "invalid-input", "This id belongs to meldpunt itself.")
        if body.fallback is not None and (
            body.fallback is body.channel or body.fallback not in FALLBACKS
        ):
            problem = FieldProblem(
                field="fallback",
                problem="This is no fallback: nothing is pushed over it, or it is the channel.",
                remedy="Name `webhook`, `email` or `desk`, or leave it out.",
            )
            raise Problem(400, "invalid-input", "Correct the fields.", errors=[problem])
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            await records.put_partner(
                connection, organisation, body.name, body.channel, body.fallback
            )
            feed = _feed(await inbox_store.state(connection, organisation))
        return PartnerView(organisation=organisation, active=True, feed=feed, **body.model_dump())


def _feed(state: InboxState) -> FeedView:
    return FeedView(
        last_sequence=state.last,
        acknowledged=state.acknowledged,
        acknowledged_at=state.acknowledged_at,
    )


def _add_switches(routes: APIRouter, publishing: Publishing) -> None:
    @routes.post("/partners/{organisation}/_suspend", operation_id="switchPartnerOff")
    async def off(request: Request, _: _SWITCHER, organisation: OrganisationId) -> SwitchedOff:
        """The organisation takes no cases any more; what it was asked or holds goes elsewhere.

        At most 200 cases at once: ask again until `moved` is 0.
        """
        runtime: Runtime = request.app.state.runtime
        now, moved = runtime.clock(), 0
        async with runtime.database.transaction() as connection:
            if organisation == DESK or not await records.switch(connection, organisation, False):
                raise Problem(404, "partner-unknown", "There is no partner with this id.")
            live = await records.live_cases_of(connection, organisation, SWITCH_BATCH_MAX)
            cases = await store.lock_cases(connection, live)
            referrals = await store.live_referrals(connection, cases)
            known = await store.partners(connection)
            effects = Effects(publishing, known, cases, referrals)
            for case_id in cases:
                standing = effects.standing(case_id)
                assert standing is not None
                outcome = by_desk.switched_off(standing, organisation, now)
                moved += outcome.verdict is Verdict.APPLIED
                effects.add(outcome, None)
            await effects.write(connection, now)
        return SwitchedOff(organisation=organisation, moved=moved)

    @routes.post("/partners/{organisation}/_resume", operation_id="switchPartnerOn")
    async def on(request: Request, _: _SWITCHER, organisation: OrganisationId) -> SwitchedOff:
        """The organisation takes cases again."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            if not await records.switch(connection, organisation, True):
                raise Problem(404, "partner-unknown", "There is no partner with this id.")
        return SwitchedOff(organisation=organisation, moved=0)
