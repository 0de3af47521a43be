"""Events that routing publishes on `meldpunt.routing`."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.intake import ContentField
from contracts.situation import Kind, LoketId, OrganisationId, Situation, Urgency


class Mode(StrEnum):
    """What happens with the case.

    A referral, a signal (the party reports nothing back), a party that is only shown, or the desk.
    """

    REFER = "refer"
    SIGNAL = "signal"
    SHOW = "show"
    DESK = "desk"


class Term(BaseModel):
    """A legal or agreed term that runs, as the register has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    term: str
    organisation: OrganisationId
    length: str
    starts: str
    source: str
    to_verify: bool = False


class HandlingLimits(BaseModel):
    """How long a party may take before the case moves on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    received_within_minutes: Annotated[int, Field(gt=0)]
    accepted_within_minutes: Annotated[int, Field(gt=0)]


class CaseAssigned(Event):
    """Routing's decision; `number` counts the decisions of one case from 1.

    `excluded` holds those who declined, kept silent or are closed. `kind_at_primary` differs from
    the reporter's kind where a party takes no complaint: said to the reporter, reversible.
    """

    event_name: ClassVar[str] = "case-assigned"

    decision_id: UUID
    case_id: UUID
    report_id: UUID
    number: Annotated[int, Field(ge=1)]
    mode: Mode
    organisation: OrganisationId
    loket: LoketId | None = None
    also: tuple[str, ...] = ()
    shown: tuple[OrganisationId, ...] = ()
    excluded: tuple[str, ...] = ()
    urgency: Urgency
    kind_at_primary: Kind
    rule: str
    why: str
    terms: tuple[Term, ...] = ()
    limits: HandlingLimits
    situation: Situation
    content: tuple[ContentField, ...]
    received_at: AwareDatetime
    decided_at: AwareDatetime
    register_version: str
    register_hash: str


EVENTS: tuple[type[Event], ...] = (CaseAssigned,)
