"""`meldpunt register route`: the worked cases as people write them, and lines that are wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import main
from services.routing.compiled import CompiledRegister
from services.routing.lines import read_line, route_lines

FILE = Path(__file__).parent / "vignettes_style.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
KEYS = {
    "id",
    "primary",
    "also",
    "shown",
    "urgency",
    "excluded",
    "terms",
    "explanation",
    "register_version",
}


def one(register: CompiledRegister, row: Any) -> dict[str, Any]:
    text = row if isinstance(row, str) else json.dumps(row)
    [(_, routed)] = route_lines([text], register)
    return routed


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_the_worked_cases(row: dict[str, Any], compiled: CompiledRegister) -> None:
    routed = one(compiled, row)
    expected = row["expected"]
    assert routed["id"] == row["id"]
    assert expected["primary"][0] in (routed["primary"], routed["primary"].partition("/")[0])
    parties = [routed["primary"], *routed["also"], *routed["shown"]]
    named = {name for party in parties for name in (party, party.partition("/")[0])}
    assert named.isdisjoint(expected["must_not"])
    assert routed["urgency"] == expected["urgency"]
    assert routed["kind_at_primary"] == expected.get("kind_at_primary", routed["kind_at_primary"])
    assert set(routed) >= KEYS
    assert routed["explanation"]
    assert routed["warnings"] == []


def test_there_are_25() -> None:
    assert len({row["id"] for row in ROWS}) == 25


def test_who_returned_it_or_is_excluded_does_not_get_it(compiled: CompiledRegister) -> None:
    by_id = {row["id"]: row for row in ROWS}
    assert one(compiled, by_id["V11"])["excluded"] == ["veilig_thuis"]
    assert one(compiled, by_id["V14"])["excluded"] == [
        "school/contactpersoon",
        "school/schoolleiding",
    ]
    row = by_id["V01"] | {"facts": {"excluded": ["school"], "returned_by": "ouders_en_onderwijs"}}
    routed = one(compiled, row)
    assert routed["excluded"] == ["ouders_en_onderwijs", "school"]
    assert routed["primary"].partition("/")[0] not in routed["excluded"]


def test_no_affiliation_said_is_not_the_same_as_none(compiled: CompiledRegister) -> None:
    base = {"sector": "po", "reporter": "ouder", "kind": "klacht", "subject": "begeleiding"}
    facts = {"flags": ["board_tried"]}
    said_none = one(compiled, base | {"facts": facts | {"affiliation": None}})
    assert said_none["primary"] == "inspectie"
    assert one(compiled, base | {"facts": facts})["primary"] == "ouders_en_onderwijs"
    assert one(compiled, base | {"facts": facts | {"affiliation": "lkc"}})["primary"] == "lkc"


def test_both_shapes_give_the_same(compiled: CompiledRegister) -> None:
    nested = {
        "id": "X",
        "situation": {"sector": "po", "reporter": "ouder", "kind": "klacht", "subject": "pesten"},
    }
    flat = {"id": "X", **nested["situation"]}  # type: ignore[dict-item]
    assert one(compiled, nested) == one(compiled, flat)


def test_a_fact_that_is_true_is_a_flag(compiled: CompiledRegister) -> None:
    routed = one(compiled, {"sector": "vo", "facts": {"danger_now": True}})
    assert routed["primary"] == "hulpdiensten_112"


@pytest.mark.parametrize("text", ["no json", "[]", "3", "null", '"x"', "{", "[" * 100_000])
def test_what_is_no_object_is_still_answered(text: str, compiled: CompiledRegister) -> None:
    routed = one(compiled, text)
    assert routed["primary"] == "vangnet"
    assert routed["warnings"] == ["line: no JSON object; everything is taken as unknown"]


def test_everything_wrong_at_once(compiled: CompiledRegister) -> None:
    row = {
        "id": 7,
        "sector": "moon",
        "reporter": ["ouder"],
        "kind": None,
        "facts": {
            "flags": ["severe", "gossip", 3],
            "steps_tried": ["club", "NOT AN ID", "school"],
            "age": "old",
            "affiliation": "nobody",
            "excluded": ["nobody"],
            "brin": "x",
        },
    }
    line = read_line(json.dumps(row), compiled)
    fields = {warning.partition(":")[0] for warning in line.warnings}
    assert fields == {
        "sector", "reporter", "flags", "steps_tried", "age", "affiliation", "excluded", "brin",
    }  # fmt: skip
    assert line.situation.flags == ("severe",)
    assert line.situation.steps_tried == ("club", "school")
    assert not any("moon" in warning or "nobody" in warning for warning in line.warnings)
    assert one(compiled, row)["id"] == 7


def test_an_empty_object_goes_to_the_desk(compiled: CompiledRegister) -> None:
    routed = one(compiled, {})
    assert (routed["primary"], routed["id"], routed["warnings"]) == ("vangnet", None, [])


def test_the_command_prints_a_line_per_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(FILE.read_bytes() + b'\n\n{"sector": "moon"}\n\xff\xfe\n')
    assert main(["register", "route", str(file), "--json"]) == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert len(lines) == 25 + 2 + 1
    assert lines[-1] == {"lines": 27, "linesWithWarnings": 2}
    assert f"{file}:28: sector: not one of the answers; taken as unknown" in captured.err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "route", "/nowhere/cases.jsonl"]) == 1
    assert "/nowhere/cases.jsonl" in capsys.readouterr().err
