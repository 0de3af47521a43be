"""The stack with example partners beside the services, for `up --partners` and `demo`.

The partners are one more supervised program; what it needs (addresses, tokens) stands in
`<data>/partners/fleet.json`, which only its owner can read.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.topics import CORE_TOPICS, TopicSpec, partner_topics
from deploy.commands.base import CommandError
from deploy.issuer import LIFETIME_MAX, Issuer
from deploy.local.credentials import Authority
from deploy.local.environment import StackContext, service_programs
from deploy.local.partners import joined
from deploy.local.plan import StackPlan
from deploy.local.process import Program
from deploy.local.state import write_private

if TYPE_CHECKING:
    from services.referral.partners import Partner

PARTNERS_VARIABLE = "MELDPUNT_REFERRAL_PARTNERS_FILE"
PARTNERS_FILE = Path(__file__).parents[2] / "services" / "referral" / "partners.yaml"
FLEET_ARGUMENTS_VARIABLE = "MELDPUNT_FLEET_ARGUMENTS"


@cache
def roster() -> "tuple[Partner, ...]":
    """The organisations that take referrals, of referral's own list. Raises `CommandError`."""
    # Imported here, or every command would load the whole of referral.
    from services.referral.partners import PartnersInvalid, load_partners

    path = Path(os.environ.get(PARTNERS_VARIABLE) or PARTNERS_FILE)
    try:
        return load_partners(path)
    except (OSError, PartnersInvalid) as error:
        raise CommandError(
            f"{path} cannot be used as the list of partners: {error}. Correct it, or name another"
            f" file in {PARTNERS_VARIABLE}."
        ) from None


def channel_of(organisation: str) -> str | None:
    """How an organisation is reached; None for one that is no partner."""
    return next((i.channel.value for i in roster() if i.organisation == organisation), None)


def kafka_partners() -> tuple[str, ...]:
    """The organisations that are reached over Kafka."""
    return tuple(item.organisation for item in roster() if item.channel == "kafka")


def all_topics() -> tuple[TopicSpec, ...]:
    """The core topics and those of every Kafka partner."""
    return (*CORE_TOPICS, *(topic for name in kafka_partners() for topic in partner_topics(name)))


def fleet_config(context: StackContext, folder: Path) -> dict[str, Any]:
    """The configuration of `examples.partners.fleet` for all partners.

    It holds the tokens of inbox partners, and where the certificates of Kafka partners are.
    """
    servers = context.servers
    issuer, authority = Issuer.open(context.data_dir), None
    # Who has joined answers with its own system.
    own = joined(context.data_dir)
    if servers.kafka_partner_bootstrap:
        authority = Authority.open(context.data_dir)
    return {
        "bootstrap": servers.kafka_partner_bootstrap or servers.kafka_bootstrap,
        "referralUrl": context.base_url("referral"),
        "folder": str(folder),
        "organisations": [
            _member(partner, issuer, authority)
            for partner in roster()
            if partner.organisation not in own
        ],
    }


def _member(partner: "Partner", issuer: Issuer, authority: Authority | None) -> Mapping[str, str]:
    member = {"id": partner.organisation, "channel": partner.channel.value}
    if partner.channel == "inbox":
        client = f"partner-{partner.organisation}"
        member["token"] = issuer.issue("partner", partner.organisation, client, LIFETIME_MAX)
    if partner.channel == "kafka" and authority:
        mine = authority.partner(partner.organisation)
        member |= {"ca": str(mine.ca), "certificate": str(mine.certificate), "key": str(mine.key)}
    return member


def fleet_program(context: StackContext, arguments: Sequence[str] = ()) -> Program:
    """The example partners as one program; `arguments` choose their behaviour."""
    folder = context.data_dir / "partners"
    config_file = folder / "fleet.json"
    write_private(config_file, fleet_config(context, folder))
    return Program(
        name="partners",
        command=(
            *(sys.executable, "-m", "examples.partners.fleet", "--config", str(config_file)),
            *arguments,
        ),
        environment={**os.environ, "PYTHONUNBUFFERED": "1"},
        stop_seconds=5.0,
    )


def programs_with_partners(context: StackContext) -> tuple[Program, ...]:
    """The services and the example partners; `MELDPUNT_FLEET_ARGUMENTS` changes their behaviour."""
    arguments = os.environ.get(FLEET_ARGUMENTS_VARIABLE, "").split()
    return (*service_programs(context), fleet_program(context, arguments))


def _plan(name: str) -> StackPlan:
    match name:
        case "WITH_PARTNERS":
            return StackPlan(
                programs=programs_with_partners,
                topics=all_topics(),
                kafka_partners=kafka_partners(),
            )
        case "WITHOUT_PARTNERS":
            return StackPlan(topics=all_topics(), kafka_partners=kafka_partners())
        case _:
            raise AttributeError(name)


def __getattr__(name: str) -> StackPlan:
    # Made when asked for: the list of partners is read then, not when a command is only composed.
    return _plan(name)
