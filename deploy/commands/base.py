"""What every command has in common: its arguments, its progress, its last line and its errors."""

import argparse
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it.
Run = Callable[[argparse.Namespace], int]

DATA_VARIABLE = "MELDPUNT_DATA"
CACHE_VARIABLE = "MELDPUNT_CACHE"
SAY_EVERY_SECONDS = 2.0
HELP_WIDTH = 80


class CommandError(RuntimeError):
    """The command cannot do what was asked; the text says who must do what."""


def data_root() -> Path:
    """The project's data folder: `MELDPUNT_DATA`, else `.meldpunt` here."""
    return Path(os.environ.get(DATA_VARIABLE) or ".meldpunt").absolute()


def share_downloads() -> None:
    """Let the stacks of all data folders use one download cache, unless the user chose another."""
    os.environ.setdefault(CACHE_VARIABLE, str(data_root() / "cache"))


def add_command(
    subparsers: "Subparsers[argparse.ArgumentParser]",
    name: str,
    run: Run,
    *,
    text: str,
    example: str,
    data: Path | None = None,
) -> argparse.ArgumentParser:
    """A command with `--json`, with `--data` when it has a default folder, and with an example.

    The first sentence of `text` is what `meldpunt --help` shows.
    """
    parser = subparsers.add_parser(
        name,
        help=text.partition(".")[0],
        description=textwrap.fill(text, HELP_WIDTH),
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if data is not None:
        parser.add_argument(
            "--data", type=Path, default=data, help="data folder (default: %(default)s)"
        )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object last, for scripts"
    )
    parser.set_defaults(run=run)
    return parser


def emit(options: argparse.Namespace, document: Mapping[str, Any], text: str) -> None:
    """The outcome on stdout: as text, or with `--json` as one object on one line."""
    if options.json:
        print(json.dumps(document, ensure_ascii=False, default=str), flush=True)
    elif text:
        print(text, flush=True)


def say(text: str) -> None:
    """A line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """A counter on stderr: redrawn in place on a terminal, a line every two seconds elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._said_at = 0.0
        self._last = ""

    def show(self, text: str) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if text == self._last or (not self._terminal and now - self._said_at < SAY_EVERY_SECONDS):
            return
        self._said_at, self._last = now, text
        line = f"{self._what}: {text}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:<{width}}", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def end(self, text: str) -> None:
        """Show how it ended."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{f'{self._what}: {text}'[:width]:<{width}}", file=sys.stderr, flush=True)
        else:
            say(f"{self._what}: {text}")
