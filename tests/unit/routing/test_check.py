"""The proof of the register: it passes as shipped, and each seeded fault is named and refused."""

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from contracts.situation import Flag, Kind
from deploy.cli import main
from services.routing.check import accepted, mutate, picture, second, standing, tables
from services.routing.check.classes import BIT, Case, Space
from services.routing.check.report import Outcome, check, dead, pairs_of
from services.routing.check.space import Base, all_flag_sets, plausible_bases
from services.routing.check.walk import Failure, Tally, Walker, digest_of
from services.routing.check.words import case_words, failure_words
from services.routing.compiled import CompiledRegister
from services.routing.domain import Register
from services.routing.register import REGISTER_PATH, load_register
from services.routing.rules import decide

TEXT = REGISTER_PATH.read_text(encoding="utf-8")
BASES, LEFT = plausible_bases()
# Every 40th base, and a prime step, so that no answer keeps pace with the sample.
SAMPLE = BASES[::41]


@cache
def sampled() -> Outcome:
    return check(load_register(), bases=SAMPLE)


def changed(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    file = tmp_path / "register.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def of(sector: str, reporter: str, subject: str, accused: str) -> list[Base]:
    answers = (sector, reporter, subject, accused)
    return [b for b in BASES if (b.sector, b.reporter, b.subject, b.accused) == answers]


def test_the_shipped_register_passes() -> None:
    outcome = sampled()
    assert outcome.faults == []
    assert outcome.tally.situations > 20_000
    assert outcome.desk_share < 0.05
    assert outcome.tally.longest_chain < 20


def test_the_second_method_agrees() -> None:
    agreement = sampled().agreement
    assert agreement is not None
    assert agreement.competent_alike
    assert agreement.situations == sampled().tally.situations
    assert agreement.differences == ()
    assert agreement.gaps == 0


def test_both_methods_count_the_same_pairs(register: Register) -> None:
    one = Walker(register, chains=False).walk(SAMPLE[::5])
    other = second.count_competent(register, SAMPLE[::5])
    assert pairs_of(one.together) == pairs_of(other.together)
    assert len(pairs_of(one.together)) > 50


def test_who_is_alike_for_the_walk_is_alike_for_decide(
    register: Register, compiled: CompiledRegister
) -> None:
    space = Space(register)
    walker = Walker(register, chains=False)
    for base in SAMPLE[::9]:
        parties: Counter[tuple[str, tuple[str, ...]]] = Counter()
        for flags, step, affiliations in space.tellings(base):
            for affiliation in affiliations:
                case = Case(base, flags, step, affiliation, 1, 0, (), frozenset())
                decision = decide(compiled, case.situation, weigh=False)
                parties[decision.party, decision.also] += 1
        # One walker for all, so that what it remembers of one set of answers is tried on the next.
        tally = walker.walk([base])
        assert tally.digest == digest_of(base, parties)
        assert tally.situations == parties.total()


def test_every_left_out_combination_has_one_reason() -> None:
    answers = 9 * 8 * 3 * 26 * 9
    assert len(BASES) + LEFT.total() == answers
    assert all(number > 0 for number in LEFT.values())
    assert not of("hbo", "leerling_po", "pesten", "leerling")
    assert not of("po", "ouder", "pesten", "leerbedrijf")


def test_danger_goes_with_no_other_fact() -> None:
    sets = all_flag_sets(of("vo", "leerling_vo", "pesten", "leerling")[0])
    assert [s for s in sets if Flag.DANGER_NOW in s] == [frozenset({Flag.DANGER_NOW})]
    assert any({Flag.SEVERE, Flag.OUTSIDE_SCHOOL} <= s for s in sets)


def test_a_finding_comes_after_the_board(register: Register) -> None:
    base = of("po", "ouder", "pesten", "leerling")[0]
    for flags, step, affiliations in Space(register).tellings(base):
        if flags & BIT[Flag.FINDING_OVERDUE]:
            assert (step.said | step.implied) & BIT[Flag.BOARD_TRIED]
            assert "geen" not in affiliations


Seed = tuple[list[tuple[str, str]], list[Base], str, str]
SEEDS: dict[str, Seed] = {
    "gap": (
        [
            ("- {id: R23, match: {not_flags", "- {id: R23, match: {sector: [po], not_flags"),
            ("- {id: R26a, match: {reporter: [ouder]}", "- {id: R26a, match: {sector: [po]}"),
        ],
        of("vo", "ouder", "begeleiding", "personeel"),
        "vo, ouder, vraag om hulp over begeleiding door personeel: geen enkele regel leidt naar",
        "gap",
    ),
    "accused gets it": (
        [
            ("  accused_when: [bestuur]\n  implies", "  implies"),
            (
                "accused: [leerling, personeel, schoolleiding, ouder_thuis, leerbedrijf, extern",
                "accused: [bestuur, leerling, personeel, schoolleiding, ouder_thuis, leerbedrijf, extern",
            ),
        ],
        of("vo", "ouder", "toelating", "bestuur"),
        "komt bij bevoegd_gezag, en dat is de beklaagde zelf",
        "accused-is-recipient",
    ),
}


@pytest.mark.parametrize("name", SEEDS)
def test_a_seeded_fault_is_named_by_its_smallest_case(name: str, tmp_path: Path) -> None:
    pairs, bases, words, code = SEEDS[name]
    outcome = check(load_register(changed(tmp_path, *pairs)), bases=bases, compare=False)
    assert any(words in fault for fault in outcome.faults), outcome.faults
    failure, weight = outcome.tally.failures[code]
    assert weight >= 1
    # Nothing or one thing need be told to see it.
    assert failure.case.size[0] <= 1
    assert failure.case.step.steps == ()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ladder-without-end", "De ladder van slachtofferhulp eindigt nergens"),
        ("term-without-start", "zegt niet wanneer zij begint"),
        ("term-without-source", "heeft geen bron"),
        ("queue-on-show-only", "Alarmnummer 112"),
    ],
)
def test_a_fault_in_the_register_itself(code: str, words: str, register: Register) -> None:
    found = [f for f in standing.findings(BREAK[code](register)) if f.code == code]
    assert len(found) == 1
    assert words in found[0].words
    assert not found[0].warning


def _organisation(register: Register, name: str, **changes: object) -> Register:
    organisations = tuple(
        o.model_copy(update=changes) if o.id == name else o for o in register.organisations
    )
    return register.model_copy(update={"organisations": organisations})


def _term(register: Register, **changes: object) -> Register:
    first, *rest = register.terms
    return register.model_copy(update={"terms": (first.model_copy(update=changes), *rest)})


BREAK: dict[str, Callable[[Register], Register]] = {
    "ladder-without-end": lambda r: _organisation(r, "slachtofferhulp", escalates_to=()),
    "term-without-start": lambda r: _term(r, starts=" "),
    "term-without-source": lambda r: _term(r, src="nowhere"),
    "queue-on-show-only": lambda r: _organisation(r, "hulpdiensten_112", referral_mode="queue"),
}


def test_two_that_only_send_to_each_other_are_no_ladder(register: Register) -> None:
    broken = _organisation(register, "inspectie", escalates_to=("raad_van_toezicht",))
    found = {f.where for f in standing.findings(broken) if f.code == "ladder-without-end"}
    assert {"inspectie", "raad_van_toezicht"} <= found
    assert "bevoegd_gezag" not in found


def test_a_rule_that_never_decides(register: Register) -> None:
    rule = next(r for r in register.routing_rules if r.id == "R02")
    twin = rule.model_copy(update={"id": "R02b"})
    rules = (*register.routing_rules[:2], twin, *register.routing_rules[2:])
    broken = register.model_copy(update={"routing_rules": rules})
    tally = Walker(broken).walk(of("po", "ouder", "suicidaliteit", "leerling"))
    words = [f.words for f in dead(broken, tally, BASES) if f.where == "R02b" and not f.warning]
    assert len(words) == 1
    assert f"Regel R02b geldt in {tally.held[2]} situaties en beslist nooit" in words[0]


def test_a_fault_of_the_register_itself_forbids_it_too(register: Register) -> None:
    broken = _organisation(register, "slachtofferhulp", escalates_to=())
    outcome = check(broken, bases=SAMPLE[::40], compare=False)
    assert len(outcome.faults) == 1
    assert "slachtofferhulp" in outcome.faults[0]


def test_the_smallest_counterexample_counts_the_rest() -> None:
    base = of("po", "ouder", "pesten", "leerling")[1]
    space = Space(load_register())
    small, *others = sorted(space.of(base), key=lambda case: case.size)
    tally = Tally()
    for case in (*others[:5], small):
        tally.fail(Failure("gap", case, "vangnet", "-"), case.weight)
    kept, weight = tally.failures["gap"]
    assert kept.case == small
    assert weight == small.weight + sum(case.weight for case in others[:5])
    assert failure_words(kept).startswith("po, ouder, klacht over pesten door leerling:")


def test_words_name_facts_and_steps(register: Register) -> None:
    base = of("po", "ouder", "pesten", "leerling")[0]
    texts = [case_words(case) for case in Space(register).of(base)]
    assert any("het gebeurde buiten school" in text for text in texts)
    assert any("al geprobeerd: school/" in text for text in texts)


def test_removing_is_noticed(register: Register) -> None:
    verdicts = mutate.mutate(register, SAMPLE[::6], 1)
    how = {(v.kind, v.id): v.how for v in verdicts}
    assert how["rule", "R99"] == "refused"
    assert how["organisation", "vangnet"] == "refused"
    assert how["rule", "R02"] in ("gap", "decisions")
    document = mutate.document(verdicts)
    assert sum(row["removed"] for row in document["kinds"]) == len(verdicts)
    assert "organisation: " in mutate.text(verdicts)


def test_a_removed_organisation_is_named_nowhere(register: Register) -> None:
    left = mutate.without_organisation(register, "jeugdteam")
    assert "jeugdteam" not in left.model_dump_json()


def test_tables_and_pictures_say_the_same() -> None:
    outcome = sampled()
    document = json.loads(json.dumps(tables.document(outcome)))
    assert document["valid"] is True
    assert sum(row["situations"] for row in document["figures"]["sector"]) == document["situations"]
    assert "Desk as primary" in tables.text(outcome)
    drawings = picture.pictures(outcome)
    for drawing in drawings.values():
        assert '<title id="title">' in drawing
        assert '<desc id="description">' in drawing
        assert "<script" not in drawing
    page = picture.page(outcome)
    assert page.count("<table>") == 7
    assert '<html lang="nl">' in page
    assert all(f'src="{name}"' in page for name in drawings)


def test_the_accepted_outcome_belongs_to_the_shipped_register(register: Register) -> None:
    kept = accepted.read()
    assert kept is not None
    assert kept.version == register.version
    assert sum(kept.primary.values()) == kept.situations
    assert kept.primary["vangnet"] / kept.situations < 0.05


def test_a_change_under_the_same_version_is_a_fault() -> None:
    now = accepted.of(sampled())
    moved = accepted.Accepted(
        now.version, now.hash, "0" * 16, now.situations, now.primary | {"politie": 1}, now.decided
    )
    assert accepted.fault(now, now) is None
    assert accepted.fault(None, now) is None
    text = accepted.fault(moved, now)
    assert text is not None
    assert "politie: 1 -> " in text
    assert "nieuwe versie" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('starts: decision, what: "indienen bij', 'what: "indienen bij', "starts"),
        ("src: S_SWV_PEEL}\n  - {id: gpo_oordeel", "src: GONE}\n  - {id: gpo_oordeel", "GONE"),
        (
            'feedback: geen\n  channels: {phone: "112"',
            'feedback: alleen_opgepakt\n  channels: {phone: "112"',
            "only shown",
        ),
    ],
)
def test_the_command_refuses_and_names_the_line(
    old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(tmp_path, (old, new))
    assert main(["register", "check", str(file), "--json"]) == 1
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["valid"] is False
    assert any(words in f"{f['field']} {f['problem']}" for f in document["faults"])
    assert document["faults"][0]["line"] > 1


def test_the_command_exits_1_with_the_counterexample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, bases, words, _ = SEEDS["gap"]
    monkeypatch.setattr("services.routing.check.report.plausible_bases", lambda: (bases, LEFT))
    file = changed(tmp_path, *pairs)
    report = tmp_path / "report"
    arguments = ["register", "check", str(file), "--processes", "1", "--report", str(report)]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert words in out
    assert "NOT VALID" in out
    assert {path.name for path in report.iterdir()} == {
        "check.txt",
        "check.json",
        "index.html",
        "overlap.svg",
        "desk.svg",
    }


def test_kinds_after_standing(register: Register) -> None:
    base = Base(*next(b for b in BASES if b.reporter == "derde" and b.kind == Kind.KLACHT))
    assert Space(register).kind(base) == Kind.MELDING
