"""`meldpunt simulate` as a user meets it: exit status, last line, replay."""

import json

from deploy.cli import main


def last_line(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_a_good_run_ends_with_its_figures(capsys):
    assert main(["simulate", "--seeds", "30", "--seed", "5", "--json"]) == 0
    document = last_line(capsys)
    assert document["good"] is True
    assert (document["seed"], document["seeds"], document["failed"]) == (5, 30, 0)


def test_a_failing_run_names_the_promise_and_a_replay_that_fails_alike(capsys):
    assert main(["simulate", "--seeds", "25", "--defect", "no-next-step", "--json"]) == 1
    failure = last_line(capsys)["failures"][0]
    assert failure["promise"] == "P3"
    program, *arguments = failure["replay"].split()
    assert program == "meldpunt"
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert f"BROKEN P3: {failure['problem']}" in printed
    assert len(printed.splitlines()) > 10


def test_text_of_a_failing_run_shows_how_to_replay(capsys):
    assert main(["simulate", "--seeds", "25", "--defect", "offsets-first"]) == 1
    printed = capsys.readouterr().out
    assert "broke P1" in printed
    assert "--trace --defect offsets-first" in printed
    assert printed.splitlines()[-1].startswith("NOT GOOD")


def test_a_trace_of_all_defects_at_once_is_refused(capsys):
    assert main(["simulate", "--trace", "--defect", "all"]) == 1
    assert "one defect by its name" in capsys.readouterr().err


def test_defects_that_are_not_found_are_told(capsys):
    # One seed of one world cannot meet them all.
    assert main(["simulate", "--seeds", "1", "--seed", "1", "--defect", "all", "--json"]) == 1
    rows = last_line(capsys)["defects"]
    assert not all(row["found"] for row in rows)
    assert any(row["found"] for row in rows)
