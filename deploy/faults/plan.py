"""What the fault run starts: the services, perhaps with a seeded defect, and partners."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from deploy.commands.partners import all_topics, fleet_program, kafka_partners
from deploy.faults.broken import DEFECTS
from deploy.local.environment import StackContext, service_programs
from deploy.local.plan import StackPlan
from deploy.local.process import Program

DEFECT_VARIABLE = "MELDPUNT_FAULTS_DEFECT"
FLEET_VARIABLE = "MELDPUNT_FAULTS_FLEET"
REFERENCE = f"{__name__}:PLAN"


def programs(context: StackContext) -> Sequence[Program]:
    """The four services and the partners."""
    defect = os.environ.get(DEFECT_VARIABLE)
    services = service_programs(context)
    if defect:
        if defect not in DEFECTS:
            raise RuntimeError(f"{defect} is no seeded defect; use one of {', '.join(DEFECTS)}.")
        services = tuple(_broken(program, defect) for program in services)
    return (*services, fleet_program(context, os.environ.get(FLEET_VARIABLE, "").split()))


def _broken(program: Program, defect: str) -> Program:
    return replace(
        program, command=(sys.executable, "-m", "deploy.faults.broken", defect, program.name)
    )


def __getattr__(name: str) -> StackPlan:
    if name != "PLAN":
        raise AttributeError(name)
    return StackPlan(programs=programs, topics=all_topics(), kafka_partners=kafka_partners())
