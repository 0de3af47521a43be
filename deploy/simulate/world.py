"""One small world: its clock, ids, parties and topics, and what referral has committed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

from contracts import topics
from contracts.event import Event
from contracts.finding import BoardReply
from contracts.referral import DESK
from deploy.simulate.broker import Broker
from deploy.simulate.ledger import Ledger, Outgoing
from services.referral.domain import (
    HOLDING,
    OPEN,
    Case,
    Channel,
    LegalTerm,
    Outcome,
    Referral,
    Standing,
)
from services.referral.findings.domain import Finding

ORGANISATIONS = (
    "school",
    "bevoegd_gezag",
    "lkc",
    "samenwerkingsverband",
    "inspectie",
    "veilig_thuis",
)
LOKETS = ("balie", "vertrouwenspersoon")
# A working day, the nights in which the clocks change, year's end, and a summer holiday.
STARTS = (
    datetime(2026, 11, 24, 9, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 22, 50, tzinfo=UTC),
    datetime(2026, 10, 24, 23, 40, tzinfo=UTC),
    datetime(2026, 12, 24, 16, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 58, tzinfo=UTC),
    datetime(2026, 7, 17, 15, 0, tzinfo=UTC),
)
SERVICES = ("intake", "routing", "referral")


class Cause(StrEnum):
    """Who made something happen."""

    ROUTING = "routing"
    PARTNER = "partner"
    REPORTER = "reporter"
    DESK = "desk"
    TIME = "time"


@dataclass(slots=True)
class Party:
    """An organisation: how it is reached and how it behaves.

    Without a channel it is no partner; `signal` parties report nothing back, `shown` ones get
    nothing. `deaf` means that nothing sent over the first channel arrives. `on` is the switch.
    """

    organisation: str
    channel: Channel | None
    fallback: Channel | None
    signal: bool = False
    shown: bool = False
    deaf: bool = False
    on: bool = True


@dataclass(slots=True)
class Book:
    """The tables of referral; `early` are reporter's events of cases that routing still has.

    `said` holds the board's replies by their id, `confirmed` the findings shown to be followed.
    """

    cases: dict[UUID, Case] = field(default_factory=dict)
    referrals: dict[UUID, Referral] = field(default_factory=dict)
    answers: dict[tuple[str, UUID], tuple[Any, ...]] = field(default_factory=dict)
    early: tuple[Event, ...] = ()
    findings: dict[UUID, Finding] = field(default_factory=dict)
    said: dict[UUID, tuple[UUID, BoardReply]] = field(default_factory=dict)
    confirmed: dict[UUID, None] = field(default_factory=dict)
    terms: dict[tuple[UUID, str], LegalTerm] = field(default_factory=dict)

    def copy(self) -> "Book":
        """A draft to write in."""
        return Book(
            self.cases.copy(),
            self.referrals.copy(),
            self.answers.copy(),
            self.early,
            self.findings.copy(),
            self.said.copy(),
            self.confirmed.copy(),
            self.terms.copy(),
        )

    def findings_of(self, case_id: UUID) -> list[Finding]:
        """The findings on a case."""
        return [item for item in self.findings.values() if item.case_id == case_id]

    def of_case(self, case_id: UUID) -> list[Referral]:
        """All referrals of a case, in the order in which they were made."""
        return [item for item in self.referrals.values() if item.case_id == case_id]

    def standing(self, case_id: UUID) -> Standing | None:
        """What a rule is given of a case."""
        case = self.cases.get(case_id)
        if case is None:
            return None
        own = self.of_case(case_id)
        request = next((item for item in own if item.status in OPEN), None)
        return Standing(case, request, next((r for r in own if r.status in HOLDING), None))


@dataclass(frozen=True, slots=True)
class Applied:
    """One call of a rule with its outcome; `target` is the referral that it was about."""

    name: str
    cause: Cause
    before: Standing | None
    target: Referral | None
    event: Event | None
    outcome: Outcome
    now: datetime


class World:
    """Everything that a seed decides; the only source of chance, time and ids is here."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(seed)  # noqa: S311 - a replayable simulation, no secret.
        self.now = self.rng.choice(STARTS) + timedelta(minutes=self.rng.randrange(180))
        self.frozen = False
        self.broker = Broker()
        self.ledgers = {name: Ledger() for name in SERVICES}
        self.parties = {name: _party(name, self.rng) for name in ORGANISATIONS}
        # Some registers send a case where the core must not bring it; the core is the last guard.
        self.careless_routing = self.rng.random() < 0.2
        self.refusing_routing = self.rng.random() < 0.15
        # Some seeds are about complaints only, because only those end in a finding; in others
        # holders mostly refer onward, which meets what is under way only when it happens often.
        self.complaints = self.rng.random() < 0.3
        self.passing_on = not self.complaints and self.rng.random() < 0.5
        self.lines: list[str] = []
        self._names: dict[UUID, str] = {}
        self.broker.subscribe("routing", topics.INTAKE, topics.REFERRAL)
        answers = [topics.partner_in(name) for name in ORGANISATIONS]
        self.broker.subscribe("referral", topics.ROUTING, topics.INTAKE, *answers)
        self.broker.subscribe("audit", topics.INTAKE, topics.ROUTING, topics.REFERRAL)
        for name in ORGANISATIONS:
            self.broker.subscribe(name, topics.partner_out(name))

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.rng.random() < share

    def new_id(self) -> UUID:
        """An id that the seed decides."""
        return UUID(int=self.rng.getrandbits(128))

    def name(self, item: UUID, name: str) -> None:
        """Give an id a name for the trace."""
        self._names.setdefault(item, name)

    def named(self, item: UUID) -> str:
        """The name of an id."""
        return self._names.get(item, "unknown")

    def say(self, text: str) -> None:
        """A line of the trace."""
        self.lines.append(f"{self.now:%Y-%m-%d %H:%M:%S}  {text}")

    def commit(self, service: str, outgoing: list[Outgoing]) -> None:
        """Commit events of a service that has no tables of its own to change."""
        self.ledgers[service].commit(outgoing, [self.new_id() for _ in outgoing])


def _party(name: str, rng: Random) -> Party:
    channel = rng.choice((*Channel, Channel.KAFKA, Channel.INBOX))
    return Party(
        name,
        channel if rng.random() < 0.93 else None,
        rng.choice((None, Channel.EMAIL, Channel.DESK)),
        signal=rng.random() < 0.15,
        shown=rng.random() < 0.05,
        deaf=rng.random() < 0.1,
    )


def told(case: Case) -> str:
    """Where a case stands, in one line."""
    step = case.next_step
    acts = "nobody acts" if step is None else f"{step.actor} must {step.action.value}"
    by = "" if step is None else f" by {step.due_at:%m-%d %H:%M}"
    state = "" if case.open else "closed, "
    holder = "the desk" if case.holder == DESK else case.holder
    return f"{state}holder {holder}, handoff {case.handoff}, {acts}{by}"
