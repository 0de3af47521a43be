"""What the conformance run makes of what it saw; without a stack."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.conformance import steady
from deploy.conformance.cases import cases
from deploy.conformance.checks import _after_refusal
from deploy.conformance.notebook import Call, Notebook, Said
from deploy.conformance.play import Play
from deploy.conformance.report import (
    Result,
    conforms,
    document,
    failed,
    passed,
    repairs,
    row_of,
    skipped,
    summary,
)
from deploy.conformance.run import ON_TOPIC, ONE_BY_ONE, PLAYS, SIDE_BY_SIDE, chosen


@dataclass
class Words:
    words: list[str] = field(default_factory=list)


def play(*calls: Call, words: tuple[str, ...] = (), logs: tuple[Path, ...] = ()) -> Play:
    notebook = Notebook()
    notebook.calls.extend(calls)
    return Play(
        organisation="ggd",
        channel="inbox",
        chain=Words(list(words)),  # type: ignore[arg-type]
        sandbox=None,  # type: ignore[arg-type]
        notebook=notebook,
        line=None,
        timeout_seconds=1,
        logs=logs,
    )


def asked(at: float, after: int | None, given: int) -> Call:
    return Call(at, "GET", "/v1/partner-events", after=after, given=given, status=200)


def acknowledged(at: float, sequence: int, status: int = 200) -> Call:
    return Call(at, "POST", steady.ACKNOWLEDGE, acknowledged=sequence, status=status)


def said(answer: str, status: int) -> Said:
    return Said(0, "c", "r", "a", answer, status=status)


def test_every_case_of_the_data_has_its_check_and_the_other_way_round() -> None:
    checks = {"ordinary", *SIDE_BY_SIDE, *ONE_BY_ONE}
    assert {case.name for case in cases().cases} == checks
    assert ON_TOPIC.keys() | PLAYS.keys() <= checks
    for case in cases().cases:
        assert case.situation is None or cases().situation_of(case.name) is not None
    assert [case.name for case in chosen(["log", "acute"])] == ["acute", "log"]


def test_a_run_conforms_when_something_passed_and_nothing_failed() -> None:
    good, bad, none = (
        row_of("x", "p", "repair it", finding)
        for finding in (passed("did"), failed("did not"), skipped("no log"))
    )
    assert conforms([good, none])
    assert not conforms([none])
    assert not conforms([good, bad])
    assert (bad.who, bad.repair) == ("partner", "repair it")
    assert (good.who, good.repair, none.repair) == ("-", "", "")
    ours = row_of("x", "p", "repair it", failed("stuck", who="meldpunt"))
    assert ours.who == "meldpunt"
    assert "repair it" not in ours.repair
    report = document("ggd", "inbox", [good, bad, none], 1.23)
    assert (report["pass"], report["fail"], report["skipped"], report["conforms"]) == (
        1,
        1,
        1,
        False,
    )
    assert "does not conform yet" in summary([bad], 2)
    [text] = repairs([good, bad, none])
    assert "Your system: did not" in text
    assert "Partner must act: repair it" in text


@pytest.mark.parametrize(
    ("tries", "result"),
    [
        ([("received", 409), ("accepted", 409)], Result.PASS),
        ([("accepted", 409), ("accepted", 409)], Result.PASS),
        ([("accepted", 409)] * 3, Result.FAIL),
        ([("received", 200), ("accepted", 0), ("accepted", 409)], Result.PASS),
    ],
)
def test_an_answer_may_hardly_be_repeated_after_its_refusal(
    tries: list[tuple[str, int]], result: Result
) -> None:
    assert _after_refusal([said(*item) for item in tries]).result is result


async def test_the_feed_is_asked_from_where_it_was() -> None:
    good = play(asked(1, 4, 6), asked(2, 6, 6), asked(3, 6, 9))
    assert (await steady.keeps_order(good)).result is Result.PASS
    back = play(asked(1, 4, 6), asked(2, 3, 6))
    assert (await steady.keeps_order(back)).did == "went back 1 times and ahead 0 times"
    ahead = play(asked(1, 4, 6), asked(2, 7, 9))
    assert (await steady.keeps_order(ahead)).did == "went back 0 times and ahead 1 times"
    assert (await steady.keeps_order(play())).result is Result.FAIL
    back.restarted_at = 1.5
    assert (await steady.keeps_order(back)).result is Result.PASS
    without = play(asked(1, None, 6), asked(2, 6, 6), asked(3, None, 9))
    assert (await steady.keeps_order(without)).did == "asked 3 times, always from where it was"


@pytest.mark.parametrize(
    ("calls", "result", "told"),
    [
        ((), Result.FAIL, "never asked"),
        ((asked(1, 4, 6), asked(2, 6, 6)), Result.SKIPPED, "keeps its own cursor"),
        ((asked(1, 4, 6), acknowledged(2, 6), asked(3, 6, 6)), Result.PASS, "up to and with 6"),
        # A page that is still being worked on need not be acknowledged yet.
        (
            (asked(1, 4, 6), acknowledged(2, 6), asked(3, 6, 9)),
            Result.PASS,
            "up to and with 6",
        ),
        (
            (asked(1, 4, 6), acknowledged(2, 6), asked(3, 6, 9), asked(4, 9, 9)),
            Result.SKIPPED,
            "keeps its own cursor",
        ),
        ((asked(1, 4, 6), acknowledged(2, 7), asked(3, 6, 9)), Result.FAIL, "not been given"),
        ((asked(1, 4, 6), acknowledged(2, 6, 400), asked(3, 6, 6)), Result.FAIL, "ahead of"),
        # A connection that broke, or 429, is tried again.
        (
            (asked(1, 4, 6), acknowledged(2, 6, 0), acknowledged(3, 6, 429), acknowledged(4, 6)),
            Result.PASS,
            "up to and with 6",
        ),
        ((asked(1, None, 6), acknowledged(2, 6), asked(3, None, 6)), Result.PASS, "with 6"),
        ((asked(1, None, 6), asked(3, None, 6)), Result.FAIL, "gets the same again"),
    ],
)
async def test_what_is_handled_is_acknowledged_and_nothing_more(
    monkeypatch: pytest.MonkeyPatch, calls: tuple[Call, ...], result: Result, told: str
) -> None:
    monkeypatch.setattr(steady, "GRACE_SECONDS", 0)
    finding = await steady.acknowledges(play(*calls))
    assert finding.result is result
    assert told in finding.did


async def test_content_needs_its_capability() -> None:
    path = "/v1/contents/c"
    good = Call(0, "GET", path, capability=True, status=200)
    bare = Call(0, "GET", path, status=403)
    assert (await steady.fetches_content(play(good))).result is Result.PASS
    assert (await steady.fetches_content(play(good, bare))).result is Result.FAIL
    assert (await steady.fetches_content(play())).result is Result.SKIPPED


async def test_words_of_a_person_in_a_log_are_found(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("received 7f\n")
    assert (
        await steady.logs_no_content(play(words=("geheim",), logs=(log,)))
    ).result is Result.PASS
    log.write_text("narrative: geheim\n")
    assert (
        await steady.logs_no_content(play(words=("geheim",), logs=(log,)))
    ).result is Result.FAIL
    assert (await steady.logs_no_content(play(words=("geheim",)))).result is Result.SKIPPED


@pytest.mark.parametrize("action", ["add", "list", "remove", "sandbox", "verify"])
def test_help_has_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["partner", action, "--help"])
    assert ended.value.code == 0
    assert f"example: meldpunt partner {action}" in capsys.readouterr().out
