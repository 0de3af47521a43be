"""Settings of the channels; a part of the settings of referral."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from services.referral.channels.guard import Policy

_Port = Annotated[int, Field(ge=1, le=65535)]


class ChannelOptions(BaseModel):
    """Limits and addresses; the defaults are those of production.

    `webhook_denied_networks` names our own networks that have public addresses.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sealing_key_file: Path | None = None
    poll_seconds: Annotated[float, Field(gt=0)] = 0.2
    sweep_seconds: Annotated[float, Field(gt=0)] = 1.0
    take_batch_max: Annotated[int, Field(ge=1, le=5000)] = 500
    in_flight_per_partner_max: Annotated[int, Field(ge=1, le=32)] = 4
    in_flight_max: Annotated[int, Field(ge=1, le=1000)] = 256
    sends_per_second_max: Annotated[float, Field(gt=0)] = 20.0
    lease_seconds: Annotated[float, Field(gt=0)] = 45.0
    try_seconds_max: Annotated[float, Field(gt=0, le=30)] = 15.0
    answer_bytes_max: Annotated[int, Field(ge=0)] = 16_384

    webhook_ports: tuple[_Port, ...] = (443, 8443)
    webhook_denied_networks: tuple[str, ...] = ()
    webhook_allow_loopback: bool = False
    webhook_ca_file: Path | None = None
    rotation_overlap_hours: Annotated[int, Field(ge=1, le=168)] = 24

    # Where the page behind the links of notices is; without it the service's own public URL.
    portal_url: str = ""
    desk_phone: Annotated[str, Field(max_length=30, pattern=r"^[0-9 +()-]*$")] = ""
    mail_from: str = "meldpunt@localhost"
    smtp_host: str = "localhost"
    smtp_port: _Port = 587
    smtp_starttls: bool = True
    smtp_ca_file: Path | None = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None

    @field_validator("webhook_denied_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    def check(self, environment: str) -> None:
        """Raise ValueError for what only development and the sandbox may have."""
        if self.lease_seconds <= self.try_seconds_max:
            raise ValueError("lease_seconds must be longer than try_seconds_max")
        if environment != "production":
            return
        if self.webhook_allow_loopback:
            raise ValueError("webhook_allow_loopback is for development and the sandbox only")
        if not self.smtp_starttls:
            raise ValueError("smtp_starttls must be on: notices travel encrypted")
        if self.portal_url and not self.portal_url.startswith("https://"):
            raise ValueError("portal_url must begin with https://")

    def policy(self) -> Policy:
        """What the guard of webhooks allows here."""
        denied = tuple(ipaddress.ip_network(item) for item in self.webhook_denied_networks)
        return Policy(self.webhook_ports, denied, self.webhook_allow_loopback)
