"""What a stack runs, as one value, so that a demo, a test or a benchmark can run something else."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.topics import CORE_TOPICS, TopicSpec
from deploy.local.environment import StackContext, service_programs
from deploy.local.process import Program
from deploy.local.provision import SERVICES


@dataclass(frozen=True)
class StackPlan:
    """What runs: services, each with a database and an HTTP port, programs, and topics.

    `kafka_partners` get rights at the broker; on the stack's own broker all others lose theirs.
    `prefix` begins the name of every database and role.
    `programs` is called when servers, databases and topics are there and before any program starts.
    """

    programs: Callable[[StackContext], Sequence[Program]] = service_programs
    services: Sequence[str] = SERVICES
    topics: Sequence[TopicSpec] = CORE_TOPICS
    kafka_partners: Sequence[str] = ()
    prefix: str = "meldpunt"


DEFAULT = StackPlan()
DEFAULT_REFERENCE = f"{__name__}:DEFAULT"


def load_plan(reference: str) -> StackPlan:
    """The plan that `module:name` refers to. Raises `RuntimeError` when there is none."""
    module, _, name = reference.partition(":")
    try:
        plan = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RuntimeError(f"There is no plan {reference}: {error}") from None
    if not isinstance(plan, StackPlan):
        raise RuntimeError(f"{reference} is no StackPlan")  # noqa: TRY004 - a configuration error for the user.
    return plan
