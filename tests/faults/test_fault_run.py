"""The fault run itself: good on what we ship, and red on each of the seeded defects.

A checker that cannot fail proves nothing; here it must fail on acknowledging before the work, on
an inbox without its key, and on a relay that follows a cursor.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.faults.broken import DEFECTS
from deploy.faults.run import Options, Outcome, run
from deploy.local.postgres import discard
from deploy.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE

ROOT = Path(__file__).parents[2]
CACHE_VARIABLE = "MELDPUNT_CACHE"

# The smallest run in which each defect shows. Without a republication what was lost stays lost; a
# run that cannot drain is not waited for longer than a good one of this size needs.
SMALL = {
    # Killed often under load, so that some kill meets a batch between its offsets and its work.
    "ack-before-work": {"reports": 500, "service_kills": 2, "server_kills": 0, "seed": 5},
    # One republication brings every event a second time.
    "no-inbox-key": {"reports": 60, "service_kills": 0, "server_kills": 0, "republications": 1},
    # While the broker is away the outbox grows, which a cursor then passes over.
    "relay-by-cursor": {"reports": 300, "service_kills": 0, "server_kills": 1, "seed": 1},
}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own and servers of its own, which the run may kill."""
    for name in (KAFKA_VARIABLE, POSTGRES_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    cache = os.environ.get(CACHE_VARIABLE) or str(ROOT / ".meldpunt" / "cache")
    monkeypatch.setenv(CACHE_VARIABLE, cache)
    yield tmp_path / "faults"
    discard(tmp_path / "faults")


def described(outcome: Outcome) -> str:
    return f"{outcome.verdict}, killed {outcome.killed}"


@pytest.mark.timeout(240)
def test_what_we_ship_survives_kills_of_everything(data_dir: Path) -> None:
    options = Options(reports=250, seed=5, data_dir=data_dir, service_kills=1, server_kills=1)
    outcome = run(options, print)
    verdict = outcome.verdict
    assert outcome.good, described(outcome)
    assert verdict.acknowledged == 250
    assert (verdict.lost, verdict.duplicated_effects, verdict.wrong_holder) == (0, 0, 0)
    # Everything was killed and came back: otherwise nothing was proved.
    names = ("intake", "routing", "referral", "audit", "kafka", "postgres")
    assert outcome.killed == dict.fromkeys((*names, "republish"), 1)
    assert all(outcome.restarts[name] >= 1 for name in names)
    assert verdict.recovered > 0


def test_every_seeded_defect_is_tried() -> None:
    assert SMALL.keys() == DEFECTS.keys()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_seeded_defect_turns_the_run_red(data_dir: Path, defect: str) -> None:
    values = {"republications": 0, "seed": 1} | SMALL[defect]
    options = Options(data_dir=data_dir, defect=defect, drain_seconds_max=12.0, **values)
    outcome = run(options, print)
    verdict = outcome.verdict
    assert not outcome.good, described(outcome)
    # Red for what the defect does, not only because it did not drain in time.
    if defect == "no-inbox-key":
        assert verdict.duplicated_effects > 0, described(outcome)
    else:
        assert verdict.lost + verdict.audit_incomplete > 0, described(outcome)
    assert verdict.examples, described(outcome)
