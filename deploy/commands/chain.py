"""Sends reports into the chain and follows each until it has its holder, from the outside only:
intake's, routing's and audit's HTTP interfaces.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.client import Service, ServiceError, field_errors
from deploy.commands.base import Progress
from deploy.commands.cases import BadLine, Case

AT_ONCE_MAX = 8
POLL_SECONDS = 0.3
# The receipt of a signal changes nothing any more; wait for it a little, so that it can be shown.
RECEIPT_SECONDS_MAX = 3.0
DESK = "vangnet"


@dataclass
class Report:
    """A report on its way: what intake answered, and what audit and routing say of its case."""

    case: Case
    case_id: str
    reference: str
    seen: Mapping[str, Any] = field(default_factory=dict)
    decisions: Sequence[Mapping[str, Any]] = ()

    @property
    def settled(self) -> bool:
        """Whether audit says that a party picked it up, or that the desk has it and must act."""
        step = self.seen.get("nextStep")
        return self.seen.get("state") in {"picked-up", "closed"} or (
            self.seen.get("state") == "at-desk" and step is not None
        )

    @property
    def awaits_receipt(self) -> bool:
        """Whether a signal was sent of which the receipt is not seen yet."""
        return self.seen.get("mode") == "signal" and not self.seen.get("referralReceivedAt")

    @property
    def first_party(self) -> str | None:
        """The party of the first decision, as `organisation` or `organisation/loket`."""
        return party(self.decisions[0]) if self.decisions else None

    def seconds_to(self, moment: str) -> float | None:
        """Seconds from the receipt to a moment that audit knows by this name."""
        begin, end = self.seen.get("receivedAt"), self.seen.get(moment)
        if not begin or not end:
            return None
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def party(decision: Mapping[str, Any]) -> str:
    """The party of a decision, with its loket."""
    loket = decision["explanation"].get("loket")
    return f"{decision['organisation']}/{loket}" if loket else str(decision["organisation"])


async def send_all(intake: Service, cases: Sequence[Case]) -> tuple[list[Report], list[BadLine]]:
    """Report all cases; gives the reports in the order of the lines, and the lines refused."""
    progress, at_once = Progress("Reporting"), asyncio.Semaphore(AT_ONCE_MAX)
    # Keys are new in every run: the same file may be reported twice.
    run, sent = uuid.uuid4().hex, 0

    async def send(case: Case) -> Report | list[BadLine]:
        nonlocal sent
        async with at_once:
            outcome = await _send(intake, case, f"{run}-{case.line}")
        sent += 1
        progress.show(f"{sent} of {len(cases)}")
        return outcome

    outcomes = await asyncio.gather(*map(send, cases))
    reports = [item for item in outcomes if isinstance(item, Report)]
    bad = [line for item in outcomes if not isinstance(item, Report) for line in item]
    progress.end(f"{len(reports)} of {len(cases)} reports have their receipt")
    return reports, bad


async def _send(intake: Service, case: Case, key: str) -> Report | list[BadLine]:
    try:
        answer = await intake.post("/v1/reports", case.body, idempotency_key=key)
    except ServiceError as error:
        fields = field_errors(error.problem)
        return [BadLine(case.line, item.field, item.problem, item.remedy) for item in fields] or [
            BadLine(case.line, "report", str(error), "")
        ]
    return Report(case, answer["caseId"], answer["reference"])


async def follow(
    audit: Service, routing: Service, reports: Sequence[Report], wait_seconds: float
) -> None:
    """Ask audit until every report is settled, at most `wait_seconds`; then ask routing why."""
    progress, limit = Progress("Picked up"), time.monotonic() + wait_seconds
    await _ask_until(audit, reports, progress, limit)
    settled_at = min(time.monotonic() + RECEIPT_SECONDS_MAX, limit)
    while time.monotonic() < settled_at and (rest := [r for r in reports if r.awaits_receipt]):
        await _each(rest, lambda report: _ask_audit(audit, report))
        await asyncio.sleep(POLL_SECONDS)
    await _each(reports, lambda report: _ask_routing(routing, report))
    done = sum(report.settled for report in reports)
    progress.end(f"{done} of {len(reports)} reports have a holder and a next step")


async def _ask_until(
    audit: Service, reports: Sequence[Report], progress: Progress, limit: float
) -> None:
    while rest := [report for report in reports if not report.settled]:
        await _each(rest, lambda report: _ask_audit(audit, report))
        progress.show(f"{sum(r.settled for r in reports)} of {len(reports)}")
        if time.monotonic() > limit:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _each(reports: Iterable[Report], ask: Any) -> None:
    at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(report: Report) -> None:
        async with at_once:
            await ask(report)

    await asyncio.gather(*map(one, reports))


async def _ask_audit(audit: Service, report: Report) -> None:
    try:
        report.seen = (await audit.get(f"/v1/cases/{report.case_id}/trail"))["case"]
    except ServiceError as error:
        # Audit hears of a case a moment after intake has given the receipt.
        if error.status != 404:
            raise


async def _ask_routing(routing: Service, report: Report) -> None:
    try:
        report.decisions = (await routing.get("/v1/decisions", caseId=report.case_id))["decisions"]
    except ServiceError as error:
        if error.status != 404:
            raise
