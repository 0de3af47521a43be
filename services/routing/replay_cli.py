"""`meldpunt register replay` and `register activate`: try a new register, then put it to work."""

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx

URL_VARIABLE = "MELDPUNT_ROUTING_URL"
TOKEN_VARIABLE = "MELDPUNT_ROUTING_TOKEN"  # noqa: S105  # the name of a variable
FILE_BYTES_MAX = 2_000_000
# The service stops a replay, and a check, long before this.
_TIMEOUT_SECONDS = 330.0
_SAY_EVERY_SECONDS = 5.0


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser: ...


class RoutingRefusedError(RuntimeError):
    """Routing did not do what was asked; the text says who must do what."""


def add_replay_command(subparsers: Subparsers) -> None:
    """Add `replay --against FILE`: what past cases would change; nothing goes live."""
    parser = _add(
        subparsers,
        "replay",
        "show what another register would change in past cases, per organisation",
        "meldpunt register replay --against new.yaml --days 90",
        _replay,
    )
    parser.add_argument(
        "--against", type=Path, required=True, metavar="FILE", help="the other register"
    )
    parser.add_argument("--days", type=int, default=365, help="how far back (default: %(default)s)")


def add_activate_command(subparsers: Subparsers) -> None:
    """Add `activate FILE`: check a register and let it decide."""
    parser = _add(
        subparsers,
        "activate",
        "check a register and let it decide, now or from a moment on",
        "meldpunt register activate new.yaml --valid-from 2027-01-01T00:00:00+01:00",
        _activate,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the register, YAML or JSON")
    parser.add_argument(
        "--valid-from", metavar="MOMENT", help="RFC 3339 moment to come (default: now)"
    )


def _add(
    subparsers: Subparsers,
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: {example}",
    )
    parser.add_argument(
        "--url", default=os.environ.get(URL_VARIABLE), help=f"address of routing ({URL_VARIABLE})"
    )
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"a token with the scope operations:write; better in {TOKEN_VARIABLE} than here",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.set_defaults(run=run)
    return parser


def _replay(options: argparse.Namespace) -> int:
    found = _post(options, "/v1/registers/_replay", options.against, {"days": options.days})
    if options.json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    else:
        print("\n".join(_replay_lines(found)), flush=True)
    if not found["complete"]:
        print(
            "The time was over before everything was replayed; take fewer --days.", file=sys.stderr
        )
    return 0 if found["complete"] else 1


def _replay_lines(found: dict[str, Any]) -> Iterator[str]:
    changed, decisions = found["changed"], found["decisions"]
    share = f" ({changed / decisions:.1%})" if decisions else ""
    yield (
        f"Register {found['version']}: {changed} of {decisions} decisions since"
        f" {found['since'][:10]} change{share}."
    )
    if found["aspects"]:
        parts = ", ".join(f"{name} {number}" for name, number in found["aspects"].items())
        yield f"What changes: {parts}."
    if found["moves"]:
        yield f"\n{'from':<34} {'to':<34} {'decisions':>9}  for example"
    for move in found["moves"]:
        examples = " ".join(item["reference"] for item in move["examples"])
        yield f"{move['from']:<34} {move['to']:<34} {move['decisions']:>9}  {examples}"
    differing = [item for item in found["organisations"] if item["before"] != item["after"]]
    if differing:
        yield f"\n{'organisation':<34} {'before':>9} {'after':>9}"
    for item in differing:
        yield f"{item['organisation']:<34} {item['before']:>9} {item['after']:>9}"


def _activate(options: argparse.Namespace) -> int:
    parameters = {"validFrom": options.valid_from} if options.valid_from else {}
    found = _post(options, "/v1/registers", options.file, parameters)
    if options.json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    else:
        print(f"Register {found['version']} decides from {found['validFrom']}.", flush=True)
    return 0


def _post(
    options: argparse.Namespace, path: str, file: Path, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Send a register file. Raises `RoutingRefusedError` with what is wrong, line by line."""
    if not options.url or not options.token:
        raise RoutingRefusedError(
            f"Give --url and --token, or set {URL_VARIABLE} and {TOKEN_VARIABLE};"
            " `meldpunt token operator` makes a token for a local stack."
        )
    body = file.read_bytes()
    if len(body) > FILE_BYTES_MAX:
        raise RoutingRefusedError(f"{file} is larger than {FILE_BYTES_MAX} bytes.")
    try:
        with _waiting(f"{options.url} works on {file.name}"):
            # A proxy of the environment has no business between this command and its service.
            answer = httpx.post(
                f"{options.url.rstrip('/')}{path}",
                content=body,
                params=parameters,
                headers={"Authorization": f"Bearer {options.token}"},
                timeout=_TIMEOUT_SECONDS,
                trust_env=False,
            )
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise RoutingRefusedError(
            f"Routing does not answer at {options.url} ({type(error).__name__});"
            " check the address and `meldpunt status`."
        ) from error
    if answer.is_error:
        lines = [f"{found.get('detail', 'No detail.')} (status {answer.status_code})"]
        lines += [
            f"  {file.name}: {item['field']}: {item['problem']}. {item['remedy']}"
            for item in found.get("errors", ())
        ]
        raise RoutingRefusedError("\n".join(lines))
    return found


@contextlib.contextmanager
def _waiting(text: str) -> Iterator[None]:
    """Say now and then that it goes on."""
    done = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        while not done.wait(_SAY_EVERY_SECONDS):
            seconds = time.monotonic() - started
            print(f"{text}: {seconds:.0f} s", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
