"""What some events say besides their case: reports, parkings, deliveries and findings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts import finding
from contracts.event import Event
from contracts.finding import FindingReplied, FindingSettled
from contracts.intake import ReportReceived
from contracts.operations import EventParked, EventRedriven
from contracts.referral import DeliveryChanged
from services.audit import figure_store, store
from services.audit.domain import Delivery, Finding
from services.chassis.db import Connection
from services.chassis.incoming import Received


@dataclass(slots=True)
class Rows:
    """What a batch says of it."""

    reports: list[tuple[UUID, UUID, datetime]] = field(default_factory=list)
    parked: list[tuple[Any, ...]] = field(default_factory=list)
    deliveries: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def rows_of(received: Sequence[Received]) -> Rows:
    """Collect it from a batch."""
    rows = Rows()
    for item in received:
        # By class in a table: a match on models asks each abstract class in turn, per event.
        own = _OWN.get(type(item.event))
        if own is not None:
            own(rows, item.event, item.envelope.sequence)
    return rows


async def write(connection: Connection, rows: Rows) -> None:
    """Write what is rare; the reports are written with the rest of the batch."""
    if rows.parked:
        await store.write_parked(connection, rows.parked)
    if rows.deliveries:
        await figure_store.write_deliveries(connection, list(rows.deliveries.values()))
    if rows.findings:
        await figure_store.write_findings(connection, rows.findings)


def _report(rows: Rows, event: ReportReceived, _: int) -> None:
    rows.reports.append((event.report_id, event.case_id, event.received_at))


def _parked(rows: Rows, event: EventParked, _: int) -> None:
    reason = event.reason.value
    rows.parked.append((event.parked_id, event.consumer, event.case_id, reason, event.at, None))


def _redriven(rows: Rows, event: EventRedriven, _: int) -> None:
    rows.parked.append((event.parked_id, event.consumer, event.case_id, None, None, event.at))


def _delivery(rows: Rows, event: DeliveryChanged, sequence: int) -> None:
    key = event.organisation, event.channel
    known = rows.deliveries.get(key)
    if known is None or known.sequence < sequence:
        state = event.state.value
        rows.deliveries[key] = Delivery(*key, state, event.waiting, event.since, event.at, sequence)


def _finding(rows: Rows, event: Any, sequence: int) -> None:
    rows.findings.append(
        Finding(
            event.finding_id,
            event.case_id,
            event.regime,
            event.state.value,
            sequence,
            event.reply_days if type(event) is FindingReplied else None,
            event.settlement.value if type(event) is FindingSettled else None,
        )
    )


_OWN: dict[type[Event], Callable[[Rows, Any, int], None]] = {
    ReportReceived: _report,
    EventParked: _parked,
    EventRedriven: _redriven,
    DeliveryChanged: _delivery,
    **dict.fromkeys(finding.EVENTS, _finding),
}
