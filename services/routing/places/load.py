"""Loading the lists of places into one directory."""

from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path

from services.routing.places.affiliations import AFFILIATIONS_PATH, load_affiliations
from services.routing.places.domain import Directory
from services.routing.places.finder import Finder
from services.routing.places.municipalities import MunicipalityFinder
from services.routing.places.regions import REGIONS_PATH, load_regions
from services.routing.places.schools import BOARDS_PATH, SCHOOLS_PATH, load_boards, load_schools


def load_directory(
    committees: AbstractSet[str],
    today: date,
    *,
    schools_file: Path = SCHOOLS_PATH,
    boards_file: Path = BOARDS_PATH,
    affiliations_file: Path = AFFILIATIONS_PATH,
    regions_file: Path = REGIONS_PATH,
) -> Directory:
    """Reads and indexes everything, in about a tenth of a second; do it once, at start.

    `committees` come from `committees_of(register)`. Raises `ListInvalid` with every fault.
    """
    schools = load_schools(schools_file)
    boards = load_boards(boards_file)
    return Directory(
        schools={school.brin: school for school in schools},
        finder=Finder(schools, boards),
        municipalities=MunicipalityFinder(schools),
        boards=boards,
        affiliations=load_affiliations(committees, today, affiliations_file),
        regions=load_regions(regions_file),
    )
