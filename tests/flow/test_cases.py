"""Reading cases: both formats, and bad lines told by number and field."""

import json
from pathlib import Path

import pytest

from deploy.commands.base import CommandError
from deploy.commands.cases import read_cases

ROOT = Path(__file__).parents[2]
FLAT = {
    "sector": "vo",
    "reporter": "ouder",
    "kind": "klacht",
    "subject": "pesten",
    "accused": "leerling",
}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_example_cases_are_good() -> None:
    cases, bad = read_cases(ROOT / "examples" / "cases.jsonl")
    assert bad == []
    assert len(cases) >= 20
    assert all(case.expected for case in cases)


def test_flat_case_takes_its_own_words_from_situation_and_facts_along(tmp_path: Path) -> None:
    item = {**FLAT, "situation": "Wat er is.", "facts": {"age": 14, "flags": ["severe"], "x": 1}}
    [case], bad = read_cases(write(tmp_path, "", item))
    assert bad == []
    assert (case.line, case.name, case.kind) == (2, "line 2", "klacht")
    assert case.body["narrative"] == "Wat er is."
    assert case.body["situation"]["age"] == 14
    assert case.body["situation"]["flags"] == ["severe"]
    assert case.body["channel"] == "web"


def test_array_file_is_read_too(tmp_path: Path) -> None:
    cases, bad = read_cases(write(tmp_path, json.dumps([{**FLAT, "narrative": "a"}] * 2)))
    assert [case.line for case in cases] == [1, 2]
    assert bad == []


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", "line"),
        ("17", "line"),
        ({"situation": {**FLAT, "sector": "x"}, "narrative": "a"}, "situation.sector"),
        ({"situation": {**FLAT, "name": "x"}, "narrative": "a"}, "situation.name"),
        ({**FLAT, "kind": "brief", "narrative": "a"}, "kind"),
        ({**FLAT, "narrative": 7}, "narrative"),
        ({**FLAT, "narrative": "a", "channel": "fax"}, "channel"),
        ({**FLAT, "narrative": "a", "facts": "none"}, "facts"),
        ({"narrative": "a"}, "sector"),
    ],
)
def test_bad_line_is_told_and_stops_no_other(tmp_path: Path, line: object, field: str) -> None:
    good = {**FLAT, "narrative": "geheim"}
    cases, bad = read_cases(write(tmp_path, good, line, good))
    assert [case.line for case in cases] == [1, 3]
    assert bad[0].line == 2
    assert field in {item.field for item in bad}
    assert all(item.remedy for item in bad)


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        read_cases(tmp_path / "absent.jsonl")
    with pytest.raises(CommandError, match="holds no cases"):
        read_cases(write(tmp_path, "", "  "))
