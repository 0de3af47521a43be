"""Routes of the inbox: a partner reads its feed, as often as it likes, and says what it has.

Reading takes nothing away, so whatever was missed can be read again from any sequence. What is
acknowledged was delivered; it is not picked up, which only an answer says.
"""

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request

from contracts.envelope import Envelope, feed_source, to_structured
from services.chassis import journal
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import FieldProblem, Problem
from services.chassis.runtime import Runtime
from services.referral import inbox_store
from services.referral.models import Acknowledged, AcknowledgementGiven, PartnerEvents

LIMIT_MAX = 500
WAIT_SECONDS_MAX = 20
_WAIT_ROUND_SECONDS = 0.25

_PARTNER = Annotated[Principal, Depends(Requires(Scope.PARTNER))]


def router() -> APIRouter:
    """Routes with the scope `referrals:partner`; a partner meets only its own feed."""
    routes = APIRouter(tags=["partners"])
    _add_events(routes)
    _add_acknowledgement(routes)
    return routes


def _add_events(routes: APIRouter) -> None:
    @routes.get("/partner-events", operation_id="listPartnerEvents")
    async def events(
        request: Request,
        principal: _PARTNER,
        after: Annotated[
            int | None,
            Query(ge=0, description="Last sequence that you have; else what you acknowledged"),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
        wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=WAIT_SECONDS_MAX)] = 0,
    ) -> PartnerEvents:
        """All that your organisation is told, oldest first; reading takes nothing away.

        The sequence has no holes: ask again with `after` set to `lastSequence`, or acknowledge
        that and leave `after` out. Any earlier `after` replays. With `waitSeconds` the answer
        waits for a first event. An `after` beyond `feedLastSequence` gets nothing until the feed
        has come so far: go back to what you really have.
        """
        runtime: Runtime = request.app.state.runtime
        organisation = own(principal)
        if after is None:
            async with runtime.database.connection() as connection:
                after = (await inbox_store.state(connection, organisation)).acknowledged
        found, feed_last = await _read(request, organisation, after, limit, wait_seconds)
        return PartnerEvents(
            events=[to_structured(item) | {"data": orjson.loads(item.data)} for item in found],
            last_sequence=found[-1].sequence if found else after,
            feed_last_sequence=feed_last,
        )


async def _read(
    request: Request, organisation: str, after: int, limit: int, wait_seconds: float
) -> tuple[list[Envelope], int]:
    """What comes after a sequence, and the last sequence of the feed.

    Waits for a first event without holding a connection.
    """
    runtime: Runtime = request.app.state.runtime
    source, loop = feed_source(organisation), asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        async with runtime.database.connection() as connection:
            found = await journal.read_feed(connection, source, after, limit)
            left = deadline - loop.time()
            if found or left <= 0 or runtime.stopping() or await request.is_disconnected():
                # Read after the events, so that it is never before the last of them.
                return found, await journal.last_sequence(connection, source)
        await asyncio.sleep(min(_WAIT_ROUND_SECONDS, left))


def _add_acknowledgement(routes: APIRouter) -> None:
    @routes.post("/partner-events/_acknowledge", operation_id="acknowledgePartnerEvents")
    async def acknowledge(
        request: Request, principal: _PARTNER, body: AcknowledgementGiven
    ) -> Acknowledged:
        """Say that you have stored all events up to and with `sequence`.

        A repeat, or an earlier sequence, changes nothing: the answer tells what is known.
        """
        runtime: Runtime = request.app.state.runtime
        organisation, now = own(principal), runtime.clock()
        async with runtime.database.transaction() as connection:
            before = await inbox_store.state(connection, organisation)
            if body.sequence > before.last:
                raise _ahead(before.last)
            if body.sequence > before.acknowledged:
                await inbox_store.acknowledge(connection, organisation, body.sequence, now)
            after = await inbox_store.state(connection, organisation)
        return Acknowledged(
            acknowledged=after.acknowledged,
            acknowledged_at=after.acknowledged_at,
            feed_last_sequence=after.last,
            waiting=after.last - after.acknowledged,
        )


def _ahead(last: int) -> Problem:
    problem = FieldProblem(
        field="sequence",
        problem=f"Your feed goes to {last}; what was never sent cannot have arrived.",
        remedy="Send the `lastSequence` of the page that you stored.",
    )
    return Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=[problem])


def own(principal: Principal) -> str:
    """The organisation of a partner's token."""
    # `authorised` has refused a partner's token without one.
    assert principal.organisation is not None
    return principal.organisation
