"""In which region of the school holidays a municipality lies; the list is to verify."""

from collections.abc import Mapping
from pathlib import Path

from contracts.calendar import SchoolRegion
from services.routing.places.schools import Municipality
from services.routing.places.tables import ListInvalid, RowProblem, rows_of

REGIONS_PATH = Path(__file__).parent / "data" / "school-regions.csv"
HEADER = ("province", "municipality", "region")
Regions = Mapping[tuple[str, str], SchoolRegion]


def load_regions(file: Path = REGIONS_PATH) -> Regions:
    """The region by province and municipality; no municipality is the rest of the province.

    Raises `ListInvalid` with every fault.
    """
    found: dict[tuple[str, str], SchoolRegion] = {}
    problems: list[RowProblem] = []
    for line, row in rows_of(file, HEADER):
        place = (row["province"], row["municipality"])
        if row["region"] not in set(SchoolRegion):
            remedy = f"Write one of {', '.join(SchoolRegion)}"
            problems.append(RowProblem(line, "region", "it is no region", remedy))
        elif place in found:
            remedy = "Keep one row per municipality"
            problems.append(RowProblem(line, "municipality", "it is there twice", remedy))
        else:
            found[place] = SchoolRegion(row["region"])
    if problems:
        raise ListInvalid(file, tuple(problems))
    return found


def region_of(regions: Regions, municipality: Municipality) -> SchoolRegion | None:
    """The region of a municipality, by its own row or that of its province."""
    own = regions.get((municipality.province, municipality.name))
    return own or regions.get((municipality.province, ""))
