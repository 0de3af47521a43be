"""Signatures as the specification has them; the vector is the one that its libraries publish."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.referral.channels import signing
from services.referral.channels.keyring import (
    KEY_BYTES,
    Keyring,
    KeySafe,
    SealBroken,
    SealingKeyMissing,
    load_sealing_key,
)
from services.referral.channels.signing import (
    KeyInvalid,
    NotVerified,
    PrivateKey,
    SharedSecret,
    new_private_key,
    new_secret,
    signed_headers,
    signing_key,
    verify,
    verifying_key,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime.fromtimestamp(1614265330, UTC)
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def headers(keys=None, now=NOW, body=BODY):
    return signed_headers(ID, now, body, keys or [signing_key(SECRET)])


def test_the_published_vector_is_met():
    assert headers() == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_ed25519_vector_of_rfc_8032_is_met():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = PrivateKey.parse("whsk_" + base64.b64encode(seed).decode())
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert key.public() == "whpk_" + base64.b64encode(public).decode()
    both = PrivateKey.parse("whsk_" + base64.b64encode(seed + public).decode())
    assert both.public() == key.public()


@pytest.mark.parametrize("make", [new_secret, new_private_key])
def test_what_is_signed_verifies_and_gives_the_id(make):
    text = make()
    key = signing_key(text)
    known = key.public() if isinstance(key, PrivateKey) else text
    signed = signed_headers(ID, NOW, BODY, [key])
    upper = {name.title(): value for name, value in signed.items()}
    assert verify(upper, BODY, [verifying_key(known)], NOW) == ID
    version = "v1a," if make is new_private_key else "v1,"
    assert signed["webhook-signature"].startswith(version)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "another"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "hello"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"webhook-timestamp": "1614265330.0"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v1,???"},
        {"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    ],
)
def test_a_changed_header_is_not_verified(change):
    with pytest.raises(NotVerified):
        verify(headers() | change, BODY, [verifying_key(SECRET)], NOW)


def test_a_changed_body_or_another_key_is_not_verified():
    with pytest.raises(NotVerified):
        verify(headers(), BODY + b" ", [verifying_key(SECRET)], NOW)
    with pytest.raises(NotVerified):
        verify(headers(), BODY, [verifying_key(new_secret())], NOW)


@pytest.mark.parametrize(
    ("seconds", "good"), [(-301, False), (-299, True), (299, True), (301, False)]
)
def test_an_old_or_future_message_is_not_verified(seconds, good):
    late = NOW + timedelta(seconds=seconds)
    if good:
        assert verify(headers(), BODY, [verifying_key(SECRET)], late) == ID
    else:
        with pytest.raises(NotVerified):
            verify(headers(), BODY, [verifying_key(SECRET)], late)


def test_one_good_signature_among_others_is_enough():
    good = headers()["webhook-signature"]
    many = f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,abc {good} v1a,AAAA"
    changed = headers() | {"webhook-signature": many}
    assert verify(changed, BODY, [verifying_key(SECRET)], NOW) == ID


def test_a_symmetric_signature_is_no_asymmetric_one():
    # The version of a signature must be that of the key: else a public key could be a secret.
    pair = signing_key(new_private_key())
    forged = SharedSecret.parse(pair.public().removeprefix("whpk_"))
    with pytest.raises(NotVerified):
        verify(headers([forged]), BODY, [verifying_key(pair.public())], NOW)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 100, "whsk_AAAA", "whsec_!!"]
)
def test_a_bad_key_is_refused(text):
    with pytest.raises(KeyInvalid):
        signing_key(text)


def test_a_partner_never_verifies_with_a_private_key():
    with pytest.raises(KeyInvalid):
        verifying_key(new_private_key())


def test_a_secret_without_padding_is_the_same_key():
    bare = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"
    assert SharedSecret.parse(bare) == SharedSecret.parse(f"whsec_{bare}==")


@given(st.binary(max_size=200), st.integers(0, 2**33))
def test_any_body_verifies_at_its_moment(body, seconds):
    now = datetime.fromtimestamp(seconds, UTC)
    assert verify(headers(now=now, body=body), body, [verifying_key(SECRET)], now) == ID


def test_during_a_rotation_both_keys_sign():
    old = Keyring.new(asymmetric=False)
    until = NOW + timedelta(hours=24)
    ring = old.rotated(until, asymmetric=True)
    signed = signed_headers(ID, NOW, BODY, ring.active(NOW))
    assert [part.split(",")[0] for part in signed["webhook-signature"].split(" ")] == ["v1a", "v1"]
    _, public = ring.shown()
    for known in (old.current, public):
        assert verify(signed, BODY, [verifying_key(known)], NOW) == ID
    assert len(ring.active(until)) == 1
    assert len(ring.rotated(until, asymmetric=False).active(NOW)) == 2


def test_keys_at_rest_open_only_for_their_organisation():
    safe = KeySafe(b"k" * KEY_BYTES)
    ring = Keyring.new(asymmetric=False).rotated(NOW, asymmetric=False)
    sealed = safe.seal("school", ring)
    assert safe.open("school", sealed) == ring
    assert ring.current.encode() not in sealed
    for other, blob in [("politie", sealed), ("school", sealed[:-1] + b"\0"), ("school", b"")]:
        with pytest.raises(SealBroken):
            safe.open(other, blob)
    with pytest.raises(SealBroken):
        KeySafe(b"x" * KEY_BYTES).open("school", sealed)


def test_no_key_shows_itself_in_a_log():
    ring = Keyring.new(asymmetric=False)
    for value in (ring, signing_key(ring.current), signing.SharedSecret.parse(ring.current)):
        assert ring.current not in repr(value)
        assert str(signing.SharedSecret.parse(ring.current).key) not in repr(value)
    assert ring.current not in json.dumps(repr([ring]))


def test_the_sealing_key_is_made_once_and_never_in_production(tmp_path):
    file = tmp_path / "keys" / "endpoint-key"
    with pytest.raises(SealingKeyMissing):
        load_sealing_key(file, create=False)
    key = load_sealing_key(file, create=True)
    assert load_sealing_key(file, create=True) == key == load_sealing_key(file, create=False)
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"short")
    with pytest.raises(SealingKeyMissing):
        load_sealing_key(file, create=True)
