"""The values of routing: the register as it is written, and the decision as it is given.

Everything here is frozen. No organisation, rule or term is named: those are data
(`register/register.yaml`).
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contracts.routing import FindingForce, HandlingLimits, Mode, Proposal, Term
from contracts.situation import (
    UNKNOWN,
    Accused,
    Flag,
    Kind,
    LoketId,
    OrganisationId,
    Reporter,
    Sector,
    Situation,
    Subject,
    Urgency,
)

# In a rule: the committee to which the board is affiliated, looked up in the situation.
AFFILIATION = "AFFILIATION"
NO_AFFILIATION = "geen"
LISTED_MAX = 200


def _known(value: StrEnum) -> StrEnum:
    if value == UNKNOWN:
        raise ValueError("the register lists known answers only, not `unknown`")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]
IsoDate = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
KnownSector = Annotated[Sector, AfterValidator(_known)]
KnownReporter = Annotated[Reporter, AfterValidator(_known)]
KnownKind = Annotated[Kind, AfterValidator(_known)]
KnownSubject = Annotated[Subject, AfterValidator(_known)]
KnownAccused = Annotated[Accused, AfterValidator(_known)]
# `organisation` or `organisation/loket`, or AFFILIATION.
PartyRef = Annotated[
    str, StringConstraints(pattern=r"^(AFFILIATION|[a-z0-9][a-z0-9_]+(/[a-z0-9][a-z0-9_]+)?)$")
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class _Sourced(_Part):
    """What states a fact says where it was found and whether somebody must still check it."""

    src: str
    basis: Text | None = None
    to_verify: bool = False


class Match(_Part):
    """Conditions that must all hold; an empty list is no condition, `unknown` meets none."""

    sector: tuple[KnownSector, ...] = ()
    reporter: tuple[KnownReporter, ...] = ()
    kind: tuple[KnownKind, ...] = ()
    subject: tuple[KnownSubject, ...] = ()
    accused: tuple[KnownAccused, ...] = ()
    affiliation: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    not_flags: tuple[Flag, ...] = ()


class Conversion(_Part):
    """A party that takes no `from` treats it as `to`; the reporter is told and can undo it."""

    from_: KnownKind = Field(alias="from")
    to: Literal[Kind.MELDING, Kind.HULPVRAAG]


class Standing(Conversion):
    """Reporters who cannot lodge this kind anywhere."""

    reporters: tuple[KnownReporter, ...]
    src: str
    why: Text
    why_en: Text


class Competence(_Sourced):
    """A further competence of an organisation; a field left out is the organisation's own."""

    sectors: tuple[KnownSector, ...] | None = None
    reporters: tuple[KnownReporter, ...] | None = None
    kinds: tuple[KnownKind, ...] | None = None
    subjects: tuple[KnownSubject, ...] | None = None
    accused: tuple[KnownAccused, ...] | None = None


class SecondChoice(_Sourced):
    """Accused for whom this party may be called but is not the first choice."""

    accused: tuple[KnownAccused, ...]


class HandlingTerm(_Sourced):
    """How long a party has to confirm receipt and to accept, in clock minutes.

    Working days, both or none of the two, count instead of the minutes (see `contracts.limits`).
    """

    received_within_minutes: Annotated[int, Field(gt=0)]
    accepted_within_minutes: Annotated[int, Field(gt=0)]
    received_within_working_days: Annotated[int | None, Field(gt=0, le=60)] = None
    accepted_within_working_days: Annotated[int | None, Field(gt=0, le=60)] = None


class Loket(_Part):
    """A desk of an organisation; lists narrow what the organisation takes.

    `handling` are the loket's own terms; an urgency left out has those of the organisation.
    """

    id: LoketId
    name: Text
    sectors: tuple[KnownSector, ...] | None = None
    reporters: tuple[KnownReporter, ...] | None = None
    kinds: tuple[KnownKind, ...] | None = None
    subjects: tuple[KnownSubject, ...] | None = None
    accused_when: tuple[KnownAccused, ...] = ()
    implies_flags: tuple[Flag, ...] = ()
    handling: dict[Urgency, HandlingTerm] = Field(default_factory=dict)


class LoketOrder(_Part):
    """Which loket comes first in which situation."""

    match: Match
    order: Annotated[tuple[LoketId, ...], Field(min_length=1)]


class Remark(_Sourced):
    """A condition or duty in words; `max_age_days` is how old the facts may be."""

    rule: Text
    max_age_days: int | None = None


class Channels(_Part):
    """How a person reaches the organisation."""

    phone: str | None = None
    web: str | None = None
    email: str | None = None
    hours: str | None = None
    to_verify: bool = False


class Assured(_Part):
    """When the entry was last checked, and by whom; people decide on it how far to trust it."""

    date: IsoDate
    by: Text


class Organisation(_Part):
    """A party: what it takes, from whom, about whom, what comes of it and what it reports back.

    `handling` are terms of its own; an urgency left out has those of everybody. With `calendar`
    `school_days` it is closed in the school holidays of its region.
    """

    id: OrganisationId
    tier: Literal["core", "extended"]
    name: Text
    kind: str
    loketten: tuple[Loket, ...] = ()
    loket_order: tuple[LoketOrder, ...] = ()
    sectors: Annotated[tuple[KnownSector, ...], Field(min_length=1)]
    reporters: Annotated[tuple[KnownReporter, ...], Field(min_length=1)]
    kinds: Annotated[tuple[KnownKind, ...], Field(min_length=1)]
    subjects: Annotated[tuple[KnownSubject, ...], Field(min_length=1)]
    accused: tuple[KnownAccused, ...] | None = None
    also_competent: tuple[Competence, ...] = ()
    converts: tuple[Conversion, ...] = ()
    second_choice: SecondChoice | None = None
    accused_when: tuple[KnownAccused, ...] = ()
    implies_flags: tuple[Flag, ...] = ()
    requires_affiliation: bool = False
    requires_flags: tuple[Flag, ...] = ()
    outcome: str
    binding: bool
    referral_mode: Literal["queue", "phone_warm", "show_only"] = "queue"
    region_key: str | None = None
    accepts_anonymous: bool
    feedback: Literal["status_en_inhoud", "alleen_opgepakt", "geen"]
    channels: Channels
    assured: Assured | None = None
    duties: tuple[Remark, ...] = ()
    admissibility: tuple[Remark, ...] = ()
    not_for: tuple[Remark, ...] = ()
    data_rule: tuple[Remark, ...] = ()
    load_note: tuple[Remark, ...] = ()
    escalates_to: tuple[OrganisationId, ...] = ()
    handling: dict[Urgency, HandlingTerm] = Field(default_factory=dict)
    calendar: Literal["school_days"] | None = None


class Rule(_Sourced):
    """One line of the order: whom this situation goes to first, and who stands next to it."""

    id: str
    match: Match
    primary: PartyRef
    also: tuple[PartyRef, ...] = ()
    urgency: Urgency
    never_via: tuple[PartyRef, ...] = ()
    why: Text
    why_en: Text


class RegisterTerm(_Sourced):
    """A term that runs: length, start event, and when it is shown (one way to select it)."""

    id: str
    organisation: OrganisationId
    organisations: tuple[OrganisationId, ...] = ()
    rules: tuple[str, ...] = ()
    match: Match | None = None
    length: Annotated[int, Field(gt=0)]
    unit: Literal["days", "working_days", "weeks", "months"]
    extend: int | None = None
    starts: str
    what: Text
    # Days are those of the Netherlands, in Europe/Amsterdam, with its public holidays.
    calendar: Literal["nl"] = "nl"
    valid_from: IsoDate | None = None
    valid_to: IsoDate | None = None


class Duty(_Sourced):
    """What the law obliges to, or what the reporter must be told, in this situation."""

    id: str
    match: Match
    overrides_choice: bool
    text: Text
    text_en: Text


class HelpLine(_Sourced):
    """A line that is shown next to the party; nothing is sent to it."""

    id: str
    match: Match
    show: OrganisationId
    unless_urgency: tuple[Urgency, ...] = ()


class DerivedFlag(_Sourced):
    """A fact that follows from other facts; `max_age_years` counts the reporter's own age."""

    id: str
    match: Match
    max_age_years: int | None = None
    unknown_age_counts: bool = False
    flag: Flag


class UrgencyFloor(_Sourced):
    """The least urgency that these facts give."""

    flags: tuple[Flag, ...]
    urgency: Urgency


class Beyond(_Sourced):
    """Who is told after the board kept silent on a finding, or deviated from it, in this order."""

    after_silence: tuple[OrganisationId, ...]
    after_deviation: tuple[OrganisationId, ...]


class Regime(_Sourced):
    """The dated legal force of a committee's finding; `finding` is that force in the contract.

    Registers of before `finding` and `beyond` have neither.
    """

    id: str
    valid_from: str | None
    valid_to: str | None
    committee_finding: str
    binding: bool
    finding: FindingForce | None = None
    beyond: Beyond | None = None
    board_response_weeks: int | None = None
    deviation_from_term: str | None = None
    deviation_from_finding: str | None = None
    national_committee_mandatory: bool | None = None
    board_reports_not_followed_to: OrganisationId | None = None
    status: str | None = None


class Fallback(_Part):
    """What is said when a rule's party cannot take the case and another one is next."""

    why: Text
    why_en: Text


class Register(_Part):
    """The whole register; `version` and its hash travel with every decision."""

    version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}(\.\d+)?$")]
    as_of: str
    enums: dict[str, tuple[str, ...]]
    desk: OrganisationId
    # Registers of before this field have none; the check asks for it.
    accused_parties: dict[KnownAccused, tuple[PartyRef, ...]] = Field(default_factory=dict)
    handling_terms: dict[Urgency, HandlingTerm]
    urgency_floor: tuple[UrgencyFloor, ...]
    derived_flags: tuple[DerivedFlag, ...]
    standing: tuple[Standing, ...]
    step_aliases: dict[str, PartyRef]
    fallback: Fallback
    regimes: tuple[Regime, ...]
    terms: Annotated[tuple[RegisterTerm, ...], Field(max_length=LISTED_MAX)]
    duties: Annotated[tuple[Duty, ...], Field(max_length=LISTED_MAX)]
    help_lines: Annotated[tuple[HelpLine, ...], Field(max_length=LISTED_MAX)]
    routing_rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=LISTED_MAX)]
    organisations: Annotated[tuple[Organisation, ...], Field(min_length=1, max_length=LISTED_MAX)]
    sources: dict[str, str]


def register_hash(register: Register) -> str:
    """SHA-256 (hex) of the register's canonical JSON: sorted keys, no spaces, UTF-8."""
    data = register.model_dump(mode="json", by_alias=True)
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Reason(StrEnum):
    """Why an organisation is not the primary party."""

    EXCLUDED = "excluded"
    ACCUSED_PARTY = "accused-party"
    NEVER_VIA = "never-via"
    NOT_COMPETENT = "not-competent"
    SECOND_CHOICE = "second-choice"
    OTHER_COMMITTEE = "other-committee"
    AFFILIATION_UNKNOWN = "affiliation-unknown"
    CONDITION_NOT_MET = "condition-not-met"
    ALREADY_TRIED = "already-tried"
    NO_LOKET = "no-loket"
    SHOW_ONLY = "show-only"
    ALSO_COMPETENT = "also-competent"
    LOWER_IN_ORDER = "lower-in-order"


@dataclass(frozen=True, slots=True)
class Weighed:
    """One organisation that was considered; `field` is the answer on which it failed, if any."""

    organisation: str
    reason: Reason
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whom the case goes to, who stands next to it, which terms run, and why.

    In mode `show` the primary is only shown; in mode `signal` it reports nothing back; in both, and
    in mode `desk`, the desk holds the case. In mode `refer` it does until the primary accepts.
    `also` holds `organisation` or `organisation/loket`. With the register of `register_hash`,
    `situation`, `excluded` and the organisation of `proposal` give this same decision again.
    `never` are the accused and those above whom a rule keeps the case away from; `other_lokets`
    are lokets of the primary that could take the case as well, the next one first.
    """

    situation: Situation
    primary: str
    loket: str | None
    mode: Mode
    desk: str
    primary_name: str
    contact: str | None
    also: tuple[str, ...]
    shown: tuple[str, ...]
    urgency: Urgency
    limits: HandlingLimits
    rule: str
    kind: Kind
    kind_at_primary: Kind
    conversion_why: str | None
    terms: tuple[Term, ...]
    duties: tuple[Duty, ...]
    weighed: tuple[Weighed, ...]
    flags: tuple[Flag, ...]
    excluded: tuple[str, ...]
    why: str
    why_en: str
    register_version: str
    register_hash: str
    other_lokets: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    proposal: Proposal | None = None

    @property
    def party(self) -> str:
        """`organisation` or `organisation/loket`."""
        return self.primary if self.loket is None else f"{self.primary}/{self.loket}"
