"""Every topic in one table; `deploy/` creates them, nothing is ever auto-created.

Key of every record: the case id (a report that is no case yet has one from the first moment), so
that the events of one case stay in order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

DAY_MS = 24 * 60 * 60 * 1000
CORE_PARTITIONS = 12
PARTNER_PARTITIONS = 3
# 64 KB of event (NL GOV CloudEvents profile T11) and room for headers.
MESSAGE_BYTES_MAX = 131_072

INTAKE = "meldpunt.intake"
ROUTING = "meldpunt.routing"
REFERRAL = "meldpunt.referral"
AUDIT = "meldpunt.audit"
PARTNER_NAME_PREFIX = "partner-"
PARTNER_IN_PATTERN = r"^meldpunt\.partner\.[a-z0-9_]+\.in$"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """Name, number of partitions and retention of one topic; PostgreSQL can always rebuild it."""

    name: str
    partitions: int
    retention_ms: int
    publisher: str

    @property
    def config(self) -> Mapping[str, str]:
        """Topic configuration as Kafka names it."""
        return {
            "retention.ms": str(self.retention_ms),
            "cleanup.policy": "delete",
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            "message.timestamp.type": "LogAppendTime",
        }


CORE_TOPICS = (
    TopicSpec(INTAKE, CORE_PARTITIONS, 90 * DAY_MS, "intake"),
    TopicSpec(ROUTING, CORE_PARTITIONS, 90 * DAY_MS, "routing"),
    TopicSpec(REFERRAL, CORE_PARTITIONS, 90 * DAY_MS, "referral"),
    TopicSpec(AUDIT, 1, 90 * DAY_MS, "audit"),
)


def partner_out(organisation: str) -> str:
    """Topic from which a Kafka partner reads its offers."""
    return f"meldpunt.partner.{organisation}.out"


def partner_in(organisation: str) -> str:
    """Topic to which a Kafka partner writes its answers."""
    return f"meldpunt.partner.{organisation}.in"


def partner_of(topic: str) -> str | None:
    """Organisation whose topic this is, or None for a core topic."""
    parts = topic.split(".")
    return parts[2] if len(parts) == 4 and parts[:2] == ["meldpunt", "partner"] else None


def partner_topics(organisation: str) -> tuple[TopicSpec, TopicSpec]:
    """Both topics of one Kafka partner."""
    return (
        TopicSpec(partner_out(organisation), PARTNER_PARTITIONS, 90 * DAY_MS, "referral"),
        TopicSpec(partner_in(organisation), PARTNER_PARTITIONS, 90 * DAY_MS, organisation),
    )


class AclResource(StrEnum):
    """Kinds of things to which Kafka gives rights."""

    TOPIC = "topic"
    GROUP = "group"


class AclOperation(StrEnum):
    """What a right allows; reading and writing imply describing."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


@dataclass(frozen=True, slots=True)
class Acl:
    """One right of one principal, from any host; what no right allows is refused.

    `prefixed` tells that `name` is the beginning of the names that are meant.
    """

    principal: str
    resource: AclResource
    name: str
    operation: AclOperation
    prefixed: bool = False


def partner_name(organisation: str) -> str:
    """Name of a partner's client: the CN of its certificate and the id of its consumer group."""
    return f"{PARTNER_NAME_PREFIX}{organisation}"


def partner_principal(organisation: str) -> str:
    """The partner as Kafka's authorizer names it."""
    return f"User:{partner_name(organisation)}"


def partner_acls(organisation: str) -> tuple[Acl, ...]:
    """All rights of a partner: read its offers, write its answers, keep its place.

    More groups of its own begin with `partner-<organisation>.`, with the point: without it the
    right of `veilig` would also hold for the groups of `veilig_thuis`.
    """
    principal, name = partner_principal(organisation), partner_name(organisation)
    offers, answers = partner_out(organisation), partner_in(organisation)
    topic, group = AclResource.TOPIC, AclResource.GROUP
    return (
        Acl(principal, topic, offers, AclOperation.READ),
        Acl(principal, topic, offers, AclOperation.DESCRIBE),
        Acl(principal, topic, answers, AclOperation.WRITE),
        Acl(principal, topic, answers, AclOperation.DESCRIBE),
        Acl(principal, group, name, AclOperation.READ),
        Acl(principal, group, f"{name}.", AclOperation.READ, prefixed=True),
    )
