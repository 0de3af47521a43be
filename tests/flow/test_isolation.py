"""Each role meets only its own: partners their referrals, and every route its scope."""

import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt

from deploy.commands.partners import roster
from deploy.issuer import Issuer
from tests.flow.stack import Stack, example_reports, send, until

ROLES = ("channel", "partner", "desk", "auditor", "operator")
PARTNER = "lkc"
EVERYBODY = "everybody"
OPERATIONS = {
    "listParkedEvents": "operator",
    "redriveParkedEvent": "operator",
    "rebuildTopics": "operator",
}
# Who may call what. A new route must be added here, or the test fails.
MATRIX: dict[str, dict[str, str]] = {
    "intake": {
        "createReport": "channel desk",
        "findReportStatus": EVERYBODY,
        "answerQuestion": EVERYBODY,
        "withdrawReport": EVERYBODY,
        "hideReportIdentity": EVERYBODY,
        "reportNotHelped": EVERYBODY,
        "getContent": "partner",
        "askQuestion": "partner",
        "listKeys": EVERYBODY,
        **OPERATIONS,
    },
    "routing": {
        "listDecisions": "desk auditor",
        "previewDecision": "channel desk auditor",
        "readRegister": EVERYBODY,
        "readRegisterDocument": EVERYBODY,
        "listRegisters": "operator desk auditor",
        "activateRegister": "operator",
        "replayRegister": "operator",
        "listClosures": "operator desk auditor",
        "closeParty": "operator desk",
        "reopenParty": "operator desk",
        "nextWegwijzerStep": EVERYBODY,
        "findSchools": EVERYBODY,
        "readSchool": EVERYBODY,
        "findMunicipalities": EVERYBODY,
        "readAffiliation": EVERYBODY,
        **OPERATIONS,
    },
    "referral": {
        "listPartnerEvents": "partner",
        "acknowledgePartnerEvents": "partner",
        "listReferrals": "partner",
        "getReferral": "partner",
        "answerReferral": "partner",
        "createContentCapability": "partner",
        "listKeys": EVERYBODY,
        "listCases": "desk operator",
        "getCase": "desk operator",
        "withdrawReferral": "desk",
        "assignCase": "desk",
        "recordHandOver": "desk",
        "endCase": "desk",
        "enterCaseInError": "desk",
        "holderCalled": "desk",
        "askConsultation": "partner",
        "listConsultations": "partner",
        "getConsultation": "partner",
        "giveAdvice": "partner",
        "createConsultationCapability": "partner",
        "createFinding": "partner desk",
        "replyToFinding": "partner desk",
        "addFindingEvidence": "partner desk",
        "settleFinding": "desk",
        "listFindings": "desk operator",
        "getFinding": "partner desk",
        "getFindingFigures": "desk auditor",
        "setEndpoint": "operator partner",
        "getEndpoint": "operator partner",
        "rotateSecret": "operator partner",
        "testEndpoint": "operator partner",
        "listDeliveries": "operator partner",
        "replayDeliveries": "operator partner",
        "listDeliveryTasks": "desk operator",
        "closeDeliveryTask": "desk operator",
        "listPartners": "desk operator auditor",
        "putPartner": "operator",
        "switchPartnerOff": "desk operator",
        "switchPartnerOn": "desk operator",
        **OPERATIONS,
    },
    "audit": {
        "getCompleteness": "auditor operator",
        "listCases": "auditor operator",
        "listUnpickedCases": "auditor operator",
        "getTrail": "auditor operator",
        "getReport": "auditor operator",
        "listDeliveries": "auditor operator",
        "getFigures": "auditor operator",
        "listLogEntries": "auditor operator",
        **OPERATIONS,
    },
}


class TwoPartners:
    """Two organisations that each hold a case, with the referral by which they do."""

    def __init__(self, stack: Stack, held: dict[str, dict[str, Any]]) -> None:
        self.stack = stack
        self.one, self.other = sorted(held)[:2]
        self.held = held

    def referral(self, organisation: str) -> str:
        [found] = [
            item["referralId"]
            for item in self.held[organisation]["referrals"]
            if item["organisation"] == organisation and item["status"] == "accepted"
        ]
        return str(found)

    def case_id(self, organisation: str) -> str:
        return str(self.held[organisation]["caseId"])

    def client(self, service: str, organisation: str) -> httpx.AsyncClient:
        return self.stack.client(service, "partner", organisation)

    async def capability(self, organisation: str) -> str:
        async with self.client("referral", organisation) as partner:
            path = f"/referrals/{self.referral(organisation)}/content-capabilities"
            answer = await partner.post(path)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["capability"])

    async def content(self, organisation: str, case_id: str, capability: str) -> httpx.Response:
        async with self.client("intake", organisation) as partner:
            return await partner.get(
                f"/contents/{case_id}", headers={"Content-Capability": capability}
            )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(stack: Stack) -> AsyncIterator[TwoPartners]:
    """Reports to many organisations; two inbox partners with a case each are looked at."""
    inbox = {item.organisation for item in roster() if item.channel == "inbox"}
    async with stack.client("intake", "channel") as channel:
        receipts = [
            await send(channel, body | {"narrative": f"Verhaal {n}"}, uuid.uuid4().hex)
            for n, body in enumerate(example_reports())
        ]

    async def look() -> dict[str, dict[str, Any]] | None:
        held = {}
        for receipt in receipts:
            view = await stack.case(receipt["caseId"])
            if view and view["holder"] in inbox:
                held[view["holder"]] = view
        return held if len(held) >= 2 else None

    yield TwoPartners(stack, await until(look, "two inbox partners hold a case"))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["detail"]
    return found


async def test_partner_sees_its_own_events_and_referrals_only(two: TwoPartners) -> None:
    for organisation in (two.one, two.other):
        async with two.client("referral", organisation) as partner:
            events = (
                await partner.get("/partner-events", params={"limit": 500, "after": 0})
            ).json()["events"]
            referrals = (await partner.get("/referrals", params={"limit": 500})).json()["referrals"]
        assert {item["data"]["organisation"] for item in events} == {organisation}
        assert {item["source"].rpartition("-")[2] for item in events} == {organisation}
        assert [int(item["sequence"]) for item in events] == list(range(1, len(events) + 1))
        assert {item["organisation"] for item in referrals} == {organisation}
        assert two.referral(organisation) in {item["referralId"] for item in referrals}
        assert "narrative" not in {key for item in events for key in item["data"]}


async def test_foreign_referral_is_unknown_on_every_partner_route(two: TwoPartners) -> None:
    referral_id = two.referral(two.other)
    answer = {"answerId": str(uuid.uuid4()), "attempt": 1, "answer": "rejected"}
    before = await two.stack.case(two.case_id(two.other))
    async with two.client("referral", two.one) as partner:
        path = f"/referrals/{referral_id}"
        calls = (
            await partner.get(path),
            await partner.post(f"{path}/answers", json=answer | {"reason": "capacity"}),
            await partner.post(f"{path}/content-capabilities"),
        )
        unknown = await partner.get(f"/referrals/{uuid.uuid4()}")
    expected = problem(unknown, 404) | {"instance": None}
    for call in calls:
        # The same words as for a referral that does not exist: no way to find out that it does.
        assert problem(call, 404) | {"instance": None} == expected
    assert await two.stack.case(two.case_id(two.other)) == before


async def test_capability_serves_only_its_partner_and_its_case(two: TwoPartners) -> None:
    mine, theirs = await two.capability(two.one), await two.capability(two.other)
    own = await two.content(two.one, two.case_id(two.one), mine)
    assert own.status_code == 200, own.text
    assert own.json()["narrative"].startswith("Verhaal ")
    refused = {
        "capability-of-other-organisation": await two.content(
            two.one, two.case_id(two.other), theirs
        ),
        "capability-of-other-case": await two.content(two.one, two.case_id(two.other), mine),
        "capability-invalid": await two.content(two.one, two.case_id(two.one), mine[:-8] + "A" * 8),
    }
    for answer in refused.values():
        assert "Verhaal" not in answer.text
        problem(answer, 403)
    details = {answer.json()["detail"] for answer in refused.values()}
    assert len(details) == 3


async def test_capability_of_a_withdrawn_referral_is_refused(two: TwoPartners) -> None:
    case_id, referral_id = two.case_id(two.other), two.referral(two.other)
    capability = await two.capability(two.other)
    assert (await two.content(two.other, case_id, capability)).status_code == 200
    async with two.stack.client("referral", "desk") as desk:
        withdrawn = await desk.post(f"/referrals/{referral_id}/_withdraw")
    assert withdrawn.json()["holder"] == "vangnet"

    async def refused() -> httpx.Response | None:
        answer = await two.content(two.other, case_id, capability)
        return None if answer.status_code == 200 else answer

    # Intake learns of it by an event; a capability that was given before lives for minutes.
    answer = await until(refused, "the capability no longer serves", 10)
    assert "closed" in problem(answer, 403)["detail"]
    async with two.client("referral", two.other) as partner:
        again = await partner.post(f"/referrals/{referral_id}/content-capabilities")
        assert problem(again, 409)["holder"] == "vangnet"
        view = (await partner.get(f"/referrals/{referral_id}")).json()
    assert (view["status"], view["situation"], view["content"]) == ("cancelled", None, [])


async def test_tokens_that_are_none_are_refused(stack: Stack) -> None:
    async with stack.client("referral") as http:
        for header in (f"Bearer {stack.token('desk')}x", "Bearer x", "Basic ZGVzazpkZXNr"):
            http.headers["Authorization"] = header
            problem(await http.get("/cases"), 401)


async def test_a_partner_token_without_an_organisation_is_refused(stack: Stack) -> None:
    issuer = Issuer.open(stack.data_dir)
    claims = dict(jwt.decode(issuer.issue("partner", PARTNER), issuer.key).claims)
    assert claims.pop("organisation") == PARTNER
    header = {"alg": "RS256", "kid": str(issuer.key.kid), "typ": "at+jwt"}
    async with stack.client("referral") as http:
        http.headers["Authorization"] = f"Bearer {jwt.encode(header, claims, issuer.key)}"
        for path in ("/partner-events", "/referrals", f"/referrals/{uuid.uuid4()}"):
            assert "organisation" in problem(await http.get(path), 403)["detail"]


@pytest.mark.parametrize("service", MATRIX)
async def test_every_route_takes_the_roles_that_it_is_for_and_no_other(
    stack: Stack, service: str
) -> None:
    async with stack.client(service) as http:
        document = (await http.get("/openapi.json")).json()
    routes = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert routes.keys() == MATRIX[service].keys()
    wrong = []
    for role in (None, *ROLES):
        async with stack.client(service, role, PARTNER if role == "partner" else None) as http:
            for operation, (method, path) in routes.items():
                status = await call(http, method, path)
                allowed = MATRIX[service][operation]
                expected = None if allowed == EVERYBODY or (role or "") in allowed.split() else 403
                if role is None and expected:
                    expected = 401
                if status != expected and (expected or status in {401, 403} or status >= 500):
                    wrong.append(f"{role} {method} {path}: {status}, expected {expected}")
    assert wrong == []


async def call(http: httpx.AsyncClient, method: str, path: str) -> int:
    """Call a route with ids that do not exist; a body that holds nothing stores nothing."""
    path = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
    answer = await http.request(method, path, json={} if method == "POST" else None)
    if answer.is_error:
        problem(answer, answer.status_code)
    return answer.status_code
