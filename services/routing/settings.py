"""Settings of routing: `MELDPUNT_ROUTING_*`."""

from pathlib import Path

from services.chassis.settings import ServiceSettings, service_config


class RoutingSettings(ServiceSettings):
    """`register_file` names another register than the one that is shipped."""

    model_config = service_config("routing")

    register_file: Path | None = None
