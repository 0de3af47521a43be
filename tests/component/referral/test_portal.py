"""The page behind the link of a notice, from the mail to the case that is held, on a real database."""

import asyncio
import contextlib
import re
from email import message_from_bytes
from email.policy import default
from urllib.parse import urlencode

import httpx
import pytest_asyncio
import structlog

from services.referral.channels import app as channels_app
from services.referral.channels.options import ChannelOptions
from services.referral.channels.truth import Telling
from services.referral.portal.tokens import digest_of, new_token
from tests.component.referral.channels_world import KEY, mail_server
from tests.component.referral.test_closed_loop import names

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Loket:
    """An organisation with a mailbox and a browser, and nothing else."""

    def __init__(self, world, organisation: str, sink, channels) -> None:
        self.world = world
        self.organisation = organisation
        self.sink = sink
        self.channels = channels
        self.browser = httpx.AsyncClient(
            transport=httpx.ASGITransport(world.app, raise_app_exceptions=False),
            base_url="http://meldpunt.test",
        )

    async def offered(self, **changes):
        """A new referral as its row, and the path of the link that was mailed for it."""
        row = await self.world.offered(self.organisation, **changes)
        return row, await self.mailed()

    async def mailed(self) -> str:
        before = len(self.sink.messages)
        await self.channels.deliveries.work()
        [raw] = self.sink.messages[before:]
        text = message_from_bytes(raw, policy=default).get_content()
        [path] = re.findall(r"^https://meldpunt\.test(/link/[\w-]{32})\r?$", text, re.MULTILINE)
        return path

    async def press(self, path: str, answer: str, **fields: str) -> httpx.Response:
        body = urlencode({"antwoord": answer} | fields)
        return await self.browser.post(path, content=body, headers=FORM)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loket(world):
    async with mail_server() as sink:
        options = ChannelOptions(
            smtp_starttls=False,
            smtp_host="127.0.0.1",
            smtp_port=sink.port,
            try_seconds_max=2.0,
            sends_per_second_max=1000,
            portal_url="https://meldpunt.test/",
        )
        channels = channels_app.build(
            options,
            sealing_key=KEY,
            database=world.database,
            telling=Telling("meldpunt.referral", world.runtime.source),
            clock=world.runtime.clock,
            log=structlog.get_logger(),
        )
        made = Loket(world, "balans", sink, channels)
        # Handling an event waits until the partners are there.
        await world.offered("lkc")
        await mailbox(world, "loket@balans.nl")
        yield made
        await made.browser.aclose()
        await channels.deliveries.close()


async def mailbox(world, address: str) -> None:
    saved = await world.client.put(
        "/partners/balans/endpoint",
        json={"email": address, "channel": "email"},
        headers=world.headers("operations:write"),
    )
    assert saved.status_code == 200, saved.text


async def links(world, row):
    async with world.database.connection() as connection:
        return await connection.fetch(
            "SELECT * FROM portal_link WHERE referral_id = $1 ORDER BY created_at",
            row["referral_id"],
        )


async def journal(world) -> int:
    row = await world.row("SELECT sum(last_sequence) AS total FROM source")
    return int(row["total"])


async def test_a_loket_with_only_mail_takes_a_case_and_ends_it(loket):
    world = loket.world
    row, path = await loket.offered()
    page = await loket.browser.get(path)
    assert page.status_code == 200
    assert "Deze melding wacht op uw antwoord." in page.text
    received = await loket.press(path, "received")
    assert (received.status_code, received.text) == (303, "")
    accepted = await loket.press(path, "accepted")
    assert accepted.status_code == 303
    assert (await world.case(row["case_id"]))["holder"] == "balans"
    shown = await loket.browser.get(str(accepted.url.join(accepted.headers["location"])))
    assert "U heeft deze melding opgepakt." in shown.text
    assert (await loket.press(path, "in-progress")).status_code == 303
    assert (await loket.press(path, "completed", resultaat="helped")).status_code == 303
    ended = await loket.browser.get(path)
    assert "dat u klaar bent" in ended.text
    assert "<button" not in ended.text
    assert (await world.referral(row["case_id"]))["outcome"] == "helped"


async def test_only_the_digest_of_a_token_is_kept(loket):
    row, path = await loket.offered()
    token = path.rpartition("/")[2]
    [link] = await links(loket.world, row)
    assert link["digest"] == digest_of(token)
    assert (link["organisation"], (link["expires_at"] - link["created_at"]).days) == ("balans", 30)
    for table in ("portal_link", "delivery", "event", "outbox"):
        rows = await loket.world.row(
            f"SELECT count(*) AS found FROM {table} t WHERE t::text LIKE $1", f"%{token}%"
        )
        assert rows["found"] == 0


async def test_a_double_click_is_one_answer(loket):
    row, path = await loket.offered()
    answers = await asyncio.gather(*(loket.press(path, "accepted") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    told = await names(loket.world, row["case_id"])
    assert told.count("referral-status-changed") == 1
    case = await loket.world.case(row["case_id"])
    assert (case["holder"], case["handoff"]) == ("balans", 1)


async def test_a_decline_needs_a_reason_and_other_needs_a_text(loket):
    row, path = await loket.offered()
    before = await journal(loket.world)
    for fields in ({}, {"reden": "other"}, {"reden": "<b>"}):
        refused = await loket.press(path, "rejected", toelichting="", **fields)
        assert refused.status_code == 400
        assert 'role="alert"' in refused.text
        assert "<b>" not in refused.text
    assert await journal(loket.world) == before
    text = 'Wij zijn <dicht> & "weg"'
    assert (await loket.press(path, "rejected", reden="other", toelichting=text)).is_redirect
    ended = await loket.world.referral(row["case_id"])
    assert (ended["status"], ended["reason"], ended["reason_text"]) == ("rejected", "other", text)
    page = await loket.browser.get(path)
    assert "niet voor u is" in page.text
    assert "dicht" not in page.text


async def test_reading_the_page_changes_nothing(loket):
    row, path = await loket.offered()
    before = await journal(loket.world)
    for method in ("GET", "HEAD", "GET"):
        assert (await loket.browser.request(method, path)).status_code == 200
    assert (await loket.browser.get(f"{path}?antwoord=accepted")).status_code == 200
    assert await journal(loket.world) == before
    assert (await loket.world.referral(row["case_id"]))["status"] == "requested"


async def test_the_page_keeps_to_itself(loket):
    _, path = await loket.offered()
    found = (await loket.browser.get(path), await loket.browser.get(f"/link/{new_token()}"))
    for page in (*found, await loket.press(path, "accepted")):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-robots-tag"].startswith("noindex")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "set-cookie" not in page.headers
        assert path.rpartition("/")[2] not in page.text


async def test_an_answer_over_another_channel_meanwhile_is_what_the_page_tells(loket):
    row, path = await loket.offered()
    said = await loket.world.say("balans", row, "rejected", reason="capacity")
    assert said.status_code == 200
    late = await loket.press(path, "accepted")
    assert late.status_code == 409
    assert "heeft niets veranderd" in late.text
    assert "niet voor u is" in late.text
    assert (await loket.world.referral(row["case_id"]))["status"] != "accepted"


async def test_who_kept_silent_is_called_and_can_still_answer(loket):
    row, path = await loket.offered()
    await loket.world.let_expire(row)
    assert "Het meldpunt gaat u bellen." in (await loket.browser.get(path)).text
    assert (await loket.press(path, "accepted")).status_code == 303
    assert (await loket.world.case(row["case_id"]))["holder"] == "balans"


async def test_an_offer_that_expired_cannot_be_taken(loket):
    await fallback(loket.world, None)
    row, path = await loket.offered()
    await loket.world.let_expire(row)
    await loket.mailed()
    late = await loket.press(path, "accepted")
    assert (late.status_code, "tijd om te antwoorden is voorbij" in late.text) == (409, True)
    assert (await loket.world.case(row["case_id"]))["holder"] == "vangnet"
    await fallback(loket.world, "desk")


async def test_what_was_withdrawn_is_told_without_buttons(loket):
    row, path = await loket.offered()
    gone = await loket.world.client.post(
        f"/referrals/{row['referral_id']}/_withdraw", json={}, headers=loket.world.desk
    )
    assert gone.status_code == 200, gone.text
    await loket.mailed()
    page = await loket.browser.get(path)
    assert "Deze melding is niet meer bij u." in page.text
    assert "<button" not in page.text


async def test_wrong_malformed_and_old_links_get_one_and_the_same_page(loket):
    row, path = await loket.offered()
    async with loket.world.database.transaction() as connection:
        await connection.execute(
            "UPDATE portal_link SET created_at = created_at - interval '31 days',"
            " expires_at = expires_at - interval '31 days' WHERE referral_id = $1",
            row["referral_id"],
        )
    pages = [
        await loket.browser.get(path),
        await loket.browser.get(f"/link/{new_token()}"),
        await loket.browser.get("/link/kort"),
        await loket.press(path, "accepted"),
    ]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1
    assert "Bel het meldpunt" in pages[0].text
    assert (await loket.world.referral(row["case_id"]))["status"] == "requested"
    # The next notice clears away what has ended.
    await loket.offered()
    assert await links(loket.world, row) == []


async def test_a_second_notice_has_a_link_of_its_own_and_the_first_stays(loket):
    row, first = await loket.offered()
    replayed = await loket.world.client.post(
        "/partners/balans/deliveries/_replay",
        json={"fromSequence": await last(loket.world), "toSequence": await last(loket.world)},
        headers=loket.world.headers("operations:write"),
    )
    assert replayed.json() == {"queued": 1}
    second = await loket.mailed()
    assert first != second
    assert len(await links(loket.world, row)) == 2
    assert (await loket.press(first, "received")).status_code == 303
    assert (await loket.press(second, "accepted")).status_code == 303


async def test_another_mailbox_ends_the_links_of_the_old_one(loket):
    _, path = await loket.offered()
    await mailbox(loket.world, "loket@balans.nl")
    assert (await loket.browser.get(path)).status_code == 200
    await mailbox(loket.world, "nieuw@balans.nl")
    assert (await loket.browser.get(path)).status_code == 404
    _, path = await loket.offered()
    assert (await loket.browser.get(path)).status_code == 200


async def test_a_link_that_is_opened_again_and_again_has_to_wait(loket):
    _, path = await loket.offered()
    pages = [await loket.browser.get(path) for _ in range(31)]
    assert [page.status_code for page in pages].count(429) == 1
    assert pages[-1].headers["retry-after"] == "60"
    assert "Wacht even" in pages[-1].text


async def test_tokens_are_in_no_log_and_no_problem(loket, capfd, monkeypatch):
    _, path = await loket.offered()
    token = path.rpartition("/")[2]
    with structlog.testing.capture_logs() as logs:
        answers = [
            await loket.browser.put(path),
            await loket.browser.post(path, content=b"a" * 70_000, headers=FORM),
            await loket.browser.get(f"{path}/verder"),
        ]
        monkeypatch.setattr("services.referral.portal.words.told", broken)
        answers.append(await loket.browser.get(path))
    assert [answer.status_code for answer in answers] == [405, 413, 404, 500]
    for answer in answers:
        assert token not in answer.text
        assert answer.json()["instance"] == "/link/***"
    assert any(line["event"] == "request_defect" for line in logs)
    assert token not in repr(logs)
    assert token not in "".join(capfd.readouterr())


async def test_a_database_that_is_away_is_told_in_plain_words(loket, monkeypatch):
    @contextlib.asynccontextmanager
    async def away():
        raise OSError
        yield

    _, path = await loket.offered()
    monkeypatch.setattr(loket.world.database, "connection", away)
    page = await loket.browser.get(path)
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Er is een storing" in page.text


async def test_the_page_is_no_part_of_the_published_api(loket):
    document = (await loket.browser.get("/v1/openapi.json")).json()
    assert not any("link" in path for path in document["paths"])


async def fallback(world, channel: str | None) -> None:
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE partner SET fallback = $1 WHERE organisation = 'balans'", channel
        )


async def last(world) -> int:
    row = await world.row("SELECT last_sequence FROM source WHERE urn LIKE '%partner-balans'")
    return int(row["last_sequence"])


def broken(*_):
    raise ZeroDivisionError
