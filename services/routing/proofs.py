"""What a register must prove before it may decide, beyond that its parts fit together."""

from services.routing.activation import Checker, Counterexample
from services.routing.check.report import check
from services.routing.domain import Register
from services.routing.questions import Questions, unlabelled

_REMEDY = "Mend the register; `meldpunt register check FILE` shows the same with all figures."


def prover(questions: Questions, processes: int) -> Checker:
    """The walk over every plausible situation, in processes of its own: it takes a minute or two.

    Every id must have words too, or people would read ids.
    """

    def prove(register: Register) -> list[Counterexample]:
        nameless = [
            Counterexample(f"words of {name}", "it has no words that a person reads", _WORDS)
            for name in unlabelled(questions, register)
        ]
        if nameless:
            return nameless
        # The second method proves the checker, not the register: it runs where that is built.
        outcome = check(register, processes=processes, compare=False)
        return [Counterexample("proof", fault, _REMEDY) for fault in outcome.faults]

    return prove


_WORDS = "Add it to `labels` in services/routing/register/questions.yaml of a release first."
