"""Settings of routing: `MELDPUNT_ROUTING_*`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from services.chassis.settings import ServiceSettings, service_config


class RoutingSettings(ServiceSettings):
    """`register_file` names another register than the one that is shipped.

    With `activate_shipped_register` that register takes the place of the one that decides when
    they differ; without a value it does so everywhere but in production, where an operator
    activates. A first start activates it in any case.
    """

    model_config = service_config("routing")

    # A register is sent whole; the routes without a token have a smaller limit of their own.
    request_bytes_max: Annotated[int, Field(gt=0)] = 2_000_000
    register_file: Path | None = None
    activate_shipped_register: bool | None = None
    # With one process the proofs would run inside the service and hold up its reports.
    check_processes: Annotated[int, Field(ge=2, le=32)] = 2
    # Makes the first questions of the wegwijzer fast too; costs seconds of CPU after each start
    # and some 100 MB, which a machine that serves no wegwijzer can do without.
    wegwijzer_warm: bool = False
    replay_seconds_max: Annotated[float, Field(gt=0, le=300)] = 20.0

    @property
    def shipped_register_replaces(self) -> bool:
        """Whether the shipped register replaces another one that decides."""
        if self.activate_shipped_register is None:
            return self.environment != "production"
        return self.activate_shipped_register
