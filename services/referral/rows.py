"""Rows and values: the columns of the tables in one place, and the bulk statements made of them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter

import asyncpg

from contracts.intake import ContentField
from contracts.referral import (
    BusinessStatus,
    ComplaintDecision,
    CompletedAs,
    DeclineReason,
    DeskReason,
    HandOverBy,
    NextAction,
    NextStep,
    Rung,
    Status,
)
from contracts.routing import HandlingLimits
from contracts.situation import Kind, Urgency
from services.referral.domain import Case, Channel, Referral

# A register has few different limits; each is read and written once.
_LIMITS_MAX = 1000
# The sets of fields that reporters fill in; no more than some dozens.
_CONTENTS_MAX = 1000

# An enumeration that is called looks for its member; that of a code in a row is known.
_ACTIONS = {item.value: item for item in NextAction}
_CHANNELS = {item.value: item for item in Channel}
_DESK_REASONS = {None: None} | {item.value: item for item in DeskReason}
_KINDS = {item.value: item for item in Kind}
_STATUSES = {item.value: item for item in Status}
_URGENCIES = {item.value: item for item in Urgency}

# A case: what it began with and keeps, what few events change, and what each step changes. A row of
# many columns costs the most of an update here, so most updates write the last ones only.
_BEGUN = {
    "report_id": "uuid",
    "first_received_at": "timestamptz",
    "opened_at": "timestamptz",
}
_LASTING = {
    "decision_id": "uuid",
    "decision_number": "integer",
    "attempts": "integer",
    "returns": "integer",
    "returned_by": "text",
    "open": "boolean",
    "kind": "text",
    "urgency": "text",
    "situation": "text",
    "content": "text",
    "limits": "text",
    "never": "text",
}
_STEP = {
    "case_id": "uuid",
    "holder": "text",
    "handoff": "integer",
    "desk_reason": "text",
    "next_actor": "text",
    "next_action": "text",
    "next_due_at": "timestamptz",
    "other_lokets": "text",
    "changed_at": "timestamptz",
    "step_since": "timestamptz",
    "reminders": "integer",
    "timer_at": "timestamptz",
}
_OFFERED_COLUMNS = {
    "referral_id": "uuid",
    "case_id": "uuid",
    "attempt": "integer",
    "organisation": "text",
    "loket": "text",
    "decision_id": "uuid",
    "signal": "boolean",
    "status": "text",
    "offered_at": "timestamptz",
    "received_by": "timestamptz",
    "accepted_by": "timestamptz",
    "closed_at": "timestamptz",
    "due_at": "timestamptz",
    "channel": "text",
    "onward_of": "uuid",
}
_MOVED_COLUMNS = {
    "referral_id": "uuid",
    "status": "text",
    "received_by": "timestamptz",
    "accepted_by": "timestamptz",
    "channel": "text",
    "outcome": "text",
    "decision": "text",
    "until": "timestamptz",
    "onward_of": "uuid",
    "onward_to": "text",
    "handed_over_by": "text",
    "rung": "text",
    "business_status": "text",
    "reason": "text",
    "suggested_organisation": "text",
    "received_at": "timestamptz",
    "accepted_at": "timestamptz",
    "closed_at": "timestamptz",
    "due_at": "timestamptz",
}
# What receipt and acceptance change; the columns above that are not here change seldom.
_TAKEN_COLUMNS = {
    name: _MOVED_COLUMNS[name]
    for name in ("referral_id", "status", "received_at", "accepted_at", "due_at")
}


def _unnest(columns: Mapping[str, str]) -> str:
    """Rows of what `_arrays` makes: of each type one array, of each column a slice."""
    kinds = list(dict.fromkeys(columns.values()))
    slices = []
    of_kind = dict.fromkeys(kinds, 0)
    for kind in columns.values():
        of_kind[kind] += 1
        slices.append(f"(${kinds.index(kind) + 1}::{kind}[])[{of_kind[kind]}:{of_kind[kind]}]")
    return f"unnest({', '.join(slices)}) AS t({', '.join(columns)})"


def _arrays(
    columns: Mapping[str, str], rows: Sequence[tuple[object, ...]]
) -> list[list[list[object]]]:
    """Columns of one type together in one array, because that halves what the driver does.

    Of an array in one dimension asyncpg asks each element whether it is an array itself; of one in
    two dimensions it asks the elements of the first column only.
    """
    of_kind: dict[str, list[list[object]]] = {}
    for kind, column in zip(columns.values(), zip(*rows, strict=True), strict=True):
        of_kind.setdefault(kind, []).append(list(column))
    return list(of_kind.values())


def _insert(table: str, columns: Mapping[str, str]) -> str:
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {_unnest(columns)}"  # noqa: S608


def _update(table: str, key: str, columns: Mapping[str, str]) -> str:
    sets = ", ".join(f"{name} = t.{name}" for name in columns if name != key)
    return f"UPDATE {table} x SET {sets} FROM {_unnest(columns)} WHERE x.{key} = t.{key}"  # noqa: S608


_CHANGED = _STEP | _LASTING
_OPENED = _CHANGED | _BEGUN

OPEN_CASES = _insert("case_holder", _OPENED) + " ON CONFLICT DO NOTHING"
CHANGE_CASES = _update("case_holder", "case_id", _CHANGED)
STEP_CASES = _update("case_holder", "case_id", _STEP)
OFFER_REFERRALS = _insert("referral", _OFFERED_COLUMNS)
MOVE_REFERRALS = _update("referral", "referral_id", _MOVED_COLUMNS)
TAKE_REFERRALS = _update("referral", "referral_id", _TAKEN_COLUMNS)

_begun = attrgetter(*_BEGUN)
_lasting = attrgetter(*_LASTING)
_offered = attrgetter(*_OFFERED_COLUMNS)
_moved = attrgetter(*_MOVED_COLUMNS)
_taken = attrgetter(*_TAKEN_COLUMNS)
_left = attrgetter(*(name for name in _MOVED_COLUMNS if name not in _TAKEN_COLUMNS))


def is_stepped(before: Case, after: Case) -> bool:
    """Whether STEP_CASES writes all that differs."""
    return bool(_lasting(before) == _lasting(after))


def is_taken(before: Referral, after: Referral) -> bool:
    """Whether TAKE_REFERRALS writes all that differs."""
    return bool(_left(before) == _left(after))


def opened_columns(cases: Sequence[Case]) -> list[list[list[object]]]:
    """Arguments of OPEN_CASES."""
    return _arrays(_OPENED, [(*_step_row(c), *_lasting_row(c), *_begun(c)) for c in cases])


def changed_columns(cases: Sequence[Case]) -> list[list[list[object]]]:
    """Arguments of CHANGE_CASES."""
    return _arrays(_CHANGED, [(*_step_row(c), *_lasting_row(c)) for c in cases])


def stepped_columns(cases: Sequence[Case]) -> list[list[list[object]]]:
    """Arguments of STEP_CASES."""
    return _arrays(_STEP, [_step_row(c) for c in cases])


def _step_row(c: Case) -> tuple[object, ...]:
    step = c.next_step
    return (
        c.case_id,
        c.holder,
        c.handoff,
        c.desk_reason,
        step.actor if step else None,
        step.action if step else None,
        step.due_at if step else None,
        " ".join(c.other_lokets),
        c.changed_at,
        c.step_since,
        c.reminders,
        c.timer_at,
    )


def _lasting_row(c: Case) -> tuple[object, ...]:
    return (
        c.decision_id,
        c.decision_number,
        c.attempts,
        c.returns,
        " ".join(c.returned_by),
        c.open,
        c.kind,
        c.urgency,
        c.situation,
        " ".join(c.content),
        _limits_text(c.limits),
        " ".join(c.never),
    )


def offered_columns(referrals: Sequence[Referral]) -> list[list[list[object]]]:
    """Arguments of OFFER_REFERRALS."""
    return _arrays(_OFFERED_COLUMNS, [_offered(r) for r in referrals])


def moved_columns(referrals: Sequence[Referral]) -> list[list[list[object]]]:
    """Arguments of MOVE_REFERRALS."""
    return _arrays(_MOVED_COLUMNS, [_moved(r) for r in referrals])


def taken_columns(referrals: Sequence[Referral]) -> list[list[list[object]]]:
    """Arguments of TAKE_REFERRALS."""
    return _arrays(_TAKEN_COLUMNS, [_taken(r) for r in referrals])


@lru_cache(_LIMITS_MAX)
def _limits_text(limits: HandlingLimits) -> str:
    return limits.model_dump_json(exclude_none=True)


@lru_cache(_LIMITS_MAX)
def _limits_of(text: str) -> HandlingLimits:
    return HandlingLimits.model_validate_json(text)


@lru_cache(_CONTENTS_MAX)
def _content_of(text: str) -> tuple[ContentField, ...]:
    return tuple(ContentField(name) for name in text.split())


def case_of(row: asyncpg.Record) -> Case:
    """A case from its row."""
    step = None
    if row["next_actor"] is not None:
        step = NextStep(
            actor=row["next_actor"],
            action=_ACTIONS[row["next_action"]],
            due_at=row["next_due_at"],
        )
    return Case(
        case_id=row["case_id"],
        report_id=row["report_id"],
        holder=row["holder"],
        handoff=row["handoff"],
        decision_id=row["decision_id"],
        decision_number=row["decision_number"],
        attempts=row["attempts"],
        returns=row["returns"],
        returned_by=tuple(row["returned_by"].split()),
        desk_reason=_DESK_REASONS[row["desk_reason"]],
        next_step=step,
        open=row["open"],
        kind=_KINDS[row["kind"]],
        urgency=_URGENCIES[row["urgency"]],
        situation=row["situation"],
        content=_content_of(row["content"]),
        first_received_at=row["first_received_at"],
        opened_at=row["opened_at"],
        changed_at=row["changed_at"],
        limits=_limits_of(row["limits"]),
        other_lokets=tuple(row["other_lokets"].split()),
        never=tuple(row["never"].split()),
        step_since=row["step_since"],
        reminders=row["reminders"],
        timer_at=row["timer_at"],
    )


def referral_of(row: asyncpg.Record) -> Referral:
    """A referral from its row, without the text of a decline."""
    business, reason = row["business_status"], row["reason"]
    return Referral(
        referral_id=row["referral_id"],
        case_id=row["case_id"],
        attempt=row["attempt"],
        organisation=row["organisation"],
        loket=row["loket"],
        decision_id=row["decision_id"],
        signal=row["signal"],
        status=_STATUSES[row["status"]],
        offered_at=row["offered_at"],
        received_by=row["received_by"],
        accepted_by=row["accepted_by"],
        business_status=BusinessStatus(business) if business else None,
        reason=DeclineReason(reason) if reason else None,
        suggested_organisation=row["suggested_organisation"],
        received_at=row["received_at"],
        accepted_at=row["accepted_at"],
        closed_at=row["closed_at"],
        channel=_CHANNELS[row["channel"]],
        outcome=CompletedAs(row["outcome"]) if row["outcome"] else None,
        decision=ComplaintDecision(row["decision"]) if row["decision"] else None,
        until=row["until"],
        onward_of=row["onward_of"],
        onward_to=row["onward_to"],
        handed_over_by=HandOverBy(row["handed_over_by"]) if row["handed_over_by"] else None,
        rung=Rung(row["rung"]) if row["rung"] else None,
    )
