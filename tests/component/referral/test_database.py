"""What the database refuses by itself, whatever the code would try."""

import asyncpg
import pytest

from contracts.referral import Answer, Status
from services.referral.domain import HOLDING, OPEN, TRANSITIONS

PAIRS = [(a, b) for a in Status for b in Status if a is not b]
_FITTING = (
    "UPDATE referral SET status = $2, reason = 'capacity', accepted_at = now(), until = now(),"
    " due_at = CASE WHEN $2 IN ('requested', 'received') THEN now() END WHERE referral_id = $1"
)


@pytest.mark.parametrize("source", list(Status))
async def test_only_the_transitions_of_the_table(world, source):
    row = await world.offered()
    for target in [status for status in Status if status is not source]:
        async with world.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            # Past the guard, to stand in the state that is tried.
            await _stand_in(connection, row, source)
            if target in TRANSITIONS[source]:
                await connection.execute(_FITTING, row["referral_id"], target)
            else:
                with pytest.raises(asyncpg.CheckViolationError, match="no legal transition"):
                    await connection.execute(_FITTING, row["referral_id"], target)
            await transaction.rollback()


async def _stand_in(connection, row, status):
    path = {
        Status.RECEIVED: [Status.RECEIVED],
        Status.IN_PROGRESS: [Status.ACCEPTED, Status.IN_PROGRESS],
        Status.ON_HOLD: [Status.ACCEPTED, Status.ON_HOLD],
        Status.COMPLETED: [Status.ACCEPTED, Status.COMPLETED],
        Status.REQUESTED: [],
    }.get(status, [status])
    for step in path:
        await connection.execute(_FITTING, row["referral_id"], step)


async def test_a_second_holder_is_impossible(world):
    row = await world.offered()
    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    async with world.database.transaction() as connection:
        await _copy(connection, row, 2)
    second = await world.referral(row["case_id"])
    with pytest.raises(asyncpg.UniqueViolationError, match="referral_one_holder"):
        async with world.database.transaction() as connection:
            await connection.execute(_FITTING, second["referral_id"], "accepted")


async def test_a_second_open_request_is_impossible(world):
    row = await world.offered()
    with pytest.raises(asyncpg.UniqueViolationError, match="referral_one_request"):
        async with world.database.transaction() as connection:
            await _copy(connection, row, 2)


@pytest.mark.parametrize("status", sorted(HOLDING | {Status.COMPLETED, Status.REJECTED}))
async def test_a_referral_cannot_be_born_held(world, status):
    row = await world.offered()
    with pytest.raises(asyncpg.CheckViolationError, match="must begin as requested"):
        async with world.database.transaction() as connection:
            await _copy(connection, row, 2, status)


async def _copy(connection, row, attempt, status="requested"):
    due = "now()" if status in OPEN else "NULL"
    await connection.execute(
        "INSERT INTO referral (referral_id, case_id, attempt, organisation, decision_id, signal,"
        " status, reason, accepted_at, offered_at, received_by, accepted_by, due_at, channel)"
        " SELECT gen_random_uuid(), case_id, $2, 'lkc', decision_id, false, $3, 'capacity', now(),"
        f" now(), now(), now(), {due}, channel FROM referral WHERE referral_id = $1",
        row["referral_id"],
        attempt,
        status,
    )


async def test_the_holder_must_be_proved_by_a_holding_referral(world):
    row = await world.offered()
    with pytest.raises(asyncpg.CheckViolationError, match="holder and holding referral differ"):
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE case_holder SET holder = 'lkc', handoff = 1 WHERE case_id = $1",
                row["case_id"],
            )
    with pytest.raises(asyncpg.CheckViolationError, match="holder and holding referral differ"):
        async with world.database.transaction() as connection:
            await connection.execute(_FITTING, row["referral_id"], "accepted")


@pytest.mark.parametrize(
    "last",
    [
        "UPDATE case_holder SET holder = 'lkc', handoff = handoff + 1 WHERE case_id = $1",
        "UPDATE case_holder SET holder = 'vangnet', handoff = handoff + 1 WHERE case_id = $1",
        "UPDATE referral SET organisation = 'lkc' WHERE case_id = $1",
        "UPDATE referral SET status = 'failed' WHERE case_id = $1",
    ],
)
async def test_the_holder_is_proved_by_what_is_committed_and_not_by_what_was_for_a_moment(
    world, last
):
    row = await world.offered()
    with pytest.raises(asyncpg.CheckViolationError, match="holder and holding referral differ"):
        await _taken_and(world, row, last)


async def _taken_and(world, row, last):
    async with world.database.transaction() as connection:
        await connection.execute(_FITTING, row["referral_id"], "accepted")
        await connection.execute(
            "UPDATE case_holder SET holder = 'school', handoff = 1 WHERE case_id = $1",
            row["case_id"],
        )
        await connection.execute(last, row["case_id"])


@pytest.mark.parametrize("column", ["next_actor", "next_action", "next_due_at"])
async def test_an_open_case_cannot_be_without_a_next_step(world, column):
    row = await world.offered()
    with pytest.raises(asyncpg.CheckViolationError, match="open_case_has_next_step"):
        async with world.database.transaction() as connection:
            await connection.execute(
                f"UPDATE case_holder SET {column} = NULL WHERE case_id = $1", row["case_id"]
            )


async def test_unknown_codes_and_missing_proofs_are_refused(world):
    row = await world.offered()
    for change in (
        "status = 'lost'",
        "status = 'rejected', due_at = NULL",
        "status = 'accepted', due_at = NULL",
        "due_at = NULL",
        "reason = 'no time'",
        "organisation = 'vangnet'",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with world.database.transaction() as connection:
                await connection.execute(
                    f"UPDATE referral SET {change} WHERE referral_id = $1", row["referral_id"]
                )


@pytest.mark.parametrize(
    "change",
    [
        "open = true, next_actor = 'school', next_action = 'handle', next_due_at = now()",
        "first_received_at = now()",
        "handoff = handoff - 1",
        "attempts = attempts - 1",
        "holder = 'vangnet'",
        "decision_number = 0",
    ],
)
async def test_a_case_takes_nothing_back_and_reopens_at_the_desk_only(world, change):
    row = await world.offered()
    await world.hear("school", world.answered(row, Answer.ACCEPTED))
    await world.say("school", row, "completed", outcome="helped")
    with pytest.raises(asyncpg.CheckViolationError):
        async with world.database.transaction() as connection:
            await connection.execute(
                f"UPDATE case_holder SET {change} WHERE case_id = $1",
                row["case_id"],
            )


async def test_a_closed_case_has_no_live_referral(world):
    row = await world.offered()
    with pytest.raises(asyncpg.CheckViolationError, match="the case is closed"):
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE case_holder SET open = false, next_actor = NULL, next_action = NULL,"
                " next_due_at = NULL, timer_at = NULL WHERE case_id = $1",
                row["case_id"],
            )
