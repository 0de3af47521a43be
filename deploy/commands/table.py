"""Tables for people: fitted to the width of the terminal, stacked where that is too narrow."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NARROW = 100
WIDE = 160
GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column: its key and heading, the widest it may be, and whether it takes left-over room."""

    key: str
    width: int
    heading: str = ""
    grows: bool = False

    @property
    def title(self) -> str:
        """The heading, by default the key."""
        return self.heading or self.key


def terminal_width() -> int:
    """Columns of the terminal; 160 where there is none, so that a file gets a whole table."""
    return shutil.get_terminal_size((WIDE, 50)).columns


def render(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], width: int | None = None
) -> str:
    """The rows below headings; below 100 columns each row as a small block of `heading: value`."""
    room = terminal_width() if width is None else width
    texts = [{c.key: _text(row.get(c.key)) for c in columns} for row in rows]
    if room < NARROW:
        return "\n\n".join(_block(columns, row, room) for row in texts)
    widths = _widths(columns, texts, room)
    headings = {column.key: column.title for column in columns}
    ruler = {column.key: "-" * width for column, width in zip(columns, widths, strict=True)}
    return "\n".join(_line(columns, widths, row) for row in (headings, ruler, *texts))


def _text(value: Any) -> str:
    return "-" if value is None or value == "" else " ".join(str(value).split())


def _widths(columns: Sequence[Column], rows: Sequence[Mapping[str, str]], room: int) -> list[int]:
    wanted = [max(len(c.title), *(len(row[c.key]) for row in rows), 1) for c in columns]
    widths = [min(want, c.width) for want, c in zip(wanted, columns, strict=True)]
    spare = room - sum(widths) - len(GAP) * (len(columns) - 1)
    for index, column in enumerate(columns):
        if column.grows:
            widths[index] = max(min(wanted[index], widths[index] + spare), len(column.title))
    return widths


def _line(columns: Sequence[Column], widths: Sequence[int], row: Mapping[str, str]) -> str:
    cells = [_cut(row[c.key], width).ljust(width) for c, width in zip(columns, widths, strict=True)]
    return GAP.join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _block(columns: Sequence[Column], row: Mapping[str, str], room: int) -> str:
    indent = max(len(column.title) for column in columns) + 2
    return "\n".join(
        textwrap.fill(
            row[column.key],
            max(room, indent + 20),
            initial_indent=f"{column.title}:".ljust(indent),
            subsequent_indent=" " * indent,
        )
        for column in columns
    )
