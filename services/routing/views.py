"""What the API shows: JSON in camelCase, made of what the rules and the stores give."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from contracts.reference import case_reference
from services.routing.chain import Told
from services.routing.domain import Organisation
from services.routing.register_store import Activation, Closure
from services.routing.replay import ASPECTS, Replayed
from services.routing.reproduction import Difference, Reproduced
from services.routing.rules import CompiledRegister


class _View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class DecisionView(_View):
    """One decision of a case; `explanation` names what matched and who else was weighed.

    `reason` is the code of why the one before it was replaced. `citizen`, `desk` and `auditor` tell
    the decision to each of them; they are null where it is not reproduced. `excluded` are all who
    were left out, `closed` those of them that were closed at that moment. `proposed` is a party
    that another one named then: the holder, who passed the case on, if `onward`.

    `reproduced`: made again from the stored register, situation, exclusions and proposal, it has
    the same SHA-256; where not, `difference` tells why: other code, a register that this release
    cannot read, or a record that was altered.
    """

    decision_id: UUID
    number: int
    organisation: str
    excluded: list[str]
    closed: list[str]
    explanation: dict[str, Any]
    register_version: str
    register_hash: str
    decided_at: datetime
    engine: str | None
    reason: str | None
    proposed: str | None
    onward: bool
    reproduced: bool
    difference: Difference | None
    citizen: str | None
    desk: str | None
    auditor: dict[str, Any] | None

    @classmethod
    def of(cls, found: Reproduced, told: Told | None) -> Self:
        """A decision that was made again, and how it is told."""
        row = found.made.row
        explanation = orjson.loads(found.made.explanation)
        return cls(
            decision_id=row.decision_id,
            number=row.number,
            organisation=row.organisation,
            excluded=orjson.loads(row.excluded),
            closed=orjson.loads(row.closed),
            explanation=explanation,
            register_version=explanation["register_version"],
            register_hash=row.register_hash,
            decided_at=row.decided_at,
            engine=row.engine,
            reason=row.reason,
            proposed=row.proposed,
            onward=row.onward,
            reproduced=found.difference is None,
            difference=found.difference,
            citizen=told.citizen if told else None,
            desk=told.desk if told else None,
            auditor=told.auditor if told else None,
        )


class DecisionsView(_View):
    """The chain of decisions of one case, first one first, and all of it as one explanation."""

    case_id: UUID
    first_received_at: datetime
    text: str
    decisions: list[DecisionView]


class PreviewView(_View):
    """What would be decided on a situation now; nothing is stored."""

    organisation: str
    loket: str | None
    mode: str
    text: str
    line: str
    register_version: str
    closed: list[str]
    explanation: dict[str, Any]


class OrganisationView(_View):
    """An organisation as people reach it; `toVerify` marks what somebody still has to check."""

    id: str
    name: str
    loketten: list[str]
    show_only: bool
    feedback: str
    phone: str | None
    web: str | None
    hours: str | None
    to_verify: bool

    @classmethod
    def of(cls, item: Organisation) -> Self:
        """An organisation of a register."""
        channels = item.channels
        return cls(
            id=item.id,
            name=item.name,
            loketten=[loket.id for loket in item.loketten],
            show_only=item.referral_mode == "show_only",
            feedback=item.feedback,
            phone=channels.phone,
            web=channels.web,
            hours=channels.hours,
            to_verify=channels.to_verify,
        )


class RegisterView(_View):
    """The register that decides now."""

    version: str
    hash: str
    organisations: list[OrganisationView]

    @classmethod
    def of(cls, compiled: CompiledRegister) -> Self:
        """A compiled register."""
        register = compiled.register
        return cls(
            version=register.version,
            hash=compiled.hash,
            organisations=[OrganisationView.of(item) for item in register.organisations],
        )


class ActivationView(_View):
    """A register version, from when it decides, and who activated it. `current`: it decides now."""

    version: str
    hash: str
    valid_from: datetime
    activated_at: datetime
    activated_by: str
    current: bool

    @classmethod
    def of(cls, row: Activation, current: int | None) -> Self:
        """A row, and the number of the activation that decides now."""
        return cls(
            version=row.version,
            hash=row.register_hash,
            valid_from=row.valid_from,
            activated_at=row.activated_at,
            activated_by=row.activated_by,
            current=row.number == current,
        )


class ActivationsView(_View):
    """Activations, the last one first."""

    registers: list[ActivationView]


class ExampleView(_View):
    """A case by its id and the reference that people read out; nothing of what it is about."""

    case_id: UUID
    reference: str


class MoveView(_View):
    """Decisions that would name another organisation."""

    before: str = Field(alias="from")
    after: str = Field(alias="to")
    decisions: int
    examples: list[ExampleView]


class OrganisationCountView(_View):
    """How many of the decisions name an organisation, before and after."""

    organisation: str
    before: int
    after: int


class ReplayView(_View):
    """What a register would change in decisions since a moment; `aspects` counts what differs.

    `complete` is false when the time was over before everything was replayed.
    """

    version: str
    hash: str
    since: datetime
    complete: bool
    seconds: float
    decisions: int
    situations: int
    changed: int
    unreadable: int
    aspects: dict[str, int]
    moves: list[MoveView]
    organisations: list[OrganisationCountView]

    @classmethod
    def of(
        cls, register: CompiledRegister, since: datetime, found: Replayed, seconds: float
    ) -> Self:
        """The counts, the largest first."""
        names = sorted(found.before.keys() | found.after.keys())
        moves = sorted(found.moves.items(), key=lambda item: (-item[1].decisions, item[0]))
        return cls(
            version=register.register.version,
            hash=register.hash,
            since=since,
            complete=found.complete,
            seconds=round(seconds, 3),
            decisions=found.decisions,
            situations=found.situations,
            changed=found.changed,
            unreadable=found.unreadable,
            aspects={name: found.aspects[name] for name in ASPECTS if found.aspects[name]},
            moves=[
                MoveView(
                    before=before,
                    after=after,
                    decisions=move.decisions,
                    examples=[
                        ExampleView(case_id=case, reference=case_reference(case))
                        for case in move.examples
                    ],
                )
                for (before, after), move in moves
            ],
            organisations=[
                OrganisationCountView(
                    organisation=name, before=found.before[name], after=found.after[name]
                )
                for name in names
            ],
        )


class ClosureReason(StrEnum):
    """Why a party takes no cases for a while."""

    HOLIDAY = "holiday"
    OUTAGE = "outage"
    CAPACITY = "capacity"
    MOVING = "moving"
    OTHER = "other"


Party = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{1,63}(/[a-z0-9][a-z0-9_]{1,63})?$")
]


class NewClosure(_View):
    """An `organisation` or `organisation/loket` that takes no cases in a period.

    Without `from` it starts now.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    party: Party
    reason: ClosureReason
    start: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime


class ClosureView(_View):
    """A closure; decisions leave the party out while it lasts. `ended` before its time, if so."""

    id: UUID
    party: str
    reason: str
    start: datetime = Field(alias="from")
    until: datetime
    noted_at: datetime
    noted_by: str
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Closure) -> Self:
        """A row."""
        return cls(
            id=row.id,
            party=row.party,
            reason=row.reason,
            start=row.valid_from,
            until=row.valid_until,
            noted_at=row.noted_at,
            noted_by=row.noted_by,
            ended_at=row.ended_at,
        )


class ClosuresView(_View):
    """Closures that run or are to come."""

    closures: list[ClosureView]
