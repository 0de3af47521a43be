"""What every event model has, and the way from an envelope to a model."""

from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from contracts.envelope import Envelope, name_and_version, type_of

OPEN_ENUMERATION = "x-open-enumeration"
"""An enumeration that may grow within a version carries this keyword; all others are closed."""

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _plausible(moment: datetime) -> datetime:
    if not _FIRST <= moment <= _LAST:
        raise ValueError("must lie between the years 2000 and 2200")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
"""A moment that others send. At the ends of the calendar arithmetic fails, which is our defect."""


class OpenEnumeration(StrEnum):
    """Base of values that may grow within a version: treat one that you do not know as news.

    A consumer that must decide on it asks a person; it never refuses the event for it.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler.resolve_ref_schema(handler(core_schema))
        found[OPEN_ENUMERATION] = True
        return found


class UnknownEvent(ValueError):
    """An event type or version that this code does not know; it is parked, never guessed."""


class EventInvalid(ValueError):
    """Data that does not fit its contract; the message names fields, never values."""


class Event(BaseModel):
    """Base of all published events: frozen, tolerant to fields that a later minor version adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    event_name: ClassVar[str]
    event_version: ClassVar[int] = 1

    @classmethod
    @cache
    def event_type(cls) -> str:
        """CloudEvents type of this model."""
        return type_of(cls.event_name, cls.event_version)

    @classmethod
    def schema_path(cls) -> str:
        """Path of the JSON Schema below `contracts/`."""
        return f"schemas/{cls.event_name}.v{cls.event_version}.json"

    @classmethod
    @cache
    def schema_urn(cls) -> str:
        """Name of the JSON Schema: its `$id` and the `dataschema` attribute, which is a URI."""
        return f"urn:meldpunt:schema:{cls.event_name}.v{cls.event_version}"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Validate JSON; raises EventInvalid with the fields that do not fit."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            fields = ", ".join(
                f"{'.'.join(map(str, item['loc'])) or 'data'}: {item['type']}"
                for item in error.errors(include_input=False, include_url=False)[:10]
            )
            raise EventInvalid(f"{cls.event_name}: {fields}") from None

    def encode(self) -> bytes:
        """JSON bytes."""
        # What `model_dump_json` calls; it would make a text of the bytes, to be encoded again.
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


class Catalogue:
    """The event models that one consumer knows, by CloudEvents type."""

    def __init__(self, *models: type[Event]) -> None:
        self._models = {model.event_type(): model for model in models}
        self._names = {model.event_name for model in models}

    def knows_name(self, event_type: str) -> bool:
        """Whether any version of this event is meant for the consumer."""
        return name_and_version(event_type)[0] in self._names

    def decode(self, envelope: Envelope) -> Event:
        """Model of an envelope; raises UnknownEvent or EventInvalid."""
        model = self._models.get(envelope.type)
        if model is None:
            raise UnknownEvent(f"{envelope.type}: this version is not known here")
        return model.parse(envelope.data)
