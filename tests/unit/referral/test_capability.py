from datetime import UTC, datetime
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from pydantic import SecretStr, ValidationError

from contracts.intake import ContentField
from services.referral.capability import Signer, load_key
from services.referral.settings import ReferralSettings

NOW = datetime(2026, 11, 24, 9, 0, 0, 500_000, tzinfo=UTC)


def signed(signer):
    return signer.sign(
        organisation="lkc",
        case_id=uuid4(),
        referral_id=uuid4(),
        attempt=3,
        fields=[ContentField.NARRATIVE],
        capability_id=uuid4(),
        now=NOW,
    )


def test_the_key_is_made_once_and_private(tmp_path):
    file = tmp_path / "keys" / "signing.pem"

    first, second = load_key(file, create=True), load_key(file, create=True)

    assert first.thumbprint() == second.thumbprint()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["signing.pem"]


def test_without_create_a_missing_key_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_key(tmp_path / "signing.pem", create=False)


def test_a_capability_lives_as_long_as_asked_and_proves_its_signer(tmp_path):
    signer = Signer(load_key(tmp_path / "a.pem", create=True), 300)
    stranger = Signer(load_key(tmp_path / "b.pem", create=True), 300)
    capability = signed(signer)
    keys = KeySet.import_key_set(signer.key_set())
    forged = stranger.key_set()
    forged["keys"][0]["kid"] = signer.key_set()["keys"][0]["kid"]

    claims = jwt.decode(capability.token, keys, algorithms=["Ed25519"]).claims

    assert claims["exp"] - NOW.timestamp() == 299.5
    assert capability.expires_at.timestamp() == claims["exp"]
    assert claims["fields"] == ["narrative"]
    with pytest.raises(BadSignatureError):
        jwt.decode(capability.token, KeySet.import_key_set(forged), algorithms=["Ed25519"])


def test_production_needs_a_key_that_somebody_put_there(tmp_path):
    values = {
        "environment": "production",
        "http_port": 0,
        "database_url": SecretStr("postgresql://unused"),
        "kafka_bootstrap": "unused:1",
        "kafka_security_protocol": "SASL_SSL",
        "auth_jwks": "unused",
        "auth_issuer": "https://idp.example",
        "intake_url": "http://intake.test",
        "signing_key_file": tmp_path / "signing.pem",
    }
    with pytest.raises(ValidationError, match="signing_key_file does not exist"):
        ReferralSettings(**values)
    load_key(tmp_path / "signing.pem", create=True)
    assert ReferralSettings(**values).capability_seconds == 300
    with pytest.raises(ValidationError, match="partners_file does not exist"):
        ReferralSettings(**values, partners_file=tmp_path / "partners.yaml")
