"""A stored register keeps its name, whatever a later release makes of it; and the code has one."""

import hashlib
import json
from typing import Any

import pytest

from contracts.routing import register_key
from services.routing import engine
from services.routing.activation import Unreadable, read_back
from services.routing.domain import Register, register_hash
from services.routing.proofs import prover
from services.routing.questions import load_questions
from tests.component.routing.conftest import REGISTER, changed


def stored(document: dict[str, Any]) -> tuple[str, str]:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest(), json.dumps(document)


def test_a_register_of_before_a_field_was_added_keeps_its_hash() -> None:
    document = changed("2025-01-01")
    for organisation in document["organisations"]:
        del organisation["load_note"]
    sha256, text = stored(document)
    compiled = read_back(sha256, text)
    assert compiled.hash == sha256 != register_hash(compiled.register)


def test_the_document_of_a_register_gives_its_hash() -> None:
    text = REGISTER.register.model_dump_json(by_alias=True)
    assert read_back(REGISTER.hash, text).hash == REGISTER.hash == stored(json.loads(text))[0]


def test_a_form_that_this_release_does_not_know_is_told() -> None:
    sha256, text = stored(changed("2025-01-01") | {"of_a_later_release": 1})
    with pytest.raises(Unreadable, match="activate a register of this release"):
        read_back(sha256, text)


def test_who_has_no_name_for_people_fails_the_proofs() -> None:
    document = changed("2027-01-01")
    extra = document["organisations"][-1] | {"id": "nieuwe_partij"}
    register = Register.model_validate_json(
        json.dumps(document | {"organisations": [*document["organisations"], extra]})
    )
    (found,) = prover(load_questions(), 2)(register)
    assert "nieuwe_partij" in found.proof
    assert found.remedy


def test_the_engine_is_named_by_all_code_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = engine._sources()
    assert {"services.routing.rules", "services.routing.compiled"} <= sources.keys()
    assert {"services.routing.domain", "contracts.situation"} <= sources.keys()
    assert not {"services.routing.store", "services.routing.api"} & sources.keys()
    before = engine.engine_version()
    assert before == engine.engine_version()
    changed_code = sources | {"contracts.situation": sources["contracts.situation"] + "\n#"}
    monkeypatch.setattr(engine, "_sources", lambda: changed_code)
    assert engine.engine_version.__wrapped__() != before


def test_the_key_of_a_version_is_fixed() -> None:
    assert str(register_key("2026-11-24.1")) == "81ba030f-8c4d-5d40-9d25-3e1e4ed4d7a2"
    assert register_key("2026-11-24.1") != register_key("2026-11-24.2")
