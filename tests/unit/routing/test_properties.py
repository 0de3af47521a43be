"""What must hold for every situation and every set of exclusions, not for examples."""

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.routing import Mode
from contracts.situation import Accused, Flag, Kind, Reporter, Sector, Situation, Subject
from services.routing.compiled import compile_register
from services.routing.domain import Competence, Decision, Organisation
from services.routing.register import load_register
from services.routing.rules import decide

REGISTER = load_register()
COMPILED = compile_register(REGISTER)
BY_ID = {organisation.id: organisation for organisation in REGISTER.organisations}
PARTIES = sorted(BY_ID) + sorted(
    f"{o.id}/{loket.id}" for o in REGISTER.organisations for loket in o.loketten
)
STEPS = [*(step for step in sorted(COMPILED.steps) if len(step) <= 64), "club", "x/y"]

situations = st.builds(
    Situation,
    sector=st.sampled_from(Sector),
    reporter=st.sampled_from(Reporter),
    kind=st.sampled_from(Kind),
    subject=st.sampled_from(Subject),
    accused=st.sampled_from(Accused),
    flags=st.lists(st.sampled_from(Flag), max_size=4, unique=True).map(tuple),
    steps_tried=st.lists(st.sampled_from(STEPS), max_size=4).map(tuple),
    age=st.none() | st.integers(4, 90),
    affiliation=st.sampled_from(
        ["unknown", "geen", "lkc", "gcbo", "klachtencommissie_overig", "x1"]
    ),
)
exclusions = st.frozensets(st.sampled_from(PARTIES), max_size=12)
many = settings(max_examples=300, deadline=None)


def recipients(decision: Decision) -> list[str]:
    return [decision.party, *decision.also]


def accepts(organisation: Organisation, situation: Situation, kind: str) -> bool:
    """The organisation's own entry read plainly, without the bits of the compiled form."""
    rows: list[Competence | None] = [None, *organisation.also_competent]
    return any(_row_accepts(organisation, row, situation, kind) for row in rows)


def _row_accepts(
    organisation: Organisation, row: Competence | None, situation: Situation, kind: str
) -> bool:
    accused = "onbekend" if situation.accused == "unknown" else situation.accused
    for field, answer in (
        ("sectors", situation.sector),
        ("reporters", situation.reporter),
        ("kinds", kind),
        ("subjects", situation.subject),
        ("accused", accused),
    ):
        narrowed = getattr(row, field) if row else None
        listed = getattr(organisation, field) if narrowed is None else narrowed
        if listed is not None and answer not in listed and answer != "unknown":
            return False
    return True


@many
@given(situations, exclusions)
def test_total_and_deterministic(situation: Situation, excluded: frozenset[str]) -> None:
    first = decide(COMPILED, situation, excluded)
    assert first == decide(COMPILED, situation, excluded)
    assert first.primary in BY_ID
    assert first.why
    assert first.why_en


@many
@given(situations, exclusions)
def test_the_accused_party_is_never_a_recipient(
    situation: Situation, excluded: frozenset[str]
) -> None:
    for party in recipients(decide(COMPILED, situation, excluded)):
        organisation, _, loket = party.partition("/")
        assert situation.accused not in BY_ID[organisation].accused_when
        for entry in BY_ID[organisation].loketten:
            assert entry.id != loket or situation.accused not in entry.accused_when
        if situation.accused == "bestuur":
            assert organisation not in ("bevoegd_gezag", "school")
        if situation.accused == "schoolleiding":
            assert organisation != "school"
        if situation.accused == "personeel":
            assert party != "school/mentor_leerkracht"


@many
@given(situations, exclusions)
def test_the_primary_is_competent_by_its_own_entry(
    situation: Situation, excluded: frozenset[str]
) -> None:
    decision = decide(COMPILED, situation, excluded)
    if decision.mode is Mode.DESK:
        assert decision.primary == REGISTER.desk
        return
    kind = decision.kind_at_primary
    assert accepts(BY_ID[decision.primary], situation, kind)
    assert kind in BY_ID[decision.primary].kinds
    assert kind == situation.kind or kind != "klacht"


@many
@given(situations, exclusions)
def test_show_only_is_never_queued(situation: Situation, excluded: frozenset[str]) -> None:
    decision = decide(COMPILED, situation, excluded)
    for party in decision.also:
        assert BY_ID[party.partition("/")[0]].referral_mode != "show_only"
    for party in decision.shown:
        assert BY_ID[party].referral_mode == "show_only"
    shown_first = BY_ID[decision.primary].referral_mode == "show_only"
    assert shown_first == (decision.mode is Mode.SHOW)
    if decision.mode is Mode.REFER:
        assert BY_ID[decision.primary].feedback != "geen"


@many
@given(situations, exclusions)
def test_the_excluded_never_return(situation: Situation, excluded: frozenset[str]) -> None:
    decision = decide(COMPILED, situation, excluded)
    for party in (*recipients(decision), *decision.shown):
        if party != REGISTER.desk:
            assert party not in excluded
            assert party.partition("/")[0] not in excluded


@settings(max_examples=100, deadline=None)
@given(situations)
def test_excluding_again_and_again_ends_at_the_desk(situation: Situation) -> None:
    excluded: frozenset[str] = frozenset()
    seen: set[str] = set()
    for _ in range(len(PARTIES)):
        decision = decide(COMPILED, situation, excluded)
        if decision.mode is Mode.DESK:
            return
        assert decision.party not in seen
        seen.add(decision.party)
        excluded |= {decision.party}
    raise AssertionError("no desk at the end")


@many
@given(situations)
def test_only_the_committee_of_the_board(situation: Situation) -> None:
    for party in recipients(decide(COMPILED, situation)):
        if BY_ID[party.partition("/")[0]].requires_affiliation:
            assert party == situation.affiliation


@many
@given(situations)
def test_danger_comes_before_everything(situation: Situation) -> None:
    if Flag.DANGER_NOW in situation.flags:
        decision = decide(COMPILED, situation)
        assert (decision.primary, decision.urgency) == ("hulpdiensten_112", "acuut")
