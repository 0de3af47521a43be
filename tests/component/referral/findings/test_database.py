"""What the database refuses by itself, whatever the code would try."""

import asyncpg
import pytest

from contracts.finding import FindingState
from services.referral.findings.domain import ENDED, STARTS, TRANSITIONS

_MOVE = (
    "UPDATE finding SET state = $2, reply_due_at = coalesce(reply_due_at, now()),"
    " next_actor = CASE WHEN $3 THEN NULL ELSE 'vangnet' END,"
    " next_action = CASE WHEN $3 THEN NULL ELSE 'check-reply' END,"
    " next_due_at = CASE WHEN $3 THEN NULL ELSE now() END,"
    " fires_at = CASE WHEN $3 THEN NULL ELSE now() END,"
    " settled_at = CASE WHEN $3 THEN now() END,"
    " settlement = CASE WHEN $2 = 'followed' THEN 'followed' WHEN $3 THEN 'withdrawn' END"
    " WHERE finding_id = $1"
)
_PATHS = {
    FindingState.REPLY_DUE: [],
    FindingState.FOLLOWED: ["replied-following", "followed"],
    FindingState.WITH_SUPERVISOR: ["silent", "with-supervisor"],
}


async def _move(connection, finding_id, state):
    await connection.execute(_MOVE, finding_id, state, state in {s.value for s in ENDED})


@pytest.mark.parametrize("source", [s for s in FindingState if s is not FindingState.ISSUED])
async def test_only_the_transitions_of_the_table(world, source):
    finding_id = await world.finding()
    for target in [state for state in FindingState if state is not source]:
        async with world.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            for step in _PATHS.get(source, [source.value]):
                await _move(connection, finding_id, step)
            if target in TRANSITIONS[source]:
                await _move(connection, finding_id, target.value)
            else:
                with pytest.raises(asyncpg.CheckViolationError, match="no legal transition"):
                    await _move(connection, finding_id, target.value)
            await transaction.rollback()


async def _refused(world, match, statement, *values):
    with pytest.raises(asyncpg.PostgresError, match=match):
        async with world.database.transaction() as connection:
            await connection.execute(statement, *values)


@pytest.mark.parametrize("state", [s for s in FindingState if s not in STARTS])
async def test_a_finding_begins_as_issued_or_running(world, state):
    finding_id = await world.finding()
    await _refused(
        world,
        "must begin as issued or reply-due",
        "INSERT INTO finding SELECT (jsonb_populate_record(f, jsonb_build_object('finding_id',"
        " gen_random_uuid(), 'state', $2::text))).* FROM finding f WHERE finding_id = $1",
        finding_id,
        state.value,
    )


async def test_a_second_finding_of_a_case_is_impossible(world):
    await _refused(
        world,
        "finding_one_of_case",
        "INSERT INTO finding SELECT (jsonb_populate_record(f, jsonb_build_object('finding_id',"
        " gen_random_uuid()))).* FROM finding f WHERE finding_id = $1",
        await world.finding(),
    )


@pytest.mark.parametrize("column", ["next_actor", "next_action", "next_due_at", "fires_at"])
async def test_an_open_finding_has_a_next_step(world, column):
    await _refused(
        world,
        "open_finding_has_next_step",
        f"UPDATE finding SET {column} = NULL WHERE finding_id = $1",
        await world.finding(),
    )


async def test_followed_needs_confirmed_evidence(world):
    finding_id = await world.finding()
    await world.reply(finding_id, "follows")
    await world.show(finding_id, confirms=False)
    with pytest.raises(asyncpg.CheckViolationError, match="without confirmed evidence"):
        async with world.database.transaction() as connection:
            await _move(connection, finding_id, "followed")


async def test_the_regime_that_decided_stays(world):
    await _refused(
        world,
        "what was recorded stays",
        "UPDATE finding SET issued_on = issued_on - 1 WHERE finding_id = $1",
        await world.finding(),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE finding_reply SET reasons = 'x' WHERE finding_id = $1",
        "DELETE FROM finding_reply WHERE finding_id = $1",
        "UPDATE finding_evidence SET digest = repeat('0', 64) WHERE finding_id = $1",
        "DELETE FROM finding_evidence WHERE finding_id = $1",
    ],
)
async def test_what_was_said_and_shown_stays(world, statement):
    finding_id = await world.finding()
    await world.reply(finding_id, "partly")
    await world.show(finding_id, confirms=False)
    await _refused(world, "what was recorded stays", statement, finding_id)


async def test_a_reply_for_the_board_needs_its_letter(world):
    await _refused(
        world,
        "on_behalf_has_digest",
        "INSERT INTO finding_reply (finding_id, reply_id, reply, replied_on, brought_by, at)"
        " VALUES ($1, gen_random_uuid(), 'follows', now(), 'vangnet', now())",
        await world.finding(),
    )
