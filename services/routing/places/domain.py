"""Where a case belongs: the school, its board's committee, and which municipality counts. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from contracts.calendar import SchoolRegion
from contracts.situation import UNKNOWN, Sector, Situation
from services.routing.domain import Organisation
from services.routing.places.affiliations import Affiliation
from services.routing.places.finder import Finder
from services.routing.places.municipalities import MunicipalityFinder
from services.routing.places.regions import Regions, region_of
from services.routing.places.schools import School
from services.routing.places.words import plain

NAME_LENGTH_MAX = 120
BRIN_LENGTH = 4
# The only sector whose schools are in the list; the others have no open data here.
LISTED_SECTORS = frozenset({Sector.PO})
_BRIN = re.compile(r"\d{2}[A-Z]{2}(\d{2})?")


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that is known about places; loaded once, never changed."""

    schools: Mapping[str, School]
    finder: Finder
    municipalities: MunicipalityFinder
    boards: Mapping[str, str]
    affiliations: Mapping[str, Affiliation]
    regions: Regions

    def school(self, brin: str) -> School | None:
        """The school of a BRIN; without a branch its first location."""
        code = brin.upper()
        if len(code) == BRIN_LENGTH:
            return next(iter(self.finder.branches(code, 1)), None)
        return self.schools.get(code)

    def school_region(self, brin: str | None) -> SchoolRegion | None:
        """Region of the school holidays of a listed school; None where it is not known."""
        school = None if brin is None else self.school(brin)
        return None if school is None else region_of(self.regions, school.municipality)

    def affiliation_of(self, code: str) -> str:
        """Committee of a board (five digits) or of a school's board (BRIN); `unknown` if unlisted.

        The values are those of the register: a committee's id, `geen` or `unknown`.
        """
        school = self.school(code)
        found = self.affiliations.get(code if school is None else school.board_number)
        return UNKNOWN if found is None else found.committee


def complete(directory: Directory, situation: Situation) -> Situation:
    """The situation with the committee of the board where the school tells it, before deciding.

    An answer that the reporter gave stays as it is.
    """
    if situation.affiliation != UNKNOWN or situation.brin is None:
        return situation
    committee = directory.affiliation_of(situation.brin)
    if committee == UNKNOWN:
        return situation
    return situation.model_copy(update={"affiliation": committee})


class Needed(StrEnum):
    """Which municipality leads to the right branch of an organisation."""

    NONE = "none"
    SCHOOL = "school"
    RESIDENCE = "residence"
    OTHER_REGION = "other-region"


# What the register's `region_key` asks for; the keys belong to the form of the register.
_NEEDED = {None: Needed.NONE, "gemeente": Needed.SCHOOL, "gemeente_woonplaats": Needed.RESIDENCE}


def municipality_needed(organisation: Organisation) -> Needed:
    """Whether the school's municipality (known from its BRIN) or the home's must be known.

    The home's is never derived from the school: a pupil may live elsewhere, so it must be asked.
    """
    return _NEEDED.get(organisation.region_key, Needed.OTHER_REGION)


class PlaceReason(StrEnum):
    """Why a place is known or not."""

    FOUND_BY_BRIN = "found-by-brin"
    FOUND_BY_NAME = "found-by-name"
    SECTOR_DIFFERS = "sector-differs"
    BRIN_MALFORMED = "brin-malformed"
    BRIN_NOT_LISTED = "brin-not-listed"
    NAME_NOT_FOUND = "name-not-found"
    NAME_AMBIGUOUS = "name-ambiguous"
    NO_OPEN_DATA = "no-open-data"
    NOTHING_GIVEN = "nothing-given"


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the place; `brin` is kept when it is well formed, listed or not."""

    school: School | None
    brin: str | None
    name: str | None
    reason: PlaceReason

    @property
    def is_known(self) -> bool:
        """Whether it is a school of the list."""
        return self.school is not None


def place_of(directory: Directory, sector: Sector, brin: str | None, name: str | None) -> Place:
    """The place of a report from what was given; never refuses, never raises.

    A school outside the list (another sector, too new, mistyped) is unknown with the reason; the
    report goes on with the BRIN or the name as given.
    """
    code = "".join((brin or "").split()).upper()[:NAME_LENGTH_MAX]
    kept = " ".join((name or "").split())[:NAME_LENGTH_MAX] or None
    if not code:
        return _by_name(directory, sector, kept)
    if _BRIN.fullmatch(code) is None:
        named = _by_name(directory, sector, kept)
        return named if named.is_known else Place(None, None, kept, PlaceReason.BRIN_MALFORMED)
    school = directory.school(code)
    if school is not None:
        listed = sector in LISTED_SECTORS or sector == Sector.UNKNOWN
        reason = PlaceReason.FOUND_BY_BRIN if listed else PlaceReason.SECTOR_DIFFERS
        return Place(school, code, school.name, reason)
    covered = sector in LISTED_SECTORS
    reason = PlaceReason.BRIN_NOT_LISTED if covered else PlaceReason.NO_OPEN_DATA
    return Place(None, code, kept, reason)


def _by_name(directory: Directory, sector: Sector, name: str | None) -> Place:
    if name is None:
        return Place(None, None, None, PlaceReason.NOTHING_GIVEN)
    if sector not in LISTED_SECTORS and sector != Sector.UNKNOWN:
        return Place(None, None, name, PlaceReason.NO_OPEN_DATA)
    same = [school for school in directory.finder.find(name, 20) if _is_named(school, name)]
    if len(same) == 1:
        school = same[0]
        return Place(school, school.brin, school.name, PlaceReason.FOUND_BY_NAME)
    reason = PlaceReason.NAME_AMBIGUOUS if same else PlaceReason.NAME_NOT_FOUND
    return Place(None, None, name, reason)


def _is_named(school: School, name: str) -> bool:
    """The whole name, alone or with its place: less is a guess, and a guess decides nothing."""
    wanted = _letters(name)
    return wanted in {
        _letters(school.name),
        _letters(f"{school.name} {school.place}"),
        _letters(f"{school.name} {school.municipality.name}"),
    }


def _letters(text: str) -> str:
    return "".join(letter for letter in plain(text) if letter.isalnum())
