"""Who else was considered, and why each is not the primary party. Pure."""

from functools import lru_cache

from services.routing.admission import NO_REFUSAL, Case, Refusal, first_loket, refusal_of
from services.routing.compiled import Party
from services.routing.domain import Reason, Weighed

# Few rows exist, and each is a value: one object serves all decisions.
_verdict = lru_cache(4096)(Weighed)


def weigh_others(case: Case, primary: Party, also: tuple[str, ...]) -> tuple[Weighed, ...]:
    """Every organisation but the primary and the desk, each with the reason why it is not first."""
    beside = {name.partition("/")[0] for name in also}
    stages, left = case.stages, case.stages[-1]
    accused, excluded = case.facts.accused, case.excluded
    rows = []
    for party, refused in zip(case.register.others, case.register.refused, strict=True):
        if party is primary:
            continue
        # Most have no competence here; that answer is ready, unless a graver one goes before it.
        bits = party.bits
        if (
            left & bits
            or accused in party.accused_when
            or party.id in excluded
            or accused in party.second_choice
        ):
            rows.append(_verdict(party.id, *_weighed_reason(case, party, beside)))
            continue
        stage = 0
        while stages[stage] & bits:
            stage += 1
        rows.append(refused[stage])
    return tuple(rows)


def _weighed_reason(case: Case, party: Party, beside: set[str]) -> Refusal:
    if party.id in beside:
        return Reason.ALSO_COMPETENT, None
    refusal = refusal_of(case, party)
    if refusal is not None:
        return refusal
    if party.show_only:
        return Reason.SHOW_ONLY, None
    if party.ordered and first_loket(case, party) is None:
        return Reason.NO_LOKET, "steps_tried"
    return NO_REFUSAL
