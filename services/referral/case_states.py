"""The states of a case, read off its referrals and its next step, and the table of their changes.

A state is never stored: it follows from what is, so it cannot differ from it. `kept` refuses a
change that is not in the table; the database refuses what it can see of it by itself. Pure.
"""

from enum import StrEnum

from services.referral.domain import IllegalTransition, Standing


class CaseState(StrEnum):
    """Where a case is: with routing, an organisation, the desk, or nobody any more."""

    SOUGHT = "sought"
    ASKED = "asked"
    AT_DESK = "at-desk"
    HELD = "held"
    PASSED_ON = "passed-on"
    CLOSED = "closed"


_S = CaseState
# Nobody holds a case without having been asked; what was closed comes back to people first.
TRANSITIONS: dict[CaseState, frozenset[CaseState]] = {
    _S.SOUGHT: frozenset({_S.ASKED, _S.AT_DESK, _S.CLOSED}),
    _S.ASKED: frozenset({_S.HELD, _S.SOUGHT, _S.AT_DESK, _S.CLOSED}),
    _S.AT_DESK: frozenset({_S.ASKED, _S.CLOSED}),
    _S.HELD: frozenset({_S.PASSED_ON, _S.SOUGHT, _S.AT_DESK, _S.CLOSED}),
    _S.PASSED_ON: frozenset({_S.HELD, _S.ASKED, _S.SOUGHT, _S.AT_DESK, _S.CLOSED}),
    _S.CLOSED: frozenset({_S.AT_DESK}),
}
STARTS = frozenset({_S.ASKED, _S.AT_DESK})


def state_of(standing: Standing) -> CaseState:
    """The state of a case; one that its holder passes on is still held."""
    case, request, held = standing.case, standing.request, standing.holding
    if not case.open:
        return CaseState.CLOSED
    if held is not None:
        passing = request is not None or held.onward_to is not None
        return CaseState.PASSED_ON if passing else CaseState.HELD
    if request is not None:
        return CaseState.ASKED
    return CaseState.SOUGHT if case.desk_reason is None else CaseState.AT_DESK


def kept(before: Standing | None, after: Standing) -> None:
    """Raises IllegalTransition for a change of state that the table does not know."""
    new = state_of(after)
    if before is None:
        if new not in STARTS:
            raise IllegalTransition(f"a case begins as {new.value}")
        return
    old = state_of(before)
    if new is not old and new not in TRANSITIONS[old]:
        raise IllegalTransition(f"a case from {old.value} to {new.value}")


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {_name(state)}" for state in sorted(STARTS)]
    for source in CaseState:
        lines += [f"    {_name(source)} --> {_name(item)}" for item in sorted(TRANSITIONS[source])]
    return "\n".join([*lines, f"    {_name(CaseState.CLOSED)} --> [*]"])


def _name(state: CaseState) -> str:
    # Mermaid takes a hyphen in a name for part of an arrow.
    return state.value.replace("-", "_")
