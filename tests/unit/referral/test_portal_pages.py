"""The page behind a link: what it says in each state, what it lets out, and how it is built."""

from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from contracts.reference import case_reference
from contracts.referral import (
    Answer,
    BusinessStatus,
    CompletedAs,
    DeclineReason,
    NextAction,
    Status,
)
from services.referral.domain import HOLDING, OPEN, Channel, Verdict
from services.referral.portal import words
from services.referral.portal.form import Field, Given, read
from services.referral.portal.pages import STYLE_DIGEST, Answered, message_page, referral_page
from services.referral.portal.tokens import answer_id, digest_of, new_token
from services.referral.portal.words import told
from tests.unit.referral.builders import NOW, SITUATION, go, held, in_status

EXPIRES = NOW + timedelta(days=30)
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def buttons(self) -> list[str]:
        return [item["value"] for item in self.all("button")]


def page_of(status: Status, answered=None, phone="") -> Page:
    case, referral = state_of(status)
    return Page(referral_page(told(case, referral), phone, EXPIRES, answered))


def state_of(status: Status):
    standing, referral = in_status(status)
    return standing.case, referral


def check(page: Page) -> None:
    assert page.all("html") == [{"lang": "nl"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    assert any(item.get("name") == "viewport" for item in page.all("meta"))
    assert page.all("script") == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    labels = {item["for"] for item in page.all("label")}
    assert labels == {item["id"] for tag in ("select", "textarea") for item in page.all(tag)}
    for _, attrs in page.tags:
        for target in (attrs.get("aria-describedby") or "").split():
            assert target in ids
        assert not any(name.startswith("on") or name == "style" for name in attrs)
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids


@pytest.mark.parametrize("status", Status)
def test_every_state_has_a_sound_page_that_says_nothing_of_the_report(status):
    case, referral = state_of(status)
    page = Page(referral_page(told(case, referral), "", EXPIRES))
    check(page)
    assert case_reference(case.case_id) in page.text
    assert words.LEAVES_OUT in page.text
    assert ("noem het kenmerk" in page.text) == (status in OPEN | HOLDING)
    for secret in ("po", "ouder", "pesten", "leerling", referral.organisation):
        assert secret in f"{SITUATION.model_dump_json()} {referral.organisation}"
        assert secret not in page.text.lower().split()
    if status in OPEN:
        assert page.buttons()[-2:] == ["accepted", "rejected"]
    elif status in HOLDING:
        assert page.buttons() == ["in-progress", "completed", "returned"]
    else:
        assert page.buttons() == []
        assert "U hoeft niets meer te doen." in page.text


def test_an_offer_says_by_when_in_the_time_of_amsterdam():
    page = page_of(Status.REQUESTED)
    assert page.buttons() == ["received", "accepted", "rejected"]
    assert "dinsdag 24 november 2026 om 11.00 uur" in page.text
    assert "dinsdag 24 november 2026 om 18.00 uur" in page_of(Status.RECEIVED).text


def test_the_end_of_a_referral_is_told_as_it_was():
    case, referral = state_of(Status.REJECTED)
    assert told(case, referral).state.startswith("U heeft laten weten dat deze melding niet")
    expired = referral._replace(status=Status.FAILED, business_status=BusinessStatus.TERM_EXPIRED)
    assert "tijd om te antwoorden is voorbij" in told(case, expired).state
    returned = expired._replace(business_status=BusinessStatus.RETURNED)
    assert "teruggegeven" in told(case, returned).state
    assert "Een andere organisatie" in told(case._replace(holder="lkc"), expired).state
    assert "afgesloten" in told(case._replace(open=False), expired).state
    onward = referral._replace(
        status=Status.COMPLETED, business_status=BusinessStatus.REFERRED_ONWARD
    )
    assert "overgedragen" in told(case._replace(holder="lkc"), onward).state


def test_who_is_called_after_all_can_still_answer():
    case, referral = state_of(Status.REQUESTED)
    found = told(case, referral._replace(channel=Channel.DESK))
    assert "bellen" in found.state
    assert (found.until, found.answers) == (None, (Answer.ACCEPTED, Answer.REJECTED))


def test_a_holder_is_asked_what_its_next_step_is():
    case, referral = state_of(Status.ACCEPTED)
    assert "bezig" in told(case, referral).asked
    step = case.next_step.model_copy(update={"action": NextAction.ANSWER_QUESTION})
    found = told(case._replace(next_step=step), referral)
    assert "Bel het meldpunt" in found.asked
    assert found.until is not None
    standing = go(held(), Answer.NO_CONTACT)
    found = told(standing.case, standing.holding)
    assert "geen contact" in found.state
    assert found.until is None


def test_a_signal_asks_for_nothing():
    case, referral = state_of(Status.REQUESTED)
    found = told(case, referral._replace(signal=True))
    assert found.until is None
    assert "niet te antwoorden" in found.asked


def test_what_was_filled_in_is_shown_again_and_escaped():
    evil = '"><script>alert(1)</script></textarea><b>&amp;'
    given = Given(
        Answer.REJECTED,
        DeclineReason.CAPACITY,
        evil,
        problems={Field.TEXT: words.TEXT_TOO_LONG, Field.REASON: evil},
    )
    page = page_of(Status.REQUESTED, Answered(given))
    check(page)
    assert page.all("b") == []
    assert evil in page.text
    [chosen] = [item for item in page.all("option") if "selected" in item]
    assert chosen["value"] == "capacity"
    [area], [select] = page.all("textarea"), page.all("select")
    assert area["aria-invalid"] == select["aria-invalid"] == "true"
    assert [item["href"] for item in page.all("a")] == ["#toelichting", "#reden"]
    assert page.text.strip().startswith("Fout: ")
    check(Page(message_page(evil, evil)))


def test_a_problem_of_a_field_that_the_state_took_away_is_only_told():
    given = Given(Answer.REJECTED, problems={Field.REASON: words.REASON_MISSING})
    page = page_of(Status.COMPLETED, Answered(given))
    check(page)
    assert words.REASON_MISSING in page.text


def test_the_phone_number_of_the_desk_is_shown_where_it_is_known():
    assert "(030 123 45 67)" in page_of(Status.REQUESTED, phone="030 123 45 67").text
    assert "030" in words.whom_to_call("030 123 45 67")


def test_every_code_has_words():
    assert set(words.REASONS) == set(DeclineReason)
    assert set(words.OUTCOMES) == set(CompletedAs) - {CompletedAs.DECIDED}
    assert set(words.BUTTONS) == set(words.HINTS)
    shown = {Verdict.APPLIED, Verdict.DUPLICATE}
    assert all((words.refused(verdict) is None) == (verdict in shown) for verdict in Verdict)
    assert len(STYLE_DIGEST) == 44


def sent(**fields) -> Given:
    return read(urlencode(fields).encode())


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {Field.ANSWER}),
        ({"antwoord": "on-hold"}, {Field.ANSWER}),
        ({"antwoord": "rejected"}, {Field.REASON}),
        ({"antwoord": "rejected", "reden": "x"}, {Field.REASON}),
        ({"antwoord": "rejected", "reden": "other", "toelichting": " \r\n "}, {Field.TEXT}),
        ({"antwoord": "returned", "reden": "other", "toelichting": "\x00"}, {Field.TEXT}),
        ({"antwoord": "returned", "reden": "capacity", "toelichting": "a" * 501}, {Field.TEXT}),
        ({"antwoord": "completed", "resultaat": "decided"}, {Field.OUTCOME}),
        ({"antwoord": "accepted", "toelichting": "a" * 9000}, {Field.ANSWER}),
        ({f"veld{number}": "x" for number in range(20)}, {Field.ANSWER}),
    ],
)
def test_what_is_missing_or_unknown_is_a_problem_of_its_field(fields, wrong):
    assert set(sent(**fields).problems) == wrong


def test_a_body_that_is_no_form_is_no_answer():
    for body in (b"\xff\xfe", b"{}", b"", b"antwoord=%ff"):
        assert read(body).problems


def test_what_is_complete_is_read():
    text = "é" * 250 + "\r\n" + "🙂" * 249
    given = sent(antwoord="rejected", reden="other", toelichting=text)
    assert (given.answer, given.reason, given.problems) == ("rejected", "other", {})
    assert len(given.text) == 500
    assert sent(antwoord="accepted") == Given(Answer.ACCEPTED)
    assert sent(antwoord="completed", resultaat="helped").outcome is CompletedAs.HELPED


def test_tokens_are_long_random_and_known_by_their_digest_only():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(digest_of(token) or b"") == 32 for token in tokens)
    for wrong in ("", "a" * 31, "a" * 33, "a" * 31 + "é", "a" * 31 + "/", "a" * 32 + "\n"):
        assert digest_of(wrong) is None


def test_the_same_answer_with_the_same_link_is_one_answer():
    one, other = b"1" * 32, b"2" * 32
    assert answer_id(one, "accepted", None) == answer_id(one, "accepted", None)
    different = {
        answer_id(one, "accepted", None),
        answer_id(one, "rejected", "other"),
        answer_id(one, "rejected", "capacity"),
        answer_id(other, "accepted", None),
    }
    assert len(different) == 4
