"""Settings of referral, from `MELDPUNT_REFERRAL_*`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings, service_config
from services.referral.channels.options import ChannelOptions


class ReferralSettings(ServiceSettings):
    """What referral needs beside the settings of every service."""

    model_config = SettingsConfigDict(
        **service_config("referral"),
        # `MELDPUNT_REFERRAL_CHANNELS__SMTP_HOST` and so on.
        env_nested_delimiter="__",
    )

    intake_url: str
    signing_key_file: Path
    partners_file: Path = Path(__file__).parent / "partners.yaml"
    capability_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    deadline_seconds: Annotated[float, Field(gt=0)] = 0.5
    # With `deadline_seconds` under the five seconds that a deadline may be late.
    deadline_grace_seconds: Annotated[float, Field(ge=0)] = 4.0
    channels: ChannelOptions = ChannelOptions()

    @model_validator(mode="after")
    def _files_exist(self) -> Self:
        # In development the key is made at the first start; a made-up key in production would
        # be a key that no one has approved.
        if self.environment == "production" and not self.signing_key_file.is_file():
            raise ValueError("signing_key_file does not exist; put the Ed25519 key (PEM) there")
        if not self.partners_file.is_file():
            raise ValueError("partners_file does not exist; name the YAML list of partners")
        self.channel_options.check(self.environment)
        return self

    @property
    def channel_options(self) -> ChannelOptions:
        """The options of the channels; links in notices lead to this service unless told else."""
        if self.channels.portal_url:
            return self.channels
        return self.channels.model_copy(update={"portal_url": self.public_url})
