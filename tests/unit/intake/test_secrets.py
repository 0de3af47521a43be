"""Codes, seals, receipts, settings and the throttle: pure parts, with an independent reader where one exists."""

import base64
import hashlib
import json
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from joserfc import jwe, jws
from joserfc.jwk import KeySet, OctKey
from pydantic import ValidationError

from contracts.intake import ContentField
from services.chassis.throttle import Throttle
from services.intake import vault as vault_module
from services.intake.codes import ALPHABET, Codes
from services.intake.domain import NewReport, StoredReport
from services.intake.receipts import ReceiptSigner, SigningKeyMissing, load_key
from services.intake.receiving import Receiver
from services.intake.settings import IntakeSettings
from services.intake.vault import (
    SealBroken,
    Vault,
    answer_label,
    commitment,
    question_label,
)

SECRET = bytes(range(32))
CONTENT = {ContentField.NARRATIVE: b"wat er gebeurde", ContentField.IDENTITY: b'{"name":"Jo"}'}


def test_a_code_is_reproducible_unique_and_long_enough() -> None:
    codes = Codes(SECRET)
    case, report = uuid4(), uuid4()
    code = codes.code(case, report)
    assert code == Codes(SECRET).code(case, report)
    letters = code.replace("-", "")
    assert len(letters) * 5 >= 80
    assert [len(group) for group in code.split("-")] == [4] * 5
    assert set(letters) <= set(ALPHABET)
    assert not set("ILOU") & set(ALPHABET)
    assert len({codes.code(case, uuid4()) for _ in range(2000)}) == 2000
    assert Codes(bytes(32)).code(case, report) != code


def test_a_code_may_be_typed_loosely_and_its_hash_needs_the_key() -> None:
    codes = Codes(SECRET)
    mac = codes.code_mac("01AB-CDEF-GHJK-MNPQ-RSTV")
    assert mac == codes.code_mac(" oiab cdef ghjk mnpq rstv ")
    assert mac == codes.code_mac("OLAB-CDEF-GHJK-MNPQ-RSTV")
    assert mac != Codes(bytes(32)).code_mac("01AB-CDEF-GHJK-MNPQ-RSTV")
    assert mac not in (None, hashlib.sha256(b"01ABCDEFGHJKMNPQRSTV").digest())


@pytest.mark.parametrize("text", ["", "01AB", "01AB-CDEF-GHJK-MNPQ-RSTU", "x" * 60, "é" * 20])
def test_what_can_be_no_code(text: str) -> None:
    assert Codes(SECRET).code_mac(text) is None


def test_a_later_text_opens_only_under_its_case_and_label() -> None:
    vault, case, question = Vault(SECRET), uuid4(), uuid4()
    key = vault.seal(case, CONTENT).wrapped_key
    label = answer_label(question)
    sealed = vault.seal_more(case, key, label, b"groep zeven")
    assert vault.open(case, key, label, sealed) == b"groep zeven"
    assert sealed != vault.seal_more(case, key, label, b"groep zeven")
    for wrong in (question_label(question), answer_label(uuid4()), ContentField.NARRATIVE):
        with pytest.raises(SealBroken):
            vault.open(case, key, wrong, sealed)
    for other_vault, other_case in ((Vault(bytes(32)), case), (vault, uuid4())):
        with pytest.raises(SealBroken):
            other_vault.open(other_case, key, label, sealed)
        with pytest.raises(SealBroken):
            other_vault.seal_more(other_case, key, label, b"groep zeven")


def test_a_text_is_known_again_only_with_the_key_and_for_its_question() -> None:
    codes, question = Codes(SECRET), uuid4()
    mac = codes.text_mac(question, "Ja.")
    assert mac == Codes(SECRET).text_mac(question, "Ja.")
    assert mac not in {
        codes.text_mac(question, "Nee."),
        codes.text_mac(uuid4(), "Ja."),
        codes.body_mac(question.bytes + b"Ja."),
        Codes(bytes(32)).text_mac(question, "Ja."),
    }


def test_another_library_opens_what_the_vault_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    case = uuid4()
    drawn: list[bytes] = []

    def draw(count: int) -> bytes:
        drawn.append(hashlib.sha256(b"%d" % len(drawn)).digest()[:count])
        return drawn[-1]

    monkeypatch.setattr(vault_module.os, "urandom", draw)
    sealed = Vault(SECRET).seal(case, CONTENT)
    for field, text in CONTENT.items():
        read = jwe.decrypt_compact(
            sealed.fields[field], OctKey.import_key(drawn[0]), algorithms=["dir", "A256GCM"]
        )
        assert read.plaintext == text
        assert read.headers() == {"alg": "dir", "enc": "A256GCM", "kid": f"{case}/{field.value}"}


def test_seals_open_for_their_case_field_and_master_key_only() -> None:
    vault, case = Vault(SECRET), uuid4()
    sealed = vault.seal(case, CONTENT)
    narrative = sealed.fields[ContentField.NARRATIVE]
    assert vault.open(case, sealed.wrapped_key, ContentField.NARRATIVE, narrative) == (
        b"wat er gebeurde"
    )
    other = vault.seal(uuid4(), CONTENT)
    head, tail = narrative[:-3], narrative[-3:]
    wrong = [
        (vault, case, sealed.wrapped_key, ContentField.IDENTITY, narrative),
        (vault, uuid4(), sealed.wrapped_key, ContentField.NARRATIVE, narrative),
        (vault, case, other.wrapped_key, ContentField.NARRATIVE, narrative),
        (Vault(bytes(32)), case, sealed.wrapped_key, ContentField.NARRATIVE, narrative),
        (vault, case, sealed.wrapped_key, ContentField.NARRATIVE, head + tail[::-1]),
        (vault, case, sealed.wrapped_key, ContentField.NARRATIVE, b"nonsense"),
        (vault, case, b"short", ContentField.NARRATIVE, narrative),
    ]
    for opener, of_case, key, field, blob in wrong:
        with pytest.raises(SealBroken) as raised:
            opener.open(of_case, key, field, blob)
        assert "gebeurde" not in str(raised.value)


def test_each_case_has_a_key_and_a_commitment_of_its_own() -> None:
    vault = Vault(SECRET)
    one, two = vault.seal(uuid4(), CONTENT), vault.seal(uuid4(), CONTENT)
    assert one.wrapped_key != two.wrapped_key
    assert one.commitment != two.commitment
    assert one.commitment == commitment(one.salt, one.fields)
    sealed = one.fields[ContentField.NARRATIVE] + b"\n" + one.fields[ContentField.IDENTITY]
    assert one.commitment == hashlib.sha256(one.salt + sealed).digest()
    assert len(vault.seal(uuid4(), {}).commitment) == 32


def test_sealing_is_cheap_enough_for_the_hot_path() -> None:
    vault, case = Vault(SECRET), uuid4()
    content = {ContentField.NARRATIVE: b"x" * 800, ContentField.IDENTITY: b"y" * 60}
    best = 1.0
    for _ in range(20):
        started = time.process_time()
        for _ in range(50):
            vault.seal(case, content)
        best = min(best, (time.process_time() - started) / 50)
    assert best < 100e-6


def stored() -> StoredReport:
    moment = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC)
    return StoredReport(UUID(int=1), UUID(int=2), moment, bytes(32))


def test_another_library_checks_the_receipt(tmp_path: Path) -> None:
    signer = ReceiptSigner(load_key(tmp_path / "key.pem", create=True), "urn:test")
    text = signer.sign(stored())
    assert text == signer.sign(stored())
    keys = KeySet.import_key_set(signer.jwks())
    read = jws.deserialize_compact(text, keys, algorithms=["Ed25519"])
    assert json.loads(read.payload) == {
        "iss": "urn:test",
        "case": str(UUID(int=2)),
        "report": str(UUID(int=1)),
        "receivedAt": "2026-11-24T10:00:00.123Z",
        "commitment": "00" * 32,
    }
    assert keys.keys[0].thumbprint() == signer.key_id


def test_a_receipt_is_the_same_with_the_code_at_hand_and_without(tmp_path: Path) -> None:
    signer = ReceiptSigner(load_key(tmp_path / "key.pem", create=True), "urn:test")
    codes = Codes(SECRET)
    receiver = Receiver(Vault(SECRET), codes, signer, "https://meldpunt.example")
    situation = {"sector": "po", "reporter": "ouder", "kind": "klacht", "subject": "pesten"}
    report = NewReport.model_validate({"situation": situation})
    row, _, code = receiver.prepare(report, "web", "key-of-a-test", datetime.now(UTC))
    receipt = receiver.receipt(row.report, code)
    assert receipt == receiver.receipt(row.report)
    assert codes.code_mac(json.loads(receipt)["code"]) == row.code_mac


def test_the_key_is_made_once_and_only_where_allowed(tmp_path: Path) -> None:
    path = tmp_path / "made" / "key.pem"
    with pytest.raises(SigningKeyMissing, match="Ed25519"):
        load_key(path, create=False)
    made = load_key(path, create=True)
    again = load_key(path, create=True)
    assert made.private_bytes_raw() == again.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["key.pem"]
    path.write_text("no key")
    with pytest.raises(SigningKeyMissing):
        load_key(path, create=True)


def settings(secret: str) -> IntakeSettings:
    return IntakeSettings(
        environment="test", http_port=0, database_url="x", kafka_bootstrap="x", auth_jwks="x",
        auth_issuer="x",
        receipt_secret=secret, master_key=base64.urlsafe_b64encode(SECRET).decode(),
        referral_url="x",
    )  # fmt: skip


@pytest.mark.parametrize("secret", ["short", "A" * 42, "not base64url at all, too long!!"])
def test_a_weak_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(secret)
    assert secret not in str(raised.value)


def test_a_good_secret_is_taken() -> None:
    assert settings(base64.urlsafe_b64encode(SECRET).decode().rstrip("=")).receipt_secret


def test_the_canonical_body_does_not_depend_on_how_it_was_written() -> None:
    one = b'{"situation":{"sector":"po","reporter":"ouder","kind":"klacht","subject":"pesten"}}'
    two = b"""{ "channel": "web", "situation": {"subject": "pesten", "kind": "klacht",
              "reporter": "ouder", "sector": "p\\u006f", "flags": []}}"""
    bodies = [NewReport.model_validate_json(text).canonical() for text in (one, two)]
    assert bodies[0] == bodies[1]


def test_the_throttle_limits_each_address_and_its_own_memory() -> None:
    throttle = Throttle(3, window_seconds=60, addresses_max=5)
    assert [throttle.allows("a", 100) for _ in range(4)] == [True, True, True, False]
    assert throttle.allows("b", 100)
    # Halfway the next window half of the former calls still count.
    assert [throttle.allows("a", 150) for _ in range(3)] == [True, True, False]
    assert throttle.allows("a", 400)
    for number in range(50):
        throttle.allows(str(number), 400)
    assert len(throttle._seen) == 5
