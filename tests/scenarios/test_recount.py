"""Hard scenario 18: an auditor recomputes all figures from the log alone."""

import random
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts import topics
from contracts.envelope import Envelope, service_source, to_headers
from contracts.event import Event
from contracts.intake import ContentField, IntakeChannel, ReportReceived, ReportWithdrawn
from contracts.operations import TallyPublished
from contracts.routing import Mode
from services.chassis.ids import new_id
from services.chassis.parked import Record
from tests.component.referral.test_closed_loop import onward
from tests.component.referral.test_finding_of_a_case import _activate, _finding
from tests.scenarios import recount
from tests.scenarios.simulated import record
from tests.unit.referral.builders import SITUATION, assigned

INTAKE, ROUTING, REFERRAL = (service_source(name) for name in ("intake", "routing", "referral"))


class Told:
    """All that the four services publish of the cases of this test."""

    def __init__(self, simulated) -> None:
        self.simulated, self.world = simulated, simulated.world
        self.records: list[Record] = []
        self.last = {INTAKE: 0, ROUTING: 0}

    def tell(self, source: str, event: Event) -> None:
        self.last[source] += 1
        self.records.append(record(event, source, self.last[source]))

    async def decide(self, event) -> None:
        """Routing's decision; before the first one the report was received."""
        if event.number == 1:
            report = ReportReceived(
                report_id=event.report_id,
                case_id=event.case_id,
                channel=IntakeChannel.WEB,
                situation=SITUATION,
                received_at=self.simulated.clock(),
                content=(ContentField.NARRATIVE,),
                commitment="0" * 64,
            )
            self.tell(INTAKE, report)
        self.tell(ROUTING, event)
        await self.world.decide(event)

    async def offered(self, organisation: str = "school", **changes):
        event = assigned(organisation, **changes)
        await self.decide(event)
        return await self.world.referral(event.case_id)

    async def next(self, case_id: UUID, organisation: str, **changes):
        number = (await self.world.case(case_id))["decision_number"] + 1
        return await self.offered(organisation, number=number, case_id=case_id, **changes)

    async def say(self, row, said: str, **changes) -> None:
        answer = await self.world.say(row["organisation"], row, said, **changes)
        assert answer.status_code == 200, answer.text

    async def withdraw(self, event_of) -> None:
        gone = ReportWithdrawn(
            report_id=uuid4(),
            case_id=event_of["case_id"],
            withdrawn_at=self.simulated.clock(),
        )
        self.tell(INTAKE, gone)
        await self.world.told(gone)

    async def referral_events(self) -> list[Record]:
        """What referral published, as its own database keeps it."""
        rows = await self.simulated.rows(
            "SELECT e.* FROM event e JOIN source s ON s.id = e.source_id"
            " WHERE s.urn = $1 ORDER BY e.sequence",
            REFERRAL,
        )
        return [_as_read(row) for row in rows]


def _as_read(row) -> Record:
    envelope = Envelope(
        id=str(row["id"]),
        source=REFERRAL,
        type=row["type"],
        time=row["time"],
        subject=str(row["key"]),
        sequence=row["sequence"],
        data=row["data"],
    )
    headers = tuple(to_headers(envelope))
    return Record(topics.REFERRAL, 0, row["sequence"], envelope.subject, headers, row["data"])


async def finding(told: Told, reply: str | None) -> None:
    world = told.world
    row = await told.offered("lkc", kind_at_primary="klacht")
    await told.say(row, "accepted")
    await told.say(row, "completed", outcome="decided", decision="upheld")
    path = f"/cases/{row['case_id']}/findings"
    given = await world.client.post(path, json=_finding(), headers=world.partner("lkc"))
    assert given.status_code == 201, given.text
    if reply is not None:
        path = f"/findings/{given.json()['finding']['findingId']}/replies"
        body = {"replyId": str(uuid4()), "reply": reply, "reasons": "Omdat."}
        board = world.partner("bevoegd_gezag")
        answer = await world.client.post(path, json=body, headers=board)
        assert answer.status_code < 300, answer.text


async def by_the_desk(told: Told) -> None:
    row = await told.offered("nobody_knows_it")
    for how, accepted in (("letter", False), ("phone", True)):
        body = {"handOverId": str(uuid4()), "how": how, "accepted": accepted}
        body["handedAt"] = told.simulated.clock().isoformat()
        path = f"/referrals/{row['referral_id']}/hand-overs"
        answer = await told.world.client.post(path, json=body, headers=told.world.desk)
        assert answer.status_code == 201, answer.text


async def consulted(told: Told, row, organisation: str, advice: str | None) -> None:
    world, body = told.world, {"consultationId": str(uuid4()), "question": "Mag dat?"}
    path = f"/referrals/{row['referral_id']}/consultations"
    body["organisation"] = organisation
    asked = await world.client.post(path, json=body, headers=world.partner(row["organisation"]))
    assert asked.status_code == 201, asked.text
    path = f"/consultations/{body['consultationId']}/advice"
    given = {"advice": advice} if advice else {}
    answer = await world.client.post(path, json=given, headers=world.partner(organisation))
    assert answer.status_code == 201, answer.text


async def play(told: Told) -> None:
    """Cases of every kind: some end, some wait, some are late."""
    world = told.world
    for outcome in ("helped", "advised", "not-helped"):
        row = await told.offered()
        await told.say(row, "received")
        await told.say(row, "accepted")
        await told.say(row, "in-progress")
        await told.say(row, "completed", outcome=outcome)
    row = await told.offered()
    await told.say(row, "rejected", reason="capacity")
    await told.say(await told.next(row["case_id"], "gcbo"), "accepted")
    row = await told.offered()
    await told.say(row, "accepted")
    await consulted(told, row, "gcbo", "Ja.")
    await consulted(told, row, "laks", None)
    await told.say(row, "no-contact")
    await told.say(row, "completed", outcome="no-contact")
    row = await told.offered()
    await told.say(row, "accepted")
    await onward(world, row)
    await told.say(await told.next(row["case_id"], "lkc", onward=True), "accepted")
    row = await told.offered("lkc")
    await told.say(row, "accepted")
    await told.say(row, "returned", reason="conflict-of-interest")
    row = await told.offered("vakbond", mode=Mode.SIGNAL)
    row = await told.offered("balans")
    await told.withdraw(row)
    row = await told.offered("jeugdteam", loket="first", other_lokets=("second",))
    await told.say(await told.offered("job_mbo"), "accepted")
    await by_the_desk(told)
    await finding(told, "does-not-follow")
    await finding(told, None)
    # Silence: reminders, the other loket, and back to routing; then nobody does anything.
    await told.simulated.pass_time(timedelta(hours=3), timedelta(minutes=10))
    await told.next(row["case_id"], "leerplicht_rmc")
    await told.simulated.pass_time(timedelta(days=12), timedelta(hours=12))
    await told.offered("inspectie")


@pytest.fixture(scope="module")
async def told(simulated):
    made = Told(simulated)
    await _activate(simulated.world)
    await play(made)
    return made


async def recounted(audit, told: Told) -> tuple[list, dict, dict]:
    """The log as an auditor gets it, and what the API says of it at the same moment."""
    events = [*told.records, *await told.referral_events()]
    for source in (INTAKE, ROUTING, REFERRAL):
        through = max(own_sequence(item) for item in events if source_of(item) == source)
        tally = TallyPublished(
            tallied_source=source, through_sequence=through, at=told.simulated.clock()
        )
        key = str(new_id())
        envelope = Envelope(
            id=str(new_id()),
            source=source,
            type=tally.event_type(),
            time=told.simulated.clock(),
            subject=key,
            sequence=through + 1,
            data=tally.encode(),
        )
        headers = tuple(to_headers(envelope))
        events.append(Record(topics.AUDIT, 0, through, key, headers, envelope.data))
    random.Random(18).shuffle(events)
    for first in range(0, len(events), 40):
        await audit.processor.process(events[first : first + 40])
    audit.now = told.simulated.clock()
    entries: list[dict] = []
    while True:
        page = (await audit.get("/log-entries", **{"from": len(entries), "limit": 100})).json()
        entries += page["entries"]
        if len(entries) == page["size"]:
            break
    assert entries[-1]["chain"] == page["chain"]
    completeness = (await audit.get("/completeness")).json()
    return recount.checked(entries), completeness, (await audit.get("/figures")).json()


def source_of(item: Record) -> str:
    return dict(item.headers)["ce_source"].decode()


def own_sequence(item: Record) -> int:
    return int(dict(item.headers)["ce_sequence"])


async def test_18_auditor_recomputes_all_figures_from_the_log_alone(audit, told):
    entries, completeness, figures = await recounted(audit, told)
    own = recount.completeness(entries, audit.now)
    assert {name: completeness[name] for name in own} == own
    assert completeness["settled"]
    shown = {item["organisation"]: item["figures"] for item in figures["organisations"]}
    assert recount.figures(entries) == shown
    assert recount.findings(entries) == figures["findings"]
    # The play is rich enough for this to mean something.
    facts = set(figures["totals"])
    assert len(facts) >= 25
    assert {"handed-over", "advised", "not-advised", "signalled", "escalated-desk"} <= facts
    assert min(own["overdue"], own["holderOverdue"], own["closed"], own["accepted"]) > 0
    await agrees_with_referral(told, own, shown)


async def agrees_with_referral(told: Told, own: dict, figures: dict) -> None:
    """And what the log says is what referral's own tables hold."""
    [cases] = await told.simulated.rows(
        "SELECT count(*) AS cases, count(*) FILTER (WHERE NOT open) AS closed,"
        " count(*) FILTER (WHERE open AND holder <> 'vangnet') AS accepted,"
        " count(*) FILTER (WHERE open AND next_due_at < $1) AS late FROM case_holder",
        told.simulated.clock(),
    )
    assert (own["cases"], own["closed"], own["accepted"]) == tuple(cases.values())[:3]
    assert own["overdue"] + own["holderOverdue"] == cases["late"]
    rows = await told.simulated.rows(
        "SELECT organisation, count(*) FILTER (WHERE NOT signal) AS offered,"
        " count(accepted_at) AS accepted,"
        " count(*) FILTER (WHERE status = 'rejected') AS rejected,"
        " count(*) FILTER (WHERE business_status = 'term-expired') AS expired"
        " FROM referral GROUP BY 1"
    )
    facts = {"offered": "offered", "accepted": "accepted", "rejected": "rejected"}
    facts["expired"] = "term-expired"
    for row in rows:
        counted = figures[row["organisation"]]
        for column, fact in facts.items():
            assert counted.get(fact, 0) == row[column], (row["organisation"], fact)
    [ended] = await told.simulated.rows("SELECT count(*) AS n FROM finding")
    assert ended["n"] == 2
