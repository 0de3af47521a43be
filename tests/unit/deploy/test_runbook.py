"""Whoever is called at night copies from the runbook: what it names must exist."""

import re
import shlex
from pathlib import Path

import pytest

from contracts.operations import ParkReason
from deploy.cli import _parser
from services.audit.views import CompletenessView

RUNBOOK = (Path(__file__).parents[3] / "docs/runbook.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    set(re.findall(r"^    (meldpunt [^#\n]+)", RUNBOOK, re.MULTILINE))
    | set(re.findall(r"`(meldpunt [a-z-]+[^`]*)`", RUNBOOK))
)
# What stands in a command for something that the reader fills in.
FILLED_IN = {"ID": "01a231de-7d44-77f9-b748-5ecb0a371f66"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "meldpunt audit"])
def test_each_command_is_one(command: str) -> None:
    words = [FILLED_IN.get(word, word) for word in shlex.split(command)[1:]]
    _parser(words).parse_args(words)


def test_each_reason_to_park_is_explained() -> None:
    assert [reason for reason in ParkReason if f"`{reason.value}`" not in RUNBOOK] == []


@pytest.mark.parametrize(
    "figure", ["open", "overdue", "unpicked", "missingEvents", "reusedSequences", "parked"]
)
def test_each_figure_is_told_by_audit(figure: str) -> None:
    assert f"`{figure}`" in RUNBOOK
    names = {field.alias or name for name, field in CompletenessView.model_fields.items()}
    assert figure in names
