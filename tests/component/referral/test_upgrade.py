"""A database of before the closed loop is brought up to date with the cases that it holds."""

import shutil
from uuid import uuid4

import asyncpg

from services.chassis.db import CHASSIS_MIGRATIONS, migrate
from services.referral.rows import case_of, referral_of
from tests.component.referral.conftest import MIGRATIONS

_CASE = """
INSERT INTO case_holder (case_id, report_id, holder, handoff, decision_id, decision_number,
    attempts, returns, returned_by, next_actor, next_action, next_due_at, open, kind, urgency,
    situation, content, first_received_at, opened_at, changed_at)
VALUES ($1, $1, $2, $3, $1, 1, 1, 0, '', 'school', 'decide', now() + interval '1 day', true,
    'melding', 'normaal', '{}', 'narrative identity', now(), now(), now())
"""
_REFERRAL = """
INSERT INTO referral (referral_id, case_id, attempt, organisation, decision_id, signal, status,
    offered_at, received_by, accepted_by, due_at)
VALUES ($1, $1, 1, 'school', $1, false, 'requested', now(), now(), now() + interval '1 day', now())
"""


async def test_cases_of_before_are_kept_and_can_go_on(databases, tmp_path):
    owner = databases["referral"].owner
    first = tmp_path / "migrations"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_init.sql", first)
    await migrate(owner, [CHASSIS_MIGRATIONS, first], 20)
    case_id = uuid4()
    connection = await asyncpg.connect(owner)
    try:
        await connection.execute(
            "INSERT INTO partner (organisation, name, channel) VALUES ('school', 'S', 'kafka')"
        )
        await connection.execute(_CASE, case_id, "vangnet", 0)
        await connection.execute(_REFERRAL, case_id)
        at_desk = uuid4()
        await connection.execute(_CASE, at_desk, "vangnet", 0)
        await connection.execute(
            "UPDATE case_holder SET next_actor = 'vangnet', next_action = 'find-party'"
            " WHERE case_id = $1",
            at_desk,
        )

        await migrate(owner, [CHASSIS_MIGRATIONS, MIGRATIONS], 20)

        query = "SELECT * FROM case_holder WHERE case_id = $1"
        case = case_of(await connection.fetchrow(query, case_id))
        waiting = case_of(await connection.fetchrow(query, at_desk))
        referral = referral_of(await connection.fetchrow("SELECT * FROM referral"))
    finally:
        await connection.close()
    assert (case.holder, case.open, case.next_step.actor) == ("vangnet", True, "school")
    assert case.limits.accepted_within_minutes == 7200
    assert (referral.channel, referral.due_at is not None) == ("kafka", True)
    # Of the offer the referral's own due time is the timer; the desk is reminded from now on.
    assert case.timer_at is None
    assert waiting.next_step is not None
    assert waiting.timer_at == waiting.next_step.due_at
