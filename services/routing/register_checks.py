"""What must hold of the terms for handling and of the regimes in a register. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

from contracts.situation import Urgency
from services.routing.domain import HandlingTerm, Regime, Register

Path_ = tuple[str | int, ...]
Finding = tuple[Path_, str, str]


def handling_checks(register: Register) -> Iterator[Finding]:
    """Terms for every urgency, in an order that can be met; what is urgent counts by the clock."""
    for urgency in Urgency:
        if urgency not in register.handling_terms:
            yield (
                ("handling_terms",),
                f"no terms for urgency {urgency}",
                "Add received_within_minutes and accepted_within_minutes",
            )
    yield from _terms(("handling_terms",), register.handling_terms)
    for index, organisation in enumerate(register.organisations):
        path: Path_ = ("organisations", index)
        yield from _terms((*path, "handling"), organisation.handling)
        for at, loket in enumerate(organisation.loketten):
            yield from _terms((*path, "loketten", at, "handling"), loket.handling)


def regime_checks(register: Register) -> Iterator[Finding]:
    """A regime says what a finding does, how long the board has, and who comes after that.

    At most one is in force on a day.
    """
    parties = {o.id for o in register.organisations} - {register.desk}
    for index, regime in enumerate(register.regimes):
        path: Path_ = ("regimes", index)
        yield from _whole(path, regime)
        named = regime.beyond
        for field in ("after_silence", "after_deviation") if named else ():
            listed: tuple[str, ...] = getattr(named, field)
            for party in sorted(set(listed) - parties):
                remedy = "Name an organisation that the register holds, other than the desk"
                yield (*path, "beyond", field), f"{party} does not exist", remedy
            if len(set(listed)) != len(listed):
                problem, remedy = "a party is there twice", "Name each party once"
                yield (*path, "beyond", field), problem, remedy
    yield from _one_at_a_time(register.regimes)


def _terms(path: Path_, terms: Mapping[Urgency, HandlingTerm]) -> Iterator[Finding]:
    for urgency, term in terms.items():
        days = (term.received_within_working_days, term.accepted_within_working_days)
        if (days[0] is None) != (days[1] is None):
            yield (
                (*path, urgency),
                "working days are given for one of the two terms only",
                "Give received_within_working_days and accepted_within_working_days, or neither",
            )
        elif days[0] is not None and urgency != Urgency.NORMAAL:
            yield (
                (*path, urgency),
                f"{urgency} counts by the clock",
                "Leave the working days out and give minutes",
            )
        later = days[0] is not None and days[1] is not None and days[1] < days[0]
        if later or term.accepted_within_minutes < term.received_within_minutes:
            yield (
                (*path, urgency),
                "accepting is due before the receipt",
                "Give for accepting at least as long as for the receipt",
            )


def _whole(path: Path_, regime: Regime) -> Iterator[Finding]:
    if regime.finding is None or regime.beyond is None or regime.board_response_weeks is None:
        yield (
            path,
            f"regime {regime.id} does not say all that a finding needs",
            "Give finding, board_response_weeks and beyond",
        )
    for field in ("valid_from", "valid_to"):
        if _day(getattr(regime, field)) is None and getattr(regime, field) is not None:
            yield (*path, field), "it is no date", "Write it as 2026-08-01, or null"


def _one_at_a_time(regimes: tuple[Regime, ...]) -> Iterator[Finding]:
    dated = sorted(
        (first, _day(regime.valid_to) or date.max, index)
        for index, regime in enumerate(regimes)
        if (first := _day(regime.valid_from)) is not None
    )
    for first, last, index in dated:
        if last < first:
            remedy = "Let valid_to not lie before valid_from"
            yield ("regimes", index), "it ends before it begins", remedy
    for (_, last, _), (first, _, index) in pairwise(dated):
        if first <= last:
            remedy = "End the regime before it on the day before this one begins"
            yield ("regimes", index), "two regimes are in force on one day", remedy


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        return None
