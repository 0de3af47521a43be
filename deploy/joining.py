"""A partner joins: known to referral, reachable over its channel, with a folder of what it needs.

Every step can be repeated: the same command again renews the token and changes what is different.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.topics import partner_topics
from deploy.client import Service, ServiceError, address, connect
from deploy.commands.base import CommandError
from deploy.issuer import LIFETIME_MAX, Issuer, IssuerRefused
from deploy.local.acls import Rights
from deploy.local.control import read_state
from deploy.local.credentials import Credentials, grant, issue_partner, revoke
from deploy.local.partners import RECORD_FILE, joined, partner_folder
from deploy.local.provision import provision_topics
from deploy.local.state import HOST, Ports, read_json, write_private, write_private_text

PREFIX = "MELDPUNT_PARTNER_"
SETTINGS_FILE, SANDBOX_FILE, TOKEN_FILE = "settings.env", "sandbox.env", "token"


@dataclass(frozen=True)
class Wish:
    """How a partner wants to be reached."""

    organisation: str
    name: str
    channel: str
    fallback: str | None = None
    url: str | None = None
    email: str | None = None
    rotate_secret: bool = False

    def check(self) -> None:
        """Raise `CommandError` for what the command itself can see."""
        ways = {self.channel, self.fallback}
        for way, given, option in (
            ("webhook", self.url, "--url https://..."),
            ("email", self.email, "--email name@organisation.nl"),
        ):
            if way in ways and given is None:
                raise CommandError(
                    f"A {way} needs an address. You must act: add {option} of the partner."
                )
        if self.fallback == self.channel:
            raise CommandError("You must act: --fallback must be another way than --channel.")


@dataclass(frozen=True)
class Joined:
    """What came of it; `secret` only when it is new."""

    folder: Path
    record: Mapping[str, Any]
    secret: str | None


async def join(data_dir: Path, wish: Wish) -> Joined:
    """Add or change a partner of a running stack. Raises `ServiceError` or `CommandError`."""
    wish.check()
    folder = partner_folder(data_dir, wish.organisation)
    before = read_json(folder / RECORD_FILE)
    credentials = await _kafka(data_dir, wish.organisation) if wish.channel == "kafka" else None
    async with connect("referral", "operator", data_dir) as referral:
        secret = await _make_known(referral, wish)
    record = {
        "organisation": wish.organisation,
        "name": wish.name,
        "channel": wish.channel,
        "fallback": wish.fallback,
        "url": wish.url,
        "email": wish.email,
        "secret": secret or (before.get("secret") if wish.url else None),
        "sandboxPort": before.get("sandboxPort")
        or Ports(data_dir).get(f"sandbox-{wish.organisation}"),
        "kafka": _paths(credentials) if credentials else None,
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / RECORD_FILE, record)
    write_settings(data_dir, record)
    return Joined(folder, record, secret)


def find(data_dir: Path, organisation: str) -> dict[str, Any]:
    """The record of a partner that joined here. Raises `CommandError`."""
    record = read_json(partner_folder(data_dir, organisation) / RECORD_FILE)
    if not record:
        known = ", ".join(joined(data_dir)) or "none yet"
        raise CommandError(
            f"{organisation} has not joined the stack in {data_dir} (joined: {known}). You must"
            " act: add it first with `meldpunt partner add`."
        )
    return record


def sandbox_url(record: Mapping[str, Any]) -> str:
    """The address of a partner's sandbox, while it runs."""
    return f"http://{HOST}:{record['sandboxPort']}"


def write_settings(data_dir: Path, record: Mapping[str, Any]) -> None:
    """Write a fresh token, and the settings of the partner's system for real and for the sandbox.

    A token of the development issuer lives a day; every command about the partner renews it. In
    production there is none: the partner's own identity provider gives it.
    """
    organisation = record["organisation"]
    folder = partner_folder(data_dir, organisation)
    token = _token(data_dir, organisation)
    values = {"ORGANISATION": organisation, "FOLDER": str(folder)}
    if token is not None:
        write_private_text(folder / TOKEN_FILE, token + "\n")
        values["TOKEN_FILE"] = str(folder / TOKEN_FILE)
    if record["kafka"]:
        state = read_state(data_dir)
        bootstrap = state.kafka_partner_bootstrap or state.kafka_bootstrap
        values |= {"BOOTSTRAP": str(bootstrap)}
        if state.kafka_partner_bootstrap:
            values |= {name.upper(): path for name, path in record["kafka"].items()}
    if record["secret"]:
        values["WEBHOOK_SECRET"] = record["secret"]
    for name, url in (
        (SETTINGS_FILE, address("referral", data_dir)),
        (SANDBOX_FILE, sandbox_url(record)),
    ):
        lines = [f"{PREFIX}{key}={value}" for key, value in {**values, "URL": url}.items()]
        write_private_text(folder / name, "\n".join(lines) + "\n")


def _token(data_dir: Path, organisation: str) -> str | None:
    """A token of the development issuer; None where an identity provider gives them."""
    try:
        return Issuer.open(data_dir).issue(
            "partner", organisation, f"partner-{organisation}", LIFETIME_MAX
        )
    except IssuerRefused:
        return None


async def leave(data_dir: Path, organisation: str) -> int:
    """Switch a partner off, take back its rights and remove its folder; gives the cases moved."""
    moved = 0
    async with connect("referral", "operator", data_dir) as referral:
        while True:
            answer = await referral.post(f"/v1/partners/{organisation}/_suspend")
            moved += int(answer["moved"])
            if not answer["moved"]:
                break
    bootstrap = read_state(data_dir).kafka_bootstrap
    if bootstrap:
        await revoke(bootstrap, organisation)
    for folder in (
        partner_folder(data_dir, organisation),
        data_dir / "credentials" / "partners" / organisation,
    ):
        shutil.rmtree(folder, ignore_errors=True)
    return moved


async def _kafka(data_dir: Path, organisation: str) -> Credentials:
    bootstrap = read_state(data_dir).kafka_bootstrap
    if not bootstrap:
        raise CommandError(
            "No broker is known. You must act: start the stack with `meldpunt up`, or choose"
            " another channel."
        )
    await provision_topics(bootstrap, partner_topics(organisation))
    rights = await grant(bootstrap, organisation)
    if rights is Rights.NOT_OURS_TO_SET:
        raise CommandError(
            "The broker does not let meldpunt set rights. The broker's administrator must act: give"
            f" partner-{organisation} the rights of deploy/k8s, then run this command again."
        )
    return issue_partner(data_dir, organisation)


async def _make_known(referral: Service, wish: Wish) -> str | None:
    """Tell referral of the partner; gives the secret of its webhook when there is a new one.

    An address that is refused leaves a partner as it was, and a new one switched off.
    """
    path = f"/v1/partners/{wish.organisation}"
    known = {
        item["organisation"]: item for item in (await referral.get("/v1/partners"))["partners"]
    }
    before = known.get(wish.organisation)
    wanted = {"name": wish.name, "channel": wish.channel, "fallback": wish.fallback}
    pushed = wish.url is not None or wish.email is not None
    if pushed:
        # Setting the endpoint sets the channel as well, but only when its addresses are taken.
        kept = before or {"channel": "inbox", "fallback": None}
        wanted |= {"channel": kept["channel"], "fallback": kept["fallback"]}
    await referral.put(path, wanted)
    try:
        secret = await _endpoint(referral, wish) if pushed else None
    except ServiceError:
        if before is None:
            await referral.post(f"{path}/_suspend")
        raise
    await referral.post(f"{path}/_resume")
    return secret


def _paths(credentials: Credentials) -> dict[str, str]:
    return {
        "ca": str(credentials.ca),
        "certificate": str(credentials.certificate),
        "key": str(credentials.key),
    }


async def _endpoint(referral: Service, wish: Wish) -> str | None:
    """Set where events are pushed to; gives the secret when there is a new one."""
    path = f"/v1/partners/{wish.organisation}/endpoint"
    body = {
        "url": wish.url,
        "email": wish.email,
        "channel": wish.channel,
        "fallback": wish.fallback,
    }
    answer = await referral.put(path, {name: v for name, v in body.items() if v is not None})
    secret = answer.get("secret")
    if wish.rotate_secret and wish.url and not secret:
        secret = (await referral.post(f"{path}/_rotate", {})).get("secret")
    return str(secret) if secret else None


def explain(error: ServiceError) -> str:
    """An error of a service, with who must act in front."""
    match error.status, error.problem.get("whoMustAct"):
        case None, _:
            who = "You must act"
        case 400, "partner":
            who = "The partner must act"
        case 401 | 403, _:
            who = "You must act (an operator's token is needed)"
        case status, _ if status >= 500:
            who = "Meldpunt's operator must act"
        case _:
            who = "You must act"
    return f"{who}: {error}"
