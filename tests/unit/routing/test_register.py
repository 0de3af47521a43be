"""Loading: every error names line, field and remedy; what is shipped is sound and dated."""

from pathlib import Path

import pytest

from services.routing.compiled import CompiledRegister
from services.routing.domain import Register, register_hash
from services.routing.register import (
    REGISTER_PATH,
    SCHEMA_PATH,
    RegisterInvalid,
    load_register,
    register_schema,
)

TEXT = REGISTER_PATH.read_text(encoding="utf-8")


def invalid(tmp_path: Path, text: str) -> RegisterInvalid:
    file = tmp_path / "register.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RegisterInvalid) as caught:
        load_register(file)
    return caught.value


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def test_the_shipped_register_is_valid(register: Register) -> None:
    assert len(register.organisations) == 41
    assert register.version.startswith(register.as_of)


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == register_schema()


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("primary: zelfmoordpreventie_113", "primary: nobody", "primary", "nobody does not exist"),
        ("also: [hulpdiensten_112, kind", "also: [help_line, kind", "also", "help_line does not"),
        ("escalates_to: [rechter]", "escalates_to: [judge]", "escalates_to", "judge does not"),
        ("primary: school/contactpersoon", "primary: school/desk", "primary", "school/desk does"),
        ("order: [functionaris_geg", "order: [officer, functionaris_geg", "loket_order", "officer"),
        ("src: S_SSV_DREIGING", "src: S_GONE", "src", "S_GONE does not exist"),
        ("src: J, to_verify: true}", "src: J}", "src", "unchecked"),
        ("feedback: geen", "feedback: alleen_opgepakt", "feedback", "only shown"),
        ("{id: R02,", "{id: R01,", "id", "id R01 is there 2 times"),
        ("desk: vangnet", "desk: nowhere", "desk", "nowhere does not exist"),
        ("show: kindertelefoon", "show: politie", "show", "has a queue"),
        ("kinds: [hulpvraag, melding]", "kinds: [hulpvraag, gossip]", "kinds", "melding"),
        ("subject: [suicidaliteit]", "subject: [unknown]", "subject", "known answers only"),
        ("referral_mode: show_only", "referral_mood: show_only", "referral_mood", "Extra inputs"),
        ("match: {}, primary: vangnet", "match: {}, primary: school", "primary", "at the desk"),
        (
            "match: {}, primary: vangnet",
            "match: {kind: [klacht]}, primary: vangnet",
            "match",
            "cat",
        ),
    ],
)
def test_an_error_names_line_field_and_remedy(
    old: str, new: str, field: str, words: str, tmp_path: Path
) -> None:
    error = invalid(tmp_path, changed(old, new))
    fitting = [p for p in error.problems if field in p.field and words in p.problem]
    assert fitting, str(error)
    assert fitting[0].remedy
    assert f"register.yaml:{fitting[0].line}: " in str(error)


def test_the_line_is_the_line_of_the_fault(tmp_path: Path) -> None:
    text = changed("urgency: acuut, src: S_CSG", "urgency: whenever, src: S_CSG")
    error = invalid(tmp_path, text)
    assert error.problems[0].line == line_of(text, "whenever")
    assert error.problems[0].field == "routing_rules[2].urgency"


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    error = invalid(tmp_path, TEXT + "\nversion: '2026-01-01'\n")
    assert error.problems[0].problem == "this key is there twice"
    assert error.problems[0].line > 100


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a: [1,", "expected"), ("- 1", "no mapping"), ("", "no mapping"), ("a: \x00", "special")],
)
def test_what_is_no_register(text: str, problem: str, tmp_path: Path) -> None:
    error = invalid(tmp_path, text)
    assert error.problems[0].remedy
    assert error.problems[0].line >= 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegisterInvalid, match="readable register file"):
        load_register(tmp_path / "none.yaml")


def test_the_hash_follows_the_content(register: Register, compiled: CompiledRegister) -> None:
    assert len(compiled.hash) == 64
    assert compiled.hash == register_hash(load_register())
    other = register.model_copy(update={"version": "2026-11-25"})
    assert register_hash(other) != compiled.hash


def test_what_nobody_checked_says_so(register: Register) -> None:
    for rule in register.routing_rules:
        assert rule.src not in ("K", "J") or rule.to_verify


def test_every_rule_has_two_languages_in_one_sentence(register: Register) -> None:
    for rule in register.routing_rules:
        assert rule.why.endswith(".")
        assert rule.why_en.endswith(".")
        assert rule.why != rule.why_en
        assert len(rule.why.split()) <= 25
