"""The committed documents agree with the code, and foreign checkers accept them."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts import topics
from contracts.catalogue import MODELS, PARTNER_IN, PARTNER_OUT, PUBLICATIONS, direction_of
from tests.contracts import checkers

# The first of these installs the checkers, which a busy machine does slowly.
pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parent.parent.parent
CONTRACTS = ROOT / "contracts"
ASYNCAPI = CONTRACTS / "asyncapi" / "meldpunt.json"
OPENAPI = sorted((CONTRACTS / "openapi").glob("*.json"))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def asyncapi():
    return json.loads(ASYNCAPI.read_bytes())


@pytest.mark.parametrize("kind", ["schemas", "asyncapi", "openapi"])
def test_the_committed_files_agree_with_the_code(generate, kind) -> None:
    assert generate.drift(kind) == [], f"run: python scripts/generate.py {kind}"


def test_drift_names_what_differs_what_is_missing_and_what_is_left_over(
    generate, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "CONTRACTS", tmp_path / "contracts")
    assert generate.write("schemas") == len(MODELS)
    assert generate.drift("schemas") == []
    folder = tmp_path / "contracts" / "schemas"
    (folder / "left-over.v1.json").write_text("{}")
    (folder / "report-received.v1.json").write_text("{}")
    (folder / "case-assigned.v1.json").unlink()

    assert generate.drift("schemas") == [
        "contracts/schemas/case-assigned.v1.json",
        "contracts/schemas/left-over.v1.json",
        "contracts/schemas/report-received.v1.json",
    ]
    assert generate.release("1.0.0", replace=False) == 1
    assert generate.write("schemas") == 3
    assert generate.release("1.0.0", replace=False) == 0
    assert generate.release("1.0.0", replace=False) == 1
    assert generate.release("1.0.0", replace=True) == 0
    assert len(list((tmp_path / "contracts/released/1.0.0/schemas").iterdir())) == len(MODELS)


def test_check_exits_with_one_and_names_the_files(generate, monkeypatch, capsys) -> None:
    monkeypatch.setattr(generate, "drift", lambda kind: [f"contracts/{kind}/x.json"])
    monkeypatch.setattr(sys, "argv", ["generate.py", "all", "--check"])

    assert generate.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "contracts/schemas/x.json",
        "contracts/asyncapi/x.json",
        "contracts/openapi/x.json",
    ]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.event_name)
def test_a_schema_is_valid_and_explains_the_envelope(model) -> None:
    schema = json.loads((CONTRACTS / model.schema_path()).read_bytes())

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"] == f"urn:meldpunt:schema:{model.event_name}.v{model.event_version}"
    assert schema["x-direction"] == direction_of(model).value
    assert "`id` is a random UUID" in schema["description"]
    assert "Its limitation:" in schema["description"]
    assert "`time` is the moment at which" in schema["description"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.event_name)
def test_no_schema_has_a_place_for_content(model) -> None:
    text = (CONTRACTS / model.schema_path()).read_text()
    names = set(re.findall(r'"(\w+)": \{', text))

    assert not names & {"narrative", "identity", "name", "email", "phone", "bsn", "address", "text"}


def test_asyncapi_is_accepted_by_the_official_parser() -> None:
    errors = [
        item
        for item in checkers.parse_asyncapi(ASYNCAPI)
        if item["severity"] in {checkers.ERROR, checkers.WARNING}
    ]

    assert errors == []


def test_the_official_parser_finds_a_broken_document(asyncapi, tmp_path) -> None:
    broken = tmp_path / "broken.json"
    asyncapi = json.loads(json.dumps(asyncapi))
    del asyncapi["info"]["title"]
    broken.write_text(json.dumps(asyncapi))

    assert any(item["severity"] == checkers.ERROR for item in checkers.parse_asyncapi(broken))


def test_asyncapi_has_every_topic_with_its_key_and_partitions(asyncapi) -> None:
    partitions = {
        channel["address"]: channel["bindings"]["kafka"]["partitions"]
        for channel in asyncapi["channels"].values()
    }

    assert partitions == {
        **{spec.name: spec.partitions for spec in topics.CORE_TOPICS},
        PARTNER_OUT: topics.PARTNER_PARTITIONS,
        PARTNER_IN: topics.PARTNER_PARTITIONS,
    }
    assert PARTNER_OUT == "meldpunt.partner.{organisation}.out"
    for message in asyncapi["components"]["messages"].values():
        assert message["bindings"]["kafka"]["key"]["format"] == "uuid"


def test_asyncapi_has_every_publication(asyncapi) -> None:
    documented = set()
    for operation in asyncapi["operations"].values():
        channel = asyncapi["channels"][operation["channel"]["$ref"].rsplit("/", 1)[1]]
        for message in operation["messages"]:
            name = message["$ref"].rsplit("/", 1)[1]
            documented.add((operation["action"], channel["address"], name))

    assert documented == {
        ("receive" if item.topic == PARTNER_IN else "send", item.topic, item.model.__name__)
        for item in PUBLICATIONS
    }


def test_asyncapi_names_every_attribute_as_a_header(asyncapi) -> None:
    headers = asyncapi["components"]["schemas"]["CloudEventHeaders"]

    assert {"ce_id", "ce_source", "ce_specversion", "ce_type", "ce_time"} <= set(
        headers["required"]
    )
    assert all(len(name.removeprefix("ce_")) <= 20 for name in headers["properties"])


@pytest.mark.parametrize("path", OPENAPI, ids=lambda path: path.stem)
def test_openapi_is_valid(path) -> None:
    assert list(OpenAPIV31SpecValidator(json.loads(path.read_bytes())).iter_errors()) == []


@pytest.mark.parametrize("path", OPENAPI, ids=lambda path: path.stem)
def test_openapi_follows_the_nl_api_design_rules(path) -> None:
    found = [
        f"{item['code']} at {'.'.join(map(str, item['path']))}: {item['message']}"
        for item in checkers.lint_openapi(path)
        if item["severity"] in {checkers.ERROR, checkers.WARNING}
    ]

    assert found == []


def test_the_ruleset_finds_an_error_without_problem_details(tmp_path) -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1.0.0"},
        "servers": [{"url": "https://meldpunt.example/v1"}],
        "paths": {
            "/Reports": {
                "get": {
                    "responses": {
                        "404": {
                            "description": "x",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        }
                    }
                }
            }
        },
    }
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document))

    found = {item["code"] for item in checkers.lint_openapi(path)}

    assert {"nlgov:use-problem-schema", "nlgov:paths-kebab-case", "info-contact"} <= found


def test_the_lock_names_no_host_to_fetch_from() -> None:
    lock = json.loads((checkers.NODE / "package-lock.json").read_bytes())

    assert not any("resolved" in package for package in lock["packages"].values())
    assert all(
        package.get("integrity", "").startswith("sha512-")
        for name, package in lock["packages"].items()
        if name
    )
