"""The partners that can get a referral: seeded from a file, kept in the database."""

import asyncio
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.situation import OrganisationId
from services.chassis.db import Database
from services.chassis.errors import TRANSIENT
from services.referral import store
from services.referral.domain import Channel

_RETRY_SECONDS = 1.0


class PartnersInvalid(ValueError):
    """The partners' file cannot be used; the message names the field."""


class Partner(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: OrganisationId
    name: Annotated[str, Field(min_length=1, max_length=80)]
    channel: Channel
    fallback: Channel | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    partners: tuple[Partner, ...]


def load_partners(file: Path) -> tuple[Partner, ...]:
    """Read the partners' file; raises PartnersInvalid."""
    try:
        return _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).partners
    except yaml.YAMLError as error:
        raise PartnersInvalid(f"{file.name} is no YAML; correct it") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PartnersInvalid(f"{file.name}: {where}: {first['msg']}") from None


class Partners:
    """Seeds the table once per process; whoever needs it waits until that is done."""

    def __init__(self, database: Database, partners: tuple[Partner, ...]) -> None:
        self._database = database
        self._partners = partners
        self._seeded = asyncio.Event()

    async def ready(self) -> None:
        """Return when the table has at least the partners of the file."""
        await self._seeded.wait()

    async def seed(self) -> None:
        """Add the partners of the file that are not in the table."""
        rows = {
            item.organisation: (item.name, item.channel, item.fallback) for item in self._partners
        }
        async with self._database.transaction() as connection:
            await store.seed_partners(connection, rows)
        self._seeded.set()

    async def run(self) -> None:
        """Seed as soon as the database allows it, then rest until the service stops."""
        while not self._seeded.is_set():
            try:
                await self.seed()
            except TRANSIENT:
                await asyncio.sleep(_RETRY_SECONDS)
        await asyncio.Event().wait()
