"""The guide for partners says what is so: its code is code that runs, its tables are complete."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from contracts.referral import FEED_EVENTS, Answer, CompletedAs, DeclineReason, News, Status
from deploy.conformance.cases import cases
from services.chassis.settings import ServiceSettings
from services.referral.channels.options import ChannelOptions
from services.referral.domain import TRANSITIONS, Verdict

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "partners"
PAGES = sorted(GUIDE.glob("*.md"))
BLOCK = re.compile(r"(?:<!-- from: (\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
ROUTE = re.compile(r"`(GET|POST|PUT) /v1(/[^`? ]+)")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def validate(name: str, data: dict[str, object]) -> None:
    schema = json.loads((ROOT / "contracts" / "schemas" / f"{name}.json").read_text())
    Draft202012Validator(schema).validate(data)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_taken_from_a_file_that_the_tests_run(page: Path) -> None:
    for source, _, block in BLOCK.findall(page.read_text()):
        assert source, f"a block of {page.name} has no source:\n{block}"
        path = (GUIDE / source).resolve()
        assert block in path.read_text(), f"{page.name} differs from {source}:\n{block}"
        assert path.suffix in {".sh", ".json", ".yaml", ".py", ".ts"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (GUIDE / target).exists(), target


def test_every_route_that_a_page_names_is_one_of_the_interface() -> None:
    offered = set()
    for service in ("intake", "referral"):
        document = json.loads((ROOT / "contracts" / "openapi" / f"{service}.json").read_text())
        offered |= {
            (verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs
        }
    named = {route for page in PAGES for route in ROUTE.findall(page.read_text())}
    assert len(named) >= 6
    assert named - offered == set()


def test_events_page_names_all_that_can_be_got_and_said() -> None:
    text = (GUIDE / "events.md").read_text()
    # Of a report that is added to a case nobody tells a partner yet.
    names = {*Answer, *DeclineReason, *CompletedAs, *Status, *News} - {News.REPORT_ADDED}
    names |= {model.event_name for model in FEED_EVENTS}
    assert {str(name) for name in names if f"`{name}`" not in text} == set()


def test_the_table_of_states_is_the_one_that_the_code_follows() -> None:
    text = (GUIDE / "events.md").read_text().partition("## The states")[2]
    ends = {Status.FAILED, Status.CANCELLED, Status.ENTERED_IN_ERROR}
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    for state, targets in TRANSITIONS.items():
        [may] = [cells[3] for cells in rows if f"`{state}`" in cells[1]]
        named = set(re.findall(r"`([a-z-]+)`", may))
        if "an end below" in may:
            named |= {str(end) for end in ends}
        assert named == {str(target) for target in targets}, state


def test_errors_page_names_every_refusal() -> None:
    text = (GUIDE / "errors.md").read_text()
    refusals = {
        *(Verdict.EXPIRED, Verdict.WITHDRAWN, Verdict.HELD_BY_OTHER, Verdict.ILLEGAL, Verdict.LOOP),
        *(Verdict.NEVER, Verdict.BUSY, Verdict.WRONG_ATTEMPT, Verdict.ANSWER_ID_REUSED),
    }
    assert {name for name in refusals if f"`{name}`" not in text} == set()


def test_errors_page_tells_the_limits_that_the_services_have() -> None:
    text = (GUIDE / "errors.md").read_text()
    limits = ServiceSettings.model_fields
    minute, at_once = limits["partner_calls_per_minute"], limits["partner_calls_at_once_max"]
    assert f"over {minute.default} times a minute, or {at_once.default} times at once" in text
    assert f"one of the {at_once.default} as long" in text


def test_security_page_tells_the_ports_of_a_webhook() -> None:
    first, second = ChannelOptions.model_fields["webhook_ports"].default
    assert f"on port {first} or {second}." in (GUIDE / "security.md").read_text()


def test_conformance_page_has_every_case_as_it_is_in_the_data() -> None:
    text = (GUIDE / "conformance.md").read_text()
    for case in cases().cases:
        assert f"| `{case.name}` |" in text
        assert f"| {case.provoked} | {case.repair} |" in text


def test_example_messages_fit_the_contracts() -> None:
    offer = json.loads((GUIDE / "examples" / "offer.json").read_text())
    validate("referral-offer.v1", offer["data"])
    said = {"referral_id": offer["data"]["referral_id"], "case_id": offer["subject"]}
    for name in ("accept", "decline"):
        body = json.loads((GUIDE / "examples" / f"{name}.json").read_text())
        answer_id = body.pop("answerId")
        validate(
            "referral-answered.v1", body | said | {"answer_id": answer_id, "at": offer["time"]}
        )
