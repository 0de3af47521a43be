"""The register part of the `meldpunt` command: prove it, route with it, try and activate it."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from services.routing.hsds_cli import add_export_command, add_import_command
from services.routing.register import RegisterInvalid, load_register
from services.routing.replay_cli import add_activate_command, add_replay_command

SAY_EVERY_SECONDS = 2.0
PROCESSES = 2


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser: ...


class RegisterRefusedError(RuntimeError):
    """The command cannot do what was asked; the text says who must do what."""


def add_commands(subparsers: Subparsers) -> None:
    """Add `register ...`; each command sets `run`: from the parsed arguments to the exit status."""
    register = subparsers.add_parser(
        "register", help="prove the register, route with it, try another one and activate it"
    )
    commands = register.add_subparsers(dest="register_command", required=True, metavar="COMMAND")
    _add_check(commands)
    _add_route(commands)
    add_replay_command(commands)
    add_activate_command(commands)
    add_export_command(commands)
    add_import_command(commands)


def _add(
    commands: Any, name: str, text: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: {example}",
    )
    parser.set_defaults(run=run)
    return parser


def _add_check(commands: Any) -> None:
    parser = _add(
        commands,
        "check",
        "prove that every plausible situation has a fitting party, and count the overlap",
        "meldpunt register check new.yaml --report check-of-new",
        _check,
    )
    _register_argument(parser)
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write tables, JSON and heat maps there"
    )
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="also remove every rule and organisation in turn: is it noticed? (half a minute more)",
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="keep the outcome next to the shipped register; a later check shows what moved",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="let the second method decide every situation too, not a sample (minutes)",
    )
    parser.add_argument(
        "--processes", type=int, default=PROCESSES, help="how many (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")


def _add_route(commands: Any) -> None:
    parser = _add(
        commands,
        "route",
        "decide each situation of a file, one JSON line each",
        "meldpunt register route cases.jsonl",
        _route,
    )
    parser.add_argument(
        "file", metavar="FILE", help="situations, one JSON object a line; - is stdin"
    )
    parser.add_argument("--register", type=Path, metavar="FILE", help="another register")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object with the counts last"
    )


def _register_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a register (default: the shipped one)"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress() -> Callable[[str], None]:
    """Says at most one line per two seconds, with the seconds since the start."""
    started = said = time.monotonic()

    def progress(text: str) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= SAY_EVERY_SECONDS:
            said = now
            _say(f"{now - started:4.0f} s  {text}")

    return progress


def _check(arguments: argparse.Namespace) -> int:
    from services.routing.check import accepted, files, tables
    from services.routing.check.report import check

    started = time.monotonic()
    try:
        register = load_register(arguments.file)
    except RegisterInvalid as error:
        return _invalid(arguments, error)
    outcome = check(
        register,
        processes=max(1, arguments.processes),
        progress=_progress(),
        full=arguments.full,
    )
    shown = tables.text(outcome)
    document = tables.document(outcome)
    before = accepted.read()
    now = accepted.of(outcome)
    moved = None if arguments.accept else accepted.fault(before, now)
    valid = not outcome.faults and moved is None
    if moved is not None:
        shown += f"\nFAULT  {moved}"
    elif before is not None:
        shown += "".join(f"\nmoved  {line}" for line in accepted.changes(before, now))
    if arguments.mutate:
        shown += "\n\n" + _mutate(arguments, register, document)
    document["valid"] = valid
    shown += f"\n{'Valid' if valid else 'NOT VALID'}"
    if arguments.report is not None:
        # How long it took is of this machine, not of the register.
        files.write(arguments.report, outcome, shown + ".", document)
    if arguments.accept and valid:
        accepted.write(outcome)
    seconds = round(time.monotonic() - started, 1)
    shown += f": checked in {seconds} s."
    _emit(arguments, shown, document | {"seconds": seconds})
    return 0 if valid else 1


def _invalid(arguments: argparse.Namespace, error: RegisterInvalid) -> int:
    faults = [
        {"line": p.line, "field": p.field, "problem": p.problem, "remedy": p.remedy}
        for p in error.problems
    ]
    _emit(arguments, f"FAULT  {error}", {"valid": False, "faults": faults})
    return 1


def _mutate(arguments: argparse.Namespace, register: Any, document: dict[str, Any]) -> str:
    from services.routing.check import mutate
    from services.routing.check.space import plausible_bases

    bases, _ = plausible_bases()
    verdicts = mutate.mutate(register, bases, max(1, arguments.processes), _progress())
    document["mutation"] = mutate.document(verdicts)
    return mutate.text(verdicts)


def _emit(arguments: argparse.Namespace, text: str, document: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps(document, ensure_ascii=False), flush=True)
    else:
        print(text, flush=True)


def _route(arguments: argparse.Namespace) -> int:
    from services.routing.lines import route_lines
    from services.routing.rules import compile_register

    try:
        register = compile_register(load_register(arguments.register))
    except RegisterInvalid as error:
        raise RegisterRefusedError(f"The register cannot be used.\n{error}") from None
    lines = warned = 0
    with _opened(arguments.file) as texts:
        for number, routed in route_lines(texts, register):
            for warning in routed["warnings"]:
                _say(f"{arguments.file}:{number}: {warning}")
            warned += bool(routed["warnings"])
            lines += 1
            print(json.dumps(routed, ensure_ascii=False))
    if arguments.json:
        print(json.dumps({"lines": lines, "linesWithWarnings": warned}))
    sys.stdout.flush()
    return 0


@contextlib.contextmanager
def _opened(file: str) -> Iterator[Iterable[str]]:
    if file == "-":
        yield sys.stdin
        return
    try:
        # What is no UTF-8 is no reason to stop: the line becomes unknown, with a warning.
        with Path(file).open(encoding="utf-8-sig", errors="replace") as texts:
            yield texts
    except OSError as error:
        raise RegisterRefusedError(
            f"{file}: {error.strerror}; give the path of a readable file with situations."
        ) from None
