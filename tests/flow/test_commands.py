"""The parts of the command line that need no stack: tokens, tables, errors, what partners answer."""

import json
import stat
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.referral import Answer, DeclineReason, ReferralOffer
from contracts.situation import Kind, Situation, Urgency
from deploy.cli import main
from deploy.commands.table import Column, render
from deploy.issuer import Issuer, IssuerRefused
from examples.partners.behaviour import Behaviour
from services.chassis.auth import Authenticator
from services.chassis.settings import DEVELOPMENT_ISSUER, ServiceSettings


def authenticator(data_dir: Path) -> Authenticator:
    settings = ServiceSettings(
        environment="test",
        http_port=0,
        database_url=SecretStr("postgresql://none"),
        kafka_bootstrap="none:1",
        auth_jwks=str(data_dir / "auth" / "jwks.json"),
        auth_issuer=DEVELOPMENT_ISSUER,
    )
    return Authenticator(settings)


async def test_issued_token_is_accepted_by_a_service(tmp_path: Path) -> None:
    made = Issuer.open(tmp_path, {}).issue("partner", "sbb", "client-1", timedelta(minutes=5))
    principal = await authenticator(tmp_path).principal(f"Bearer {made}")
    assert principal.client == "client-1"
    assert principal.organisation == "sbb"
    assert principal.scopes == {"referrals:partner"}


async def test_key_is_kept_and_private(tmp_path: Path) -> None:
    first = Issuer.open(tmp_path, {}).issue("desk")
    again = Issuer.open(tmp_path, {})
    await authenticator(tmp_path).principal(f"Bearer {first}")
    await authenticator(tmp_path).principal(f"Bearer {again.issue('desk')}")
    assert stat.S_IMODE((tmp_path / "auth" / "issuer-key.json").stat().st_mode) == 0o600
    [public] = json.loads((tmp_path / "auth" / "jwks.json").read_text())["keys"]
    assert "d" not in public


@pytest.mark.parametrize("name", ["MELDPUNT_ENVIRONMENT", "MELDPUNT_AUDIT_ENVIRONMENT"])
def test_issuer_refuses_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "production")
    assert main(["token", "desk", "--data", str(tmp_path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert name in err
    assert "production" in json.loads(out)["error"]
    assert not (tmp_path / "auth").exists()


@pytest.mark.parametrize(
    ("role", "organisation", "minutes"),
    [
        ("boss", None, 5),
        ("partner", None, 5),
        ("desk", "sbb", 5),
        ("desk", None, 0),
        ("desk", None, 1441),
    ],
)
def test_issuer_refuses_what_no_service_would_take(
    tmp_path: Path, role: str, organisation: str | None, minutes: int
) -> None:
    with pytest.raises(IssuerRefused):
        Issuer.open(tmp_path, {}).issue(role, organisation, lifetime=timedelta(minutes=minutes))


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "up", "down", "status", "token", "rebuild-topics", "parked list"):
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "--help"])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        assert "example: meldpunt" in out
        assert "--json" in out


@pytest.mark.parametrize("command", ["parked list", "rebuild-topics", "status"])
def test_commands_without_a_stack_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([*command.split(), "--data", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "meldpunt up" in out + err
    assert "Traceback" not in err


def test_table_fits_and_narrow_terminals_get_blocks() -> None:
    columns = [Column("a", 10), Column("why", 5, grows=True), Column("z", 10)]
    rows = [{"a": "x" * 30, "why": "woord " * 60, "z": None}]
    wide = render(columns, rows, 160).splitlines()
    assert all(len(line) <= 160 for line in wide)
    assert len(wide) == 3
    assert wide[2].startswith("x" * 9 + "…")
    narrow = render(columns, rows, 60)
    assert all(len(line) <= 60 for line in narrow.splitlines())
    assert "x" * 30 in narrow
    assert narrow.count("woord") == 60


def offer(**changes: object) -> ReferralOffer:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    values = {
        "referral_id": uuid.uuid4(),
        "attempt": 1,
        "case_id": uuid.uuid4(),
        "reference": "MP-2222-2222",
        "organisation": "sbb",
        "kind": Kind.MELDING,
        "urgency": Urgency.NORMAAL,
        "situation": Situation.model_validate(
            {"sector": "mbo", "reporter": "student_mbo", "kind": "melding", "subject": "pesten"}
        ),
        "content": (),
        "first_received_at": now,
        "received_by": now,
        "accepted_by": now,
    }
    return ReferralOffer.model_validate(values | changes)


def test_same_offer_gets_the_same_answers_and_ids() -> None:
    behaviour = Behaviour(accept=0.5, decline=0.3, silent=0.2, seed=3)
    for asked in (offer() for _ in range(50)):
        assert behaviour.replies(asked) == behaviour.replies(asked)
    asked = offer()
    again = asked.model_copy(update={"attempt": 2})
    assert {r.answer_id for r in behaviour.replies(asked)}.isdisjoint(
        r.answer_id for r in behaviour.replies(again)
    )


def test_mix_is_what_was_asked() -> None:
    behaviour = Behaviour(accept=0.5, decline=0.3, silent=0.2)
    last = [
        replies[-1].answer if (replies := behaviour.replies(offer())) else None for _ in range(600)
    ]
    assert 240 < last.count(Answer.ACCEPTED) < 360
    assert 120 < last.count(Answer.REJECTED) < 240
    assert 70 < last.count(None) < 170


def test_decline_has_a_reason_and_a_signal_is_only_acknowledged() -> None:
    declines = Behaviour(accept=0, decline=1).replies(offer())
    assert [reply.answer for reply in declines] == [Answer.RECEIVED, Answer.REJECTED]
    assert isinstance(declines[1].reason, DeclineReason)
    signal = Behaviour(accept=0, decline=1).replies(offer(signal=True))
    assert [reply.answer for reply in signal] == [Answer.RECEIVED]
