"""Settings that every service has; each service extends them with its own environment prefix."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_ISSUER = "urn:meldpunt:development-issuer"


def service_config(service: str) -> SettingsConfigDict:
    """Configuration of a settings class: `MELDPUNT_<SERVICE>_<FIELD>`."""
    return SettingsConfigDict(
        env_prefix=f"MELDPUNT_{service.upper()}_",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class ServiceSettings(BaseSettings):
    """What any service needs to run; units are in the names."""

    environment: Literal["development", "test", "production"] = "production"
    instance: str = "1"
    data_dir: Path = Path(".meldpunt")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)]
    public_url: str = ""
    # Whose X-Forwarded-For is believed: addresses or networks of the ingress, by commas. Without it
    # every caller behind an ingress would share one limit.
    trusted_proxies: str = "127.0.0.1"
    request_bytes_max: Annotated[int, Field(gt=0)] = 65_536

    database_url: SecretStr
    migration_database_url: SecretStr | None = None
    database_pool_max: Annotated[int, Field(ge=2, le=64)] = 8
    startup_seconds_max: Annotated[float, Field(gt=0)] = 60.0

    kafka_bootstrap: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    # A client certificate and its key: with SSL they are the service's name at the broker.
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None

    auth_jwks: str
    auth_issuer: str
    auth_audience: str = "meldpunt"
    # Of one organisation, at one instance; more is told to wait.
    partner_calls_per_minute: Annotated[int, Field(ge=1)] = 3000
    partner_calls_at_once_max: Annotated[int, Field(ge=1)] = 32

    consume_batch_max: Annotated[int, Field(ge=1, le=5000)] = 500
    session_timeout_seconds: Annotated[float, Field(ge=6)] = 6.0
    relay_batch_max: Annotated[int, Field(ge=1, le=5000)] = 500
    relay_poll_seconds: Annotated[float, Field(gt=0)] = 0.5
    publish_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    retry_seconds_max: Annotated[float, Field(gt=0)] = 30.0
    consecutive_defects_max: Annotated[int, Field(ge=1)] = 50
    stuck_seconds_max: Annotated[float, Field(gt=0)] = 20.0
    drain_seconds_max: Annotated[float, Field(gt=0)] = 15.0
    tally_seconds: Annotated[float, Field(gt=0)] = 10.0

    trace_sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    trace_file: Path | None = None
    trace_otlp_endpoint: str | None = None

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if bool(self.kafka_certificate_file) != bool(self.kafka_key_file):
            raise ValueError("set both kafka_certificate_file and kafka_key_file, or neither")
        return self

    @model_validator(mode="after")
    def _no_development_issuer_in_production(self) -> Self:
        if self.environment == "production" and self.auth_issuer == DEVELOPMENT_ISSUER:
            raise ValueError(
                "auth_issuer is the development issuer; set the issuer and JWKS of the production"
                " identity provider, or ENVIRONMENT=development for a local stack"
            )
        return self

    @model_validator(mode="after")
    def _protected_in_production(self) -> Self:
        if self.environment != "production":
            return self
        if "SSL" not in self.kafka_security_protocol:
            raise ValueError(
                "kafka_security_protocol must be SASL_SSL or SSL in production: without it anybody"
                " on the network reads and writes events"
            )
        if self.auth_jwks.startswith("http://"):
            raise ValueError(
                "auth_jwks must be a file or begin with https:// in production: whoever can change"
                " the answer makes tokens of its own"
            )
        return self
