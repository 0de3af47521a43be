"""What stands for an event in the inbox."""

from uuid import uuid4

import pytest

from services.chassis.ids import new_id
from services.chassis.inbox import key_of

SOURCE = "urn:nld:oin:00000004003214345001:systeem:meldpunt-intake"


def test_a_key_never_changes() -> None:
    # Stored for ever: another value would make every event of before new again.
    found = key_of(SOURCE, "019aba5c-8f50-7c3e-9a51-0d4f5a6b7c8d")
    assert found.hex() == "019aba5c8f50" + "0bd0133b6e884a20d80265cd42c665af"


def test_keys_of_later_events_come_later() -> None:
    keys = [key_of(SOURCE, str(new_id())) for _ in range(2)]
    moments = [key[:6] for key in keys]
    assert moments == sorted(moments)


@pytest.mark.parametrize("one", [str(uuid4()), "7", "answer of monday", "é" * 40, " 1 2 3 4 5 6 7"])
def test_every_form_of_id_has_a_key_of_its_own(one: str) -> None:
    keys = {
        key_of(source, event_id)
        for source in (SOURCE, SOURCE + "x")
        for event_id in (one, one + "x", one.upper() + "y")
    }
    assert len(keys) == 6
    assert {len(key) for key in keys} == {22}


def test_source_and_id_cannot_be_shifted_against_one_another() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
