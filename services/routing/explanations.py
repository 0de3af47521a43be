"""One decision told to the reporter: Dutch of level B1, no ids, `je` to a pupil.

Made of the decision, its dated terms and its counterfactuals; `explanations_staff.py` tells the
desk and the auditor the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from contracts.dutch import day_words
from contracts.situation import UNKNOWN, Flag
from services.routing.compiled import CompiledRegister
from services.routing.counterfactual import Change, changes
from services.routing.domain import Decision, Organisation, Reason, Weighed
from services.routing.explain import conversion_words, declined_proposal, what_happens
from services.routing.language import address, capital, listed
from services.routing.questions import Questions
from services.routing.terms import RunningTerm, TermState, running_terms

# What a reporter is told about others: the nearest ones, not all forty.
OTHERS_TOLD_MAX = 4
CHANGES_TOLD_MAX = 4
_NEAREST = (
    Reason.ALSO_COMPETENT,
    Reason.ACCUSED_PARTY,
    Reason.EXCLUDED,
    Reason.ALREADY_TRIED,
    Reason.NEVER_VIA,
    Reason.AFFILIATION_UNKNOWN,
    Reason.OTHER_COMMITTEE,
    Reason.CONDITION_NOT_MET,
    Reason.NO_LOKET,
    Reason.SECOND_CHOICE,
    Reason.LOWER_IN_ORDER,
)


_OVERRIDES = "Dat staat in de wet en gaat voor op wat u zelf wilt."


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with what goes with it: its dated terms and the answers that would change it."""

    register: CompiledRegister
    questions: Questions
    decision: Decision
    terms: tuple[RunningTerm, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class CitizenText:
    """What the reporter reads, part by part; each part is a list of short sentences."""

    why: tuple[str, ...]
    now: tuple[str, ...]
    duties: tuple[str, ...]
    feedback: tuple[str, ...]
    terms: tuple[str, ...]
    others: tuple[str, ...]
    would_change: tuple[str, ...]

    @property
    def text(self) -> str:
        """All parts as one text."""
        parts = (self.why, self.now, self.duties, self.feedback, self.terms, self.others)
        return " ".join(sentence for part in (*parts, self.would_change) for sentence in part)


def explained(
    register: CompiledRegister,
    questions: Questions,
    decision: Decision,
    received_at: datetime,
    starts: Mapping[str, date] | None = None,
    now: datetime | None = None,
) -> Explained:
    """All that the three texts are made of; see `running_terms` for the moments."""
    terms = running_terms(register, decision, received_at, starts, now)
    # Another answer changes what the rules say, not that somebody named this party.
    named = decision.proposal is not None and decision.proposal.followed
    return Explained(
        register, questions, decision, terms, () if named else changes(register, decision)
    )


def for_citizen(explained: Explained) -> CitizenText:
    """The decision for the reporter: Dutch, level B1, no ids, `je` for a pupil."""
    decision = explained.decision
    name = party_words(explained, decision.party)
    conversion = conversion_words(decision)
    parts: dict[str, list[str]] = {
        "why": [*declined_proposal(decision), decision.why],
        "now": [what_happens(decision, name), *([conversion] if conversion else [])],
        "duties": _duty_sentences(decision),
        "feedback": [feedback_words(explained, decision.primary)],
        "terms": [_term_sentence(explained, term) for term in explained.terms],
        "others": _other_sentences(explained),
        "would_change": _change_sentences(explained),
    }
    reporter = decision.situation.reporter
    return CitizenText(
        **{
            part: tuple(
                address(sentence, reporter) for text in texts for sentence in short_sentences(text)
            )
            for part, texts in parts.items()
        }
    )


def organisation_of(explained: Explained, organisation_id: str) -> Organisation:
    compiled = explained.register
    return compiled.register.organisations[compiled.by_id[organisation_id].index]


def official_name(explained: Explained, party: str) -> str:
    return explained.register.by_id[party.partition("/")[0]].name


def party_words(explained: Explained, party: str) -> str:
    """`het schoolbestuur`, or `de contactpersoon van de school`."""
    organisation_id, _, loket_id = party.partition("/")
    labels = explained.questions.labels
    loket = labels["loket"].get(f"{organisation_id}-{loket_id}")
    label = loket or labels["organisation"].get(organisation_id)
    return label.nl if label else explained.register.by_id[organisation_id].name


def feedback_words(explained: Explained, organisation_id: str) -> str:
    organisation = organisation_of(explained, organisation_id)
    if organisation.id == explained.decision.desk:
        return "Wij laten u weten hoe het verder gaat."
    return explained.questions.label("feedback", organisation.feedback)


def _duty_sentences(decision: Decision) -> list[str]:
    sentences = []
    for duty in sorted(decision.duties, key=lambda duty: not duty.overrides_choice):
        sentences.append(duty.text)
        if duty.overrides_choice and _OVERRIDES not in sentences:
            sentences.append(_OVERRIDES)
        if duty.to_verify:
            sentences.append("Dit moeten wij nog controleren.")
    return sentences


def _term_sentence(explained: Explained, term: RunningTerm) -> str:
    what = capital(term.what)
    start = explained.questions.label("start", term.starts)
    match term.state:
        case TermState.START_UNKNOWN | TermState.NOT_VALID:
            length = _length_words(term)
            text = f"{what}: {length} na {start}."
        case TermState.OVER if term.last_day:
            text = f"{what}: dit kon tot en met {day_words(term.last_day)}."
        case _ if term.last_day:
            text = f"{what}: tot en met {day_words(term.last_day)}."
        case _:
            text = f"{what}."
    if term.extended_last_day:
        text += f" Met verlenging wordt dat {day_words(term.extended_last_day)}."
    return f"{text} Deze termijn moeten wij nog controleren." if term.to_verify else text


def _length_words(term: RunningTerm) -> str:
    number, _, unit = term.length.partition(" ")
    one, many = {
        "days": ("dag", "dagen"),
        "weeks": ("week", "weken"),
        "months": ("maand", "maanden"),
        "working_days": ("werkdag", "werkdagen"),
    }[unit]
    return f"{number} {one if number == '1' else many}"


def nearness(row: Weighed) -> int:
    return _NEAREST.index(row.reason) if row.reason in _NEAREST else len(_NEAREST)


def _other_sentences(explained: Explained) -> list[str]:
    decision = explained.decision
    rows = sorted((row for row in decision.weighed if row.reason in _NEAREST), key=nearness)
    sentences = []
    for row in rows[:OTHERS_TOLD_MAX]:
        name = capital(party_words(explained, row.organisation))
        sentences.append(f"{name}: {explained.questions.label('reason', row.reason)}.")
    if decision.shown:
        names = listed([party_words(explained, name) for name in decision.shown])
        sentences.append(f"U kunt ook zelf contact opnemen met {names}.")
    return sentences


def _change_sentences(explained: Explained) -> list[str]:
    sentences = []
    told = [change for change in explained.changes if change.value != UNKNOWN]
    for change in told[:CHANGES_TOLD_MAX]:
        party = party_words(explained, change.party)
        sentences.append(f"{_other_answer(explained, change)} Dan kiezen wij voor {party}.")
    return sentences


def _other_answer(explained: Explained, change: Change) -> str:
    questions = explained.questions
    match change.field:
        case "flags":
            fact = questions.label("flag", Flag(change.value))
            return f"Stel: {fact}." if change.holds else f"Stel dat dit niet klopt: {fact}."
        case "steps_tried":
            return "Stel: u bent daar nog niet geweest."
        case "age":
            return f"Stel: u bent {change.value} jaar."
        case field:
            asked = next(q.text.nl for q in questions.questions if q.field == field)
            return f"Stel dat u bij “{asked}” kiest: {questions.label(field, change.value)}."


def short_sentences(text: str) -> list[str]:
    """Long sentences of the register fall apart at their semicolon."""
    sentences = []
    for sentence in text.replace("; ", ".\n").replace(". ", ".\n").split("\n"):
        trimmed = capital(sentence.strip())
        if trimmed:
            sentences.append(trimmed)
    return sentences
