"""The real `meldpunt demo`, as a user starts it: rows, exit statuses, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 110
NARRATIVE = "Zelfbedachte tekst voor een test."

REFER = {
    "sector": "po",
    "reporter": "ouder",
    "kind": "klacht",
    "subject": "pesten",
    "accused": "leerling",
}
SHOWN = {"sector": "vo", "reporter": "leerling_vo", "kind": "hulpvraag", "subject": "suicidaliteit"}
HOME = {
    "sector": "po",
    "reporter": "professional",
    "kind": "melding",
    "subject": "huiselijk_geweld",
    "accused": "ouder_thuis",
}
# Outside school, by somebody who is not of the school, and the school has said no: rule R19.
NOBODY = {
    "sector": "vo",
    "reporter": "ouder",
    "kind": "hulpvraag",
    "subject": "pesten",
    "accused": "extern_online",
    "flags": ["outside_school", "school_tried"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder that both tests use, so that the second start is a second start."""
    path = tmp_path_factory.mktemp("demo")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def cases(folder: Path) -> Path:
    good = [
        {"id": "A", "situation": REFER, "narrative": NARRATIVE, "channel": "web"},
        {"id": "B", "situation": SHOWN, "narrative": NARRATIVE, "channel": "phone"},
        {"id": "C", **HOME, "situation": NARRATIVE, "facts": {"flags": []}},
        {"id": "D", "situation": NOBODY, "narrative": NARRATIVE},
    ]
    bad = {"id": "E", "situation": {**REFER, "sector": "kostschool"}, "narrative": NARRATIVE}
    path = folder / "cases.jsonl"
    path.write_text("\n".join(json.dumps(item) for item in [*good[:2], bad, *good[2:]]) + "\n")
    return path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "MELDPUNT_CACHE": str(ROOT / ".meldpunt" / "cache"),
        # All accept, so that the rows are known beforehand.
        "MELDPUNT_FLEET_ARGUMENTS": "--accept 1 --decline 0",
        "COLUMNS": "160",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "deploy", "demo", "--data", str(folder / "data"), *arguments],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A run in the background has Ctrl-C switched off, and a child inherits that.
        preexec_fn=_hears_an_interrupt,  # noqa: PLW1509 - nothing else runs in the child yet
    )


def _hears_an_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def left_behind(folder: Path) -> list[str]:
    """Processes that name the data folder in their command or environment, or work in it."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            named = str(folder) in " ".join(process.info["cmdline"] or ())
            if named or str(folder) in " ".join(process.environ().values()):
                found.append(" ".join(process.info["cmdline"] or ())[:120])
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(SECONDS_MAX + 10)
def test_demo_gives_every_report_its_holder_and_reports_the_bad_line(
    folder: Path, cases: Path
) -> None:
    process = start(folder, "--input", str(cases), "--json")
    out, err = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 1, err
    document = json.loads(out.splitlines()[-1])
    rows = {row["id"]: row for row in document["reports"]}
    assert set(rows) == {"A", "B", "C", "D"}
    assert rows["A"]["holder"] == "school"
    assert rows["A"]["channel"] == "kafka"
    assert rows["A"]["acceptedSeconds"] >= rows["A"]["receivedSeconds"] > 0
    assert rows["B"]["holder"] == "vangnet"
    assert rows["B"]["atDeskReason"] == "shown-only"
    assert rows["B"]["organisation"] == "zelfmoordpreventie_113"
    assert rows["C"]["holder"] == "veilig_thuis"
    assert rows["D"]["holder"] == "vangnet"
    assert rows["D"]["nextStep"]["actor"] == "vangnet"
    assert {row["audit"] for row in rows.values()} == {"picked-up", "at-desk"}
    assert all(row["why"] for row in rows.values())
    [bad] = document["badLines"]
    assert (bad["line"], bad["field"]) == (3, "situation.sector")
    assert "line 3, situation.sector" in err
    assert NARRATIVE not in out + err
    assert len(document["problems"]) == 1
    assert left_behind(folder) == []


@pytest.mark.timeout(SECONDS_MAX + 10)
def test_second_run_shows_a_table_and_ends_with_status_0(folder: Path, cases: Path) -> None:
    good = folder / "good.jsonl"
    good.write_text("".join(cases.read_text().splitlines(keepends=True)[:2]))
    began = time.monotonic()
    process = start(folder, "--input", str(good))
    out, err = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0, err
    table = [line for line in out.splitlines() if line.startswith("MP-")]
    assert len(table) == 2
    assert all(len(line) <= 160 for line in out.splitlines())
    assert "school" in table[0]
    assert "vangnet: shown-only" in table[1]
    assert left_behind(folder) == []
    assert time.monotonic() - began < 30


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "Starting intake"),
        (signal.SIGTERM, "Starting Kafka"),
        (signal.SIGKILL, "Starting intake"),
    ],
)
def test_no_process_survives_the_end_of_the_demo(
    folder: Path, cases: Path, number: signal.Signals, moment: str
) -> None:
    log = folder / "data" / "logs" / "supervisor.log"
    size = log.stat().st_size
    process = start(folder, "--input", str(cases))
    limit = time.monotonic() + 30
    while moment not in log.read_text()[size:]:
        assert time.monotonic() < limit
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(left_behind(folder)) >= 3
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    if number is not signal.SIGKILL:
        assert process.returncode == 130
        assert "Traceback" not in err
    limit = time.monotonic() + 20
    while (rest := left_behind(folder)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert rest == []
