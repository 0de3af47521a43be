"""One whole stack for all tests of this folder that use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.stack import Stack, running_stack

HERE = Path(__file__).parent
# A start from nothing takes half a minute on a busy machine of two cores.
STACK_SECONDS_MAX = 240


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers, services and partners; tests that disturb it wait until it is well again."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the stack come last, so that it does not run beside the tests that do not."""
    ours = [n for n, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted((items[n] for n in ours), key=_uses_stack)
    for n, item in zip(ours, ordered, strict=True):
        items[n] = item
        if _uses_stack(item) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(STACK_SECONDS_MAX))


def _uses_stack(item: pytest.Item) -> bool:
    return "stack" in getattr(item, "fixturenames", ())
