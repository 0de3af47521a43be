"""The register out as HSDS and in again, by command."""

import argparse
import json
from pathlib import Path

import pytest

from services.routing.cli import add_commands
from services.routing.hsds_cli import ExchangeError
from services.routing.register import load_register


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    options = parser.parse_args(["register", *arguments])
    return int(options.run(options))


def test_export_and_import_give_the_same_register(tmp_path: Path) -> None:
    exported, made = tmp_path / "hsds.json", tmp_path / "new.yaml"
    assert run("export", str(exported)) == 0
    assert run("import", str(exported), "--out", str(made)) == 0
    assert load_register(made) == load_register()


def test_a_broken_document_is_told_by_entity_and_field(tmp_path: Path) -> None:
    exported = tmp_path / "hsds.json"
    run("export", str(exported))
    document = json.loads(exported.read_text())
    document["organizations"][2]["name"] = 7
    exported.write_text(json.dumps(document))
    with pytest.raises(ExchangeError, match=r"organizations\[2\]"):
        run("import", str(exported), "--out", str(tmp_path / "new.yaml"))
    exported.write_text("no json")
    with pytest.raises(ExchangeError, match="JSON"):
        run("import", str(exported), "--out", str(tmp_path / "new.yaml"))
