"""The situation: the structured answers of the wegwijzer, the only thing that routing decides on.

Values are the Dutch ids of the register; each enumeration has `unknown` ("weet ik niet"), because
an answer that somebody cannot give must never stop a report.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

UNKNOWN = "unknown"
FLAGS_MAX = 12
STEPS_MAX = 20

OrganisationId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{1,63}$")]
LoketId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{1,63}$")]
StepId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_/-]{0,63}$")]
# DUO: two digits and two letters, a branch adds two digits.
Brin = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}[A-Z]{2}([0-9]{2})?$")]


class Sector(StrEnum):
    """Sector of the enrolment (not of the building), which decides the responsible institution."""

    PO = "po"
    SBO = "sbo"
    SO = "so"
    VO = "vo"
    VSO = "vso"
    MBO = "mbo"
    HBO = "hbo"
    WO = "wo"
    PARTICULIER_B3 = "particulier_b3"
    UNKNOWN = UNKNOWN


class Reporter(StrEnum):
    """Capacity of the reporter; `derde` is a grandparent, neighbour, class mate or witness."""

    LEERLING_PO = "leerling_po"
    LEERLING_VO = "leerling_vo"
    STUDENT_MBO = "student_mbo"
    STUDENT_HO = "student_ho"
    OUDER = "ouder"
    PERSONEEL = "personeel"
    PROFESSIONAL = "professional"
    DERDE = "derde"
    UNKNOWN = UNKNOWN


class Kind(StrEnum):
    """Melding (report), klacht (complaint) or hulpvraag (request for help)."""

    MELDING = "melding"
    KLACHT = "klacht"
    HULPVRAAG = "hulpvraag"
    UNKNOWN = UNKNOWN


class Subject(StrEnum):
    """What the report is about."""

    PESTEN = "pesten"
    PSYCHISCH_GEWELD = "psychisch_geweld"
    FYSIEK_GEWELD = "fysiek_geweld"
    BEDREIGING_WAPEN = "bedreiging_wapen"
    SEKSUELE_INTIMIDATIE = "seksuele_intimidatie"
    SEKSUEEL_MISBRUIK = "seksueel_misbruik"
    ONLINE_SEKSUEEL = "online_seksueel"
    DISCRIMINATIE = "discriminatie"
    RADICALISERING = "radicalisering"
    HUISELIJK_GEWELD = "huiselijk_geweld"
    SUICIDALITEIT = "suicidaliteit"
    TOELATING = "toelating"
    SCHORSING_VERWIJDERING = "schorsing_verwijdering"
    PASSEND_ONDERWIJS = "passend_onderwijs"
    THUISZITTEN_VERZUIM = "thuiszitten_verzuim"
    BEGELEIDING = "begeleiding"
    COMMUNICATIE_BEJEGENING = "communicatie_bejegening"
    SCHOOLORGANISATIE = "schoolorganisatie"
    KLACHTBEHANDELING = "klachtbehandeling"
    KWALITEIT_ONDERWIJS = "kwaliteit_onderwijs"
    PRIVACY = "privacy"
    EXAMEN_BEOORDELING = "examen_beoordeling"
    STAGE_LEERBEDRIJF = "stage_leerbedrijf"
    MISSTAND_INTEGRITEIT = "misstand_integriteit"
    ARBEIDSCONFLICT = "arbeidsconflict"
    OVERIG = "overig"
    UNKNOWN = UNKNOWN


class Accused(StrEnum):
    """Whom it is about; `onbekend` is a person nobody knows, `unknown` an answer not given."""

    LEERLING = "leerling"
    PERSONEEL = "personeel"
    SCHOOLLEIDING = "schoolleiding"
    BESTUUR = "bestuur"
    OUDER_THUIS = "ouder_thuis"
    LEERBEDRIJF = "leerbedrijf"
    EXTERN_ONLINE = "extern_online"
    ORGANISATIE = "organisatie"
    ONBEKEND = "onbekend"
    UNKNOWN = UNKNOWN


class Flag(StrEnum):
    """Facts that intake establishes by a question each."""

    DANGER_NOW = "danger_now"
    FRESH_7D = "fresh_7d"
    SEVERE = "severe"
    WITHIN_TERM = "within_term"
    FINDING_OVERDUE = "finding_overdue"
    NO_LAWFUL_COMMITTEE = "no_lawful_committee"
    ENROLMENT_CONFLICT = "enrolment_conflict"
    HOME_GT_4W = "home_gt_4w"
    SELF_UNDER_12 = "self_under_12"
    OUTSIDE_SCHOOL = "outside_school"
    SCHOOL_TRIED = "school_tried"
    BOARD_TRIED = "board_tried"


class Urgency(StrEnum):
    """How fast somebody must act: minutes, the same day, days."""

    ACUUT = "acuut"
    SPOED = "spoed"
    NORMAAL = "normaal"


class Situation(BaseModel):
    """Finite enumerations and flags; no free text, no name, so it may travel in events.

    `affiliation` is the complaint committee of the board: `lkc`, `gcbo`,
    `klachtencommissie_overig`, `geen` or `unknown` (a legal value with its own path).
    `age` is the reporter's own age in years, where known.
    """

    # Tolerant, so that an optional answer of a later version does not stop an older consumer;
    # intake's API is strict.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    sector: Sector
    reporter: Reporter
    kind: Kind
    subject: Subject
    accused: Accused = Accused.UNKNOWN
    flags: Annotated[tuple[Flag, ...], Field(max_length=FLAGS_MAX)] = ()
    steps_tried: Annotated[tuple[StepId, ...], Field(max_length=STEPS_MAX)] = ()
    age: Annotated[int | None, Field(ge=0, le=120)] = None
    affiliation: OrganisationId = UNKNOWN
    brin: Brin | None = None
