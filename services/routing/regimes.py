"""The regimes of a register as the contract tells them to those who follow a finding. Pure."""

from datetime import date

from contracts import routing
from services.routing.domain import Regime, Register


def regimes_of(register: Register) -> tuple[routing.Regime, ...]:
    """Every regime that says what a finding does and how long the board has, in register order.

    A register of before these fields names fewer, which is right: nobody knew them then.
    """
    told = (_told(regime) for regime in register.regimes)
    return tuple(regime for regime in told if regime is not None)


def _told(regime: Regime) -> routing.Regime | None:
    if regime.finding is None or regime.board_response_weeks is None:
        return None
    beyond = regime.beyond
    return routing.Regime(
        id=regime.id,
        valid_from=date.fromisoformat(regime.valid_from) if regime.valid_from else None,
        valid_to=date.fromisoformat(regime.valid_to) if regime.valid_to else None,
        finding=regime.finding,
        board_response_weeks=regime.board_response_weeks,
        after_silence=beyond.after_silence if beyond else (),
        after_deviation=beyond.after_deviation if beyond else (),
        source=regime.src,
        to_verify=regime.to_verify or (beyond is not None and beyond.to_verify),
    )
