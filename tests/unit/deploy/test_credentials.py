"""Certificates of the local stack: made once, renewed in time, never for production."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local import credentials
from deploy.local.credentials import Authority, CredentialsRefused, issue_partner


def test_a_partner_gets_the_same_files_again(tmp_path: Path) -> None:
    first = issue_partner(tmp_path, "veilig_thuis")
    before = (first.certificate.read_bytes(), first.key.read_bytes(), first.ca.read_bytes())
    second = issue_partner(tmp_path, "veilig_thuis")
    assert second == first
    assert (second.certificate.read_bytes(), second.key.read_bytes(), second.ca.read_bytes()) == (
        before
    )
    assert first.principal == "User:partner-veilig_thuis"


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    made = issue_partner(tmp_path, "sbb")
    Authority.open(tmp_path).broker()
    for path in (
        made.key,
        tmp_path / "credentials/ca-key.pem",
        tmp_path / "credentials/broker.pem",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_certificate_names_the_partner_and_its_authority(tmp_path: Path) -> None:
    made = issue_partner(tmp_path, "sbb")
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.ca.read_bytes()))
    assert certificate.subject.rfc4514_string() == "CN=partner-sbb"
    assert certificate.not_valid_before_utc < datetime.now(UTC)


def test_a_certificate_is_renewed_a_month_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(credentials, "LIFETIME", timedelta(days=29))
        short = issue_partner(tmp_path, "sbb").certificate.read_bytes()
    assert issue_partner(tmp_path, "sbb").certificate.read_bytes() != short


def test_a_certificate_of_a_lost_authority_is_made_anew(tmp_path: Path) -> None:
    old = issue_partner(tmp_path, "sbb").certificate.read_bytes()
    (tmp_path / "credentials" / "ca-key.pem").unlink()
    made = issue_partner(tmp_path, "sbb")
    assert made.certificate.read_bytes() != old
    x509.load_pem_x509_certificate(made.certificate.read_bytes()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(made.ca.read_bytes())
    )


@pytest.mark.parametrize("name", ["MELDPUNT_ENVIRONMENT", "MELDPUNT_INTAKE_ENVIRONMENT"])
def test_nothing_is_issued_for_production(tmp_path: Path, name: str) -> None:
    with pytest.raises(CredentialsRefused, match="production"):
        Authority.open(tmp_path, {name: "Production"})
    assert not (tmp_path / "credentials").exists()


@pytest.mark.parametrize("name", ["", "x", "Sbb", "a,CN=admin", "../sbb", "a" * 54, "veilig.thuis"])
def test_what_is_no_organisation_gets_no_certificate(tmp_path: Path, name: str) -> None:
    with pytest.raises(CredentialsRefused, match="cannot be in a certificate"):
        issue_partner(tmp_path, name)


def test_a_damaged_authority_tells_what_to_do(tmp_path: Path) -> None:
    issue_partner(tmp_path, "sbb")
    (tmp_path / "credentials" / "ca.pem").write_text("nonsense")
    with pytest.raises(CredentialsRefused, match="Remove the folder"):
        issue_partner(tmp_path, "sbb")
