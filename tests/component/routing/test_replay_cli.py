"""`meldpunt register replay` and `activate`: what they send, what they print, how they end."""

import argparse
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.routing import replay_cli
from services.routing.replay_cli import RoutingRefusedError

FOUND: dict[str, Any] = {
    "version": "2027-01-01",
    "hash": "ab" * 32,
    "since": "2026-01-01T00:00:00Z",
    "complete": True,
    "seconds": 1.2,
    "decisions": 200,
    "situations": 20,
    "changed": 5,
    "unreadable": 0,
    "aspects": {"organisation": 5, "urgency": 1},
    "moves": [
        {
            "from": "school",
            "to": "vangnet",
            "decisions": 5,
            "examples": [{"caseId": "x", "reference": "MP-2345-6789"}],
        }
    ],
    "organisations": [
        {"organisation": "school", "before": 100, "after": 95},
        {"organisation": "lkc", "before": 7, "after": 7},
    ],
}


class Routing:
    """Answers in the place of the service and keeps what it was sent."""

    def __init__(self, status: int, document: Any) -> None:
        self._answer = (status, document)
        self.sent: dict[str, Any] = {}

    def __call__(self, url: str, **sent: Any) -> httpx.Response:
        self.sent = sent | {"url": url}
        return httpx.Response(self._answer[0], json=self._answer[1])


def run(
    monkeypatch: pytest.MonkeyPatch, routing: Routing, *arguments: str, url: str = "http://r.test/"
) -> int:
    monkeypatch.setenv(replay_cli.URL_VARIABLE, url)
    monkeypatch.setenv(replay_cli.TOKEN_VARIABLE, "secret")
    monkeypatch.setattr(httpx, "post", routing)
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    replay_cli.add_replay_command(commands)
    replay_cli.add_activate_command(commands)
    options = parser.parse_args(arguments)
    return int(options.run(options))


@pytest.fixture
def register(tmp_path: Path) -> str:
    file = tmp_path / "new.yaml"
    file.write_text("version: 1\n")
    return str(file)


def test_a_replay_is_a_table_per_organisation(monkeypatch, capsys, register) -> None:
    routing = Routing(200, FOUND)
    assert run(monkeypatch, routing, "replay", "--against", register, "--days", "90") == 0
    assert routing.sent["url"] == "http://r.test/v1/registers/_replay"
    assert routing.sent["params"] == {"days": 90}
    assert routing.sent["content"] == b"version: 1\n"
    assert routing.sent["headers"] == {"Authorization": "Bearer secret"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Register 2027-01-01: 5 of 200 decisions since 2026-01-01 change (2.5%)."
    assert any(line.split() == ["school", "vangnet", "5", "MP-2345-6789"] for line in lines)
    assert any(line.split() == ["school", "100", "95"] for line in lines)
    assert not any(line.startswith("lkc") for line in lines)


def test_json_is_one_object_and_an_incomplete_replay_is_no_success(
    monkeypatch, capsys, register
) -> None:
    routing = Routing(200, FOUND | {"complete": False})
    assert run(monkeypatch, routing, "replay", "--against", register, "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["complete"] is False
    assert "take fewer --days" in captured.err


def test_an_activation_tells_from_when(monkeypatch, capsys, register) -> None:
    shown = {"version": "2027-01-01", "validFrom": "2027-01-01T00:00:00Z"}
    routing = Routing(201, shown)
    moment = "2027-01-01T01:00:00+01:00"
    assert run(monkeypatch, routing, "activate", register, "--valid-from", moment) == 0
    assert routing.sent["params"] == {"validFrom": moment}
    assert "2027-01-01T00:00:00Z" in capsys.readouterr().out


def test_every_counterexample_is_told(monkeypatch, register) -> None:
    errors = [{"field": "proof", "problem": "nobody helps a parent", "remedy": "Add a rule."}]
    routing = Routing(409, {"detail": "1 proof fails.", "errors": errors})
    with pytest.raises(RoutingRefusedError) as refused:
        run(monkeypatch, routing, "activate", register)
    assert "new.yaml: proof: nobody helps a parent. Add a rule." in str(refused.value)


def test_without_an_address_it_says_what_to_set(monkeypatch, register) -> None:
    with pytest.raises(RoutingRefusedError, match="MELDPUNT_ROUTING_URL"):
        run(monkeypatch, Routing(200, FOUND), "activate", register, url="")


def test_a_service_that_is_away_is_named(monkeypatch, register) -> None:
    def away(*_: Any, **__: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(RoutingRefusedError, match="does not answer at"):
        run(monkeypatch, away, "activate", register)
