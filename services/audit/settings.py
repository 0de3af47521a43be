"""Settings of audit: environment variables `MELDPUNT_AUDIT_<FIELD>`."""

from services.chassis.settings import ServiceSettings, service_config


class AuditSettings(ServiceSettings):
    """What any service needs; audit needs nothing more."""

    model_config = service_config("audit")
