"""`meldpunt`: one command line, composed of the command groups here and those of the services."""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

DEBUG_VARIABLE = "MELDPUNT_DEBUG"
EXIT_INTERRUPTED = 130
# Commands of a service that speak to it: which service they ask, and as which role.
ASKING = {"audit": ("audit", "auditor"), "register": ("routing", "operator")}
# Where each command is, in the order in which `meldpunt --help` shows them; what is not installed
# is left out. Only the module of the given command is loaded, which starts three times faster.
GROUPS = {
    "deploy.commands.demo": ("demo",),
    "deploy.commands.stack": ("up", "down", "status"),
    "services.routing.cli": ("register",),
    "services.intake.cli": ("receipt",),
    "deploy.commands.partner": ("partner",),
    "services.audit.cli": ("audit",),
    "deploy.commands.parked": ("parked",),
    "deploy.commands.topics": ("rebuild-topics",),
    "deploy.commands.token": ("token",),
    "deploy.commands.simulate": ("simulate",),
    "deploy.commands.faults": ("faults",),
    "benchmarks.cli": ("bench",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit status 0 only when it did what was asked."""
    with contextlib.suppress(ValueError):
        # `kill` on a command must also end what it started.
        signal.signal(signal.SIGTERM, _interrupt)
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in ASKING:
        _know_local(*ASKING[given[0]])
    options = _parser(given).parse_args(given)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _failed(options, "Interrupted.", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who reads the output has left, as `head` does; nothing more can be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        return _failed(options, _explain(error), 1)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meldpunt",
        description="The reporting chain for social safety in schools: start it, use it, prove it.",
        epilog="example: meldpunt demo\nEvery command has --help with an example, and --json.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    asked = [name for name, commands in GROUPS.items() if given and given[0] in commands]
    for name in list(filter(_exists, asked)) or filter(_exists, GROUPS):
        importlib.import_module(name).add_commands(subparsers)
    return parser


def _know_local(service: str, role: str) -> None:
    """Let a command find the stack of the data folder, or else of the demo, when nothing is said.

    It reads `MELDPUNT_<SERVICE>_URL` and `MELDPUNT_<SERVICE>_TOKEN`.
    """
    from deploy.client import ServiceError, address, token
    from deploy.commands.base import data_root

    for folder in (data_root(), data_root() / "demo"):
        with contextlib.suppress(ServiceError):
            variable = f"MELDPUNT_{service.upper()}"
            os.environ.setdefault(f"{variable}_URL", address(service, folder))
            os.environ.setdefault(f"{variable}_TOKEN", token(role, folder))
            return


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _explain(error: Exception) -> str:
    """An expected error speaks for itself; anything else is a defect of meldpunt."""
    if isinstance(error, (RuntimeError, OSError)) and str(error):
        return str(error)
    return (
        f"This is a defect of meldpunt ({type(error).__name__}). Run the command again with"
        f" {DEBUG_VARIABLE}=1 and send the details to its maintainers."
    )


def _failed(options: argparse.Namespace, text: str, status: int) -> int:
    print(f"error: {text}", file=sys.stderr, flush=True)
    if getattr(options, "json", False):
        print(json.dumps({"error": text, "exitStatus": status}), flush=True)
    return status
