"""How an example partner is told where the broker is and who it is itself."""

import argparse
import ssl
from pathlib import Path

import pytest

from deploy.local.credentials import issue_partner
from examples.partners import kafka_partner
from examples.partners.connection import Connection, add_connection_arguments, connection_of


def parsed(arguments: list[str], environment: dict[str, str]) -> Connection:
    parser = argparse.ArgumentParser()
    add_connection_arguments(parser, environment)
    return connection_of(parser.parse_args(arguments))


def test_arguments_go_before_the_environment(tmp_path: Path) -> None:
    made = issue_partner(tmp_path, "sbb")
    environment = {
        "MELDPUNT_PARTNER_BOOTSTRAP": "broker:1",
        "MELDPUNT_PARTNER_CA": str(made.ca),
        "MELDPUNT_PARTNER_CERTIFICATE": str(made.certificate),
        "MELDPUNT_PARTNER_KEY": str(made.key),
    }
    connection = parsed(["--bootstrap", "other:2"], environment)
    assert connection == Connection("other:2", made.ca, made.certificate, made.key)
    arguments = connection.arguments()
    assert arguments["security_protocol"] == "SSL"
    assert arguments["ssl_context"].check_hostname
    assert arguments["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_without_files_it_is_a_plain_connection() -> None:
    assert parsed(["--bootstrap", "b:1"], {}).arguments() == {"bootstrap_servers": "b:1"}


def test_a_missing_file_or_address_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BOOTSTRAP", "CA", "CERTIFICATE", "KEY"):
        monkeypatch.delenv(f"MELDPUNT_PARTNER_{name}", raising=False)
    folder = ["--folder", str(tmp_path)]
    assert kafka_partner.main(["sbb", *folder]) == 1
    assert "Name the broker" in capsys.readouterr().err
    assert kafka_partner.main(["sbb", *folder, "--bootstrap", "b:1", "--ca", "ca.pem"]) == 1
    assert "Name all three" in capsys.readouterr().err
