"""Decisions in the database: numbered, explained, never reset and never twice."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from contracts.intake import ContentField, IntakeChannel, ReportReceived
from contracts.referral import DESK, RedecisionRequested
from contracts.routing import CaseAssigned
from contracts.situation import Situation
from deploy.local.provision import DatabaseUrls
from services.chassis.db import Database
from services.chassis.errors import Rejected
from services.routing import store
from services.routing.app import MIGRATIONS
from services.routing.handlers import Handler
from services.routing.register import load_register
from services.routing.rules import compile_register, decide
from tests.component.service import NOW, open_database, received

REGISTER = compile_register(load_register())
SOURCE = "urn:test:routing"
BULLIED = Situation(
    sector="po", reporter="ouder", kind="klacht", subject="pesten", accused="leerling", brin="99XX"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(databases: dict[str, DatabaseUrls]) -> AsyncIterator[Database]:
    async with open_database(databases["routing"], MIGRATIONS) as opened:
        async with opened.transaction() as connection:
            await store.remember_register(
                connection, REGISTER.hash, REGISTER.register.version, "{}", NOW
            )
        yield opened


def report(case_id: UUID) -> ReportReceived:
    return ReportReceived(
        report_id=uuid4(),
        case_id=case_id,
        channel=IntakeChannel.WEB,
        situation=BULLIED,
        received_at=NOW,
        content=(ContentField.NARRATIVE,),
        commitment="0" * 64,
    )


def again(case_id: UUID, number: int, *excluded: str) -> RedecisionRequested:
    return RedecisionRequested(
        case_id=case_id,
        holder=DESK,
        handoff=0,
        at=NOW,
        excluded=excluded,
        decision_number=number,
        reason="rejected",
    )


async def handle(database: Database, *events: ReportReceived | RedecisionRequested) -> None:
    handler = Handler(REGISTER, SOURCE, lambda: NOW)
    async with database.transaction() as connection:
        await handler(connection, [received(event, event.case_id) for event in events])


async def published(database: Database, case_id: UUID) -> list[CaseAssigned]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT data FROM event WHERE key = $1 ORDER BY sequence", case_id
        )
    return [CaseAssigned.parse(row["data"]) for row in rows]


async def test_a_decline_leads_to_a_new_decision_without_the_party(database: Database) -> None:
    case_id = uuid4()
    await handle(database, report(case_id))
    first = (await published(database, case_id))[0]
    await handle(database, again(case_id, 2, first.organisation))
    assigned = await published(database, case_id)
    assert [event.number for event in assigned] == [1, 2]
    assert assigned[1].organisation != first.organisation
    assert assigned[1].received_at == first.received_at == NOW
    assert assigned[1].situation == BULLIED
    assert first.organisation in assigned[1].excluded


async def test_report_and_request_in_one_batch_are_folded_in_order(database: Database) -> None:
    case_id = uuid4()
    await handle(database, report(case_id), again(case_id, 2, "school"))
    assert [event.number for event in await published(database, case_id)] == [1, 2]


async def test_an_old_request_changes_nothing(database: Database) -> None:
    case_id = uuid4()
    await handle(database, report(case_id))
    await handle(database, again(case_id, 2, "school"))
    await handle(database, again(case_id, 2, "school", "bevoegd_gezag"), report(case_id))
    assert len(await published(database, case_id)) == 2


async def test_a_request_for_an_unknown_case_is_refused(database: Database) -> None:
    with pytest.raises(Rejected, match="not known"):
        await handle(database, again(uuid4(), 2, "school"))


async def test_a_decision_is_explained_and_can_be_reproduced(database: Database) -> None:
    case_id = uuid4()
    await handle(database, report(case_id), again(case_id, 2, "school"))
    async with database.connection() as connection:
        decisions = await store.decisions_of(connection, case_id)
    for row, document in decisions:
        explained = orjson.loads(document)
        excluded = frozenset(orjson.loads(row.excluded))
        fresh = decide(REGISTER, BULLIED, excluded)
        assert explained["primary"] == row.organisation == fresh.primary
        assert explained["rule"] == fresh.rule
        weighed = {item["organisation"] for item in explained["weighed"]}
        everyone = {item.id for item in REGISTER.register.organisations}
        assert weighed == everyone - {row.organisation, DESK}
        assert row.register_hash == REGISTER.hash
