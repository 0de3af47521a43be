"""Events that routing publishes on `meldpunt.routing`."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from contracts.calendar import SchoolRegion
from contracts.event import Event, OpenEnumeration
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
    start: date | None = None
    last_day: date | None = None


class HandlingLimits(BaseModel):
    """How long a party may take before the case moves on.

    The minutes count by the clock. Where working days are given they count instead: the end of
    that working day in the Netherlands, without weekends and public holidays, and without the
    school holidays of `region` when it is given.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    received_within_minutes: Annotated[int, Field(gt=0)]
    accepted_within_minutes: Annotated[int, Field(gt=0)]
    received_within_working_days: Annotated[int | None, Field(gt=0, le=60)] = None
    accepted_within_working_days: Annotated[int | None, Field(gt=0, le=60)] = None
    region: SchoolRegion | None = None


class ProposalProblem(OpenEnumeration):
    """Why a party that another one named does not get the case.

    Not in the register, not competent or admissible by its own entry, the party that the case is
    about, out of the case before (or closed now), only shown and never sent a case, tried by the
    reporter before, or the desk, which gets a case back and not onward.
    """

    UNKNOWN = "unknown"
    NOT_COMPETENT = "not-competent"
    ACCUSED_PARTY = "accused-party"
    EXCLUDED = "excluded"
    SHOWN_ONLY = "shown-only"
    ALREADY_TRIED = "already-tried"
    THE_DESK = "the-desk"


class Proposal(BaseModel):
    """An organisation that another one named as a better party, and what routing made of it.

    `why` is for people: Dutch, B1. `problem` is a code of ProposalProblem when it is not followed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    organisation: OrganisationId
    followed: bool
    why: str
    problem: str | None = None


class CaseAssigned(Event):
    """Routing's decision; `number` counts the decisions of one case from 1.

    `excluded` holds those who declined, kept silent or are closed. `kind_at_primary` differs from
    the reporter's kind where a party takes no complaint: said to the reporter, reversible.
    `never` are the accused and those above whom the register keeps the case away from, as
    organisation or `organisation/loket`: also the desk or a holder cannot bring it there.
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
    other_lokets: tuple[LoketId, ...] = ()
    never: tuple[str, ...] = ()
    proposal: Proposal | None = None
    onward: bool = False
    situation: Situation
    content: tuple[ContentField, ...]
    received_at: AwareDatetime
    decided_at: AwareDatetime
    register_version: str
    register_hash: str


class OnwardRefused(Event):
    """A holder wants to refer onward and the register disagrees.

    Nothing was decided and no number is used up; the holder keeps the case. `problem` is a code of
    ProposalProblem, `why` says it to people: Dutch, B1.
    """

    event_name: ClassVar[str] = "onward-refused"

    case_id: UUID
    asked_number: Annotated[int, Field(ge=1)]
    organisation: OrganisationId
    problem: str
    why: str
    decided_at: AwareDatetime


FindingForce = Literal["advice", "comply-or-report", "binding"]
"""What a committee's finding does to the board: advice, follow it or report why not, binding."""


class Regime(BaseModel):
    """A dated legal regime of a committee's finding, as the register has it.

    It holds for findings from `valid_from` to `valid_to`, both included; without `valid_from` it
    is not in force. `after_silence` are the organisations that are told, in this order, when the
    board keeps silent or does not follow.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{1,63}$")]
    valid_from: date | None = None
    valid_to: date | None = None
    finding: FindingForce
    board_response_weeks: Annotated[int, Field(gt=0, le=52)]
    after_silence: tuple[OrganisationId, ...] = ()
    after_deviation: tuple[OrganisationId, ...] = ()
    source: str
    to_verify: bool = False


class RegisterActivated(Event):
    """A register version was checked and decides from `valid_from` on.

    It is about no case: key and subject are `register_key(version)`. `hash` is the SHA-256 (hex) of
    the register's canonical JSON and is what decisions name in `register_hash`; `activated_by` is
    the client id of who activated it, or routing's source URN for the version that it ships with.
    """

    event_name: ClassVar[str] = "register-activated"

    version: Annotated[str, Field(max_length=40)]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    valid_from: AwareDatetime
    activated_at: AwareDatetime
    activated_by: Annotated[str, Field(max_length=200)]
    regimes: tuple[Regime, ...] = ()


def register_key(version: str) -> UUID:
    """Key of what is told of a register version: the same for ever, and never a case id.

    A name-based UUID (version 5) of `urn:meldpunt:register:<version>` in the URL namespace.
    """
    return uuid5(NAMESPACE_URL, f"urn:meldpunt:register:{version}")


EVENTS: tuple[type[Event], ...] = (CaseAssigned, OnwardRefused, RegisterActivated)
