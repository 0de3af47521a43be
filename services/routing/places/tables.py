"""Reading the lists of places: CSV with a fixed header, every fault named with line and remedy."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

FILE_BYTES_MAX = 20_000_000
PROBLEMS_MAX = 25


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One fault in a list: where it is, what is wrong and what to do."""

    line: int
    field: str
    problem: str
    remedy: str


class ListInvalid(Exception):
    """The list may not be used: file, line, field and remedy of every problem."""

    def __init__(self, file: Path, problems: tuple[RowProblem, ...]) -> None:
        self.file = file
        self.problems = problems
        rows = [
            f"{file}:{p.line}: {p.field}: {p.problem}. {p.remedy}" for p in problems[:PROBLEMS_MAX]
        ]
        left = len(problems) - PROBLEMS_MAX
        super().__init__("\n".join((*rows, *([f"... and {left} more"] if left > 0 else []))))


def rows_of(file: Path, header: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line number and fields of every row.

    Raises `ListInvalid` when the file cannot be read, has another header or an uneven row.
    """
    text = _text(file)
    reader = csv.reader(text.splitlines())
    found = tuple(next(reader, ()))
    if found != header:
        problem = "the header is " + (",".join(found)[:200] or "missing")
        _refuse(file, 1, "header", problem, f"Start the file with {','.join(header)}")
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            problem = f"it has {len(row)} fields instead of {len(header)}"
            _refuse(file, reader.line_num, "row", problem, "Quote a field that holds a comma")
        yield reader.line_num, dict(zip(header, row, strict=True))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            _refuse(file, 1, "file", "it is too large", f"Keep it under {FILE_BYTES_MAX} bytes")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = error.strerror or "cannot be read"
        _refuse(file, 1, "file", problem, "Give the path of a readable file")
    except UnicodeDecodeError:
        _refuse(file, 1, "file", "it is not UTF-8", "Save the file as UTF-8")


def _refuse(file: Path, line: int, field: str, problem: str, remedy: str) -> NoReturn:
    raise ListInvalid(file, (RowProblem(line, field, problem, remedy),)) from None
