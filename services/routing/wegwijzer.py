"""The wegwijzer: from the answers so far to the next question that still matters, or the result.

Pure, and the same rules that route: a result is what `decide` says of the answers. An answer that
was never asked for cannot change the party, because every plausible set of further answers was
tried out (`outcomes.py`). Danger is asked first; help lines are there at every step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from contracts.situation import UNKNOWN, Accused, Flag, Situation
from services.routing.compiled import CompiledRegister
from services.routing.domain import Decision
from services.routing.matching import FIELDS, flag_bits
from services.routing.outcomes import FINDING, STEP_BITS, YOUNG, OutcomeSpace, Row
from services.routing.questions import Option, Question, Questions
from services.routing.rules import decide, decide_party
from services.routing.splits import Given, Splits

ASKED_MAX = 10
STEPS_KEPT = 50_000

Answers = Mapping[str, tuple[str, ...]]


class AnswerUnknown(ValueError):
    """The answers name a question or an option that does not exist; the text says which."""


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: a question, or the decision; never both.

    `options` are the answers that fit what was answered before. `parties` can still become the
    primary one. `help_lines` can be called at any moment. `settled` says of a decision that no
    further answer changes the party; it is false for answers that do not go together, which are
    decided on as they are.
    """

    situation: Situation
    asked: int
    help_lines: tuple[str, ...]
    parties: tuple[str, ...]
    question: Question | None = None
    options: tuple[Option, ...] = ()
    decision: Decision | None = None
    settled: bool = False


class Wegwijzer:
    """Next steps under one compiled register; it keeps what it found, so build one and share it."""

    def __init__(self, register: CompiledRegister, questions: Questions) -> None:
        self._register = register
        self._space = OutcomeSpace(register)
        self._splits = Splits(self._space.affiliations)
        self._questions = {question.id: question for question in questions.questions}
        self._fields: dict[str, str] = {q.field: q.id for q in questions.questions if q.field}
        self._first = next(q for q in questions.questions if q.first)
        self._lines = tuple(p.id for p in register.parties if p.show_only and p.emergency)
        self._step = lru_cache(STEPS_KEPT)(self._find)

    @property
    def steps_found(self) -> int:
        """How many different sets of answers were asked for so far."""
        return self._step.cache_info().misses

    def warm(self) -> None:
        """Try out all outcomes now (some seconds) instead of at the first question that needs them.

        Afterwards a step takes milliseconds. What is kept lives as long as the register: a service
        that does this at its start can take it out of the garbage collector's sight (`gc.freeze`).
        """
        for name in (None, "sector", "reporter", "kind", "subject"):
            five = tuple(UNKNOWN if field == name else None for field in FIELDS)
            given = Given(five, None, None, None, None, age_unknown=False)
            self._splits.parties(self._space.rows(five), given)
        for option in self._first.options:
            step = self.next_step({self._first.id: (option.id,)})
            if step.question is not None:
                for other in step.options:
                    self.next_step({self._first.id: (option.id,), step.question.id: (other.id,)})
        self.next_step({})

    def next_step(self, answers: Answers) -> Step:
        """The next question, or the decision. Raises `AnswerUnknown`.

        `answers` holds per question the ids of the chosen options: one, or for a question that
        takes several any number of them; an empty tuple says that none of those holds.
        """
        return self._step(tuple(sorted((name, tuple(given)) for name, given in answers.items())))

    def situation(self, answers: Answers) -> Situation:
        """The answers as a situation, what was not answered as unknown. Raises `AnswerUnknown`."""
        fields: dict[str, object] = dict.fromkeys(FIELDS, UNKNOWN)
        flags: set[Flag] = set()
        for question, option in self._chosen(answers):
            if question.field:
                fields[question.field] = option.id
            flags.update(option.sets.flags)
            if option.sets.age is not None:
                fields["age"] = option.sets.age
        return Situation.model_validate({**fields, "flags": [f for f in Flag if f in flags]})

    def _chosen(self, answers: Answers) -> Iterator[tuple[Question, Option]]:
        for name, chosen in answers.items():
            question = self._questions.get(name)
            if question is None:
                raise AnswerUnknown(f"there is no question {name!r}")
            if len(chosen) != 1 and not question.multiple:
                raise AnswerUnknown(f"question {name!r} takes exactly one answer")
            options = {option.id: option for option in question.options}
            for option in chosen:
                if option not in options:
                    raise AnswerUnknown(f"question {name!r} has no answer {option!r}")
                yield question, options[option]

    def _find(self, key: tuple[tuple[str, tuple[str, ...]], ...]) -> Step:
        answers = dict(key)
        situation = self.situation(answers)
        if any(option.stops for _, option in self._chosen(answers)):
            return self._result(situation, answers, settled=True)
        given = self._given(situation, answers)
        rows = self._splits.fitting(self._space.rows(given.five, given.told), given)
        if self._first.id not in answers:
            return self._ask(self._first, situation, answers, rows, given)
        if not rows:
            return self._result(situation, answers, settled=False)
        situation = self._implied(situation, given, rows)
        given = self._given(situation, answers)
        parties = self._splits.parties(rows, given)
        question = self._next(situation, answers, rows, given, parties)
        if question is None:
            return self._result(situation, answers, settled=self._settled(situation, parties))
        return self._ask(question, situation, answers, rows, given)

    def _next(
        self,
        situation: Situation,
        answers: Answers,
        rows: list[Row],
        given: Given,
        parties: frozenset[str],
    ) -> Question | None:
        if len(answers) >= ASKED_MAX:
            return None
        if len(parties) == 1:
            return self._tells_apart(situation, answers, rows, next(iter(parties)))
        open_ = [q for name, q in self._questions.items() if name not in answers]
        scored = sorted(
            open_,
            key=lambda q: (
                not answers.keys() >= set(q.after),
                self._splits.uncertainty(q.id, rows, given),
            ),
        )
        return next((q for q in scored if self._splits.matters(q.id, rows, given)), None)

    def _tells_apart(
        self, situation: Situation, answers: Answers, rows: list[Row], party: str
    ) -> Question | None:
        """Every full set of answers leads to one party, not knowing to another: what to ask then.

        None when not knowing leads there as well, which is the usual end.
        """
        unknown = decide_party(self._register, situation)
        if unknown == party:
            return None
        open_ = [q for name, q in self._questions.items() if name not in answers]
        for question in open_:
            for option in question.options:
                told = self._told(situation, question, option)
                if decide_party(self._register, told) != unknown and _fits(question, option, rows):
                    return question
        for question in open_:
            if question.field in FIELDS and self._needed(situation, question.field, rows, party):
                return question
        return None

    def _needed(self, situation: Situation, field: str, rows: list[Row], party: str) -> bool:
        """Whether not knowing this one answer leads to another party for some of these rows."""
        for row in rows:
            known = dict(zip(FIELDS, row.base, strict=True))
            told = Situation.model_validate({**situation.model_dump(), **known, field: UNKNOWN})
            if decide_party(self._register, told) != party:
                return True
        return False

    @staticmethod
    def _told(situation: Situation, question: Question, option: Option) -> Situation:
        flags = {*situation.flags, *option.sets.flags}
        fields = {**situation.model_dump(), "flags": [flag for flag in Flag if flag in flags]}
        if question.field:
            fields[question.field] = option.id
        if option.sets.age is not None:
            fields["age"] = option.sets.age
        return Situation.model_validate(fields)

    def _given(self, situation: Situation, answers: Answers) -> Given:
        flags = flag_bits(situation.flags)
        five = tuple(self._answer(name, situation, answers) for name in FIELDS)
        asked_age = "age" in answers
        return Given(
            five=five,
            steps=flags & STEP_BITS if "steps" in answers else None,
            facts=flags & ~(STEP_BITS | YOUNG) if "facts" in answers else None,
            affiliation=situation.affiliation if self._fields["affiliation"] in answers else None,
            young=bool(flags & YOUNG) if asked_age else None,
            age_unknown=asked_age and situation.age is None and not flags & YOUNG,
        )

    def _answer(self, name: str, situation: Situation, answers: Answers) -> str | None:
        value = str(getattr(situation, name))
        if value != UNKNOWN:
            return value
        if self._fields[name] not in answers:
            return None
        # Whoever does not know who did it says the same as whoever says that nobody knows.
        return str(Accused.ONBEKEND) if name == "accused" else UNKNOWN

    def _implied(self, situation: Situation, given: Given, rows: list[Row]) -> Situation:
        """Fills in the answers of which only one is plausible: those are not asked for."""
        for index, name in enumerate(FIELDS):
            values = {row.base[index] for row in rows}
            if given.five[index] is None and len(values) == 1:
                situation = _with(situation, name, values.pop())
        return situation

    def _settled(self, situation: Situation, parties: frozenset[str]) -> bool:
        return parties == {decide_party(self._register, situation)}

    def _ask(
        self,
        question: Question,
        situation: Situation,
        answers: Answers,
        rows: list[Row],
        given: Given,
    ) -> Step:
        parties = self._splits.parties(rows, given)
        return Step(
            situation=situation,
            asked=len(answers),
            help_lines=self._lines,
            parties=tuple(p.id for p in self._register.parties if p.id in parties),
            question=question,
            options=tuple(o for o in question.options if _fits(question, o, rows)),
        )

    def _result(self, situation: Situation, answers: Answers, *, settled: bool) -> Step:
        decision = decide(self._register, situation)
        return Step(
            situation=situation,
            asked=len(answers),
            help_lines=self._lines,
            parties=(decision.primary,),
            decision=decision,
            settled=settled,
        )


def _with(situation: Situation, name: str, value: str) -> Situation:
    return Situation.model_validate({**situation.model_dump(), name: value})


def _fits(question: Question, option: Option, rows: list[Row]) -> bool:
    """Whether an option can be true, and can matter, with the answers so far."""
    if option.id == UNKNOWN:
        return True
    if question.field in FIELDS:
        index = FIELDS.index(question.field)
        return any(row.base[index] == option.id for row in rows)
    needed = flag_bits(option.sets.flags)
    if question.multiple:
        return any(row.outcomes.relevant & needed for row in rows)
    return not needed & FINDING or any(row.facts & FINDING for row in rows)
