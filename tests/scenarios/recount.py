"""An auditor's own arithmetic: every figure from the entries of the log, and from nothing else.

Uses no code of the project. What it takes for true is written here, in the words of the contracts.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

DESK, BOARD = "vangnet", "bevoegd_gezag"
PROVE_RECEIPT = {"received", "accepted", "rejected", "in-progress", "on-hold", "completed"}
Entry = dict[str, Any]


def checked(page: list[dict[str, Any]]) -> list[Entry]:
    """The entries of a whole log, after its hashes were recomputed."""
    chain, found = hashlib.sha256(b"").digest(), []
    for index, item in enumerate(page):
        assert item["logIndex"] == index
        text = json.dumps(item["entry"], sort_keys=True, separators=(",", ":")).encode()
        digest = bytes.fromhex(item["dataDigest"])
        leaf = hashlib.sha256(b"\x00" + text + digest).digest()
        assert leaf.hex() == item["leafHash"]
        chain = hashlib.sha256(chain + leaf).digest()
        assert chain.hex() == item["chain"]
        entry = dict(item["entry"])
        entry["name"] = entry["type"].split(".")[-2]
        entry["facts"] = json.loads(entry.get("facts", "{}"))
        found.append(entry)
    return found


@dataclass
class Case:
    """One case, as its entries tell it."""

    names: Counter = field(default_factory=Counter)
    last: tuple[int, int] = (-1, 0)
    step: Entry = field(default_factory=dict)
    offered: int = 0
    at_desk: int = 0
    closed: int = 0
    because: str | None = None
    receipt: bool = False
    parked: int = 0

    def take(self, entry: Entry) -> None:
        name, sequence = entry["name"], entry["sequence"]
        self.names[name] += 1
        self.parked += {"event-parked": 1, "event-redriven": -1}.get(name, 0)
        if "handoff" in entry and (entry["handoff"], sequence) > self.last:
            self.last, self.step = (entry["handoff"], sequence), entry
        if name == "referral-offered" and not entry["facts"].get("signal"):
            self.offered = max(self.offered, sequence)
        if name == "case-closed" and sequence > self.closed:
            self.closed, self.because = sequence, entry["status"]
        if name == "referral-status-changed":
            self.receipt = self.receipt or entry["status"] in PROVE_RECEIPT
        if name == "case-at-desk" or _rests(entry):
            self.at_desk = max(self.at_desk, sequence)

    @property
    def standing(self) -> str:
        if self.parked > 0:
            return "parked"
        if not self.names["report-received"] or not self.names["case-assigned"]:
            return "incomplete"
        if self.closed and "next_due_at" not in self.step:
            return "closed"
        if self.step.get("holder", DESK) != DESK:
            return "accepted"
        return "atDesk" if self.at_desk > self.offered else "open"

    def late(self, now: datetime) -> bool:
        due = self.step.get("next_due_at") or self.step["at"]
        return self.standing != "closed" and datetime.fromisoformat(due) < now


def _rests(entry: Entry) -> bool:
    cancelled = entry["name"] == "referral-status-changed" and entry["status"] == "cancelled"
    return cancelled and entry["holder"] == entry.get("next_actor") == DESK


def completeness(entries: list[Entry], now: datetime) -> dict[str, Any]:
    """The counts that `GET /v1/completeness` gives, under its names."""
    cases: dict[str, Case] = defaultdict(Case)
    for entry in entries:
        if "case_id" in entry:
            cases[entry["case_id"]].take(entry)
    every = list(cases.values())
    standings = Counter(case.standing for case in every)
    late = [case for case in every if case.late(now)]
    closed = Counter(case.because for case in every if case.standing == "closed")
    sources, missing = _sources(entries)
    return {
        "cases": len(every),
        "received": sum(bool(case.names["report-received"]) for case in every),
        "assigned": sum(bool(case.names["case-assigned"]) for case in every),
        "offered": sum(bool(case.names["referral-offered"]) for case in every),
        "receivedByPartner": sum(case.receipt for case in every),
        "withdrawn": sum(bool(case.names["report-withdrawn"]) for case in every),
        **{name: standings[name] for name in ("accepted", "atDesk", "closed")},
        "open": standings["open"] + standings["parked"] + standings["incomplete"],
        "incomplete": standings["incomplete"],
        "closedBecause": {
            "completed": closed["completed"],
            "withdrawn": closed["withdrawn"],
            "enteredInError": closed["entered-in-error"],
        },
        "overdue": sum(case.standing in {"atDesk", "open"} for case in late),
        "holderOverdue": sum(case.standing == "accepted" for case in late),
        "failingDeliveries": list(_deliveries(entries).values()).count("failed"),
        "parked": sum(case.parked for case in every),
        "missingEvents": missing,
        "reusedSequences": sum(source["reused"] for source in sources),
        "sources": sources,
    }


def _sources(entries: list[Entry]) -> tuple[list[dict[str, Any]], int]:
    seen: dict[str, set[int]] = defaultdict(set)
    numbered: Counter[str] = Counter()
    tallied: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry["sequence"]:
            seen[entry["source"]].add(entry["sequence"])
            numbered[entry["source"]] += 1
        if source := entry["facts"].get("tallied_source"):
            tallied[source] = max(tallied[source], entry["facts"]["through_sequence"])
    found = []
    for source in sorted(seen):
        highest = max(*seen[source], tallied[source])
        found.append(
            {
                "source": source,
                "lastSequence": highest,
                "tallied": tallied[source],
                "missing": highest - len(seen[source]),
                "reused": numbered[source] - len(seen[source]),
            }
        )
    return found, sum(item["missing"] for item in found)


def _deliveries(entries: list[Entry]) -> dict[tuple[str, str], str]:
    told = [entry for entry in entries if entry["name"] == "delivery-changed"]
    told.sort(key=lambda entry: entry["sequence"])
    return {(entry["organisation"], entry["facts"]["channel"]): entry["status"] for entry in told}


def figures(entries: list[Entry]) -> dict[str, dict[str, int]]:
    """How often what happened, by organisation and fact."""
    found: dict[str, Counter] = defaultdict(Counter)
    for entry in entries:
        for organisation, fact in _counted(entry):
            found[organisation][fact] += 1
    return {organisation: dict(facts) for organisation, facts in found.items()}


def _counted(entry: Entry) -> list[tuple[str, str]]:
    name, who = entry["name"], entry.get("organisation", "")
    if name == "referral-status-changed":
        return [(who, fact) for fact in _of_status(entry)]
    if name in _PLAIN:
        return [(who, _PLAIN[name])]
    if name in _OF_REPORTER:
        return [("reporter", name)]
    own = _COUNTED.get(name)
    return own(who, entry.get("holder", ""), entry) if own else []


_OF_REPORTER = {"question-answered", "report-withdrawn", "identity-hidden"}
_PLAIN = {"case-assigned": "assigned"} | {
    name: name
    for name in (
        *("onward-refused", "term-warned", "finding-escalated", "question-asked"),
        "content-disclosed",
    )
}
_COUNTED: dict[str, Callable[[str, str, Entry], list[tuple[str, str]]]] = {
    "referral-offered": lambda who, _, e: [
        (who, "signalled" if e["facts"].get("signal") else "offered")
    ],
    "case-at-desk": lambda _, __, e: [(DESK, f"at-desk-{e['reason']}")],
    "case-closed": lambda _, holder, e: [(holder, f"closed-{e['status']}")],
    "redecision-requested": lambda _, holder, e: (
        [(holder, "onward-asked")] if e["reason"] == "referred-onward" else []
    ),
    "referral-reminded": lambda _, __, e: [(e["facts"]["actor"], "reminded")],
    "referral-escalated": lambda who, _, e: [
        (who, "escalated"),
        (who, f"escalated-{e['reason']}"),
    ],
    "consultation-asked": lambda who, holder, _: [
        (holder, "consultation-asked"),
        (who, "consulted"),
    ],
    "consultation-answered": lambda who, _, e: [
        (who, "advised" if e["facts"].get("advised") else "not-advised")
    ],
    "finding-replied": lambda _, __, e: [(BOARD, f"finding-{e['facts']['reply']}")],
    "finding-reminded": lambda _, __, e: [(e["facts"]["actor"], "finding-reminded")],
    "finding-settled": lambda _, __, e: [(BOARD, f"finding-settled-{e['facts']['settlement']}")],
}


def _of_status(entry: Entry) -> list[str]:
    status, reason, facts = entry["status"], entry.get("reason"), entry["facts"]
    found = []
    if reason == "referred-onward":
        # Before the other party accepts it is only asked, which another event tells.
        found += ["referred-onward"] if status == "completed" else []
    elif status == "completed" and reason:
        found += ["completed", f"completed-{reason}"]
    elif status == "failed" and reason and reason != "term-expired":
        found.append("returned")
    elif reason == "term-expired" or (status, reason) == ("on-hold", "no-contact"):
        found.append(str(reason))
    else:
        found.append(str(status))
    return [*found, "handed-over"] if "handed_over_by" in facts else found


def findings(entries: list[Entry]) -> list[dict[str, Any]]:
    """Findings per regime, state and end, with the median of the days until the first reply."""
    told: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry["sequence"]):
        if entry["name"].startswith("finding-"):
            told[entry["facts"]["finding_id"]].append(entry)
    groups: dict[tuple, list[int | None]] = defaultdict(list)
    for own in told.values():
        ends = [e["facts"]["settlement"] for e in own if e["name"] == "finding-settled"]
        days = [e["facts"]["reply_days"] for e in own if e["name"] == "finding-replied"]
        last = own[-1]
        end = ends[-1] if ends else None
        key = (last["facts"].get("regime"), last["status"], end)
        groups[key].append(min(days) if days else None)
    return [
        {
            "regime": regime,
            "state": state,
            "settlement": settlement,
            "findings": len(days),
            "replied": len(replied := [day for day in days if day is not None]),
            "medianReplyDays": float(median(replied)) if replied else None,
        }
        for (regime, state, settlement), days in sorted(
            groups.items(), key=lambda item: tuple(map(str, item[0]))
        )
    ]
