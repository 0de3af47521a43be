"""The test cases, from `cases.yaml`, where others can be added without a change of code."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from contracts.situation import Situation

FILE = Path(__file__).parent / "cases.yaml"
Channel = Literal["kafka", "inbox", "webhook"]


class TestCase(BaseModel):
    """One case: what is provoked, over which channels, and how a partner repairs a failure."""

    # pytest takes a class of this name for tests.
    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    situation: str | None = None
    channels: tuple[Channel, ...] = ("kafka", "inbox", "webhook")
    provoked: str
    repair: str


class Cases(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    situations: Mapping[str, Situation]
    cases: tuple[TestCase, ...]

    def situation_of(self, name: str) -> Situation | None:
        """What is reported for a case; None for one that plays no case of its own."""
        situation = next(item.situation for item in self.cases if item.name == name)
        return self.situations[situation] if situation else None


@cache
def cases() -> Cases:
    """The test cases of the file."""
    return Cases.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))
