"""Routes of endpoints and deliveries: for the operator, and for each partner its own."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Path, Query, Request

from contracts.situation import OrganisationId
from services.chassis.auth import Principal, Requires, Scope
from services.chassis.db import Connection
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral.channels import endpoints, rules, store
from services.referral.channels.checks import (
    channels,
    check_addresses,
    check_own,
    check_topic,
    cursor,
    keys,
)
from services.referral.channels.desk import add_tasks
from services.referral.channels.domain import DeliveryStatus, Destination, Job, Lane, Push
from services.referral.channels.endpoints import Endpoint
from services.referral.channels.guard import Policy
from services.referral.channels.keyring import Keyring, KeySafe, SealBroken
from services.referral.channels.models import (
    DeliveriesView,
    EndpointGiven,
    EndpointView,
    Replayed,
    ReplayGiven,
    Rotated,
    RotationGiven,
    TestResult,
    ToRepair,
    delivery_view,
    lane_view,
)
from services.referral.channels.truth import Telling, change_lane
from services.referral.channels.worker import Sender
from services.referral.portal import store as links

_LIMIT_MAX = 500
_TEST_PAUSE_SECONDS = 5.0
# Whose mailbox it is, nobody has checked.
_MAIL_TEST_PAUSE_SECONDS = 60.0
_CALLER = Annotated[Principal, Depends(Requires(Scope.OPERATOR, Scope.PARTNER))]
_ORGANISATION = Annotated[OrganisationId, Path(description="The partner's organisation")]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes need beside the runtime; `senders` are those of the worker."""

    telling: Telling
    senders: Mapping[Push, Sender]
    safe: KeySafe
    policy: Policy
    overlap_hours: int


def router(parts: Parts) -> APIRouter:
    """Routes below `/partners/{organisation}`, and the tasks of the desk."""
    routes = APIRouter()
    _add_endpoint(routes, parts)
    _add_rotation(routes, parts)
    _add_test(routes, parts)
    _add_deliveries(routes)
    add_tasks(routes)
    return routes


def _add_endpoint(routes: APIRouter, parts: Parts) -> None:
    @routes.put("/partners/{organisation}/endpoint", operation_id="setEndpoint", tags=["channels"])
    async def put(
        request: Request, principal: _CALLER, organisation: _ORGANISATION, body: EndpointGiven
    ) -> EndpointView:
        """Set where a partner is told of its events; gives a new secret once.

        The same URL keeps its keys. Setting an endpoint also switches it on again after a 410.
        """
        check_own(principal, organisation)
        check_addresses(body, parts.policy)
        channel, fallback = channels(body)
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.transaction() as connection:
            partner = await _partner(connection, organisation)
            check_topic(principal, channel, partner["channel"])
            before = await endpoints.find(connection, organisation)
            sealed, new = keys(parts.safe, organisation, body, before)
            given = Endpoint(organisation, body.url, body.email, sealed)
            after = await endpoints.save(connection, given, now)
            await endpoints.set_channels(connection, organisation, channel, fallback)
            await endpoints.set_lanes(connection, parts.telling, before, after, now)
            if before is not None and before.email != after.email:
                # Who reads the old mailbox must not go on answering for the organisation.
                await links.revoke(connection, organisation)
        view = await _view(runtime, organisation)
        secret, public_key = new.shown() if new else (None, None)
        return view.model_copy(update={"secret": secret, "public_key": public_key})

    @routes.get("/partners/{organisation}/endpoint", operation_id="getEndpoint", tags=["channels"])
    async def get(
        request: Request, principal: _CALLER, organisation: _ORGANISATION
    ) -> EndpointView:
        """Where a partner is told of its events and how that goes; without secrets."""
        check_own(principal, organisation)
        return await _view(request.app.state.runtime, organisation)


def _add_rotation(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/partners/{organisation}/endpoint/_rotate",
        operation_id="rotateSecret",
        tags=["channels"],
    )
    async def rotate(
        request: Request, principal: _CALLER, organisation: _ORGANISATION, body: RotationGiven
    ) -> Rotated:
        """A new signing key; messages carry both signatures until the old key ends."""
        check_own(principal, organisation)
        runtime: Runtime = request.app.state.runtime
        hours = parts.overlap_hours if body.overlap_hours is None else body.overlap_hours
        until = runtime.clock() + timedelta(hours=hours)
        async with runtime.database.transaction() as connection:
            await _partner(connection, organisation)
            endpoint = await endpoints.find(connection, organisation)
            if endpoint is None or endpoint.sealed_keys is None:
                raise _no_endpoint("a webhook URL")
            try:
                old = parts.safe.open(organisation, endpoint.sealed_keys)
                keyring = old.rotated(until, asymmetric=body.asymmetric)
            except SealBroken:
                # The old key is lost, so only the new one can sign.
                keyring = Keyring.new(asymmetric=body.asymmetric)
            sealed = parts.safe.seal(organisation, keyring)
            await endpoints.set_keys(connection, organisation, sealed)
        secret, public_key = keyring.shown()
        return Rotated(secret=secret, public_key=public_key, previous_until=until)


def _add_test(routes: APIRouter, parts: Parts) -> None:
    tested_at: dict[tuple[str, Push], float] = {}

    @routes.post(
        "/partners/{organisation}/endpoint/_test", operation_id="testEndpoint", tags=["channels"]
    )
    async def test(
        request: Request,
        principal: _CALLER,
        organisation: _ORGANISATION,
        channel: Push = Push.WEBHOOK,
    ) -> TestResult:
        """Send a signed test message now; when it arrives, all that waits is sent as well."""
        check_own(principal, organisation)
        began = time.monotonic()
        pause = _MAIL_TEST_PAUSE_SECONDS if channel is Push.EMAIL else _TEST_PAUSE_SECONDS
        if began - tested_at.get((organisation, channel), -pause) < pause:
            raise Problem(
                429,
                "test-too-soon",
                f"Wait {pause:.0f} seconds between two tests.",
                retry_after_seconds=int(pause),
                extra={"whoMustAct": "partner"},
            )
        tested_at[organisation, channel] = began
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.connection() as connection:
            destination = await store.destination(connection, organisation, channel)
        if destination is None:
            raise _no_endpoint("an address for this channel")
        job = Job(organisation, channel, 1, endpoints.greeting(organisation, now))
        tried = await parts.senders[channel].send(destination, job, now)
        if tried.problem is None:
            await _mark_working(runtime, parts.telling, destination, channel)
        return TestResult(
            delivered=tried.problem is None,
            channel=channel,
            event_id=job.event_id,
            http_status=tried.http_status,
            milliseconds=int((time.monotonic() - began) * 1000),
            problem=ToRepair.of(tried.problem),
        )


def _add_deliveries(routes: APIRouter) -> None:
    @routes.get(
        "/partners/{organisation}/deliveries", operation_id="listDeliveries", tags=["channels"]
    )
    async def listing(
        request: Request,
        principal: _CALLER,
        organisation: _ORGANISATION,
        state: DeliveryStatus | None = None,
        after: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 100,
    ) -> DeliveriesView:
        """What became of each event for this partner, oldest first."""
        check_own(principal, organisation)
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await endpoints.list_deliveries(
                connection, organisation, state, cursor(after), limit
            )
        full = len(rows) == limit
        return DeliveriesView(
            deliveries=[delivery_view(row) for row in rows],
            next_after=f"{rows[-1]['sequence']}-{rows[-1]['channel']}" if full else None,
        )

    @routes.post(
        "/partners/{organisation}/deliveries/_replay",
        operation_id="replayDeliveries",
        tags=["channels"],
    )
    async def replay(
        request: Request, principal: _CALLER, organisation: _ORGANISATION, body: ReplayGiven
    ) -> Replayed:
        """Send events of the feed once more over the partner's channel, with the same ids.

        At most 10,000 per call. What waits already is sent at once.
        """
        check_own(principal, organisation)
        runtime: Runtime = request.app.state.runtime
        now = runtime.clock()
        async with runtime.database.transaction() as connection:
            row = await _partner(connection, organisation)
            lane = await _lane_of(connection, organisation, row["channel"])
            queued = await endpoints.replay(
                connection, lane, body.from_sequence, body.to_sequence, now
            )
        return Replayed(queued=queued)


async def _partner(connection: Connection, organisation: str) -> asyncpg.Record:
    row = await endpoints.lock_partner(connection, organisation)
    if row is None:
        raise Problem(404, "partner-unknown", "There is no partner with this organisation.")
    return row


async def _lane_of(connection: Connection, organisation: str, channel: str) -> Lane:
    lane = None
    if channel in set(Push):
        lane = await store.lock_lane(connection, organisation, Push(channel))
    if lane is None:
        raise _no_endpoint("a channel over which events are sent")
    if not lane.enabled:
        raise Problem(
            409,
            "endpoint-off",
            "Sending has stopped after a 410. Set the endpoint again, then replay.",
            extra={"whoMustAct": "partner"},
        )
    return lane


def _no_endpoint(what: str) -> Problem:
    return Problem(
        409,
        "no-endpoint",
        f"This partner has not set {what}. Set it with PUT .../endpoint; until then the events are"
        " in GET /v1/partner-events.",
        extra={"whoMustAct": "partner"},
    )


async def _mark_working(
    runtime: Runtime, telling: Telling, destination: Destination, channel: Push
) -> None:
    now = runtime.clock()
    async with runtime.database.transaction() as connection:
        lane = await store.lock_lane(connection, destination.organisation, channel)
        if lane is not None:
            await change_lane(connection, telling, lane, rules.working(lane, now), now)


async def _view(runtime: Runtime, organisation: str) -> EndpointView:
    async with runtime.database.connection() as connection:
        row = await endpoints.read_partner(connection, organisation)
        if row is None:
            raise Problem(404, "partner-unknown", "There is no partner with this organisation.")
        endpoint = await endpoints.find(connection, organisation)
        if endpoint is None:
            raise Problem(404, "endpoint-unknown", "This partner has not set an endpoint yet.")
        lanes = await endpoints.lanes(connection, organisation)
    return EndpointView(
        organisation=organisation,
        channel=row["channel"],
        fallback=row["fallback"],
        url=endpoint.url,
        email=endpoint.email,
        starts_after=endpoint.taken,
        lanes=[lane_view(lane, waiting) for lane, waiting in lanes],
    )
