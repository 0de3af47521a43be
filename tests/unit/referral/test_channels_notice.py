import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest

from contracts import referral
from contracts.envelope import Envelope
from contracts.reference import case_reference
from services.referral.channels.email import AddressInvalid, checked_address, message_of
from services.referral.channels.notice import _OTHER, _WORDS, dutch_moment, notice_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CASE = UUID("0198c0de-0000-7000-8000-00000000abcd")
REFERRAL = UUID("0198c0de-0000-7000-8000-00000000dcba")
SECRETS = ("Jan", "gepest", "anoniem", "vo", "pesten")


def event(kind=referral.ReferralOffer, **data) -> Envelope:
    values = {
        "referral_id": str(REFERRAL),
        "case_id": str(CASE),
        "received_by": "2026-03-29T08:30:00Z",
        "situation": {"sector": "vo", "subject": "pesten", "name": "Jan", "text": "gepest"},
        "kind": "anoniem",
    }
    return Envelope(
        id="0198c0de-0000-7000-8000-000000000001",
        source="urn:x",
        type=kind.event_type(),
        time=NOW,
        subject=str(CASE),
        sequence=4,
        data=json.dumps(values | data).encode(),
    )


def test_a_notice_says_that_where_and_until_when_but_not_what():
    notice = notice_of(event(), "https://portaal.meldpunt.nl/link/abc")
    assert case_reference(CASE) in notice.subject
    assert "\nhttps://portaal.meldpunt.nl/link/abc\n" in notice.text
    # Half past ten: the clock went forward that night.
    assert "zondag 29 maart 2026 om 10.30 uur" in notice.text
    for secret in SECRETS:
        assert secret not in (notice.subject + notice.text).split()


def test_without_a_page_a_notice_says_whom_to_call():
    text = notice_of(event(), "").text
    assert "bel het meldpunt" in text
    assert "http" not in text


def test_a_signal_asks_for_no_answer():
    assert "Uiterlijk" not in notice_of(event(signal=True), "").text


def test_a_term_of_whole_days_names_its_last_day_and_not_the_midnight_after_it():
    text = notice_of(event(received_by="2026-12-23T23:00:00Z"), "").text
    assert "Uiterlijk: woensdag 23 december 2026\n" in text


def test_every_event_of_a_feed_has_words_of_its_own():
    for kind in referral.FEED_EVENTS:
        assert kind.event_name in _WORDS
        assert _OTHER[0] not in notice_of(event(kind), "").subject
    unknown = event()._replace(type="nl.sociale-veiligheid.meldingen.later.v1")
    assert _OTHER[0] in notice_of(unknown, "").subject


def test_dutch_moments_are_those_of_amsterdam():
    assert dutch_moment(datetime(2026, 12, 31, 23, 5, tzinfo=UTC)) == (
        "vrijdag 1 januari 2027 om 00.05 uur"
    )


def test_a_message_is_the_same_for_every_try():
    made = [message_of(event(), "meld@punt.nl", "a@school.nl", "").as_bytes() for _ in range(2)]
    assert made[0] == made[1]
    message = message_from_bytes(made[0], policy=default)
    assert message["Message-ID"] == "<0198c0de-0000-7000-8000-000000000001@punt.nl>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == "a@school.nl"
    assert "met opzet niets" in message.get_content()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "a@b",
        "a@b.nl\r\nBcc: c@d.nl",
        "a@b.nl\n",
        "a@b.nl, c@d.nl",
        "Jan <a@b.nl>",
        '"a b"@c.nl',
        "a@b.nl;c@d.nl",
        ".a@b.nl",
        "a..b@c.nl",
        "a.@b.nl",
        "a@-b.nl",
        "a@[127.0.0.1]",
        "a@b.nl@c.nl",
        "a%b@c.nl",
        "é@b.nl",
        f"{'a' * 250}@b.nl",
    ],
)
def test_an_address_that_could_add_headers_or_receivers_is_refused(text):
    with pytest.raises(AddressInvalid):
        checked_address(text)
    with pytest.raises(AddressInvalid):
        message_of(event(), "meld@punt.nl", text, "")


@pytest.mark.parametrize("text", ["a@b.nl", "info+mp@loket.school-x.nl", "jan.de-boer@samen.org"])
def test_a_plain_address_is_accepted(text):
    assert checked_address(text) == text
