"""One report is one trace: from intake through routing and referral to audit."""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.flow.stack import SITUATION, Stack, report, send, until

NEEDED = {"meldpunt-intake", "meldpunt-routing", "meldpunt-referral", "meldpunt-audit"}


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    id: str
    parent: str | None
    text: str


def spans(stack: Stack, trace_id: str) -> dict[str, Span]:
    """All exported spans of a trace, by id."""
    found = {}
    for path in sorted(stack.trace_folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            if trace_id in line:
                span = read(line)
                found[span.id] = span
    return found


def read(line: str) -> Span:
    raw: dict[str, Any] = json.loads(line)
    return Span(
        raw["resource"]["attributes"]["service.name"],
        raw["name"],
        raw["context"]["span_id"].removeprefix("0x"),
        raw["parent_id"].removeprefix("0x") if raw["parent_id"] else None,
        line,
    )


async def trace_of(stack: Stack, case_id: str) -> str:
    """The trace that intake wrote into the event of a case."""
    connection = await stack.owner("intake")
    try:
        found = await connection.fetchval(
            "SELECT traceparent FROM event WHERE key = $1 ORDER BY sequence LIMIT 1",
            uuid.UUID(case_id),
        )
    finally:
        await connection.close()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", found), found
    return str(found).split("-")[1]


async def complete_trace(stack: Stack, trace_id: str) -> dict[str, Span]:
    async def look() -> dict[str, Span] | None:
        found = spans(stack, trace_id)
        names = {span.name for span in found.values()}
        done = "audit referral-offered" in names and {s.service for s in found.values()} >= NEEDED
        return found if done else None

    return await until(look, "spans of all four services in one trace")


async def test_one_report_is_one_tree_of_spans_in_all_services(stack: Stack) -> None:
    async with stack.client("intake", "channel") as channel:
        receipt = await send(channel, report(), uuid.uuid4().hex)
    await stack.accepted(receipt["caseId"])
    found = await complete_trace(stack, await trace_of(stack, receipt["caseId"]))
    [root] = [span for span in found.values() if span.parent is None]
    assert (root.service, root.name) == ("meldpunt-intake", "intake report")
    by_name = {span.name: span for span in found.values()}
    for span in found.values():
        if span is not root:
            assert span.parent in found, f"{span.name} hangs under nothing"
    chain = []
    span = by_name["audit referral-offered"]
    while span.parent:
        span = found[span.parent]
        chain.append(span.name)
    assert chain == ["referral case-assigned", "routing report-received", "intake report"]
    assert found[by_name["intake referral-offered"].parent or ""].service == "meldpunt-referral"
    for span in found.values():
        for word in ("Er is iets gebeurd", *SITUATION.values()):
            assert word not in span.text


async def test_context_of_the_channel_is_carried_on(stack: Stack) -> None:
    trace_id, parent = uuid.uuid4().hex, "00f067aa0ba902b7"
    async with stack.client("intake", "channel") as channel:
        channel.headers["traceparent"] = f"00-{trace_id}-{parent}-01"
        receipt = await send(channel, report(), uuid.uuid4().hex)
    assert await trace_of(stack, receipt["caseId"]) == trace_id
    found = await complete_trace(stack, trace_id)
    [root] = [span for span in found.values() if span.parent not in found]
    assert (root.name, root.parent) == ("intake report", parent)


@pytest.mark.parametrize(
    "context",
    ["naam: Jan Jansen 1", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "x" * 2000 + "1", "ff-1"],
)
async def test_a_context_that_is_none_stops_no_report_and_travels_nowhere(
    stack: Stack, context: str
) -> None:
    async with stack.client("intake", "channel") as channel:
        channel.headers["traceparent"] = context
        receipt = await send(channel, report(), uuid.uuid4().hex)
    assert await trace_of(stack, receipt["caseId"]) not in context
    await stack.accepted(receipt["caseId"])
