"""The glossary has every value of every enumeration of the contracts, and no others."""

import inspect
import re
from enum import StrEnum
from pathlib import Path

import pytest

import contracts
from contracts import finding, intake, operations, referral, routing, situation

TEXT = (Path(contracts.__file__).parent / "glossary.md").read_text(encoding="utf-8")
ENUMERATIONS = [
    found
    for module in (finding, referral, intake, routing, operations, situation)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, StrEnum) and found.__module__ == module.__name__
]


def _table(heading: str) -> list[list[str]]:
    section = re.split(rf"^#+ {re.escape(heading)}\n", TEXT, flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, flags=re.MULTILINE)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("enumeration", ENUMERATIONS, ids=lambda found: found.__name__)
def test_every_value_has_a_dutch_word_and_a_meaning(enumeration) -> None:
    rows = _table(f"`{enumeration.__name__}`")

    assert [row[0] for row in rows] == [f"`{value}`" for value in enumeration]
    assert all(len(row) == 3 and all(row) for row in rows)


@pytest.mark.parametrize(
    "word", ["report", "case", "holder", "handoff", "trail", "checkpoint", "receipt", "desk"]
)
def test_the_words_of_the_domain_are_there(word) -> None:
    assert word in {row[0] for row in _table("Words of the domain")}


def test_no_table_is_left_over() -> None:
    headings = set(re.findall(r"^### `(\w+)`$", TEXT, flags=re.MULTILINE))

    assert headings == {found.__name__ for found in ENUMERATIONS}
