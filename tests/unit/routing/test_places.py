"""Places: what people remember finds the school; lists name their faults; nothing ever blocks."""

import contextlib
import random
import re
import time
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.situation import UNKNOWN, Accused, Kind, Reporter, Sector, Situation, Subject
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.telemetry import logger
from services.routing.domain import Register
from services.routing.places import __main__ as command
from services.routing.places import api
from services.routing.places.affiliations import HEADER, committees_of, load_affiliations
from services.routing.places.domain import (
    Directory,
    Needed,
    PlaceReason,
    complete,
    municipality_needed,
    place_of,
)
from services.routing.places.load import load_directory
from services.routing.places.pace import Pace
from services.routing.places.schools import SCHOOLS_PATH, load_schools
from services.routing.places.tables import ListInvalid
from services.routing.places.words import presentable, within_one_typo, words_of

TODAY = date(2026, 11, 24)
HEAD = ",".join(HEADER)
WEGWIJZER, WEGWIJZER_BOARD = "03WU00", "32073"


@pytest.fixture(scope="session")
def directory(register: Register) -> Directory:
    return load_directory(committees_of(register), TODAY)


def with_affiliations(register: Register, folder: Path, *rows: str) -> Directory:
    file = folder / "affiliations.csv"
    file.write_text("\n".join((HEAD, *rows)) + "\n", encoding="utf-8")
    return load_directory(committees_of(register), TODAY, affiliations_file=file)


def situation(**answers: object) -> Situation:
    plain = {
        "sector": Sector.PO,
        "reporter": Reporter.OUDER,
        "kind": Kind.KLACHT,
        "subject": Subject.PESTEN,
        "accused": Accused.BESTUUR,
    }
    return Situation.model_validate(plain | answers)


def found(directory: Directory, query: str, limit: int = 10) -> list[str]:
    return [school.brin for school in directory.finder.find(query, limit)]


# ------------------------------------------------------------------------------------ the list


def test_the_whole_list_is_there_without_anything_personal(directory: Directory) -> None:
    assert len(directory.schools) == 6_107
    assert len({s.brin[:4] for s in directory.schools.values()}) == 5_996
    assert len({s.municipality.code for s in directory.schools.values()}) == 342
    text = SCHOOLS_PATH.read_text(encoding="utf-8")
    assert re.search(r"@\S+\.[a-z]{2,}", text) is None
    assert not {"telefoon", "website", "postcode"} & set(text.splitlines()[0].split(","))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("ALPHEN AAN DEN RIJN", "Alphen aan den Rijn"),
        ("S GRAVENHAGE", "'s-Gravenhage"),
        ("'S-HERTOGENBOSCH", "'s-Hertogenbosch"),
        ("IJSSELSTEIN", "IJsselstein"),
        ("BERGEN NH", "Bergen NH"),
        ("BORGER-ODOORN", "Borger-Odoorn"),
        ("NUENEN CA", "Nuenen c.a."),
        ("DE BILT", "De Bilt"),
    ],
)
def test_places_are_shown_as_people_write_them(written: str, shown: str) -> None:
    assert presentable(written) == shown


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("03WU00,03WU", "03WU0,03WU", "vestigingscode"),
        ("03WU00,03WU", "03WD00,03WD", "vestigingscode"),
        (",32073,", ",3207,", "bevoegd_gezag"),
        ("Kindcentrum De Wegwijzer,2E", ",2E", "naam"),
        ("vestigingscode,brin", "brin,vestigingscode", "header"),
    ],
)
def test_a_faulty_list_of_schools_is_refused_by_line(
    tmp_path: Path, old: str, new: str, field: str
) -> None:
    text = SCHOOLS_PATH.read_text(encoding="utf-8")
    at = 0 if field == "header" else text.index("03WU00")
    file = tmp_path / "schools.csv"
    file.write_text(text[:at] + text[at:].replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ListInvalid) as caught:
        load_schools(file)
    assert {p.field for p in caught.value.problems} == {field}
    assert caught.value.problems[0].line == text[:at].count("\n") + 1
    assert str(caught.value).startswith(f"{file}:")


# ------------------------------------------------------------------------------------ searching


@pytest.mark.parametrize("query", ["03WU00", "03wu", " 03 wu 00 "])
def test_an_exact_brin_is_alone_at_the_top(directory: Directory, query: str) -> None:
    assert found(directory, query) == [WEGWIJZER]


@pytest.mark.parametrize(
    "query",
    [
        "Kindcentrum De Wegwijzer 2e Exloermond",
        "wegwijzer exloermond",
        "WEGWIJZER BORGER-ODOORN",
        "wegw exloer",
        "wegwyzer exloermond",
        "wegwijzer exlormond",
        "wegwijezr 2e exloermond",
        "de wegwijzerschool exloermond",
        "exloermond",
    ],
)
def test_a_school_is_found_by_what_people_remember(directory: Directory, query: str) -> None:
    assert found(directory, query)[0] == WEGWIJZER


def test_abbreviations_accents_and_joined_names_are_one(directory: Directory) -> None:
    for left, right in [
        ("obs de regenboog slagharen", "Openbare Basisschool Regenboog Slagharen"),
        ("st jozef didam", "Sint Jozefschool Didam"),
        ("Eben Haëzerschool Barneveld", "ebenhaezer barneveld"),
        ("montessori den haag", "Montessorischool 's-Gravenhage"),
        ("’t kompas gasselternijveen", "het kompas Gasselternijveen"),
    ]:
        assert found(directory, left, 1) == found(directory, right, 1) != []


def test_the_kind_of_school_tips_the_scale_but_never_decides(directory: Directory) -> None:
    public = directory.finder.find("obs de regenboog", 5)
    christian = directory.finder.find("cbs de regenboog", 5)
    assert {s.denomination for s in public} == {"Openbaar"}
    assert all("Christelijk" in (s.denomination or "") for s in christian[:3])
    assert found(directory, "obs wegwijzer exloermond", 1) == [WEGWIJZER]


def test_equal_names_are_told_apart_by_their_place(directory: Directory) -> None:
    schools = directory.finder.find("basisschool de regenboog", 20)
    assert len(schools) == 20
    assert len({(s.name, s.place, s.brin) for s in schools}) == 20
    assert len({s.place for s in schools if s.name == "Basisschool De Regenboog"}) >= 10


def test_a_board_is_found_by_number_and_where_known_by_name(
    register: Register, tmp_path: Path
) -> None:
    boards = tmp_path / "boards.csv"
    boards.write_text("board_number,name\n32073,Stichting Voorbeeldbestuur\n", encoding="utf-8")
    named = load_directory(committees_of(register), TODAY, boards_file=boards)
    by_number = named.finder.find(WEGWIJZER_BOARD, 20)
    assert {s.board_number for s in by_number} == {WEGWIJZER_BOARD}
    assert named.finder.find("voorbeeldbestuur", 20)[0].board_number == WEGWIJZER_BOARD
    assert found(named, "voorbeeldbestuur exloermond", 5) == [WEGWIJZER]
    boards.write_text("board_number,name\n32073,\n32073,A\n1,B\n", encoding="utf-8")
    with pytest.raises(ListInvalid) as caught:
        load_directory(committees_of(register), TODAY, boards_file=boards)
    assert [(p.line, p.field) for p in caught.value.problems] == [(2, "name"), (4, "board_number")]


def test_nearly_every_school_is_found_with_one_typo(directory: Directory) -> None:
    rng = random.Random(7)
    schools = list(directory.schools.values())
    first = listed = 0
    for _ in range(400):
        school = rng.choice(schools)
        words = f"{school.name} {school.place}".split()
        longest = max(range(len(words)), key=lambda at: len(words[at]))
        words[longest] = mistyped(words[longest], rng)
        result = found(directory, " ".join(words)[:80], 20)
        first += result[:1] == [school.brin]
        listed += school.brin in result
    assert listed >= 392
    assert first >= 380


def mistyped(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice(
        [word[:at] + word[at + 1 :], word[:at] + letter + word[at:],
         word[:at] + letter + word[at + 1 :], swapped]
    )  # fmt: skip


@given(st.text(alphabet="abcd", max_size=6), st.text(alphabet="abcd", max_size=6))
def test_one_typo_is_what_an_edit_distance_says(left: str, right: str) -> None:
    assert within_one_typo(left, right) == (distance(left, right) <= 1)


def distance(left: str, right: str) -> int:
    """Optimal string alignment by the book."""
    rows = [
        [i + j if 0 in {i, j} else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)
    ]
    for i, a in enumerate(left, 1):
        for j, b in enumerate(right, 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@settings(max_examples=150, deadline=None)
@given(query=st.text(max_size=90), limit=st.integers(1, 100))
def test_any_text_is_answered(directory: Directory, query: str, limit: int) -> None:
    schools = directory.finder.find(query, limit)
    assert len(schools) <= min(limit, 20)
    assert len({s.brin for s in schools}) == len(schools)
    assert schools == directory.finder.find(query, limit)
    assert len(directory.municipalities.find(query, limit)) <= min(limit, 20)


def test_names_of_fillers_only_keep_their_words() -> None:
    assert words_of("Christelijke Basisschool").tokens == ("christelijke", "basisschool")
    assert words_of("obs De Regenboogschool").tokens == ("regenboog",)


def test_loading_and_searching_are_fast(register: Register, directory: Directory) -> None:
    committees = committees_of(register)
    assert min(cpu_seconds(lambda: load_directory(committees, TODAY)) for _ in range(3)) < 0.3
    rng = random.Random(3)
    schools = list(directory.schools.values())
    queries = [
        *("de", "ba", "s", "amsterdam", "sint", "bron born", "best ent ern esr emm aan"),
        *(f"{s.name} {s.place}" for s in rng.sample(schools, 60)),
        *(f"{mistyped(s.name, rng)} {mistyped(s.place, rng)}" for s in rng.sample(schools, 60)),
    ]
    slowest = max(
        min(cpu_seconds(lambda query=query: directory.finder.find(query, 20)) for _ in range(3))
        for query in queries
    )
    assert slowest < 0.005


def cpu_seconds(work: object) -> float:
    start = time.thread_time()
    work()  # type: ignore[operator]
    return time.thread_time() - start


# ------------------------------------------------------------------------------- municipalities


@pytest.mark.parametrize(
    ("query", "name", "place"),
    [
        ("den haag", "'s-Gravenhage", None),
        ("utrecht", "Utrecht", None),
        ("Beilen", "Midden-Drenthe", "Beilen"),
        ("hilversm", "Hilversum", None),
        ("borger odoorn", "Borger-Odoorn", None),
        ("'s-gravenzande", "Westland", "'s-Gravenzande"),
    ],
)
def test_a_municipality_is_found_by_its_name_or_a_town(
    directory: Directory, query: str, name: str, place: str | None
) -> None:
    first = directory.municipalities.find(query, 5)[0]
    assert (first.municipality.name, first.place) == (name, place)


def test_each_municipality_is_found_by_its_own_name(directory: Directory) -> None:
    for municipality in {s.municipality for s in directory.schools.values()}:
        assert directory.municipalities.find(municipality.name, 1)[0].municipality == municipality


def test_the_home_is_never_derived_from_the_school(register: Register) -> None:
    needed = {o.id: municipality_needed(o) for o in register.organisations}
    for organisation in register.organisations:
        match organisation.region_key:
            case None:
                assert needed[organisation.id] is Needed.NONE
            case "gemeente":
                assert needed[organisation.id] is Needed.SCHOOL
            case "gemeente_woonplaats":
                assert needed[organisation.id] is Needed.RESIDENCE
            case _:
                assert needed[organisation.id] is Needed.OTHER_REGION
    assert {Needed.NONE, Needed.SCHOOL, Needed.RESIDENCE} <= set(needed.values())


# --------------------------------------------------------------------------------- affiliations


def test_nothing_is_known_until_somebody_assures_it(directory: Directory) -> None:
    assert directory.affiliations == {}
    assert directory.affiliation_of(WEGWIJZER) == UNKNOWN
    asked = situation(brin=WEGWIJZER)
    assert complete(directory, asked) is asked


@pytest.mark.parametrize(
    "committee", ["lkc", "gcbo", "klachtencommissie_overig", "geen", "unknown"]
)
def test_the_committee_of_a_board_counts_for_its_schools(
    register: Register, tmp_path: Path, committee: str
) -> None:
    row = f"{WEGWIJZER_BOARD},{committee},letter of the committee,2026-11-01,Voorbeeldcommissie"
    directory = with_affiliations(register, tmp_path, row)
    for code in (WEGWIJZER_BOARD, WEGWIJZER, WEGWIJZER[:4]):
        assert directory.affiliation_of(code) == committee
    assert directory.affiliation_of("20091") == UNKNOWN
    assert complete(directory, situation(brin=WEGWIJZER)).affiliation == committee
    assert complete(directory, situation()).affiliation == UNKNOWN
    own = situation(brin=WEGWIJZER, affiliation="gcbo")
    assert complete(directory, own) is own


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("3207,lkc,letter,2026-11-01,LKC", "board_number"),
        ("32073,judge,letter,2026-11-01,LKC", "committee"),
        ("32073,lkc,,2026-11-01,LKC", "source"),
        ("32073,lkc,letter,1 november,LKC", "assured_date"),
        ("32073,lkc,letter,2027-01-01,LKC", "assured_date"),
        ("32073,lkc,letter,2026-11-01,jan@example.nl", "assured_by"),
        ("32073,lkc,letter,2026-11-01", "row"),
    ],
)
def test_a_faulty_affiliation_names_line_field_and_remedy(
    register: Register, tmp_path: Path, row: str, field: str
) -> None:
    sound = "20091,lkc,letter,2026-11-01,LKC"
    with pytest.raises(ListInvalid) as caught:
        with_affiliations(register, tmp_path, sound, row)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (3, field)
    assert problem.remedy
    assert "jan@example.nl" not in str(caught.value)


def test_a_board_has_one_row(register: Register, tmp_path: Path) -> None:
    row = "32073,lkc,letter,2026-11-01,LKC"
    with pytest.raises(ListInvalid, match="on line 2 as well"):
        with_affiliations(register, tmp_path, row, row)


def test_a_list_is_checked_before_it_replaces_the_present_one(
    register: Register, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present, fresh = tmp_path / "present.csv", tmp_path / "fresh.csv"
    present.write_text(f"{HEAD}\n", encoding="utf-8")
    fresh.write_text(f"{HEAD}\n32073,nobody,letter,2026-11-01,LKC\n", encoding="utf-8")
    assert command.main(["import", str(fresh), "--into", str(present)]) == 1
    assert f"{fresh}:2: committee" in capsys.readouterr().err
    assert present.read_text(encoding="utf-8") == f"{HEAD}\n"
    fresh.write_text(f"{HEAD}\n32073,lkc,letter,2026-11-01,LKC\n", encoding="utf-8")
    assert command.main(["check", str(fresh)]) == 0
    assert present.read_text(encoding="utf-8") == f"{HEAD}\n"
    assert command.main(["import", str(fresh), "--into", str(present)]) == 0
    assert set(load_affiliations(committees_of(register), TODAY, present)) == {"32073"}
    assert command.main(["check", str(tmp_path / "absent.csv")]) == 1


# ------------------------------------------------------------------------ nothing ever blocks


@pytest.mark.parametrize(
    ("sector", "brin", "name", "known", "reason"),
    [
        (Sector.PO, "03WU00", None, True, PlaceReason.FOUND_BY_BRIN),
        (Sector.UNKNOWN, "03wu", None, True, PlaceReason.FOUND_BY_BRIN),
        (Sector.VO, "03WU00", None, True, PlaceReason.SECTOR_DIFFERS),
        (Sector.PO, "99ZZ00", "De Ster", False, PlaceReason.BRIN_NOT_LISTED),
        (Sector.VO, "99ZZ", None, False, PlaceReason.NO_OPEN_DATA),
        (Sector.PO, "3WU", None, False, PlaceReason.BRIN_MALFORMED),
        (Sector.PO, "3WU", "Kindcentrum Drijber", True, PlaceReason.FOUND_BY_NAME),
        (
            Sector.PO,
            None,
            "Kindcentrum De Wegwijzer, 2e Exloermond",
            True,
            PlaceReason.FOUND_BY_NAME,
        ),
        (Sector.PO, None, "De Regenboog", False, PlaceReason.NAME_AMBIGUOUS),
        (Sector.PO, None, "School van niemand", False, PlaceReason.NAME_NOT_FOUND),
        (Sector.MBO, None, "Een mbo-school", False, PlaceReason.NO_OPEN_DATA),
        (Sector.PO, None, "  ", False, PlaceReason.NOTHING_GIVEN),
    ],
)
def test_a_place_is_known_or_unknown_with_a_reason(
    directory: Directory,
    sector: Sector,
    brin: str | None,
    name: str | None,
    known: bool,
    reason: PlaceReason,
) -> None:
    place = place_of(directory, sector, brin, name)
    assert (place.is_known, place.reason) == (known, reason)
    if not known and name and name.strip():
        assert place.name == name


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(Sector), st.none() | st.text(max_size=200), st.none() | st.text(max_size=200)
)
def test_no_answer_about_the_place_blocks(
    directory: Directory, sector: Sector, brin: str | None, name: str | None
) -> None:
    assert place_of(directory, sector, brin, name).reason in PlaceReason


# ------------------------------------------------------------------------------------------ API


class Health:
    def live_problems(self) -> list[str]:
        return []

    async def ready_problems(self) -> list[str]:
        return []

    async def refresh_metrics(self) -> None: ...


@contextlib.asynccontextmanager
async def nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def caller(router: APIRouter) -> httpx.AsyncClient:
    app = make_app(
        title="Places",
        description="Look-ups",
        public_url="https://x.example",
        routers=[router],
        lifespan=nothing,
        health=Health(),
        metrics=Metrics("places"),
        log=logger("places"),
        request_bytes_max=1000,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


@pytest.fixture
async def client(directory: Directory) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(api.router(directory)) as one:
        yield one


async def test_schools_are_found_over_http(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/schools", params={"query": "wegwijzer exloermond", "limit": 3})
    assert answer.json()["schools"][0] == {
        "brin": "03WU00",
        "name": "Kindcentrum De Wegwijzer",
        "place": "2e Exloermond",
        "municipality": "Borger-Odoorn",
        "municipalityCode": "1681",
        "board": None,
        "boardNumber": "32073",
        "denomination": "Protestants-Christelijk",
    }
    for brin in ("03WU00", "03wu"):
        assert (await client.get(f"/v1/schools/{brin}")).json()["brin"] == "03WU00"
    absent = await client.get("/v1/schools/99ZZ")
    assert (absent.status_code, absent.json()["type"]) == (
        404,
        "urn:meldpunt:problem:unknown-school",
    )


async def test_municipalities_and_affiliations_over_http(client: httpx.AsyncClient) -> None:
    found = (await client.get("/v1/municipalities", params={"query": "beilen"})).json()
    assert found["municipalities"] == [
        {"code": "1731", "name": "Midden-Drenthe", "province": "Drenthe", "place": "Beilen"}
    ]
    affiliation = (await client.get("/v1/affiliations/32073")).json()
    assert affiliation == {
        "boardNumber": "32073",
        "committee": "unknown",
        "source": None,
        "assuredDate": None,
        "assuredBy": None,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/v1/schools?query=a",
        "/v1/schools?query=regenboog&limit=21",
        "/v1/schools?query=" + "a" * 81,
        "/v1/schools",
        "/v1/schools/abc",
        "/v1/municipalities?query=a",
        "/v1/affiliations/3207",
    ],
)
async def test_bad_input_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["remedy"]


async def test_look_ups_are_paced(directory: Directory) -> None:
    now = [0.0]
    pace = Pace(calls_per_second=1.0, burst=2, clock=lambda: now[0])
    async with caller(api.router(directory, pace)) as client:
        statuses = [(await client.get("/v1/schools/03WU")).status_code for _ in range(3)]
        refused = await client.get("/v1/schools/03WU")
        now[0] = 1.0
        again = await client.get("/v1/schools/03WU")
    assert statuses == [200, 200, 429]
    assert refused.headers["retry-after"] == "1"
    assert again.status_code == 200
