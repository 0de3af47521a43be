"""The schools as DUO publishes them, their boards and their municipalities."""

import re
from collections.abc import Mapping
from pathlib import Path
from sys import intern
from typing import NamedTuple

from services.routing.places.tables import ListInvalid, RowProblem, rows_of
from services.routing.places.words import presentable

DATA = Path(__file__).parent / "data"
SCHOOLS_PATH = DATA / "schools-po.csv"
BOARDS_PATH = DATA / "boards.csv"
SCHOOLS_HEADER = (
    "vestigingscode", "brin", "naam", "plaats", "gemeente", "gemeentenummer", "provincie",
    "bevoegd_gezag", "denominatie",
)  # fmt: skip
BOARDS_HEADER = ("board_number", "name")
ROWS_MAX = 60_000
_BRANCH = re.compile(r"\d{2}[A-Z]{2}\d{2}")
_BOARD = re.compile(r"\d{5}")


class Municipality(NamedTuple):
    """A municipality; `code` is its four digits at Statistics Netherlands."""

    code: str
    name: str
    province: str


class School(NamedTuple):
    """A location of a school; `brin` has six characters, the last two are the branch.

    `denomination` is None where the source leaves it open.
    """

    brin: str
    name: str
    place: str
    municipality: Municipality
    board_number: str
    denomination: str | None


def load_schools(file: Path = SCHOOLS_PATH) -> tuple[School, ...]:
    """Every school, ordered by BRIN; raises `ListInvalid` with every fault."""
    municipalities: dict[str, Municipality] = {}
    places: dict[str, str] = {}
    schools: dict[str, School] = {}
    problems: list[RowProblem] = []
    for line, row in rows_of(file, SCHOOLS_HEADER):
        brin = row["vestigingscode"]
        problem = _fault(line, row, brin in schools, len(schools))
        if problem is not None:
            problems.append(problem)
            continue
        code = row["gemeentenummer"]
        if code not in municipalities:
            name = presentable(row["gemeente"])
            municipalities[code] = Municipality(code, name, row["provincie"])
        written = row["plaats"]
        place = places.get(written) or places.setdefault(written, presentable(written))
        schools[brin] = School(
            brin, row["naam"].strip(), place, municipalities[code], intern(row["bevoegd_gezag"]),
            intern(row["denominatie"]) or None,
        )  # fmt: skip
    if problems:
        raise ListInvalid(file, tuple(problems))
    return tuple(schools[brin] for brin in sorted(schools))


def _fault(line: int, row: Mapping[str, str], is_double: bool, count: int) -> RowProblem | None:
    brin = row["vestigingscode"]
    if _BRANCH.fullmatch(brin) is None or not brin.startswith(row["brin"]):
        remedy = "Give BRIN and branch, as 03WU00"
        return RowProblem(line, "vestigingscode", "it is no branch of this BRIN", remedy)
    if is_double:
        return RowProblem(line, "vestigingscode", "it is there twice", "Keep one row per branch")
    if _BOARD.fullmatch(row["bevoegd_gezag"]) is None:
        remedy = "Give the five digits of DUO"
        return RowProblem(line, "bevoegd_gezag", "it is no board number", remedy)
    for field in ("naam", "plaats", "gemeente", "gemeentenummer"):
        if not row[field].strip():
            return RowProblem(line, field, "it is empty", "Fill it from the source")
    if count >= ROWS_MAX:
        return RowProblem(line, "row", "there are too many rows", f"Keep it under {ROWS_MAX}")
    return None


def load_boards(file: Path = BOARDS_PATH) -> Mapping[str, str]:
    """Names of boards by number, where known; raises `ListInvalid` with every fault."""
    names: dict[str, str] = {}
    problems: list[RowProblem] = []
    for line, row in rows_of(file, BOARDS_HEADER):
        number, name = row["board_number"], row["name"].strip()
        if _BOARD.fullmatch(number) is None or number in names:
            remedy = "Give the five digits of DUO, once each"
            problems.append(RowProblem(line, "board_number", "it is no or a double number", remedy))
        elif not name:
            problems.append(RowProblem(line, "name", "it is empty", "Give the name of the board"))
        else:
            names[number] = name
    if problems:
        raise ListInvalid(file, tuple(problems))
    return names
