"""Settings of audit: environment variables `MELDPUNT_AUDIT_<FIELD>`."""

from typing import Annotated

from pydantic import Field

from services.chassis.settings import ServiceSettings, service_config


class AuditSettings(ServiceSettings):
    """What any service needs; audit only reads in larger batches."""

    model_config = service_config("audit")

    consume_batch_max: Annotated[int, Field(ge=1, le=5000)] = 4000
