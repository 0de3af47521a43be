import json
from pathlib import Path
from typing import Any

import pytest

from services.routing.compiled import CompiledRegister, compile_register
from services.routing.domain import Register
from services.routing.register import load_register

CASES = Path(__file__).parents[3] / "examples" / "cases.jsonl"


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def register() -> Register:
    return load_register()


@pytest.fixture(scope="session")
def compiled(register: Register) -> CompiledRegister:
    return compile_register(register)
