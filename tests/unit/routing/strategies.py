"""Situations for property tests: any at all, and plausible ones."""

from hypothesis import strategies as st

from contracts.situation import Accused, Flag, Kind, Reporter, Sector, Situation, Subject
from services.routing.check.space import all_flag_sets, plausible_bases

BASES, _ = plausible_bases()
AFFILIATIONS = ("unknown", "geen", "lkc", "gcbo", "klachtencommissie_overig")

anything = st.builds(
    Situation,
    sector=st.sampled_from(Sector),
    reporter=st.sampled_from(Reporter),
    kind=st.sampled_from(Kind),
    subject=st.sampled_from(Subject),
    accused=st.sampled_from(Accused),
    flags=st.lists(st.sampled_from(Flag), max_size=4, unique=True).map(tuple),
    steps_tried=st.lists(
        st.sampled_from(["mentor", "schoolleiding", "bestuur", "lkc"]), max_size=2, unique=True
    ).map(tuple),
    age=st.none() | st.integers(4, 90),
    affiliation=st.sampled_from(AFFILIATIONS),
)


@st.composite
def plausible(draw: st.DrawFn) -> Situation:
    base = draw(st.sampled_from(BASES))
    flags = draw(st.sampled_from(all_flag_sets(base)))
    return Situation(
        **base._asdict(),
        flags=tuple(flag for flag in Flag if flag in flags),
        affiliation=draw(st.sampled_from(AFFILIATIONS)),
    )
