"""The functions under test and the promises of the shell around them, in one place to replace."""

from collections.abc import Callable
from dataclasses import dataclass

from services.referral import by_desk, escalation, holding, reporter, rules
from services.referral.domain import Outcome

Rule = Callable[..., Outcome]
"""A rule of the core: a standing, what happened and the moment, to an outcome."""


@dataclass(frozen=True, slots=True)
class Core:
    """The rules as the services call them; a seeded defect replaces one of them."""

    assign: Rule = rules.assign
    answer: Rule = rules.answer
    withdraw: Rule = rules.withdraw
    expire: Rule = escalation.expire
    tick: Rule = escalation.tick
    onward_refused: Rule = holding.onward_refused
    desk_assigned: Rule = by_desk.assigned
    handed_over: Rule = by_desk.handed_over
    switched_off: Rule = by_desk.switched_off
    called_holder: Rule = by_desk.called_holder
    entered_in_error: Rule = reporter.entered_in_error
    withdrawn: Rule = reporter.withdrawn
    asked: Rule = reporter.asked
    answered: Rule = reporter.answered
    identity_hidden: Rule = reporter.identity_hidden
    not_helped: Rule = reporter.not_helped


@dataclass(frozen=True, slots=True)
class Shell:
    """What the modelled shell keeps to: the chassis does, a seeded defect does not.

    `inbox` remembers what was read; `offsets_last` commits offsets after the transaction;
    `pointers_last` deletes outbox pointers after the broker has acknowledged.
    """

    inbox: bool = True
    offsets_last: bool = True
    pointers_last: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """What a simulation runs: the core and the shell."""

    core: Core = Core()
    shell: Shell = Shell()
