"""Terms for handling, regimes and school regions: what the register gives, and what it refuses."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from contracts.calendar import SchoolRegion
from contracts.limits import limits_due
from contracts.situation import Situation, Urgency
from services.routing.compiled import CompiledRegister, compile_register
from services.routing.domain import HandlingTerm, Register
from services.routing.places.affiliations import committees_of
from services.routing.places.load import load_directory
from services.routing.places.regions import load_regions, region_of
from services.routing.places.schools import load_schools
from services.routing.places.tables import ListInvalid
from services.routing.regimes import regimes_of
from services.routing.register import RegisterInvalid, load_register
from services.routing.register_checks import handling_checks
from services.routing.rules import decide
from services.routing.terms import dated_terms
from tests.unit.routing.test_register import changed, invalid

BULLIED = Situation(
    sector="po", reporter="ouder", kind="klacht", subject="pesten", accused="leerling"
)
WORKING_DAYS = "received_within_working_days: 1, accepted_within_working_days: 5"


def term(**values: int) -> HandlingTerm:
    minutes = {"received_within_minutes": 60, "accepted_within_minutes": 480}
    return HandlingTerm.model_validate({**minutes, **values, "src": "J", "to_verify": True})


def test_only_what_is_not_urgent_counts_in_working_days(compiled: CompiledRegister) -> None:
    calm = decide(compiled, BULLIED).limits
    assert (calm.received_within_working_days, calm.accepted_within_working_days) == (1, 5)
    assert (calm.received_within_minutes, calm.accepted_within_minutes) == (1440, 7200)
    for party in compiled.parties:
        assert party.handling[Urgency.ACUUT].accepted_within_minutes == 15
        for urgency in (Urgency.ACUUT, Urgency.SPOED):
            assert party.handling[urgency].accepted_within_working_days is None


def test_a_report_before_christmas_is_due_after_it(compiled: CompiledRegister) -> None:
    at = datetime(2026, 12, 24, 15, tzinfo=UTC)
    received_by, accepted_by = limits_due(decide(compiled, BULLIED).limits, at)
    assert received_by == datetime(2026, 12, 28, 23, tzinfo=UTC)
    assert accepted_by == datetime(2027, 1, 4, 23, tzinfo=UTC)


def test_a_party_and_a_loket_may_have_terms_of_their_own(register: Register) -> None:
    first = decide(compile_register(register), BULLIED)
    own = {Urgency.NORMAAL: term(received_within_working_days=2, accepted_within_working_days=9)}
    loket = {Urgency.NORMAAL: term(received_within_working_days=3, accepted_within_working_days=8)}

    def with_terms(party: bool, desk: bool) -> Register:
        return register.model_copy(
            update={
                "organisations": tuple(
                    o.model_copy(
                        update={
                            "handling": own if party else {},
                            "loketten": tuple(
                                item.model_copy(update={"handling": loket if desk else {}})
                                if item.id == first.loket
                                else item
                                for item in o.loketten
                            ),
                        }
                    )
                    if o.id == first.primary
                    else o
                    for o in register.organisations
                )
            }
        )

    def accepted(party: bool, desk: bool) -> int | None:
        compiled = compile_register(with_terms(party, desk))
        return decide(compiled, BULLIED).limits.accepted_within_working_days

    assert [accepted(False, False), accepted(True, False), accepted(True, True)] == [5, 9, 8]
    assert not list(handling_checks(with_terms(True, True)))


def test_school_and_board_are_closed_in_school_holidays(compiled: CompiledRegister) -> None:
    assert {p.id for p in compiled.parties if p.school_days} == {"school", "bevoegd_gezag"}


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        (WORKING_DAYS, "accepted_within_working_days: 5", "normaal", "one of the two"),
        (WORKING_DAYS, "received_within_working_days: 6, accepted_within_working_days: 5",
         "normaal", "due before the receipt"),
        (WORKING_DAYS, "received_within_working_days: 0, accepted_within_working_days: 5",
         "received_within_working_days", "greater than 0"),
        ("received_within_minutes: 60,", "received_within_minutes: 600,", "spoed", "before the"),
        ("accepted_within_minutes: 15,", f"accepted_within_minutes: 15, {WORKING_DAYS},",
         "acuut", "counts by the clock"),
        ("after_silence: [inspectie, ", "after_silence: [nobody, ", "after_silence", "nobody does"),
        ("after_silence: [inspectie, ", "after_silence: [vangnet, ", "after_silence", "vangnet"),
        ("after_silence: [inspectie, ", "after_silence: [rechter, ", "after_silence", "twice"),
        ("finding: advice,", "", "regimes", "does not say all"),
        ("finding: advice,", "finding: hint,", "finding", "advice"),
        ('valid_from: "1998-08-01"', 'valid_from: "August"', "valid_from", "no date"),
        ("{id: wvvo_36777, valid_from: null", '{id: wvvo_36777, valid_from: "2027-08-01"',
         "regimes", "two regimes are in force"),
        ('valid_from: "1998-08-01", valid_to: null',
         'valid_from: "1998-08-01", valid_to: "1990-01-01"', "regimes", "ends before it begins"),
    ],
)  # fmt: skip
def test_a_register_that_cannot_be_met_is_refused(
    tmp_path: Path, old: str, new: str, field: str, words: str
) -> None:
    error: RegisterInvalid = invalid(tmp_path, changed(old, new))
    found = [p for p in error.problems if words in p.problem or words in p.remedy]
    assert found, error
    assert any(field in p.field for p in found), error


def test_the_next_regime_begins_when_the_one_before_ends(tmp_path: Path) -> None:
    text = changed(
        'valid_from: "1998-08-01", valid_to: null',
        'valid_from: "1998-08-01", valid_to: "2027-07-31"',
    ).replace("{id: wvvo_36777, valid_from: null", '{id: wvvo_36777, valid_from: "2027-08-01"')
    file = tmp_path / "register.yaml"
    file.write_text(text, encoding="utf-8")
    found = regimes_of(load_register(file))
    assert [regime.finding for regime in found] == ["advice", "comply-or-report", "binding"]
    assert (found[0].valid_to, found[1].valid_from) == (date(2027, 7, 31), date(2027, 8, 1))


def test_the_shipped_regimes_are_told_with_who_comes_after(register: Register) -> None:
    advice, report, binding = regimes_of(register)
    assert (advice.id, advice.finding, advice.valid_to) == ("advies_2015", "advice", None)
    assert report.valid_from is binding.valid_from is None
    assert {regime.board_response_weeks for regime in (advice, report, binding)} == {4}
    assert report.after_deviation[0] == "inspectie"
    assert all(regime.to_verify for regime in (advice, report, binding))
    known = {o.id for o in register.organisations}
    assert all({*r.after_silence, *r.after_deviation} < known for r in (advice, report, binding))


def test_a_register_of_before_these_fields_names_no_regimes(register: Register) -> None:
    older = tuple(r.model_copy(update={"finding": None}) for r in register.regimes)
    assert regimes_of(register.model_copy(update={"regimes": older})) == ()


@pytest.mark.parametrize(
    ("municipality", "region"),
    [
        ("Groningen", SchoolRegion.NOORD),
        ("Hattem", SchoolRegion.NOORD),
        ("Eemnes", SchoolRegion.NOORD),
        ("Zoetermeer", SchoolRegion.MIDDEN),
        ("Zeewolde", SchoolRegion.MIDDEN),
        ("Apeldoorn", SchoolRegion.MIDDEN),
        ("Altena", SchoolRegion.MIDDEN),
        ("Nijmegen", SchoolRegion.ZUID),
        ("Maasgouw", SchoolRegion.ZUID),
    ],
)
def test_the_region_of_a_school_follows_its_municipality(
    municipality: str, region: SchoolRegion
) -> None:
    regions = load_regions()
    places = {school.municipality for school in load_schools()}
    (found,) = [place for place in places if place.name == municipality]
    assert region_of(regions, found) == region


def test_every_row_names_a_place_that_has_a_school() -> None:
    places = {school.municipality for school in load_schools()}
    known = {(p.province, p.name) for p in places} | {(p.province, "") for p in places}
    assert set(load_regions()) <= known
    without = [p for p in places if region_of(load_regions(), p) is None]
    # Rows of the schools' list in which the province is not filled in rightly.
    assert all(place.province.isdigit() for place in without)


def test_a_school_that_is_not_listed_has_no_region(register: Register) -> None:
    directory = load_directory(committees_of(register), date(2026, 11, 25))
    assert directory.school_region("00AP") == SchoolRegion.MIDDEN
    assert directory.school_region("00AR00") == SchoolRegion.ZUID
    assert directory.school_region("99XX") is directory.school_region(None) is None


@pytest.mark.parametrize(
    ("row", "field"),
    [("Drenthe,,oost", "region"), ("Utrecht,,midden\nUtrecht,,midden", "municipality")],
)
def test_a_wrong_list_of_regions_is_refused(tmp_path: Path, row: str, field: str) -> None:
    file = tmp_path / "regions.csv"
    file.write_text(f"province,municipality,region\n{row}\n", encoding="utf-8")
    with pytest.raises(ListInvalid) as caught:
        load_regions(file)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_terms_get_the_days_that_are_known(compiled: CompiledRegister) -> None:
    situation = Situation(
        sector="po", reporter="ouder", kind="klacht", subject="toelating", accused="bestuur",
        flags=("within_term",),
    )  # fmt: skip
    decision = decide(compiled, situation)
    received = datetime(2026, 11, 25, 9, tzinfo=UTC)
    starts = {"decision": date(2026, 11, 16)}
    found = {t.term: t for t in dated_terms(compiled, decision, received, starts)}
    filing = found["gpo_indienen"]
    assert (filing.start, filing.last_day) == (date(2026, 11, 16), date(2026, 12, 28))
    assert found["toelating_besluit"].last_day is None
    plain = dated_terms(compiled, decision, received)
    assert [t.term for t in plain] == [t.term for t in decision.terms]
    assert {t.starts for t in plain if t.last_day is not None} == {"report"}


def test_a_term_that_starts_with_the_report_is_dated_without_being_told(
    compiled: CompiledRegister,
) -> None:
    situation = Situation(
        sector="po", reporter="derde", kind="melding", subject="huiselijk_geweld",
        accused="ouder_thuis",
    )  # fmt: skip
    decision = decide(compiled, situation)
    assert decision.primary == "veilig_thuis"
    # Late in the evening in UTC is the next day in the Netherlands.
    received = datetime(2026, 12, 22, 23, 30, tzinfo=UTC)
    (triage,) = [
        t for t in dated_terms(compiled, decision, received) if t.term == "veilig_thuis_triage"
    ]
    assert (triage.start, triage.last_day) == (date(2026, 12, 23), date(2026, 12, 31))
