"""What the API of endpoints and deliveries reads and shows; no secret is ever shown twice."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from contracts.referral import DeliveryState
from contracts.situation import OrganisationId
from services.referral.channels.domain import OURS, DeliveryStatus, Lane, Push, TryProblem
from services.referral.models import Model, Strict

Channel = Literal["kafka", "inbox", "webhook", "email", "desk"]
Fallback = Literal["webhook", "email", "desk"]

REMEDIES = {
    TryProblem.NAME_UNKNOWN: "The host name of your URL has no address. Correct your DNS or URL.",
    TryProblem.ADDRESS_REFUSED: "The URL or its addresses are not allowed: use a host name that"
    " leads to public addresses only.",
    TryProblem.UNREACHABLE: "Nothing listens at your address. Start your system or open the port.",
    TryProblem.TLS: "Your certificate is not valid for the host name. Renew or correct it.",
    TryProblem.TIMEOUT: "No answer came in time. Answer 2xx first and do the work afterwards.",
    TryProblem.BROKEN: "The connection broke off before an answer. Look in the log of your server.",
    TryProblem.REDIRECT: "Your system redirects, which is not followed. Set the final URL.",
    TryProblem.BUSY: "Your system said that it is busy. Meldpunt tries again later.",
    TryProblem.SERVER_ERROR: "Your system answered with an error. Look in its log.",
    TryProblem.REFUSED: "Your system refuses the path or the caller. Check the URL and firewall.",
    TryProblem.REJECTED: "Your system rejects this event. Accept it: answer 2xx also for an event"
    " type that you do not use.",
    TryProblem.GONE: "Your system answered 410, so sending has stopped. Set the endpoint again.",
    TryProblem.MAIL_SERVER: "The mail server of meldpunt does not take messages. You need do"
    " nothing.",
    TryProblem.MAILBOX: "The mail server refuses this address. Set another address.",
    TryProblem.KEYS: "Meldpunt cannot open the keys of this endpoint. Rotate the secret.",
    TryProblem.SLOW: "Not delivered in time. Check that your system answers; see the tries.",
    TryProblem.NO_ADDRESS: "No address is set for this channel. Set the endpoint.",
    TryProblem.DEFECT: "A defect of meldpunt. You need do nothing.",
}


class ToRepair(BaseModel):
    """A problem with the party that can solve it."""

    problem: TryProblem
    who_must_act: Annotated[Literal["partner", "meldpunt"], Field(alias="whoMustAct")]
    remedy: str

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def of(cls, problem: TryProblem | None) -> "ToRepair | None":
        """None when there is no problem."""
        if problem is None:
            return None
        who: Literal["partner", "meldpunt"] = "meldpunt" if problem in OURS else "partner"
        return cls(problem=problem, who_must_act=who, remedy=REMEDIES[problem])


class EndpointGiven(Strict):
    """Where and how to tell a partner; give a URL, an e-mail address, or both.

    Without `channel` the URL is used, or else the address; without `fallback` the other one of the
    two, or else the desk, which calls.
    """

    url: Annotated[str | None, Field(min_length=1, max_length=2048)] = None
    email: Annotated[str | None, Field(min_length=3, max_length=254)] = None
    channel: Channel | None = None
    fallback: Fallback | None = None
    asymmetric: bool = False


class RotationGiven(Strict):
    """How to rotate; the old key keeps signing for `overlapHours`."""

    overlap_hours: Annotated[int | None, Field(ge=0, le=168)] = None
    asymmetric: bool = False


class ReplayGiven(Strict):
    """Which events of the feed to send again, by their sequences."""

    from_sequence: Annotated[int, Field(ge=1, le=2**31 - 1)]
    to_sequence: Annotated[int, Field(ge=1, le=2**31 - 1)] = 2**31 - 1


class LaneView(Model):
    """What is known of one channel."""

    channel: Push
    state: DeliveryState
    since: datetime
    enabled: bool
    waiting: int
    paused_until: datetime | None
    problem: ToRepair | None


class EndpointView(Model):
    """An endpoint; `secret` and `publicKey` only when they are new: keep the secret safe.

    Events after `startsAfter` are sent; earlier ones are in the inbox, or come by a replay.
    """

    organisation: OrganisationId
    channel: Channel
    fallback: Fallback | None
    url: str | None
    email: str | None
    starts_after: int
    secret: str | None = None
    public_key: str | None = None
    lanes: list[LaneView] = Field(default=[])


class Rotated(Model):
    """The new key; the old one signs too until `previousUntil`."""

    secret: str | None
    public_key: str | None
    previous_until: datetime


class TestResult(Model):
    """What came of a test message."""

    delivered: bool
    channel: Push
    event_id: UUID
    http_status: int | None
    milliseconds: int
    problem: ToRepair | None


class DeliveryView(Model):
    """One event for one recipient over one channel."""

    sequence: int
    channel: Push
    event_id: UUID
    event_type: str
    case_id: UUID
    state: DeliveryStatus
    attempts: int
    queued_at: datetime
    next_try_at: datetime | None
    delivered_at: datetime | None
    problem: ToRepair | None


class DeliveriesView(Model):
    """A page of deliveries; ask the next with `after` set to `nextAfter`."""

    deliveries: list[DeliveryView]
    next_after: str | None


class Replayed(Model):
    """How many events are queued once more."""

    queued: int


class TaskView(Model):
    """A partner that must be called, because nothing reaches it."""

    task_id: UUID
    organisation: OrganisationId
    name: str
    channel: str
    problem: ToRepair
    undelivered: int
    opened_at: datetime


class Tasks(Model):
    """Open tasks, the oldest first."""

    tasks: list[TaskView]


def lane_view(lane: Lane, waiting: int) -> LaneView:
    """A lane for its partner."""
    return LaneView(
        channel=lane.channel,
        state=lane.state,
        since=lane.since,
        enabled=lane.enabled,
        waiting=waiting,
        paused_until=lane.paused_until,
        problem=ToRepair.of(lane.problem),
    )


def delivery_view(row: asyncpg.Record) -> DeliveryView:
    """A delivery for its partner."""
    waits = row["state"] == DeliveryStatus.WAITING
    return DeliveryView(
        sequence=row["sequence"],
        channel=Push(row["channel"]),
        event_id=row["event_id"],
        event_type=row["type"],
        case_id=row["case_id"],
        state=DeliveryStatus(row["state"]),
        attempts=row["attempts"],
        queued_at=row["queued_at"],
        next_try_at=row["next_try_at"] if waits else None,
        delivered_at=row["delivered_at"],
        problem=ToRepair.of(TryProblem(row["last_problem"]) if row["last_problem"] else None),
    )


def task_view(row: asyncpg.Record) -> TaskView:
    """A task for the desk."""
    problem = ToRepair.of(TryProblem(row["problem"]))
    assert problem is not None
    return TaskView(
        task_id=row["task_id"],
        organisation=row["organisation"],
        name=row["name"],
        channel=row["channel"],
        problem=problem,
        undelivered=row["undelivered"],
        opened_at=row["opened_at"],
    )
