"""Sends test cases to a partner through the real chain: intake, routing, and the desk's hand."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from contracts.situation import Situation
from deploy.client import Service, ServiceError, address, connect
from deploy.issuer import Issuer, IssuerRefused

POLL_SECONDS = 0.3
PREPARE_SECONDS_MAX = 30.0
# Test cases that are on their way to the desk at the same time.
AT_ONCE_MAX = 8
# Meldpunt sends one test message in five seconds.
TOO_SOON, TEST_PAUSE_SECONDS = 429, 5.5
LIVE = frozenset({"requested", "received", "accepted", "in-progress", "on-hold"})
# Found in a log, it proves that content was written there; it says nothing of anybody.
CANARY = "proefgeval"


class ChainStuck(RuntimeError):
    """Meldpunt itself did not bring a test case to the partner; its operator must act."""


@dataclass(frozen=True)
class Played:
    """A test case that was offered to the partner; `at` is on the monotonic clock."""

    case_id: str
    referral_id: str
    reference: str
    at: float


@dataclass
class Chain:
    """The chain for one organisation. Use as an async context manager."""

    data_dir: Path
    organisation: str
    words: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_MAX))

    async def __aenter__(self) -> Self:
        self._intake = connect("intake", "channel", self.data_dir)
        self._desk = connect("referral", "desk", self.data_dir)
        try:
            token = Issuer.open(self.data_dir).issue("partner", self.organisation, "conformance")
        except IssuerRefused as error:
            raise ServiceError(str(error), None, {}) from None
        self._partner = Service("referral", address("referral", self.data_dir), token)
        self._read_until = await self._last_sequence()
        return self

    async def __aexit__(self, *_: object) -> None:
        for service in (self._intake, self._desk, self._partner):
            await service.close()

    async def prepare(self, situation: Situation) -> str:
        """Report a case and bring it to the desk, free to be assigned; gives its id."""
        async with self._at_once:
            return await self._prepare(situation)

    async def _prepare(self, situation: Situation) -> str:
        word = f"{CANARY}{uuid.uuid4().hex}"
        self.words.append(word)
        body = {
            "situation": situation.model_dump(mode="json", exclude_none=True),
            "narrative": f"Dit is een proef: {word}.",
            "channel": "web",
        }
        key = uuid.uuid4().hex
        case_id = str((await self._intake.post("/v1/reports", body, idempotency_key=key))["caseId"])
        self.cases.append(case_id)
        limit = time.monotonic() + PREPARE_SECONDS_MAX
        while time.monotonic() < limit:
            if await self._freed(case_id):
                return case_id
            await asyncio.sleep(POLL_SECONDS)
        raise ChainStuck(
            f"The test case {case_id} did not reach the desk within {PREPARE_SECONDS_MAX:g} s."
            " Meldpunt's operator must act: see `meldpunt status`."
        )

    async def _freed(self, case_id: str) -> bool:
        """Whether nobody has or is asked for the case; takes it back from whom routing chose."""
        try:
            view = await self._desk.get(f"/v1/cases/{case_id}")
        except ServiceError as error:
            if error.status != 404:
                raise
            return False
        live = [item for item in view["referrals"] if item["status"] in LIVE]
        for item in live:
            await self.withdraw(item["referralId"])
        return not live

    async def assign(self, case_id: str) -> Played:
        """Offer a prepared case to the partner."""
        body, at = {"organisation": self.organisation}, time.monotonic()
        view = await self._desk.post(f"/v1/cases/{case_id}/assignments", body)
        mine = [item for item in view["referrals"] if item["organisation"] == self.organisation]
        newest = max(mine, key=lambda item: item["attempt"])
        return Played(case_id, newest["referralId"], view["reference"], at)

    async def referral(self, played: Played) -> dict[str, Any]:
        """The partner's referral as the desk sees it."""
        view = await self._desk.get(f"/v1/cases/{played.case_id}")
        return next(i for i in view["referrals"] if i["referralId"] == played.referral_id)

    async def in_time(self, played: Played, seconds_max: float) -> bool:
        """Whether the partner acknowledged and decided before the times of its offer.

        An answer over Kafka is seen here before referral has handled it, so it is waited for.
        """
        limit = time.monotonic() + seconds_max
        while True:
            seen = await self.referral(played)
            known = seen["receivedAt"] or seen["acceptedAt"] or seen["closedAt"]
            decided = seen["acceptedAt"] or seen["closedAt"]
            if decided or time.monotonic() > limit:
                break
            await asyncio.sleep(POLL_SECONDS)
        return bool(known and decided) and (
            _moment(known) <= _moment(seen["receivedBy"])
            and _moment(decided) <= _moment(seen["acceptedBy"])
        )

    async def withdraw(self, referral_id: str) -> None:
        """Take a referral back."""
        await self._desk.post(f"/v1/referrals/{referral_id}/_withdraw")

    async def clear(self) -> None:
        """Void every test case, so that nothing of the run stays open."""
        for case_id in self.cases:
            try:
                await self._desk.post(f"/v1/cases/{case_id}/_void")
            except ServiceError as error:
                if error.status not in {404, 409}:
                    raise
        self.cases.clear()

    async def offer(self, case_id: str) -> dict[str, Any]:
        """The offer of a case as it stands in the partner's own feed."""
        limit = time.monotonic() + PREPARE_SECONDS_MAX
        while time.monotonic() < limit:
            page = await self._partner.get(
                "/v1/partner-events", after=self._read_until, limit=500, waitSeconds=1
            )
            for item in page["events"]:
                offered = item["type"].endswith(".referral-offer.v1")
                if offered and item["data"]["case_id"] == case_id:
                    return dict(item)
        raise ChainStuck("The offer is not in the partner's feed. Meldpunt's operator must act.")

    async def test_endpoint(self) -> dict[str, Any]:
        """Let meldpunt send a test message to the webhook; what waited for it is sent as well."""
        path = f"/v1/partners/{self.organisation}/endpoint/_test"
        async with connect("referral", "operator", self.data_dir) as operator:
            try:
                return await operator.post(path)
            except ServiceError as error:
                if error.status != TOO_SOON:
                    raise
            await asyncio.sleep(TEST_PAUSE_SECONDS)
            return await operator.post(path)

    async def _last_sequence(self) -> int:
        after = 0
        while True:
            page = await self._partner.get("/v1/partner-events", after=after, limit=500)
            if not page["events"]:
                return after
            after = int(page["lastSequence"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
