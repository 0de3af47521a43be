"""The calendar in which terms count: Dutch working days, public and school holidays. Pure."""

from enum import StrEnum


class SchoolRegion(StrEnum):
    """Region of the school holidays (regio Noord, Midden, Zuid)."""

    NOORD = "noord"
    MIDDEN = "midden"
    ZUID = "zuid"
