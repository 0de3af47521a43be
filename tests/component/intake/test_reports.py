"""Reports over HTTP into a real database: receipts, repeats, group commit, faults, bad input."""

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from joserfc import jws
from joserfc.jwk import KeySet
from pydantic import SecretStr

from contracts.intake import ReportReceived
from services.intake import committer as committer_module
from services.intake import store
from tests.component.intake.conftest import SITUATION, Service, World
from tests.component.intake.proxy import cable

CANARY = "KANARIEPIET-71-heeft-gezongen"
WHOLE = {
    "situation": SITUATION | {"flags": ["severe"], "brin": "12AB03", "age": 41},
    "narrative": f"Het begon op het plein. {CANARY}",
    "identity": {"name": f"Jo {CANARY}", "email": f"{CANARY}@voorbeeld.nl", "phone": "0612345678"},
    "channel": "phone",
}


async def test_a_report_is_stored_with_its_event_before_the_receipt(
    service: Service, world: World
) -> None:
    answer = await service.report(WHOLE)
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    assert set(receipt) == {
        "reference", "caseId", "reportId", "receivedAt", "code", "statusUrl", "receipt",
    }  # fmt: skip
    rows = await world.rows("SELECT data FROM event WHERE key = $1", UUID(receipt["caseId"]))
    event = ReportReceived.parse(rows[0]["data"])
    assert str(event.report_id) == receipt["reportId"]
    assert [field.value for field in event.content] == ["narrative", "identity"]
    assert event.situation.brin == "12AB03"
    stored = await world.rows(
        "SELECT commitment FROM report WHERE case_id = $1", UUID(receipt["caseId"])
    )
    assert stored[0]["commitment"].hex() == event.commitment
    status = (await service.status(receipt["code"])).json()
    moments = {datetime.fromisoformat(found["receivedAt"]) for found in (receipt, status)}
    assert moments == {event.received_at}


async def test_the_receipt_is_signed_with_a_published_key(service: Service) -> None:
    receipt = (await service.report()).json()
    keys = KeySet.import_key_set((await service.client.get("/v1/keys")).json())
    signed = jws.deserialize_compact(receipt["receipt"], keys, algorithms=["Ed25519"])
    claims = json.loads(signed.payload)
    assert claims["case"] == receipt["caseId"]
    assert claims["report"] == receipt["reportId"]
    assert claims["receivedAt"] == receipt["receivedAt"]
    assert len(claims["commitment"]) == 64


async def test_a_repeat_gets_the_same_receipt(service: Service, world: World) -> None:
    first = await service.report(WHOLE, key="repeat-me-1")
    # The same report, written differently.
    body = json.dumps(WHOLE, indent=2, sort_keys=True).encode()
    again = await service.report(body, key="repeat-me-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replay"] == "true"
    assert "Idempotent-Replay" not in first.headers
    assert again.content == first.content
    case = UUID(first.json()["caseId"])
    assert len(await world.rows("SELECT 1 FROM event WHERE key = $1", case)) == 1


async def test_a_key_with_another_body_is_refused(service: Service) -> None:
    await service.report(WHOLE, key="one-body-only")
    answer = await service.report(key="one-body-only")
    assert answer.status_code == 409
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_the_same_key_of_another_client_is_another_report(service: Service) -> None:
    one = await service.report(key="shared-key", client="app-1")
    two = await service.report(key="shared-key", client="app-2")
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json()["caseId"] != two.json()["caseId"]


async def test_concurrent_repeats_become_one_report(service: Service, world: World) -> None:
    answers = await asyncio.gather(*(service.report(WHOLE, key="at-once-1") for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert len({a.content for a in answers}) == 1
    rows = await world.rows("SELECT 1 FROM report WHERE idempotency_key = 'at-once-1'")
    assert len(rows) == 1


async def test_repeats_among_new_reports_leave_content_of_the_new_ones_only(
    service: Service, world: World
) -> None:
    await service.report(WHOLE, key="among-new-0")
    answers = await asyncio.gather(*(service.report(WHOLE, key=f"among-new-{n}") for n in range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [201] * 7
    cases = [UUID(answer.json()["caseId"]) for answer in answers]
    rows = await world.rows(
        "SELECT r.case_id FROM report r JOIN content USING (case_id, report_id)"
        " JOIN case_key USING (case_id) WHERE idempotency_key LIKE 'among-new-%'"
    )
    assert sorted(row["case_id"] for row in rows) == sorted(cases)
    strays = "SELECT 1 FROM case_key LEFT JOIN report USING (case_id) WHERE report_id IS NULL"
    assert await world.rows(strays) == []


async def test_concurrent_bodies_under_one_key_get_one_winner(service: Service) -> None:
    bodies = [{"situation": SITUATION, "narrative": f"verhaal {n}"} for n in range(5)]
    answers = await asyncio.gather(*(service.report(b, key="contested") for b in bodies))
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409]


async def test_two_instances_with_the_same_keys_make_each_report_once(world: World) -> None:
    keys = [f"two-instances-{n}" for n in range(60)]
    async with world.running(instance="a") as one, world.running(instance="b") as two:
        answers = await asyncio.gather(
            *(one.report(WHOLE, key=key) for key in keys),
            *(two.report(WHOLE, key=key) for key in reversed(keys)),
        )
    assert sorted(a.status_code for a in answers) == [200] * 60 + [201] * 60
    assert len({a.json()["caseId"] for a in answers}) == 60
    assert len({a.json()["code"] for a in answers}) == 60


async def test_reports_that_arrive_together_share_a_commit(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    insert = store.insert_reports

    async def counted(connection: Any, rows: Any, now: Any) -> Any:
        sizes.append(len(rows))
        return await insert(connection, rows, now)

    monkeypatch.setattr(committer_module.store, "insert_reports", counted)
    before = (await world.rows("SELECT last_sequence FROM source"))[0]["last_sequence"]
    answers = await asyncio.gather(*(service.report() for _ in range(150)))
    assert {a.status_code for a in answers} == {201}
    assert sum(sizes) == 150
    assert len(sizes) < 30
    after = (await world.rows("SELECT last_sequence FROM source"))[0]["last_sequence"]
    assert after - before == 150


async def test_one_bad_row_does_not_harm_its_batch(
    service: Service, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = store.insert_reports

    async def picky(connection: Any, rows: Any, now: Any) -> Any:
        if any(row.idempotency_key == "bad-apple" for row in rows):
            raise asyncpg.DataError(f"invalid: {CANARY}")
        return await insert(connection, rows, now)

    monkeypatch.setattr(committer_module.store, "insert_reports", picky)
    keys = ["good-one-1", "bad-apple", "good-one-2", "good-one-3"]
    answers = await asyncio.gather(*(service.report(WHOLE, key=key) for key in keys))
    assert [a.status_code for a in answers] == [201, 500, 201, 201]
    assert CANARY not in answers[1].text
    assert CANARY not in "".join(capfd.readouterr())


async def test_without_a_database_there_is_no_receipt_and_later_one_report(world: World) -> None:
    async with (
        cable(world.urls.application) as line,
        world.running(database_url=SecretStr(line.url)) as service,
    ):
        await line.cut()
        away = await service.report(WHOLE, key="while-down")
        assert away.status_code == 503
        assert int(away.headers["Retry-After"]) >= 1
        assert "receipt" not in away.json()
        assert (await service.client.get("/readyz")).status_code == 503
        assert (await service.status("0000-0000-0000-0000-0000")).status_code == 503
        await line.plug_in()
        back = await service.report(WHOLE, key="while-down")
        assert back.status_code == 201
        assert (await service.client.get("/readyz")).status_code == 200
        assert (await service.client.get("/livez")).status_code == 200


async def test_a_commit_without_an_answer_is_the_same_report_on_repeat(world: World) -> None:
    async with (
        cable(world.urls.application) as line,
        world.running(database_url=SecretStr(line.url)) as service,
    ):
        line.cut_after_commit = True
        unknown = await service.report(WHOLE, key="ambiguous-1")
        assert unknown.status_code == 503
        assert unknown.json()["type"].endswith("not-confirmed")
        await line.plug_in()
        again = await service.report(WHOLE, key="ambiguous-1")
        assert again.status_code == 200
        case = UUID(again.json()["caseId"])
        assert len(await world.rows("SELECT 1 FROM event WHERE key = $1", case)) == 1


async def test_a_slow_database_gives_503_and_a_full_queue_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = store.insert_reports
    gate = asyncio.Event()

    async def slow(connection: Any, rows: Any, now: Any) -> Any:
        await gate.wait()
        return await insert(connection, rows, now)

    async with world.running(commit_seconds_max=0.5, commit_waiting_max=3) as running:
        monkeypatch.setattr(committer_module.store, "insert_reports", slow)
        keys = [f"crowd-{n:04}" for n in range(8)]
        first = asyncio.create_task(running.report(key=keys[0]))
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(running.report(key=key) for key in keys[1:]))
        kinds = [a.json()["type"].rpartition(":")[2] for a in answers]
        assert kinds.count("overloaded") == 4
        assert kinds.count("not-confirmed") == 3
        assert all("Retry-After" in a.headers for a in answers)
        assert (await first).status_code == 503
        gate.set()
        await asyncio.sleep(0.3)
        assert (await running.report(key=keys[0])).status_code == 200
        # Whoever gave up before its turn was not stored behind its back.
        assert (await running.report(key=keys[1])).status_code in (200, 201)


async def test_no_word_of_the_reporter_is_in_any_row_or_log(
    service: Service, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt = (await service.report(WHOLE)).json()
    tables = await world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    looked_at = 0
    for table in tables:
        for row in await world.rows(f'SELECT * FROM "{table["tablename"]}"'):
            for value in row.values():
                seen = value if isinstance(value, bytes) else str(value).encode()
                assert CANARY.encode() not in seen
                assert receipt["code"].encode() not in seen
                assert receipt["code"].replace("-", "").encode() not in seen
                looked_at += 1
    assert looked_at > 100
    assert CANARY not in "".join(capfd.readouterr())


def problems(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {item["field"]: item["remedy"] for item in answer.json().get("errors", [])}


async def test_bad_fields_are_named_with_a_remedy(service: Service) -> None:
    body = {
        "situation": SITUATION | {"sector": "crèche", "brin": "1234", "flags": ["severe", "x"]},
        "narrative": CANARY,
        "identity": {"email": CANARY},
        "verhaal": CANARY,
    }
    answer = await service.report(body)
    found = problems(answer)
    assert "'po'" in found["situation.sector"]
    assert "'danger_now'" in found["situation.flags.1"]
    assert "two digits and two capital letters" in found["situation.brin"]
    assert "naam@voorbeeld.nl" in found["identity.email"]
    assert "not part of the contract" in found["verhaal"]
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"narrative": "x"}, "situation"),
        ({"situation": SITUATION, "narrative": "x" * 20_001}, "narrative"),
        ({"situation": SITUATION, "identity": {}}, "identity"),
        ({"situation": SITUATION, "channel": "fax"}, "channel"),
        ({"situation": SITUATION | {"leeftijd": 9}}, "situation.leeftijd"),
        (b"{not json", "body"),
        (b"", "body"),
        (b"\xff\xfe", "body"),
        (b'{"situation": "\\ud800"}', "body"),
        (b"[" * 5000, "body"),
    ],
)
async def test_other_bad_bodies(service: Service, body: Any, field: str) -> None:
    found = problems(await service.report(body))
    assert list(found) == [field]
    assert found[field]


@pytest.mark.parametrize("key", [None, "short", "x" * 201, "tab\tin the key"])
async def test_a_missing_or_bad_key_names_the_header(service: Service, key: str | None) -> None:
    answer = await service.report(key=key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_who_may_report_and_in_which_form(service: Service) -> None:
    assert (await service.report(scope="audit:read")).status_code == 403
    assert (await service.report(scope="cases:desk")).status_code == 201
    assert (await service.report(headers={"Authorization": "Bearer nonsense"})).status_code == 401
    assert (await service.report(headers={"Content-Type": "text/plain"})).status_code == 415
    assert (await service.report(b"x" * 300_000)).status_code == 413


async def test_the_longest_narrative_fits_however_it_is_written(service: Service) -> None:
    escaped = json.dumps({"situation": SITUATION, "narrative": "\U0001f600" * 20_000})
    assert len(escaped) > 240_000
    assert (await service.report(escaped.encode())).status_code == 201


async def test_the_openapi_document_describes_the_raw_route(service: Service) -> None:
    document = (await service.client.get("/v1/openapi.json")).json()
    operation = document["paths"]["/reports"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["situation"]
    assert "po" in schema["properties"]["situation"]["properties"]["sector"]["enum"]
    assert operation["parameters"][0]["name"] == "Idempotency-Key"
    assert "$defs" not in json.dumps(operation)
    assert "HTTPBearer" in document["components"]["securitySchemes"]


async def test_a_new_process_continues_with_key_and_codes(world: World, service: Service) -> None:
    first = await service.report(WHOLE, key=f"across-{uuid4()}"[:40])
    async with world.running() as other:
        again = await other.report(WHOLE, key=first.request.headers["Idempotency-Key"])
        assert again.content == first.content
        assert (await other.status(first.json()["code"])).status_code == 200
