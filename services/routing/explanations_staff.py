"""One decision told to the desk (compact Dutch, with ids) and to the auditor (plain values)."""

from dataclasses import asdict
from typing import Any

from services.routing.counterfactual import Change
from services.routing.domain import Decision, Reason, Rule, Weighed
from services.routing.explain import declined_proposal, explain_line
from services.routing.explanations import (
    Explained,
    feedback_words,
    nearness,
    official_name,
    organisation_of,
)
from services.routing.terms import RunningTerm


def for_desk(explained: Explained) -> str:
    """The decision for a colleague at the desk: compact Dutch lines with ids and names."""
    decision = explained.decision
    party = organisation_of(explained, decision.primary)
    lines = [
        f"Naar: {decision.party} ({party.name})",
        explain_line(decision),
        *(f"Voorstel: {why}" for why in declined_proposal(decision)),
        f"Waarom: {decision.why}",
        f"Terugmelding: {explained.questions.label('feedback_desk', party.feedback)}",
    ]
    lines += [f"Ook: {name} ({official_name(explained, name)})" for name in decision.also]
    lines += [f"Tonen: {name} ({official_name(explained, name)})" for name in decision.shown]
    lines += [
        f"Plicht{' (gaat voor)' if duty.overrides_choice else ''}: {duty.id}: {duty.text}"
        for duty in decision.duties
    ]
    lines += [f"Termijn: {_term_line(term)}" for term in explained.terms]
    lines += [
        f"Niet: {row.organisation} ({official_name(explained, row.organisation)}): {row.reason}"
        f"{f' op {row.field}' if row.field else ''}"
        for row in sorted(decision.weighed, key=nearness)
        if row.reason != Reason.NOT_COMPETENT
    ]
    lines += [f"Anders bij: {_change_line(change)}" for change in explained.changes]
    return "\n".join(lines)


def for_auditor(explained: Explained) -> dict[str, Any]:
    """The decision for an auditor, as plain values for JSON.

    Names the rule with its legal basis, sources and marks "to verify", everybody that was weighed
    with the coded reason and its words, duties, dated terms and counterfactuals.
    """
    decision, register = explained.decision, explained.register.register
    rule = next(rule for rule in register.routing_rules if rule.id == decision.rule)
    party = organisation_of(explained, decision.primary)
    sources = {rule.src, *(d.src for d in decision.duties), *(t.source for t in explained.terms)}
    return {
        "register": {"version": decision.register_version, "sha256": decision.register_hash},
        "situation": decision.situation.model_dump(mode="json", exclude_none=True),
        "facts": [flag.value for flag in decision.flags],
        "excluded": list(decision.excluded),
        "proposal": decision.proposal and decision.proposal.model_dump(mode="json"),
        "decision": _outcome(explained),
        "rule": _rule(rule, decision),
        "feedback": {"level": party.feedback, "words": feedback_words(explained, party.id)},
        "admissibility": [
            r.model_dump(mode="json", exclude_none=True) for r in party.admissibility
        ],
        "dataRules": [r.model_dump(mode="json", exclude_none=True) for r in party.data_rule],
        "duties": [
            {
                **duty.model_dump(mode="json", exclude_none=True, exclude={"match"}),
                "overridesChoice": duty.overrides_choice,
            }
            for duty in decision.duties
        ],
        "terms": [asdict(term) for term in explained.terms],
        "weighed": [_weighed(explained, row) for row in decision.weighed],
        "wouldChange": [asdict(change) for change in explained.changes],
        "sources": {source: register.sources[source] for source in sorted(sources)},
        "toVerify": _to_verify(explained, rule),
    }


def _outcome(explained: Explained) -> dict[str, Any]:
    decision = explained.decision
    return {
        "party": decision.party,
        "name": decision.primary_name,
        "mode": decision.mode.value,
        "urgency": decision.urgency.value,
        "also": list(decision.also),
        "shown": list(decision.shown),
        "kind": decision.kind.value,
        "kindAtParty": decision.kind_at_primary.value,
    }


def _rule(rule: Rule, decision: Decision) -> dict[str, Any]:
    return {
        "id": rule.id,
        "match": rule.match.model_dump(mode="json", exclude_defaults=True),
        "basis": rule.basis,
        "source": rule.src,
        "toVerify": rule.to_verify,
        "why": decision.why,
        "whyEn": decision.why_en,
    }


def _weighed(explained: Explained, row: Weighed) -> dict[str, Any]:
    return {
        "organisation": row.organisation,
        "reason": row.reason.value,
        "field": row.field,
        "words": explained.questions.label("reason", row.reason),
        "wordsEn": explained.questions.label("reason", row.reason, english=True),
    }


def _to_verify(explained: Explained, rule: Rule) -> list[str]:
    """Everything in this decision that nobody has checked yet."""
    party = organisation_of(explained, explained.decision.primary)
    marked = [f"rule {rule.id}"] if rule.to_verify else []
    marked += [f"duty {duty.id}" for duty in explained.decision.duties if duty.to_verify]
    marked += [f"term {term.term}" for term in explained.terms if term.to_verify]
    marked += [f"channels {party.id}"] if party.channels.to_verify else []
    return marked


def _term_line(term: RunningTerm) -> str:
    until = term.last_day.isoformat() if term.last_day else f"{term.length} na {term.starts}"
    mark = ", nog te controleren" if term.to_verify else ""
    return f"{term.term}: {term.what}: {until} ({term.state}; {term.basis or term.source}{mark})"


def _change_line(change: Change) -> str:
    holds = "" if change.holds else "niet "
    return f"{change.field} = {holds}{change.value}: {change.party}"
