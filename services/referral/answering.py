"""Answers of partners, from Kafka and from the API alike, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.referral import ReferralAnswered
from services.chassis.db import Connection
from services.referral import announce, rules, store
from services.referral.domain import Case, Partner, Referral, Verdict
from services.referral.effects import Effects, Publishing
from services.referral.store import AppliedAnswer

Known = Mapping[tuple[str, UUID], tuple[UUID, str]]


class Submission(NamedTuple):
    """An answer with its proved sender; `on_feed` asks for an AnswerRefused when it has no effect.

    `refused_as` is set when the sender is not who the answer says it is.
    """

    organisation: str
    event: ReferralAnswered
    traceparent: str | None
    on_feed: bool
    reason_text: str | None = None
    refused_as: Verdict | None = None


class Settled(NamedTuple):
    """What became of a submission; without case and referral when it is not the sender's."""

    verdict: Verdict
    case: Case | None = None
    referral: Referral | None = None


async def settle(
    connection: Connection,
    publishing: Publishing,
    partners: Mapping[str, Partner],
    submissions: Sequence[Submission],
    now: datetime,
) -> list[Settled]:
    """Apply answers in their order and write what follows; gives what became of each."""
    cases, referrals = await store.lock_cases_of(
        connection, [item.event.referral_id for item in submissions]
    )
    known = dict(
        await store.applied_answers(
            connection, [(item.organisation, item.event.answer_id) for item in submissions]
        )
    )
    effects = Effects(publishing, partners, cases, referrals.values())
    settled = []
    for item in submissions:
        result = _one(effects, known, item, now)
        if result.verdict is Verdict.APPLIED:
            event = item.event
            key = (item.organisation, event.answer_id)
            known[key] = (event.referral_id, store.said(event))
            effects.remember(AppliedAnswer(item.organisation, event, item.reason_text))
        elif item.on_feed:
            refused = announce.refusal(
                item.event, result.verdict, result.case, result.referral, now
            )
            effects.tell(item.organisation, refused, item.event.case_id, item.traceparent)
        settled.append(result)
    await effects.write(connection, now)
    return settled


def _one(effects: Effects, known: Known, item: Submission, now: datetime) -> Settled:
    event = item.event
    referral = effects.referrals.get(event.referral_id)
    if item.refused_as is not None:
        return Settled(item.refused_as)
    if (
        referral is None
        or referral.organisation != item.organisation
        or referral.case_id != event.case_id
    ):
        return Settled(Verdict.UNKNOWN_REFERRAL)
    case = effects.cases[referral.case_id]
    before = known.get((item.organisation, event.answer_id))
    if before is not None:
        same = before == (event.referral_id, store.said(event))
        verdict = Verdict.DUPLICATE if same else Verdict.ANSWER_ID_REUSED
        return Settled(verdict, case, referral)
    text_given = item.reason_text is not None
    standing = effects.standing(case.case_id)
    assert standing is not None
    outcome = rules.answer(standing, referral, event, now, text_given=text_given)
    effects.add(outcome, item.traceparent)
    return Settled(
        outcome.verdict, effects.cases[case.case_id], effects.referrals[referral.referral_id]
    )
