"""SQL of the follower: what intake knows of cases and referrals from the events of others.

Every statement writes many rows and orders them, so that two instances wait for one another
instead of deadlocking; an older event changes nothing. What comes with every case is sent as
records of the `sent_` types, which costs the driver less than arrays. Every function works in the
caller's transaction; none commits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.finding import FindingState
from contracts.referral import NextAction
from contracts.situation import Urgency
from services.chassis.db import Connection
from services.intake.domain import CaseStanding, ReferralKnown, TermEnds


class DecisionRow(NamedTuple):
    """A decision of routing; `number` counts the decisions of the case."""

    case_id: UUID
    number: int
    standing: CaseStanding
    urgency: Urgency

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.number,)


# Referral speaks later and knows more: once it has, a decision no longer changes the standing. Only
# the decision tells how urgent it is, also when it is read after what referral made of it.
_UPSERT_DECISIONS = """
INSERT INTO case_status (case_id, decision_number, stage, holder, urgency, updated_at)
SELECT case_id, number, stage, holder, urgency, $2
FROM unnest($1::sent_decision[])
ORDER BY case_id
ON CONFLICT (case_id) DO UPDATE
SET decision_number = excluded.decision_number, urgency = excluded.urgency,
    stage = CASE case_status.referral_sequence WHEN 0 THEN excluded.stage
                 ELSE case_status.stage END,
    holder = CASE case_status.referral_sequence WHEN 0 THEN excluded.holder
                  ELSE case_status.holder END,
    updated_at = excluded.updated_at
WHERE case_status.decision_number < excluded.decision_number
"""


async def put_decisions(connection: Connection, rows: Sequence[DecisionRow], now: datetime) -> None:
    """Take over decisions, one per case; older ones than already known change nothing."""
    sent = [
        (row.case_id, row.number, row.standing.stage, row.standing.holder, row.urgency)
        for row in rows
    ]
    await connection.execute(_UPSERT_DECISIONS, sent, now)


class StandingRow(NamedTuple):
    """An event of referral on a case; `sequence` is the one of its source."""

    case_id: UUID
    handoff: int
    sequence: int
    standing: CaseStanding

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.handoff, self.sequence)


# Ordered by handoff and by the sequence of the source: clocks of two instances may differ.
_UPSERT_STANDINGS = """
INSERT INTO case_status (case_id, handoff, referral_sequence, stage, holder, next_actor, next_by,
                         next_action, until, onward_to, outcome, updated_at)
SELECT case_id, handoff, sequence, stage, holder, next_actor, next_by, next_action, until,
       onward_to, outcome, $2
FROM unnest($1::sent_standing[])
ORDER BY case_id
ON CONFLICT (case_id) DO UPDATE
SET handoff = excluded.handoff, referral_sequence = excluded.referral_sequence,
    stage = excluded.stage, holder = excluded.holder, next_actor = excluded.next_actor,
    next_by = excluded.next_by, next_action = excluded.next_action, until = excluded.until,
    onward_to = excluded.onward_to, outcome = excluded.outcome, updated_at = excluded.updated_at
WHERE (case_status.handoff, case_status.referral_sequence)
      < (excluded.handoff, excluded.referral_sequence)
"""


async def put_standings(connection: Connection, rows: Sequence[StandingRow], now: datetime) -> None:
    """Take over how cases stand, one row per case; an older event changes nothing."""
    await connection.execute(_UPSERT_STANDINGS, [_sent_standing(row) for row in rows], now)


def _sent_standing(row: StandingRow) -> tuple[object, ...]:
    """A row as the type `sent_standing` of the database."""
    standing = row.standing
    return (
        row.case_id,
        row.handoff,
        row.sequence,
        standing.stage,
        standing.holder,
        standing.next_actor,
        standing.next_by,
        standing.next_action,
        standing.until,
        standing.onward_to,
        standing.outcome,
    )


class StepRow(NamedTuple):
    """Who acts next after an event of referral that leaves the stage as it is."""

    case_id: UUID
    handoff: int
    sequence: int
    next_actor: str | None
    next_by: datetime | None
    next_action: NextAction | None

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.handoff, self.sequence)


# Locked in one order, as the inserts are: an update alone would lock in any order.
_LOCKED = """locked AS (
    SELECT s.case_id FROM case_status s JOIN sent USING (case_id) ORDER BY s.case_id FOR UPDATE OF s
)"""

_UPDATE_STEPS = f"""
WITH sent AS (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::text[], $5::timestamptz[],
                         $6::text[])
         AS t(case_id, handoff, sequence, next_actor, next_by, next_action)
), {_LOCKED}
UPDATE case_status s
SET handoff = sent.handoff, referral_sequence = sent.sequence, next_actor = sent.next_actor,
    next_by = sent.next_by, next_action = sent.next_action, updated_at = $7
FROM sent JOIN locked USING (case_id)
WHERE s.case_id = sent.case_id
      AND (s.handoff, s.referral_sequence) < (sent.handoff, sent.sequence)
"""  # noqa: S608  # our own text


async def put_steps(connection: Connection, rows: Sequence[StepRow], now: datetime) -> None:
    """Take over only who acts next, one row per case; the stage stays, and so does a newer step."""
    await connection.execute(
        _UPDATE_STEPS,
        [row.case_id for row in rows],
        [row.handoff for row in rows],
        [row.sequence for row in rows],
        [row.next_actor for row in rows],
        [row.next_by for row in rows],
        [row.next_action for row in rows],
        now,
    )


class ReferralRow(NamedTuple):
    """The state of one referral or consultation after an event."""

    referral_id: UUID
    known: ReferralKnown
    sequence: int

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.sequence,)


_UPSERT_REFERRALS = """
INSERT INTO referral (referral_id, case_id, organisation, attempt, status, sequence, consulted)
SELECT referral_id, case_id, organisation, attempt, status, sequence, consulted
FROM unnest($1::sent_referral[])
ORDER BY referral_id
ON CONFLICT (referral_id) DO UPDATE
SET attempt = excluded.attempt, status = excluded.status, sequence = excluded.sequence
WHERE referral.sequence < excluded.sequence
      AND (referral.case_id, referral.organisation, referral.consulted)
          = (excluded.case_id, excluded.organisation, excluded.consulted)
"""


async def put_referrals(connection: Connection, rows: Sequence[ReferralRow]) -> None:
    """Take over the state of referrals, one row per referral.

    An organisation chooses the id of a consultation: one that is already something else's id must
    not revive what has ended.
    """
    await connection.execute(_UPSERT_REFERRALS, [_sent_referral(row) for row in rows])


def _sent_referral(row: ReferralRow) -> tuple[object, ...]:
    """A row as the type `sent_referral` of the database."""
    known = row.known
    return (
        row.referral_id,
        known.case_id,
        known.organisation,
        known.attempt,
        known.status,
        row.sequence,
        known.consulted,
    )


class TermRow(NamedTuple):
    """A warning of referral; `sequence` is the one of its source."""

    case_id: UUID
    ends: TermEnds
    sequence: int

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.sequence,)


_UPSERT_TERMS = """
INSERT INTO term_warning (case_id, organisation, term, last_day, sequence)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::integer[])
     AS t(case_id, organisation, term, last_day, sequence)
ORDER BY case_id, organisation, term
ON CONFLICT (case_id, organisation, term) DO UPDATE
SET last_day = excluded.last_day, sequence = excluded.sequence
WHERE term_warning.sequence < excluded.sequence
"""


async def put_terms(connection: Connection, rows: Sequence[TermRow]) -> None:
    """Take over warnings, one per case, organisation and term; an older one changes nothing."""
    await connection.execute(
        _UPSERT_TERMS,
        [row.case_id for row in rows],
        [row.ends.organisation for row in rows],
        [row.ends.term for row in rows],
        [row.ends.last_day for row in rows],
        [row.sequence for row in rows],
    )


class FindingRow(NamedTuple):
    """How far the finding of a case is; `sequence` is the one of its source."""

    case_id: UUID
    state: FindingState
    sequence: int

    @property
    def order(self) -> tuple[int, ...]:
        """Grows with what happens to the same thing."""
        return (self.sequence,)


_UPDATE_FINDINGS = f"""
WITH sent AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS t(case_id, state, sequence)
), {_LOCKED}
UPDATE case_status s SET finding = sent.state, finding_sequence = sent.sequence
FROM sent JOIN locked USING (case_id)
WHERE s.case_id = sent.case_id AND s.finding_sequence < sent.sequence
"""  # noqa: S608  # our own text


async def put_findings(connection: Connection, rows: Sequence[FindingRow]) -> None:
    """Take over where findings stand, one row per case; an older event changes nothing."""
    await connection.execute(
        _UPDATE_FINDINGS,
        [row.case_id for row in rows],
        [row.state.value for row in rows],
        [row.sequence for row in rows],
    )
