"""Setting, testing and watching an endpoint over HTTP, as the operator and as a partner."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
import structlog

from services.chassis.allowance import Allowance
from services.chassis.auth import Principal, Scope
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.referral.channels import app
from services.referral.channels.signing import verify, verifying_key
from tests.component.referral.channels_world import (
    KEY,
    TELLING,
    World,
    answering,
    mail_server,
    receiving,
)
from tests.component.referral.test_channels_worker import MIGRATIONS
from tests.component.service import open_database

OPERATOR = {"authorization": "operator"}
SCHOOL = {"authorization": "partner school"}
DESK = {"authorization": "desk"}


class Authenticator:
    """Takes the header for what it says; tokens are tested with the chassis."""

    allowance = Allowance(6000, 32)

    async def principal(self, authorization: str | None) -> Principal:
        role, _, organisation = (authorization or "").partition(" ")
        scope = {"operator": Scope.OPERATOR, "desk": Scope.DESK, "partner": Scope.PARTNER}[role]
        return Principal(role, frozenset({scope}), organisation or None, 9e9)


class Api:
    def __init__(self, world: World) -> None:
        self.world = world
        log = structlog.get_logger()
        options = world.options.model_copy(update={"smtp_port": 1})
        self.channels = app.build(
            options,
            sealing_key=KEY,
            database=world.database,
            telling=TELLING,
            clock=world.clock,
            log=log,
        )
        application = make_app(
            title="t",
            description="t",
            public_url="",
            routers=[self.channels.router],
            lifespan=lambda _: contextlib.nullcontext(),
            health=SimpleNamespace(),
            metrics=Metrics("test"),
            log=log,
            request_bytes_max=65_536,
            hot_endpoints=None,
        )
        application.state.runtime = SimpleNamespace(database=world.database, clock=world.clock)
        application.state.authenticator = Authenticator()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://r.test/v1"
        )

    async def put(self, who=OPERATOR, organisation="school", **body) -> httpx.Response:
        url = f"/partners/{organisation}/endpoint"
        return await self.client.put(url, json=body, headers=who)

    async def post(self, path: str, who=OPERATOR, **body) -> httpx.Response:
        return await self.client.post(f"/partners/school/{path}", json=body, headers=who)

    async def get(self, path: str, who=OPERATOR, **query) -> httpx.Response:
        return await self.client.get(f"/partners/school/{path}", params=query, headers=who)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_api(databases):
    async with open_database(databases["referral"], MIGRATIONS) as database:
        made = Api(World(database, databases["referral"].owner))
        yield made
        await made.client.aclose()


@pytest_asyncio.fixture
async def api(module_api):
    await module_api.world.reset()
    await module_api.world.execute(
        "INSERT INTO partner (organisation, name, channel)"
        " VALUES ('school', 'De school', 'inbox'), ('lkc', 'LKC', 'inbox')"
    )
    yield module_api
    await module_api.channels.deliveries.close()


async def test_a_secret_is_shown_once_and_kept_sealed(api):
    async with receiving() as partner:
        made = await api.put(url=partner.url, email="loket@school.nl")
        assert made.status_code == 200
        view = made.json()
        assert view["secret"].startswith("whsec_")
        assert (view["channel"], view["fallback"]) == ("webhook", "email")
        again = (await api.put(url=partner.url, email="loket@school.nl")).json()
        seen = (await api.get("endpoint", SCHOOL)).json()
        assert again["secret"] is seen["secret"] is None
        [row] = await api.world.rows("SELECT sealed_keys FROM endpoint")
        assert view["secret"].encode() not in row["sealed_keys"]
        await api.world.feed("school")
        await api.channels.deliveries.work()
    request = partner.requests[0]
    now = datetime.now(UTC)
    assert verify(request.headers, request.body, [verifying_key(view["secret"])], now)
    assert [lane["state"] for lane in seen["lanes"]] == ["delivered", "delivered"]


async def test_another_url_gets_another_secret(api):
    first = (await api.put(url="http://127.0.0.1:9/a")).json()["secret"]
    second = (await api.put(url="http://127.0.0.1:9/b")).json()["secret"]
    assert second is not None
    assert first != second


async def test_a_rotation_signs_with_both_until_the_overlap_ends(api):
    async with receiving() as partner:
        old = (await api.put(url=partner.url)).json()["secret"]
        new = (await api.post("endpoint/_rotate", SCHOOL, asymmetric=True)).json()
        assert new["secret"] is None
        assert new["publicKey"].startswith("whpk_")
        await api.world.feed("school")
        await api.channels.deliveries.work()
        api.world.shift = timedelta(hours=25)
        await api.world.feed("school")
        await api.channels.deliveries.work()
    during, after = (r.headers["webhook-signature"].split(" ") for r in partner.requests)
    assert [part.split(",")[0] for part in during] == ["v1a", "v1"]
    assert [part.split(",")[0] for part in after] == ["v1a"]
    request = partner.requests[0]
    for known in (old, new["publicKey"]):
        assert verify(request.headers, request.body, [verifying_key(known)], datetime.now(UTC))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "https://user:pw@partner.nl/"}, "url"),
        ({"email": "a@b.nl\r\nBcc: c@d.nl"}, "email"),
        ({"email": "a@b.nl", "channel": "webhook"}, "channel"),
        ({"email": "a@b.nl", "fallback": "webhook"}, "fallback"),
        ({"email": "a@b.nl", "fallback": "email"}, "fallback"),
        ({"email": "a@b.nl", "unknown": 1}, "unknown"),
    ],
)
async def test_what_is_wrong_is_said_with_who_must_act(api, body, field):
    answer = await api.put(SCHOOL, **body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    named = [item for item in problem["errors"] if item["field"].endswith(field)]
    assert named
    assert all(item["remedy"] for item in named)
    assert problem.get("whoMustAct", "partner") == "partner"
    assert await api.world.rows("SELECT FROM endpoint") == []


async def test_a_partner_touches_only_its_own(api):
    for answer in (
        await api.put(SCHOOL, "lkc", email="a@b.nl"),
        await api.client.get("/partners/lkc/deliveries", headers=SCHOOL),
        await api.client.post(
            "/partners/lkc/deliveries/_replay", json={"fromSequence": 1}, headers=SCHOOL
        ),
        await api.client.get("/delivery-tasks", headers=SCHOOL),
        await api.put(DESK, email="a@b.nl"),
    ):
        assert answer.status_code == 403
    assert (await api.put(organisation="nobody", email="a@b.nl")).status_code == 404
    assert (await api.get("endpoint")).status_code == 404


async def test_a_partner_gets_topics_from_the_operator_only(api):
    taken = await api.put(SCHOOL, email="a@b.nl", channel="kafka")
    assert (taken.status_code, taken.json()["whoMustAct"]) == (409, "meldpunt")
    assert await api.world.rows("SELECT FROM endpoint") == []
    given = await api.put(email="a@b.nl", channel="kafka")
    assert given.json()["channel"] == "kafka"
    # It keeps what it has when it changes its address.
    assert (await api.put(SCHOOL, email="c@b.nl", channel="kafka")).status_code == 200


async def test_a_test_message_says_what_is_wrong_and_wakes_what_waits(api, monkeypatch):
    monkeypatch.setattr("services.referral.channels.api._TEST_PAUSE_SECONDS", 0.0)
    async with receiving(answering(302)) as partner:
        await api.put(url=partner.url)
        await api.world.feed("school", 5)
        await api.channels.deliveries.work()
        failed = (await api.post("endpoint/_test", SCHOOL)).json()
        assert (failed["delivered"], failed["httpStatus"]) == (False, 302)
        assert failed["problem"]["whoMustAct"] == "partner"
        assert "final URL" in failed["problem"]["remedy"]
        partner.answer, partner.requests = answering(200), []
        good = (await api.post("endpoint/_test", SCHOOL)).json()
        assert good["delivered"]
        assert json.loads(partner.requests[0].body)["id"] == good["eventId"]
        await api.channels.deliveries.work()
    assert set(await api.world.states("school")) == {"delivered"}


async def test_two_tests_at_once_are_too_many(api):
    await api.put(url="http://127.0.0.1:9/", email="loket@school.nl")
    for channel, seconds in (("webhook", "5"), ("email", "60")):
        answers = [await api.post(f"endpoint/_test?channel={channel}") for _ in range(2)]
        assert answers[1].status_code == 429
        assert answers[1].headers["retry-after"] == seconds


async def test_an_endpoint_that_was_off_comes_back_with_all_that_was_missed(api):
    async with receiving(answering(410)) as partner:
        await api.put(url=partner.url)
        await api.world.feed("school", 6)
        await api.channels.deliveries.work()
        refused = await api.post("deliveries/_replay", SCHOOL, fromSequence=1)
        assert (refused.status_code, refused.json()["whoMustAct"]) == (409, "partner")
        partner.answer = answering(200)
        await api.put(SCHOOL, url=partner.url)
        done = (await api.post("deliveries/_replay", SCHOOL, fromSequence=1)).json()
        assert done == {"queued": 6}
        await api.channels.deliveries.work()
        assert set(partner.sequences) == set(range(1, 7))
        few = (await api.post("deliveries/_replay", fromSequence=2, toSequence=3)).json()
        assert few == {"queued": 2}
        again = (await api.post("deliveries/_replay", fromSequence=2, toSequence=3)).json()
        assert again == {"queued": 0}, "asking again and again costs nothing"
    assert [item[1] for item in await api.world.told("school")] == ["failed", "delivered"]


async def test_an_inbox_partner_is_told_where_its_events_are(api):
    answer = await api.post("deliveries/_replay", SCHOOL, fromSequence=1)
    assert answer.status_code == 409
    assert "partner-events" in answer.json()["detail"]


async def test_the_truth_is_listed_page_by_page_and_by_state(api):
    async with receiving(lambda r: answering(400 if r.sequence == 2 else 200)(r)) as partner:
        await api.put(url=partner.url)
        await api.world.feed("school", 5)
        await api.channels.deliveries.work()
    pages, after = [], None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await api.get("deliveries", SCHOOL, **query)).json()
        pages += page["deliveries"]
        after = page["nextAfter"]
        if after is None:
            break
    assert [item["sequence"] for item in pages] == [1, 2, 3, 4, 5]
    waiting = (await api.get("deliveries", state="waiting")).json()["deliveries"]
    assert [item["sequence"] for item in waiting] == [2]
    assert waiting[0]["problem"]["problem"] == "rejected"
    assert waiting[0]["nextTryAt"]
    assert (await api.get("deliveries", after="nonsense")).status_code == 400


async def test_the_desk_sees_and_closes_what_it_must_do_by_hand(api):
    async with receiving(answering(410)) as partner:
        await api.put(url=partner.url)
        await api.world.feed("school", 3)
        await api.channels.deliveries.work()
        await api.channels.deliveries.work()
    [task] = (await api.client.get("/delivery-tasks", headers=DESK)).json()["tasks"]
    assert (task["organisation"], task["name"], task["undelivered"]) == ("school", "De school", 3)
    assert task["problem"]["problem"] == "gone"
    close = f"/delivery-tasks/{task['taskId']}/_close"
    assert (await api.client.post(close, headers=DESK)).status_code == 204
    assert (await api.client.post(close, headers=DESK)).status_code == 404


async def test_taking_an_address_back_fails_over_what_waits_there(api):
    async with receiving(answering(500)) as partner, mail_server():
        await api.put(url=partner.url, email="loket@school.nl")
        await api.world.feed("school", 2)
        await api.channels.deliveries.work()
        view = (await api.put(email="loket@school.nl")).json()
    assert (view["channel"], view["fallback"], view["url"]) == ("email", "desk", None)
    assert await api.world.states("school") == ["failed", "failed"]
