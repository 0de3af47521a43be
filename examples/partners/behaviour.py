"""What an example partner answers, decided from the offer alone.

In your system a person or your case system decides. Here it is drawn from the seed and the
referral, so that a repeated delivery of an offer gets the same answers with the same ids.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from contracts.referral import Answer, CompletedAs, DeclineReason, ReferralOffer

# Any fixed UUID does; it must only never change.
ANSWER_NAMESPACE = UUID("6f2b1b1e-6c1f-4f0a-9c55-3f8f0d9a7f43")
REASONS = (
    DeclineReason.CAPACITY,
    DeclineReason.NOT_ELIGIBLE,
    DeclineReason.WRONG_REGION,
    DeclineReason.NOT_COMPETENT,
)
AFTERWARDS = (Answer.IN_PROGRESS, Answer.ON_HOLD, Answer.NO_CONTACT, Answer.COMPLETED)
HOLD = timedelta(days=14)


@dataclass(frozen=True)
class Reply:
    """One answer to an offer.

    `reason` goes with `rejected`, `until` with `on-hold`, `outcome` with `completed`.
    """

    answer_id: UUID
    answer: Answer
    reason: DeclineReason | None = None
    until: datetime | None = None
    outcome: CompletedAs | None = None


@dataclass(frozen=True)
class Behaviour:
    """How often a partner accepts, declines and keeps silent (weights), and how long it thinks.

    It always declines the subjects of `not_ours`. After accepting it says what is in `then`.
    """

    accept: float = 0.9
    decline: float = 0.1
    silent: float = 0.0
    delay_ms: int = 0
    seed: int = 1
    reasons: Sequence[DeclineReason] = field(default=REASONS)
    not_ours: Sequence[str] = ()
    then: Sequence[Answer] = ()
    outcome: CompletedAs = CompletedAs.HELPED

    def replies(self, offer: ReferralOffer) -> list[Reply]:
        """The answers to an offer, in order: received, accepted or rejected, and what follows.

        A signal asks for nothing but its receipt. A silent partner says nothing at all.
        """
        chance = random.Random(f"{self.seed}:{offer.referral_id}:{offer.attempt}")
        received = _reply(offer, Answer.RECEIVED)
        if offer.signal:
            return [received]
        if offer.situation.subject in self.not_ours:
            return [received, _reply(offer, Answer.REJECTED, DeclineReason.NOT_COMPETENT)]
        match chance.choices(
            ("accept", "decline", "silent"), (self.accept, self.decline, self.silent)
        )[0]:
            case "silent":
                return []
            case "decline":
                reason = chance.choice(self.reasons)
                return [received, _reply(offer, Answer.REJECTED, reason)]
            case _:
                return [received, _reply(offer, Answer.ACCEPTED), *self._afterwards(offer)]

    def _afterwards(self, offer: ReferralOffer) -> list[Reply]:
        return [
            Reply(
                answer_id(offer.referral_id, offer.attempt, answer),
                answer,
                # Reckoned from the offer, so that a repeat says exactly the same.
                until=offer.accepted_by + HOLD if answer is Answer.ON_HOLD else None,
                outcome=self.outcome if answer is Answer.COMPLETED else None,
            )
            for answer in self.then
        ]


def add_behaviour_arguments(parser: argparse.ArgumentParser) -> None:
    """The mix of answers; the three weights need not add up to one."""
    parser.add_argument("--accept", type=float, default=0.9, help="weight of accepting")
    parser.add_argument("--decline", type=float, default=0.1, help="weight of declining")
    parser.add_argument("--silent", type=float, default=0.0, help="weight of saying nothing")
    parser.add_argument("--delay-ms", type=int, default=0, help="time to think, milliseconds")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same answers")
    parser.add_argument(
        "--not-ours", action="append", default=[], metavar="SUBJECT", help="decline this subject"
    )
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        choices=[answer.value for answer in AFTERWARDS],
        help="say this after accepting; may be given more than once",
    )
    parser.add_argument(
        "--outcome",
        default=CompletedAs.HELPED.value,
        choices=[item.value for item in CompletedAs if item is not CompletedAs.DECIDED],
        help="what came of it, with --then completed",
    )


def behaviour_of(options: argparse.Namespace) -> Behaviour:
    """The behaviour that the arguments describe."""
    return Behaviour(
        accept=options.accept,
        decline=options.decline,
        silent=options.silent,
        delay_ms=options.delay_ms,
        seed=options.seed,
        not_ours=tuple(options.not_ours),
        then=tuple(Answer(name) for name in options.then),
        outcome=CompletedAs(options.outcome),
    )


def answer_id(referral_id: UUID, attempt: int, answer: Answer) -> UUID:
    """The id of an answer: the same for every repeat of it, which makes a repeat harmless."""
    return uuid5(ANSWER_NAMESPACE, f"{referral_id}:{attempt}:{answer.value}")


def _reply(offer: ReferralOffer, answer: Answer, reason: DeclineReason | None = None) -> Reply:
    return Reply(answer_id(offer.referral_id, offer.attempt, answer), answer, reason)
