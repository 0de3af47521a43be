"""Nothing that a person wrote or is stands in the clear anywhere but in the answer to a partner.

Canaries are sent in many reports, partners fetch them, and then everything is searched: Kafka's
segments, every table, the files and the WAL of PostgreSQL, logs, traces, metrics, journals. The
same search finds a canary that is planted in each of these places, so that its silence means
something.

What organisations write to one another and to the desk (advice, reasons, who was spoken with,
addresses of endpoints) is kept in tables of referral, and must be nowhere else.
"""

import asyncio
import base64
import errno
import os
import secrets
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from contracts import topics
from deploy.commands.partners import channel_of
from deploy.local.provision import SERVICES
from tests.flow.stack import Stack, example_reports, send, until

REPORTS = 25
CHUNK_BYTES = 1 << 20
# Where referral keeps what organisations write.
KEPT_IN = {"consultation", "endpoint", "finding_evidence", "finding_reply", "hand_over", "referral"}


@dataclass(frozen=True)
class Canaries:
    """Words that occur nowhere else: those of a kind begin alike, with what is searched for."""

    run: str
    number: int

    @property
    def roots(self) -> tuple[str, str, str, str]:
        """How each narrative, name, e-mail address and phone number begins."""
        return (
            f"kanarieverhaal{self.run}",
            f"Kanarienaam{self.run}",
            f"kanarie.{self.run}",
            f"06{self.number}",
        )

    def narrative(self, n: int) -> str:
        return f"{self.roots[0]}{n:02d}"

    def name(self, n: int) -> str:
        return f"{self.roots[1]}{n:02d}"

    def email(self, n: int) -> str:
        return f"{self.roots[2]}{n:02d}@post.example"

    def phone(self, n: int) -> str:
        return f"{self.roots[3]}{n:02d}"

    @property
    def kept(self) -> str:
        """How each text and address begins that only referral keeps."""
        return f"kanariebrief{self.run}"

    def text(self, what: str) -> str:
        return f"Hierbij {self.kept}{what} van ons."

    @property
    def needles(self) -> list[bytes]:
        """The roots, as they are and as a careless encoder would write them."""
        return written(*self.roots)

    @property
    def kept_needles(self) -> list[bytes]:
        """The same of what only referral keeps."""
        return written(self.kept)


def written(*words: str) -> list[bytes]:
    """Words as they are and as a careless encoder would write them."""
    plain = [word.encode() for word in words]
    # A base64 text of something longer holds the middle of this one at one of three offsets.
    coded = [base64.b64encode(b"x" * shift + word)[4:-4] for word in plain for shift in range(3)]
    return plain + [word.encode("utf-16-le") for word in words] + coded


def made_up() -> Canaries:
    return Canaries(secrets.token_hex(6), 10**12 + secrets.randbelow(9 * 10**12))


def body(example: dict[str, Any], canaries: Canaries, n: int) -> dict[str, Any]:
    return example | {
        "narrative": f"Dit is {canaries.narrative(n)} van mij.",
        "identity": {
            "name": canaries.name(n),
            "email": canaries.email(n),
            "phone": canaries.phone(n),
        },
    }


@dataclass(frozen=True)
class Told:
    """What was sent, the receipts, and what partners got to read."""

    canaries: Canaries
    receipts: tuple[dict[str, Any], ...]
    read: dict[str, dict[str, Any]]
    secrets: tuple[str, ...]

    @property
    def nowhere(self) -> list[bytes]:
        """What no table may hold: the reporter's words, and keys of webhooks in any form."""
        keys = [secret.removeprefix("whsec_") for secret in self.secrets]
        raw = [base64.b64decode(key + "=" * (-len(key) % 4)) for key in keys]
        return self.canaries.needles + written(*keys) + raw

    @property
    def private(self) -> list[bytes]:
        """What no topic, log, trace, metric or feed may hold."""
        return self.nowhere + self.canaries.kept_needles


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(stack: Stack) -> AsyncIterator[Told]:
    """Reports with canaries, good ones and refused ones; partners fetch what they hold."""
    canaries = made_up()
    async with stack.client("intake", "channel") as channel:
        examples = example_reports()[:REPORTS]
        receipts = [
            await send(channel, body(example, canaries, n), uuid.uuid4().hex)
            for n, example in enumerate(examples)
        ]
        await refused_requests(channel, body(examples[0], canaries, 0))
    await stack.settled()
    read = {}
    for receipt in receipts:
        found = await fetched(stack, receipt["caseId"])
        if found is not None:
            read[receipt["caseId"]] = found
        async with stack.client("intake") as reporter:
            await reporter.post("/report-statuses", json={"code": receipt["code"]})
    talked = [n for n, receipt in enumerate(receipts) if receipt["caseId"] in read]
    await conversation(stack, receipts[talked[0]], canaries, talked[0])
    shown = [
        await endpoint(stack, organisation, channel, canaries)
        for organisation, channel in (("laks", "webhook"), ("job_mbo", "email"))
    ]
    asked, returned, handed, decided = (receipts[n]["caseId"] for n in talked[-4:])
    await consulted(stack, asked, canaries)
    await sent_back(stack, returned, canaries)
    await handed_over(stack, handed, canaries)
    await found_by_committee(stack, decided, canaries)
    yield Told(canaries, tuple(receipts), read, tuple(secret for two in shown for secret in two))


async def refused_requests(channel: httpx.AsyncClient, good: dict[str, Any]) -> None:
    """Errors are where words leak: canaries in every place of a request that is refused."""
    identity = good["identity"]
    bad = [
        good | {"channel": good["narrative"]},
        good | {identity["name"]: 1},
        good | {"situation": good["situation"] | {"sector": identity["email"]}},
        good | {"identity": identity | {"email": identity["name"]}},
        good | {"identity": identity | {"phone": identity["email"]}},
        good | {"narrative": good["narrative"] * 2000},
    ]
    for wrong in bad:
        answer = await channel.post(
            "/reports", json=wrong, headers={"Idempotency-Key": uuid.uuid4().hex}
        )
        assert answer.status_code == 400
    context = {"traceparent": identity["name"], "Idempotency-Key": uuid.uuid4().hex}
    assert (await channel.post("/reports", json=good, headers=context)).status_code == 201


async def granted(stack: Stack, case_id: str) -> tuple[str, str]:
    """The holder of a case and a fresh capability for it."""
    view = await stack.case(case_id)
    assert view is not None
    holder = view["holder"]
    [referral] = [item for item in view["referrals"] if item["status"] == "accepted"]
    async with stack.client("referral", "partner", holder) as referrals:
        path = f"/referrals/{referral['referralId']}/content-capabilities"
        grant = (await referrals.post(path)).raise_for_status().json()
    return holder, grant["capability"]


async def fetched(stack: Stack, case_id: str) -> dict[str, Any] | None:
    """The content of a case as its holder reads it; None when the desk holds it."""
    view = await stack.case(case_id)
    assert view is not None
    if view["holder"] == "vangnet":
        return None
    holder, capability = await granted(stack, case_id)
    async with stack.client("intake", "partner", holder) as intake:

        async def read() -> dict[str, Any] | None:
            headers = {"Content-Capability": capability}
            answer = await intake.get(f"/contents/{case_id}", headers=headers)
            return answer.json() if answer.is_success else None

        return await until(read, "the holder reads the content")


async def conversation(stack: Stack, receipt: dict[str, Any], canaries: Canaries, n: int) -> None:
    """A holder asks, the reporter answers, hides the identity and withdraws, all with canaries."""
    case_id, code = receipt["caseId"], receipt["code"]
    holder, capability = await granted(stack, case_id)
    question = {"questionId": str(uuid.uuid4()), "text": f"Heet u {canaries.name(n)}?"}
    async with (
        stack.client("intake", "partner", holder) as partner,
        stack.client("intake") as reporter,
    ):
        headers = {"Content-Capability": capability}
        path = f"/cases/{case_id}/questions"
        asked = await partner.post(path, json=question, headers=headers)
        assert asked.status_code == 201, asked.text
        status = (await reporter.post("/report-statuses", json={"code": code})).json()
        assert [item["text"] for item in status["questions"]] == [question["text"]]
        answer = {"code": code, "questionId": question["questionId"], "text": canaries.email(n)}
        for body, expected in (
            (answer | {"text": ""}, 400),
            (answer | {"questionId": canaries.phone(n)}, 400),
            (answer, 200),
            (answer | {"text": canaries.narrative(n)}, 409),
        ):
            assert (await reporter.post("/report-answers", json=body)).status_code == expected
        for action in ("identity-removals", "withdrawals"):
            done = await reporter.post(f"/report-{action}", json={"code": code})
            assert done.status_code == 200, done.text


async def endpoint(stack: Stack, organisation: str, channel: str, canaries: Canaries) -> list[str]:
    """A partner sets and tests an endpoint that does not work; gives its secrets."""
    path = f"/partners/{organisation}/endpoint"
    good = {
        "url": f"http://127.0.0.1:1/{canaries.kept}?key={canaries.kept}",
        "email": f"{canaries.kept}@school.example.nl",
        "channel": "inbox",
        "fallback": channel,
    }
    bad = [
        good | {"url": f"https://{canaries.kept}:geheim@school.nl/"},
        good | {"url": f"https://10.0.0.1/{canaries.kept}"},
        good | {"email": f"{canaries.kept} <a@b.nl>"},
        good | {canaries.kept: 1},
    ]
    async with (
        stack.client("referral", "partner", organisation) as partner,
        stack.client("referral", "operator") as operator,
    ):
        for body in bad:
            answer = await partner.put(path, json=body)
            assert answer.status_code == 400
        first = (await partner.put(path, json=good)).raise_for_status().json()["secret"]
        tried = await partner.post(f"{path}/_test", params={"channel": channel})
        assert tried.raise_for_status().json()["delivered"] is False
        second = (await partner.post(f"{path}/_rotate", json={})).raise_for_status().json()
        # As it was, so that nothing else in this stack takes another way.
        body = {"name": organisation, "channel": "inbox"}
        (await operator.put(f"/partners/{organisation}", json=body)).raise_for_status()
    return [first, second["secret"]]


async def consulted(stack: Stack, case_id: str, canaries: Canaries) -> None:
    """A holder asks another organisation, which advises."""
    view = await stack.case(case_id)
    assert view is not None
    holder = view["holder"]
    [referral] = [item for item in view["referrals"] if item["status"] == "accepted"]
    adviser = "balans" if holder != "balans" else "laks"
    body = {
        "consultationId": str(uuid.uuid4()),
        "organisation": adviser,
        "question": canaries.text("vraag"),
    }
    async with (
        stack.client("referral", "partner", holder) as asks,
        stack.client("referral", "partner", adviser) as advises,
    ):
        path = f"/referrals/{referral['referralId']}/consultations"
        for changes, expected in (
            ({"organisation": canaries.kept.upper()}, 400),
            ({}, 201),
            ({"question": canaries.text("anders")}, 409),
        ):
            answer = await asks.post(path, json=body | changes)
            assert answer.status_code == expected, answer.text
        advice = f"/consultations/{body['consultationId']}/advice"
        for text, expected in ((canaries.text("raad"), 201), (canaries.text("anders"), 409)):
            answer = await advises.post(advice, json={"advice": text})
            assert answer.status_code == expected, answer.text


async def sent_back(stack: Stack, case_id: str, canaries: Canaries) -> None:
    """A holder returns a case in words of its own; the desk ends it."""
    view = await stack.case(case_id)
    assert view is not None
    [referral] = [item for item in view["referrals"] if item["status"] == "accepted"]
    answer = {
        "answerId": str(uuid.uuid4()),
        "attempt": referral["attempt"],
        "answer": "returned",
        "reason": "other",
        "reasonText": canaries.text("reden"),
    }
    async with stack.client("referral", "partner", view["holder"]) as partner:
        path = f"/referrals/{referral['referralId']}/answers"
        for changes, expected in (({"reason": canaries.text("fout")}, 400), ({}, 200)):
            said = await partner.post(path, json=answer | changes)
            assert said.status_code == expected, said.text
    await ended(stack, case_id)


async def handed_over(stack: Stack, case_id: str, canaries: Canaries) -> None:
    """The desk brings a case by phone to a party that is no partner."""
    async with stack.client("referral", "desk") as desk:
        await taken_back(desk, case_id)
        body = {"organisation": "zorgaanbieder_x"}
        assigned = await desk.post(f"/cases/{case_id}/assignments", json=body)
        [referral] = [
            item for item in assigned.raise_for_status().json()["referrals"]
            if item["status"] == "requested"
        ]  # fmt: skip
        item = {
            "handOverId": str(uuid.uuid4()),
            "how": "phone",
            "handedAt": datetime.now(UTC).isoformat(),
            "spokenWith": canaries.text("wie"),
        }
        path = f"/referrals/{referral['referralId']}/hand-overs"
        (await desk.post(path, json=item)).raise_for_status()
    await ended(stack, case_id)


async def found_by_committee(stack: Stack, case_id: str, canaries: Canaries) -> None:
    """The desk records a finding, the board's reasons and evidence, then all as an error."""
    finding = str(uuid.uuid4())
    digest = "0" * 64
    async with stack.client("referral", "desk") as desk:
        await taken_back(desk, case_id)
        today = datetime.now(UTC).date().isoformat()
        steps = (
            (f"/cases/{case_id}/findings", {
                "findingId": finding, "committee": "lkc", "decision": "upheld", "advice": True,
                "issuedOn": today,
            }),
            (f"/findings/{finding}/replies", {
                "replyId": str(uuid.uuid4()), "reply": "does-not-follow", "digest": digest,
                "reasons": canaries.text("bestuur"),
            }),
            (f"/findings/{finding}/evidence", {
                "evidenceId": str(uuid.uuid4()), "kind": "document", "day": today,
                "digest": digest, "text": canaries.text("bewijs"),
            }),
            (f"/findings/{finding}/_settle", {"settlement": "entered-in-error"}),
        )  # fmt: skip
        for path, body in steps:
            answer = await desk.post(path, json=body)
            assert answer.is_success, answer.text
    await ended(stack, case_id)


async def taken_back(desk: httpx.AsyncClient, case_id: str) -> None:
    view = (await desk.get(f"/cases/{case_id}")).raise_for_status().json()
    [referral] = [item for item in view["referrals"] if item["status"] == "accepted"]
    (await desk.post(f"/referrals/{referral['referralId']}/_withdraw")).raise_for_status()


async def ended(stack: Stack, case_id: str) -> None:
    """Nobody has to do anything for it any more, so that other tests find the stack at rest."""
    async with stack.client("referral", "desk") as desk:
        (await desk.post(f"/cases/{case_id}/_void")).raise_for_status()


def found_in_bytes(data: bytes, needles: Iterable[bytes]) -> set[bytes]:
    return {needle for needle in needles if needle in data}


def found_in_file(path: Path, needles: list[bytes]) -> set[bytes]:
    """The needles in a file, also those that lie across the end of a chunk."""
    found: set[bytes] = set()
    tail, position = b"", 0
    with path.open("rb", buffering=0) as file:
        # Kafka's indexes are gigabytes of holes, in which there is nothing to read.
        while (position := next_data(file.fileno(), position)) >= 0:
            chunk = os.pread(file.fileno(), CHUNK_BYTES, position)
            if not chunk:
                break
            found |= found_in_bytes(tail + chunk, needles)
            tail = chunk[-max(map(len, needles)) :]
            position += len(chunk)
    return found


def next_data(descriptor: int, position: int) -> int:
    """Where a file goes on at or after a position; -1 when nothing but holes follows."""
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return -1


def found_in_folder(folder: Path, needles: list[bytes]) -> tuple[int, dict[str, set[bytes]]]:
    """How many bytes were read, and the needles by file."""
    read, found = 0, {}
    for path in files(folder):
        try:
            read += path.stat().st_size
            hits = found_in_file(path, needles)
        except FileNotFoundError:
            # PostgreSQL and Kafka remove files of their own while they work.
            continue
        if hits:
            found[str(path.relative_to(folder))] = hits
    return read, found


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


async def found_in_tables(
    connection: "asyncpg.Connection[asyncpg.Record]", needles: list[bytes]
) -> tuple[int, dict[str, set[bytes]]]:
    """Every row of every table as text and, where it has bytes, as those bytes."""
    tables = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace"
    )
    rows, found = 0, {}
    for table in tables:
        hits: set[bytes] = set()
        for row in await connection.fetch(f"SELECT * FROM {table['name']}"):
            rows += 1
            values = [v if isinstance(v, bytes) else str(v).encode() for v in row.values()]
            hits |= found_in_bytes(b"\n".join(values), needles)
        if hits:
            found[table["name"]] = hits
    return rows, found


async def test_partner_reads_what_was_written_and_nobody_else_does(
    stack: Stack, told: Told
) -> None:
    canaries = told.canaries
    held = 0
    for n, receipt in enumerate(told.receipts):
        content = told.read.get(receipt["caseId"])
        if content is None:
            continue
        held += 1
        assert content["narrative"] == f"Dit is {canaries.narrative(n)} van mij."
        assert content["identity"] == {
            "name": canaries.name(n),
            "email": canaries.email(n),
            "phone": canaries.phone(n),
        }
    assert held >= 10
    # The example partners of the inbox fetched it too, and their journals say so.
    journals = [path.read_text() for path in (stack.data_dir / "partners").glob("*.jsonl")]
    assert sum(text.count('"answer": "content", "status": 200') for text in journals) >= 5
    needles = canaries.needles
    for receipt in told.receipts:
        assert not found_in_bytes(str(receipt).encode(), needles)


async def test_no_table_holds_a_canary(stack: Stack, told: Told) -> None:
    for service in SERVICES:
        connection = await stack.owner(service)
        try:
            rows, found = await found_in_tables(connection, told.nowhere)
            _, kept = await found_in_tables(connection, told.canaries.kept_needles)
        finally:
            await connection.close()
        assert rows > REPORTS, f"{service} was not read"
        assert found == {}, f"in the database of {service}"
        assert set(kept) == (KEPT_IN if service == "referral" else set())


async def test_no_file_of_kafka_holds_a_canary(stack: Stack, told: Told) -> None:
    folder = stack.data_dir / "kafka"
    needles = told.private
    _, found = await asyncio.to_thread(found_in_folder, folder, needles)
    assert found == {}
    # The events of these reports are in what was read: their case ids are found there.
    cases = [receipt["caseId"].encode() for receipt in told.receipts]
    _, found = await asyncio.to_thread(found_in_folder, folder / "log", cases)
    assert set().union(*found.values()) == set(cases)


async def test_no_file_of_postgresql_holds_a_canary(stack: Stack, told: Told) -> None:
    connection = await stack.owner("intake")
    narrative = await connection.fetchval(
        "SELECT narrative FROM content WHERE case_id = $1", uuid.UUID(told.receipts[0]["caseId"])
    )
    await connection.close()
    admin = await asyncpg.connect(stack.state.postgres_admin_url)
    # Heap files as well as WAL: without it the heap would still be in memory only.
    await admin.execute("CHECKPOINT")
    await admin.close()
    folder = stack.postgres_folder
    read, found = await asyncio.to_thread(found_in_folder, folder, told.nowhere)
    assert found == {}
    assert read > 10_000_000
    # What is there is sealed, in heap and in WAL.
    _, sealed = await asyncio.to_thread(found_in_folder, folder, [narrative[-40:]])
    assert {Path(name).parent.name == "pg_wal" for name in sealed} == {True, False}


@pytest.mark.parametrize("kind", ["logs", "traces", "partners", "."])
async def test_no_log_trace_or_journal_holds_a_canary(stack: Stack, told: Told, kind: str) -> None:
    folder = stack.data_dir / kind
    read, found = await asyncio.to_thread(found_in_folder, folder, told.private)
    assert read > 1000, f"{folder} was not read"
    assert found == {}


async def test_no_metric_holds_a_canary(stack: Stack, told: Told) -> None:
    for service in SERVICES:
        async with stack.client(service) as http:
            answer = await http.get(f"{stack.state.services[service]}/metrics")
        assert answer.is_success
        assert len(answer.content) > 1000
        assert not found_in_bytes(answer.content, told.private)


async def test_no_feed_trail_or_decision_holds_a_canary(stack: Stack, told: Told) -> None:
    needles = told.private
    for receipt in told.receipts[:10]:
        case_id = receipt["caseId"]
        view = await stack.case(case_id)
        assert view is not None
        asked = [
            ("audit", "auditor", None, f"/cases/{case_id}/trail"),
            ("routing", "desk", None, f"/decisions?caseId={case_id}"),
            ("referral", "desk", None, f"/cases/{case_id}"),
        ]
        if channel_of(view["holder"]):
            asked.append(
                ("referral", "partner", view["holder"], "/partner-events?limit=500&after=0")
            )
        for service, role, organisation, path in asked:
            async with stack.client(service, role, organisation) as http:
                answer = (await http.get(path)).raise_for_status()
            assert case_id in answer.text
            assert not found_in_bytes(answer.content, needles), path


async def test_the_search_finds_a_canary_in_every_place(stack: Stack, tmp_path: Path) -> None:
    """Planted words of their own, so that the tests above stay true whatever their order."""
    planted = made_up()
    word, needles = planted.narrative(0), planted.needles
    long = b"x" * (CHUNK_BYTES - 5)
    for name, data in {
        "service.log": f'{{"event": "{word}"}}\n'.encode(),
        "trace.jsonl": f'{{"name": "{planted.email(1)}"}}\n'.encode(),
        "partner.jsonl": planted.phone(2).encode(),
        "across.bin": long + planted.name(3).encode(),
        "base64.bin": base64.b64encode(b"ab" + word.encode() + b"cd"),
        "utf16.bin": word.encode("utf-16-le"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert found_in_file(tmp_path / name, needles), name
    assert not found_in_file(Path(__file__), needles)

    connection = await stack.owner("audit")
    try:
        await connection.execute("CREATE TABLE planted (t text, b bytea)")
        await connection.execute("INSERT INTO planted VALUES ($1, NULL)", word)
        await connection.execute("INSERT INTO planted VALUES ('x', $1)", planted.name(1).encode())
        _, found = await found_in_tables(connection, needles)
        assert found["planted"] >= {root.encode() for root in planted.roots[:2]}
        _, in_files = await asyncio.to_thread(found_in_folder, stack.postgres_folder, needles)
        assert any("pg_wal" in name for name in in_files)
    finally:
        await connection.execute("DROP TABLE planted")
        await connection.close()

    producer = AIOKafkaProducer(bootstrap_servers=stack.state.kafka_bootstrap)
    await producer.start()
    try:
        # The `.out` topic of a partner that the services do not read.
        out = topics.partner_out("school")
        await producer.send_and_wait(out, word.encode(), key=uuid.uuid4().bytes)
    finally:
        await producer.stop()
    _, in_kafka = await asyncio.to_thread(found_in_folder, stack.data_dir / "kafka", needles)
    assert any(name.endswith(".log") and out in name for name in in_kafka)
