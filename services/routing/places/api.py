"""Public look-ups of schools, municipalities and affiliations; no token, nothing personal."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from services.chassis.problem import Problem
from services.routing.places.domain import Directory
from services.routing.places.finder import LIMIT_MAX, QUERY_LENGTH_MAX
from services.routing.places.pace import Pace
from services.routing.places.schools import School

QueryText = Annotated[str, Query(min_length=2, max_length=QUERY_LENGTH_MAX)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
BrinCode = Annotated[str, Path(pattern=r"^[0-9]{2}[A-Za-z]{2}([0-9]{2})?$")]
BoardNumber = Annotated[str, Path(pattern=r"^[0-9]{5}$")]


class MunicipalityShown(BaseModel):
    """A municipality; `place` is the town by which it was found, if not by its own name."""

    code: str
    name: str
    province: str
    place: str | None = None


class SchoolShown(BaseModel):
    """A location of a school; `brin` holds BRIN and branch, `board` is null while unknown."""

    brin: str
    name: str
    place: str
    municipality: str
    municipalityCode: str
    board: str | None
    boardNumber: str
    denomination: str | None


class Schools(BaseModel):
    """Schools that fit, best first; equal names are told apart by their place."""

    schools: list[SchoolShown]


class Municipalities(BaseModel):
    """Municipalities that fit, best first."""

    municipalities: list[MunicipalityShown]


class AffiliationShown(BaseModel):
    """The complaint committee of a board; `unknown` while nobody has assured one."""

    boardNumber: str
    committee: str
    source: str | None
    # The API rules look for the format on the field itself, also where it may be null.
    assuredDate: Annotated[date | None, Field(json_schema_extra={"format": "date"})]
    assuredBy: str | None


def router(directory: Directory, pace: Pace | None = None) -> APIRouter:
    """Routes that only read; `pace` bounds how many look-ups this process answers."""
    limit = pace or Pace()

    def paced() -> None:
        if not limit.allows():
            detail = "Many people are searching; wait a second and try again."
            raise Problem(429, "too-many-requests", detail, retry_after_seconds=1)

    routes = APIRouter(tags=["places"], dependencies=[Depends(paced)])
    _add_schools(routes, directory)
    _add_others(routes, directory)
    return routes


def _add_schools(routes: APIRouter, directory: Directory) -> None:
    @routes.get("/schools", operation_id="findSchools")
    async def find_schools(query: QueryText, limit: Limit = 10) -> Schools:
        """Find a primary school by name, place, BRIN, board number or board name."""
        found = directory.finder.find(query, limit)
        return Schools(schools=[_school(directory, school) for school in found])

    @routes.get("/schools/{brin}", operation_id="readSchool")
    async def read_school(brin: BrinCode) -> SchoolShown:
        """The school of a BRIN; without a branch its first location."""
        school = directory.school(brin)
        if school is None:
            detail = "The list of primary schools has no such BRIN; a report may still name it."
            raise Problem(404, "unknown-school", detail)
        return _school(directory, school)


def _add_others(routes: APIRouter, directory: Directory) -> None:
    @routes.get("/municipalities", operation_id="findMunicipalities")
    async def find_municipalities(query: QueryText, limit: Limit = 10) -> Municipalities:
        """Find a municipality by its name or by that of a town in it."""
        found = directory.municipalities.find(query, limit)
        return Municipalities(
            municipalities=[
                MunicipalityShown(**item.municipality._asdict(), place=item.place) for item in found
            ]
        )

    @routes.get("/affiliations/{boardNumber}", operation_id="readAffiliation")
    async def read_affiliation(boardNumber: BoardNumber) -> AffiliationShown:
        """The complaint committee of a board, as far as somebody has assured it."""
        found = directory.affiliations.get(boardNumber)
        return AffiliationShown(
            boardNumber=boardNumber,
            committee=directory.affiliation_of(boardNumber),
            source=found.source if found else None,
            assuredDate=found.assured_date if found else None,
            assuredBy=found.assured_by if found else None,
        )


def _school(directory: Directory, school: School) -> SchoolShown:
    return SchoolShown(
        brin=school.brin,
        name=school.name,
        place=school.place,
        municipality=school.municipality.name,
        municipalityCode=school.municipality.code,
        board=directory.boards.get(school.board_number),
        boardNumber=school.board_number,
        denomination=school.denomination,
    )
