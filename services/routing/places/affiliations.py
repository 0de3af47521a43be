"""Which complaint committee a board is affiliated with: a list of the project's own.

No open data holds it. The list starts empty and is filled by the committees; a board that is not on
it is `unknown`, which is a legal answer with a path of its own in the register.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from contracts.situation import UNKNOWN
from services.routing.domain import NO_AFFILIATION, Register
from services.routing.places.tables import ListInvalid, RowProblem, rows_of

AFFILIATIONS_PATH = Path(__file__).parent / "data" / "affiliations.csv"
HEADER = ("board_number", "committee", "source", "assured_date", "assured_by")
TEXT_LENGTH_MAX = 200
_BOARD = re.compile(r"\d{5}")


@dataclass(frozen=True, slots=True)
class Affiliation:
    """What is known about a board: the committee, who assured it, when and on what ground."""

    board_number: str
    committee: str
    source: str
    assured_date: date
    assured_by: str


def committees_of(register: Register) -> frozenset[str]:
    """The values that a row may hold: the register's committees, `geen` and `unknown`."""
    named = {item.id for item in register.organisations if item.requires_affiliation}
    return frozenset(named | {NO_AFFILIATION, UNKNOWN})


def load_affiliations(
    committees: AbstractSet[str], today: date, file: Path = AFFILIATIONS_PATH
) -> Mapping[str, Affiliation]:
    """The list by board number; raises `ListInvalid` with every fault.

    `today` is a date because nothing can be assured in the future.
    """
    found: dict[str, Affiliation] = {}
    lines: dict[str, int] = {}
    problems: list[RowProblem] = []
    for line, row in rows_of(file, HEADER):
        faults = _faults(line, row, committees, today)
        board = row["board_number"]
        if board in lines:
            problem = f"this board is on line {lines[board]} as well"
            faults.append(RowProblem(line, "board_number", problem, "Keep one row per board"))
        lines.setdefault(board, line)
        problems += faults
        if not faults:
            found[board] = _affiliation(row)
    if problems:
        raise ListInvalid(file, tuple(problems))
    return found


def _affiliation(row: Mapping[str, str]) -> Affiliation:
    return Affiliation(
        row["board_number"],
        row["committee"],
        row["source"],
        date.fromisoformat(row["assured_date"]),
        row["assured_by"],
    )


def _faults(
    line: int, row: Mapping[str, str], committees: AbstractSet[str], today: date
) -> list[RowProblem]:
    faults = []
    if _BOARD.fullmatch(row["board_number"]) is None:
        faults.append(
            RowProblem(line, "board_number", "it is no board number", "Give the five digits of DUO")
        )
    if row["committee"] not in committees:
        known = ", ".join(sorted(committees))
        faults.append(
            RowProblem(line, "committee", "the register has no such committee", f"Use {known}")
        )
    faults += _unsourced(line, row)
    assured = _date(row["assured_date"])
    if assured is None:
        faults.append(RowProblem(line, "assured_date", "it is no date", "Write it as 2026-01-31"))
    elif assured > today:
        faults.append(
            RowProblem(line, "assured_date", "it is in the future", "Give the day of the check")
        )
    return faults


def _unsourced(line: int, row: Mapping[str, str]) -> list[RowProblem]:
    faults = []
    for field in ("source", "assured_by"):
        if not 0 < len(row[field].strip()) <= TEXT_LENGTH_MAX:
            remedy = f"Give 1 to {TEXT_LENGTH_MAX} characters"
            faults.append(RowProblem(line, field, "it is empty or too long", remedy))
    if "@" in row["assured_by"]:
        remedy = "Name the organisation that assures it, not a person or an address"
        faults.append(RowProblem(line, "assured_by", "it holds an e-mail address", remedy))
    return faults


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
