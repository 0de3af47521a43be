"""`meldpunt partner`: add, list and remove partners, their sandbox and their conformance run."""

import argparse
import asyncio
from typing import Any

from deploy.client import ServiceError, connect
from deploy.commands.base import CommandError, Subparsers, add_command, data_root, emit
from deploy.commands.table import Column, render
from deploy.joining import Joined, Wish, explain, join, leave, sandbox_url
from deploy.local.partners import joined

CHANNELS = ("kafka", "inbox", "webhook", "email", "desk")
FALLBACKS = ("webhook", "email", "desk")
VERIFIABLE = frozenset({"kafka", "inbox", "webhook"})
_COLUMNS = (
    Column("organisation", 30),
    Column("name", 40, grows=True),
    Column("channel", 8),
    Column("fallback", 8),
    Column("active", 6),
    Column("joined", 6, heading="here"),
)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `partner add`, `list`, `remove`, `sandbox` and `verify`."""
    from deploy.commands import conformance

    group = subparsers.add_parser(
        "partner",
        help="partners: add, list, remove, sandbox and verify",
        description="Organisations that take cases, and whether their systems do it right.",
        epilog="example: meldpunt partner add ggd --name GGD --channel inbox",
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)
    _add_add(actions)
    add_command(
        actions,
        "list",
        _list,
        text="List the partners and how each is reached.",
        example="meldpunt partner list --json",
        data=data_root(),
    )
    removing = add_command(
        actions,
        "remove",
        _remove,
        text="Switch a partner off and take back its rights. Its open cases go to others.",
        example="meldpunt partner remove ggd",
        data=data_root(),
    )
    removing.add_argument("organisation", metavar="ORGANISATION")
    conformance.add_actions(actions)


def _add_add(actions: "Subparsers[argparse.ArgumentParser]") -> None:
    adding = add_command(
        actions,
        "add",
        _add,
        text="Let an organisation join, or change how it is reached. Writes a folder with what its"
        " system needs. A repeat is harmless and renews the token.",
        example="meldpunt partner add ggd --name GGD --channel webhook --url https://ggd.nl/in",
        data=data_root(),
    )
    adding.add_argument("organisation", metavar="ORGANISATION", help="id: small letters, digits, _")
    adding.add_argument("--name", required=True, help="the name that people see")
    adding.add_argument("--channel", required=True, choices=CHANNELS)
    adding.add_argument("--fallback", choices=FALLBACKS, help="when it keeps silent")
    adding.add_argument("--url", help="where its webhook listens")
    adding.add_argument("--email", help="where notices without content go")
    adding.add_argument(
        "--rotate-secret", action="store_true", help="give the webhook a new secret"
    )


def _add(options: argparse.Namespace) -> int:
    wish = Wish(
        options.organisation,
        options.name,
        options.channel,
        options.fallback,
        options.url,
        options.email,
        options.rotate_secret,
    )
    data_dir = options.data.absolute()
    try:
        done = asyncio.run(join(data_dir, wish))
    except ServiceError as error:
        raise CommandError(explain(error)) from None
    emit(options, _document(done), _told(done))
    return 0


def _document(done: Joined) -> dict[str, Any]:
    shown = {key: value for key, value in done.record.items() if key != "secret"}
    return shown | {
        "folder": str(done.folder),
        "sandbox": sandbox_url(done.record),
        "secret": done.secret,
        "nextSteps": _steps(done),
    }


def _told(done: Joined) -> str:
    record = done.record
    lines = [f"{record['name']} has joined over {record['channel']}; all it needs: {done.folder}"]
    if done.secret:
        lines.append(f"Secret of its webhook, shown once: {done.secret}")
    lines += [f"{number}. {step}" for number, step in enumerate(_steps(done), 1)]
    return "\n".join(lines)


def _steps(done: Joined) -> list[str]:
    organisation, channel = done.record["organisation"], done.record["channel"]
    if channel not in VERIFIABLE:
        return [
            f"Tell {done.record['name']} by phone that notices will come, and from whom.",
            "Assign it a first case at the desk.",
            "Record what it says with a hand-over.",
        ]
    return [
        (
            f"Start the partner's system with the settings in {done.folder}/sandbox.env"
            " (docs/partners/README.md; copy a client of examples/partners)."
        ),
        f"Run `meldpunt partner verify {organisation}` until every row is PASS or SKIPPED.",
        f"Start the system with {done.folder}/settings.env: from then on it gets real cases.",
    ]


def _list(options: argparse.Namespace) -> int:
    data_dir = options.data.absolute()

    async def ask() -> dict[str, Any]:
        async with connect("referral", "operator", data_dir) as referral:
            return await referral.get("/v1/partners")

    try:
        partners = asyncio.run(ask())["partners"]
    except ServiceError as error:
        raise CommandError(explain(error)) from None
    here = joined(data_dir)
    rows = [item | {"joined": item["organisation"] in here} for item in partners]
    shown = [
        row | {name: "yes" if row[name] else "no" for name in ("active", "joined")} for row in rows
    ]
    emit(options, {"partners": rows}, render(_COLUMNS, shown))
    return 0


def _remove(options: argparse.Namespace) -> int:
    try:
        moved = asyncio.run(leave(options.data.absolute(), options.organisation))
    except ServiceError as error:
        raise CommandError(explain(error)) from None
    text = f"{options.organisation} takes no cases any more; {moved} cases went elsewhere."
    emit(options, {"organisation": options.organisation, "moved": moved}, text)
    return 0
