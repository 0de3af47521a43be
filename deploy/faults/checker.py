"""Judges a fault run from the outside.

Pure: it gets the client's log, the partners' logs and what the public APIs said, and nothing of
the services' databases. Categories after Jepsen's checkers: lost, duplicated effects, unexpected,
indeterminate, recovered.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DESK = "vangnet"
EXAMPLES_MAX = 5


@dataclass(frozen=True, slots=True)
class Request:
    """One report as the client saw it; `case_ids` holds every case that a receipt ever named."""

    key: str
    case_ids: tuple[str, ...]
    attempts: int
    given_up: bool = False

    @property
    def acknowledged(self) -> bool:
        """Whether a receipt was given."""
        return bool(self.case_ids)


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """One line of a partner's own log."""

    organisation: str
    case_id: str
    referral_id: str
    event: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case by the public APIs: who holds it by referral and by audit, and audit's trail."""

    case_id: str
    referral_holder: str | None
    referral_next: str | None
    audit_holder: str | None
    audit_verdict: str | None
    trail: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the judgement rests on."""

    requests: Sequence[Request]
    partner_lines: Sequence[PartnerLine]
    cases: Mapping[str, CaseView]
    known_case_ids: Sequence[str]
    completeness: Mapping[str, object]
    unpicked: int
    parked: int
    drained_seconds: float | None


@dataclass(slots=True)
class Verdict:
    """The figures of a run, with an example or two of each fault found."""

    acknowledged: int = 0
    lost: int = 0
    duplicated_effects: int = 0
    unexpected: int = 0
    indeterminate: int = 0
    recovered: int = 0
    wrong_holder: int = 0
    audit_incomplete: int = 0
    duplicate_deliveries: int = 0
    drained_seconds: float | None = None
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def good(self) -> bool:
        """Whether every promise held."""
        found = self.lost + self.duplicated_effects + self.unexpected + self.wrong_holder
        return found + self.audit_incomplete == 0 and self.drained_seconds is not None

    def note(self, category: str, text: str) -> None:
        """Keep a few examples of a category."""
        if len(self.examples[category]) < EXAMPLES_MAX:
            self.examples[category].append(text)


def judge(evidence: Evidence) -> Verdict:
    """Apply every invariant; the run was good when `Verdict.good`."""
    verdict = Verdict(drained_seconds=evidence.drained_seconds)
    accepted = _accepted(evidence.partner_lines)
    _requests(evidence, verdict)
    for request in evidence.requests:
        for case_id in sorted(set(request.case_ids)):
            _case(evidence.cases.get(case_id), case_id, accepted.get(case_id, set()), verdict)
    _offers(evidence.partner_lines, verdict)
    _audit(evidence, verdict)
    return verdict


def _accepted(lines: Iterable[PartnerLine]) -> dict[str, set[tuple[str, str]]]:
    """Effective acceptances per case: said by a partner and not refused afterwards."""
    refused = {
        (line.organisation, line.referral_id) for line in lines if line.event == "answer-refused"
    }
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in lines:
        who = (line.organisation, line.referral_id)
        if line.answer == "accepted" and who not in refused:
            found[line.case_id].add(who)
    return found


def _requests(evidence: Evidence, verdict: Verdict) -> None:
    ours: Counter[str] = Counter()
    for request in evidence.requests:
        ours.update(set(request.case_ids))
        if len(set(request.case_ids)) > 1:
            verdict.duplicated_effects += 1
            verdict.note("duplicated effects", f"key {request.key} got two cases")
        if request.acknowledged:
            verdict.acknowledged += 1
            verdict.recovered += request.attempts > 1
        else:
            verdict.indeterminate += 1
    for case_id, count in ours.items():
        if count > 1:
            verdict.duplicated_effects += 1
            verdict.note("duplicated effects", f"case {case_id} was given to {count} requests")
    # A request without an answer may have become one case, never more.
    strangers = set(evidence.known_case_ids) - set(ours)
    verdict.unexpected = max(0, len(strangers) - verdict.indeterminate)
    if verdict.unexpected:
        verdict.note("unexpected", f"{len(strangers)} cases that no receipt names")


def _case(
    view: CaseView | None, case_id: str, accepted: set[tuple[str, str]], verdict: Verdict
) -> None:
    if view is None or view.referral_holder is None:
        verdict.lost += 1
        verdict.note("lost", f"case {case_id}: receipt given, no holder known")
        return
    if len(accepted) > 1:
        verdict.duplicated_effects += 1
        verdict.note("duplicated effects", f"case {case_id} accepted by {sorted(accepted)}")
    held_by = {organisation for organisation, _ in accepted} or {DESK}
    if {view.referral_holder, view.audit_holder} != held_by:
        verdict.wrong_holder += 1
        verdict.note(
            "wrong holder",
            f"case {case_id}: partners say {sorted(held_by)}, referral {view.referral_holder},"
            f" audit {view.audit_holder}",
        )
    elif view.referral_holder == DESK and view.referral_next is None:
        verdict.lost += 1
        verdict.note("lost", f"case {case_id}: at the desk without a next step")
    repeated = [entry for entry, count in Counter(view.trail).items() if count > 1]
    if repeated:
        verdict.duplicated_effects += 1
        verdict.note("duplicated effects", f"case {case_id}: {len(repeated)} trail entries twice")
    if view.audit_verdict not in {"picked-up", "at-desk", "closed"}:
        verdict.audit_incomplete += 1
        verdict.note("audit incomplete", f"case {case_id}: audit says {view.audit_verdict}")


def _offers(lines: Iterable[PartnerLine], verdict: Verdict) -> None:
    """One organisation is asked once per case; the same offer may be delivered more than once."""
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    deliveries: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.event == "referral-offer" and line.answer is None:
            asked[line.organisation, line.case_id].add(line.referral_id)
            deliveries[line.organisation, line.referral_id] += 1
    for (organisation, case_id), referrals in asked.items():
        if len(referrals) > 1:
            verdict.duplicated_effects += 1
            verdict.note("duplicated effects", f"{organisation} was asked twice for {case_id}")
    verdict.duplicate_deliveries = sum(count - 1 for count in deliveries.values())


def _audit(evidence: Evidence, verdict: Verdict) -> None:
    if evidence.completeness.get("complete") is not True:
        verdict.audit_incomplete += 1
        verdict.note("audit incomplete", f"completeness: {_short(evidence.completeness)}")
    if evidence.unpicked:
        verdict.audit_incomplete += 1
        verdict.note("audit incomplete", f"{evidence.unpicked} cases not picked up")
    if evidence.parked:
        verdict.audit_incomplete += 1
        verdict.note("audit incomplete", f"{evidence.parked} events parked")
    received = evidence.completeness.get("received")
    if isinstance(received, int) and received < verdict.acknowledged:
        verdict.audit_incomplete += 1
        verdict.note("audit incomplete", f"audit counts {received} of {verdict.acknowledged}")


def _short(document: Mapping[str, object]) -> str:
    return ", ".join(f"{k}={v}" for k, v in document.items() if k != "sources")[:300]
