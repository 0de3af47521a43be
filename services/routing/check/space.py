"""Which situations are plausible: all combinations of answers but those left out, each with why.

A combination that is left out is still routed (`decide` is total); it only does not count here.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations, product
from typing import NamedTuple

from contracts.situation import (
    UNKNOWN,
    Accused,
    Flag,
    Kind,
    Reporter,
    Sector,
    Subject,
)

SECTORS = tuple(v for v in Sector if v != UNKNOWN)
REPORTERS = tuple(v for v in Reporter if v != UNKNOWN)
KINDS = tuple(v for v in Kind if v != UNKNOWN)
SUBJECTS = tuple(v for v in Subject if v != UNKNOWN)
ACCUSED = tuple(v for v in Accused if v != UNKNOWN)


class Base(NamedTuple):
    """The five answers that every situation has."""

    sector: Sector
    reporter: Reporter
    kind: Kind
    subject: Subject
    accused: Accused


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One reason to leave combinations out; `test` says whether it holds for these answers."""

    id: str
    why: str
    test: Callable[[Base], bool]


PRIMARY = frozenset({Sector.PO, Sector.SBO, Sector.SO})
HIGHER = frozenset({Sector.HBO, Sector.WO})
HOME_SECTORS: dict[Reporter, frozenset[Sector]] = {
    Reporter.LEERLING_PO: PRIMARY | {Sector.PARTICULIER_B3},
    Reporter.LEERLING_VO: frozenset({Sector.VO, Sector.VSO, Sector.PARTICULIER_B3}),
    Reporter.STUDENT_MBO: frozenset({Sector.MBO}),
    Reporter.STUDENT_HO: HIGHER,
}
# What the school itself decides or delivers: nobody outside it can be the one who did it.
OF_THE_SCHOOL = frozenset(
    {
        Subject.TOELATING,
        Subject.SCHORSING_VERWIJDERING,
        Subject.PASSEND_ONDERWIJS,
        Subject.BEGELEIDING,
        Subject.SCHOOLORGANISATIE,
        Subject.KLACHTBEHANDELING,
        Subject.KWALITEIT_ONDERWIJS,
        Subject.EXAMEN_BEOORDELING,
    }
)
# What people do to each other, in or out of school.
BETWEEN_PEOPLE = frozenset(
    {
        Subject.PESTEN,
        Subject.PSYCHISCH_GEWELD,
        Subject.FYSIEK_GEWELD,
        Subject.BEDREIGING_WAPEN,
        Subject.SEKSUELE_INTIMIDATIE,
        Subject.SEKSUEEL_MISBRUIK,
        Subject.ONLINE_SEKSUEEL,
        Subject.DISCRIMINATIE,
        Subject.RADICALISERING,
        Subject.HUISELIJK_GEWELD,
        Subject.SUICIDALITEIT,
    }
)
PEOPLE_OUTSIDE = frozenset({Accused.LEERLING, Accused.OUDER_THUIS, Accused.EXTERN_ONLINE})
SCHOOL_AUTHORITY = frozenset({Accused.SCHOOLLEIDING, Accused.BESTUUR, Accused.ORGANISATIE})

BASES_LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut(
        "reporter-of-another-sector",
        "a pupil or student reports in the sector of the own enrolment",
        lambda b: b.sector not in HOME_SECTORS.get(b.reporter, frozenset(SECTORS)),
    ),
    LeftOut(
        "placement-in-primary-school",
        "primary pupils have no placement at a company",
        lambda b: (
            (b.sector in PRIMARY and b.accused == Accused.LEERBEDRIJF)
            or (b.sector in PRIMARY and b.subject == Subject.STAGE_LEERBEDRIJF)
        ),
    ),
    LeftOut(
        "placement-without-a-trainee",
        "a primary pupil of a private school has no placement either",
        lambda b: (
            b.reporter == Reporter.LEERLING_PO
            and (b.accused == Accused.LEERBEDRIJF or b.subject == Subject.STAGE_LEERBEDRIJF)
        ),
    ),
    LeftOut(
        "placement-by-people-outside",
        "trouble about a placement is with the company or the school; other people's acts have"
        " a subject of their own",
        lambda b: b.subject == Subject.STAGE_LEERBEDRIJF and b.accused in PEOPLE_OUTSIDE,
    ),
    LeftOut(
        "labour-dispute-of-others",
        "only staff has a labour dispute, and has it with the employer or somebody at work",
        lambda b: (
            b.subject == Subject.ARBEIDSCONFLICT
            and (
                b.reporter != Reporter.PERSONEEL
                or b.accused in PEOPLE_OUTSIDE
                or b.accused == Accused.LEERBEDRIJF
            )
        ),
    ),
    LeftOut(
        "schools-matter-by-others",
        "admission, support, marks and the like are decided or given by the school, not by a"
        " pupil, a parent, an outsider or a company",
        lambda b: (
            b.subject in OF_THE_SCHOOL
            and (b.accused in PEOPLE_OUTSIDE or b.accused == Accused.LEERBEDRIJF)
        ),
    ),
    LeftOut(
        "home-violence-by-the-school",
        "violence at home is not done by a school, its head, its board, a company or somebody"
        " online",
        lambda b: (
            b.subject == Subject.HUISELIJK_GEWELD
            and (
                b.accused in SCHOOL_AUTHORITY
                or b.accused in (Accused.LEERBEDRIJF, Accused.EXTERN_ONLINE)
            )
        ),
    ),
    LeftOut(
        "abuse-of-office-by-pupils",
        "abuse and fraud in an institution is not done by a pupil, a parent or somebody online",
        lambda b: b.subject == Subject.MISSTAND_INTEGRITEIT and b.accused in PEOPLE_OUTSIDE,
    ),
    LeftOut(
        "abuse-of-office-by-a-company",
        "what a placement company does wrong has the placement as its subject; only staff blows"
        " the whistle about it",
        lambda b: (
            b.subject == Subject.MISSTAND_INTEGRITEIT
            and b.accused == Accused.LEERBEDRIJF
            and b.reporter != Reporter.PERSONEEL
        ),
    ),
    LeftOut(
        "absence-after-compulsory-school",
        "no attendance duty in higher education",
        lambda b: b.sector in HIGHER and b.subject == Subject.THUISZITTEN_VERZUIM,
    ),
    LeftOut(
        "absence-by-outsiders",
        "a company or somebody online does not decide on attendance; what they do has a subject"
        " of its own",
        lambda b: (
            b.subject == Subject.THUISZITTEN_VERZUIM
            and b.accused in (Accused.LEERBEDRIJF, Accused.EXTERN_ONLINE)
        ),
    ),
    LeftOut(
        "manners-of-somebody-online",
        "how somebody online behaves is bullying, violence or a threat, not a way of treatment",
        lambda b: (
            b.subject == Subject.COMMUNICATIE_BEJEGENING and b.accused == Accused.EXTERN_ONLINE
        ),
    ),
    LeftOut(
        "institutional-matter-by-a-child",
        "a primary pupil reports what happened to it, not fraud, admission or the handling of"
        " complaints",
        lambda b: (
            b.reporter == Reporter.LEERLING_PO
            and b.subject
            in (Subject.MISSTAND_INTEGRITEIT, Subject.TOELATING, Subject.KLACHTBEHANDELING)
        ),
    ),
)


def plausible_bases() -> tuple[list[Base], Counter[str]]:
    """The plausible five answers, and how many combinations each reason left out."""
    kept: list[Base] = []
    left: Counter[str] = Counter()
    for answers in product(SECTORS, REPORTERS, KINDS, SUBJECTS, ACCUSED):
        base = Base(*answers)
        reason = next((rule.id for rule in BASES_LEFT_OUT if rule.test(base)), None)
        if reason is None:
            kept.append(base)
        else:
            left[reason] += 1
    return kept, left


# School and board tried are not here: they are steps of the ladder.
ASKED_FLAGS = tuple(f for f in Flag if f not in (Flag.SCHOOL_TRIED, Flag.BOARD_TRIED))
WITHOUT_STANDING = frozenset({Reporter.LEERLING_PO, Reporter.PROFESSIONAL, Reporter.DERDE})


@dataclass(frozen=True, slots=True)
class FlagLeftOut:
    """A fact that cannot be, or is not asked, with these answers."""

    flag: Flag
    why: str
    test: Callable[[Base], bool]


FLAGS_LEFT_OUT: tuple[FlagLeftOut, ...] = (
    FlagLeftOut(
        Flag.FRESH_7D,
        "the seven days of care and evidence are asked about sexual abuse only",
        lambda b: b.subject != Subject.SEKSUEEL_MISBRUIK,
    ),
    FlagLeftOut(
        Flag.SEVERE,
        "how grave it is, is asked about what people do to each other",
        lambda b: b.subject not in BETWEEN_PEOPLE,
    ),
    FlagLeftOut(
        Flag.WITHIN_TERM,
        "a term runs from a decision on admission, expulsion, support or marks",
        lambda b: (
            b.subject
            not in (
                Subject.TOELATING,
                Subject.SCHORSING_VERWIJDERING,
                Subject.PASSEND_ONDERWIJS,
                Subject.EXAMEN_BEOORDELING,
            )
        ),
    ),
    FlagLeftOut(
        Flag.FINDING_OVERDUE,
        "a committee gave a finding: only to who can complain, where there is a committee",
        lambda b: (
            b.reporter in WITHOUT_STANDING
            or b.sector in (Sector.WO, Sector.PARTICULIER_B3)
            or b.subject
            in (
                Subject.ARBEIDSCONFLICT,
                Subject.HUISELIJK_GEWELD,
                Subject.SUICIDALITEIT,
                Subject.MISSTAND_INTEGRITEIT,
            )
            or b.accused == Accused.OUDER_THUIS
        ),
    ),
    FlagLeftOut(
        Flag.NO_LAWFUL_COMMITTEE,
        "the law asks a committee in po to mbo, and who can complain meets its absence",
        lambda b: (
            b.reporter in WITHOUT_STANDING
            or b.sector in HIGHER
            or b.sector == Sector.PARTICULIER_B3
            or b.subject
            in (Subject.ARBEIDSCONFLICT, Subject.HUISELIJK_GEWELD, Subject.SUICIDALITEIT)
            or b.accused == Accused.OUDER_THUIS
        ),
    ),
    FlagLeftOut(
        Flag.ENROLMENT_CONFLICT,
        "two institutions point at each other about somebody of one of the two",
        lambda b: (
            b.accused
            in (Accused.OUDER_THUIS, Accused.EXTERN_ONLINE, Accused.LEERBEDRIJF, Accused.BESTUUR)
            or b.subject
            in (
                Subject.HUISELIJK_GEWELD,
                Subject.SUICIDALITEIT,
                Subject.ARBEIDSCONFLICT,
                Subject.MISSTAND_INTEGRITEIT,
                Subject.TOELATING,
            )
            or b.reporter in (Reporter.PROFESSIONAL, Reporter.DERDE)
        ),
    ),
    FlagLeftOut(
        Flag.HOME_GT_4W,
        "weeks at home are asked about absence only",
        lambda b: b.subject != Subject.THUISZITTEN_VERZUIM,
    ),
    FlagLeftOut(
        Flag.SELF_UNDER_12,
        "only a primary pupil, or one in the first months of vo, is under twelve",
        lambda b: b.reporter not in (Reporter.LEERLING_PO, Reporter.LEERLING_VO),
    ),
    FlagLeftOut(
        Flag.OUTSIDE_SCHOOL,
        "outside school is asked about what people do to each other; what the head, the board,"
        " the institution or the placement company does is school",
        lambda b: (
            (b.subject not in BETWEEN_PEOPLE and b.subject != Subject.OVERIG)
            or b.accused in SCHOOL_AUTHORITY
            or b.accused == Accused.LEERBEDRIJF
            or b.subject == Subject.HUISELIJK_GEWELD
        ),
    ),
)

OTHER_FLAGS = frozenset(ASKED_FLAGS)
# Facts that do not go together, with why.
CONFLICTS: tuple[tuple[Flag, frozenset[Flag], str], ...] = (
    (
        Flag.DANGER_NOW,
        OTHER_FLAGS - {Flag.DANGER_NOW},
        "in danger nothing else is asked before 112 is shown",
    ),
    (
        Flag.FINDING_OVERDUE,
        frozenset(
            {
                Flag.FRESH_7D,
                Flag.WITHIN_TERM,
                Flag.NO_LAWFUL_COMMITTEE,
                Flag.ENROLMENT_CONFLICT,
                Flag.OUTSIDE_SCHOOL,
                Flag.SELF_UNDER_12,
            }
        ),
        "a finding comes months later, from a committee, about the school",
    ),
    (
        Flag.NO_LAWFUL_COMMITTEE,
        frozenset(
            {Flag.FRESH_7D, Flag.ENROLMENT_CONFLICT, Flag.OUTSIDE_SCHOOL, Flag.SELF_UNDER_12}
        ),
        "who knows that there is no committee has gone a long way about the school",
    ),
    (
        Flag.ENROLMENT_CONFLICT,
        frozenset({Flag.OUTSIDE_SCHOOL}),
        "two institutions about one place of learning is not outside school",
    ),
)


@cache
def flag_sets(base_flags: frozenset[Flag]) -> tuple[frozenset[Flag], ...]:
    """All subsets of these flags in which no two exclude each other."""
    flags = sorted(base_flags)
    every = chain.from_iterable(combinations(flags, size) for size in range(len(flags) + 1))
    return tuple(frozenset(flags) for flags in every if _go_together(frozenset(flags)))


def _go_together(flags: frozenset[Flag]) -> bool:
    return not any(flag in flags and flags & others for flag, others, _ in CONFLICTS)


def plausible_flags(base: Base) -> frozenset[Flag]:
    """The facts that can be true, or are asked, with these answers."""
    return frozenset(ASKED_FLAGS) - {rule.flag for rule in FLAGS_LEFT_OUT if rule.test(base)}


def all_flag_sets(base: Base) -> tuple[frozenset[Flag], ...]:
    """Every plausible set of facts with these answers."""
    return flag_sets(plausible_flags(base))


def iterate_left_out(bases: list[Base]) -> Iterator[tuple[Flag, str, int]]:
    """Per fact: why it is left out, and with how many of these answers."""
    for rule in FLAGS_LEFT_OUT:
        yield rule.flag, rule.why, sum(rule.test(base) for base in bases)
