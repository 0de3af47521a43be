"""All decisions of one case as one explanation for the reporter: Dutch, level B1. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.calendar import local_day
from contracts.dutch import day_words
from services.routing.compiled import CompiledRegister
from services.routing.domain import Decision
from services.routing.explanations import Explained, party_words, short_sentences
from services.routing.language import address
from services.routing.questions import Questions


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One decision of a case in time; `dropped` says why the party of the one before fell out."""

    number: int
    decided_at: datetime
    party: str
    name: str
    why: str
    dropped: str | None


@dataclass(frozen=True, slots=True)
class Chain:
    """All decisions of a case; `received_at` is the first receipt, whose date keeps counting."""

    received_at: datetime
    links: tuple[ChainLink, ...]
    text: str


def explain_chain(
    register: CompiledRegister,
    questions: Questions,
    received_at: datetime,
    decisions: Sequence[tuple[datetime, Decision, str | None]],
) -> Chain:
    """The chain: per decision its moment, itself, and why the party before it fell out (coded).

    The codes are those of a decline (`capacity`, `not-competent` ...) or any other id; one that
    has no words is told as "could not take the case". Raises ValueError when a party returns.
    """
    links: list[ChainLink] = []
    for number, (moment, decision, dropped) in enumerate(decisions, 1):
        alone = Explained(register, questions, decision, (), ())
        if decision.party in {link.party for link in links} - {decision.desk}:
            raise ValueError(f"{decision.party} fell out before and may not return")
        name = party_words(alone, decision.party)
        links.append(ChainLink(number, moment, decision.party, name, decision.why, dropped))
    sentences = [f"Uw melding kwam binnen op {day_words(local_day(received_at))}."]
    sentences.append("Die dag blijft gelden, ook als een andere partij uw zaak overneemt.")
    for before, link in zip((None, *links), links, strict=False):
        if before is not None:
            reasons = questions.labels.get("dropped", {})
            label = reasons.get(link.dropped or "")
            why = label.nl if label else "deze partij kon de zaak niet aannemen"
            sentences.append(f"Bij {before.name} lukte het niet: {why}.")
        sentences.append(f"Op {day_words(local_day(link.decided_at))} kozen wij voor {link.name}.")
        sentences += short_sentences(link.why)
    reporter = decisions[0][1].situation.reporter if decisions else None
    text = " ".join(sentences)
    return Chain(received_at, tuple(links), address(text, reporter) if reporter else text)
