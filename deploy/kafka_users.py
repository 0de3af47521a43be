"""Users and rights for a broker that Strimzi manages, from the same table as the local stack's.

    python -m deploy.kafka_users veilig_thuis sbb | kubectl apply -f -
    python -m deploy.kafka_users --services | kubectl apply -f -

Strimzi makes a certificate (a password for a service) in a secret of the user's name, and gives the
user these rights and no others. Deleting the user takes both back.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from contracts.topics import (
    AUDIT,
    INTAKE,
    REFERRAL,
    ROUTING,
    Acl,
    partner_acls,
    partner_name,
)

CLUSTER = "meldpunt"
API_VERSION = "kafka.strimzi.io/v1beta2"
# A partner's answers are small; a client that loops must not take the broker from the others.
BYTES_PER_SECOND_MAX = 1_048_576
REQUEST_PERCENTAGE_MAX = 25
ALL_PARTNERS = "meldpunt.partner."
# What each service reads, and what it writes.
SERVICE_TOPICS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "intake": ((ROUTING, REFERRAL), (INTAKE,)),
    "routing": ((INTAKE, REFERRAL), (ROUTING,)),
    "referral": ((ROUTING,), (REFERRAL,)),
    "audit": ((INTAKE, ROUTING, REFERRAL, AUDIT), (AUDIT,)),
}
_ORGANISATION = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def kafka_user(organisation: str, cluster: str = CLUSTER) -> dict[str, Any]:
    """The `KafkaUser` of one partner.

    Kubernetes knows no underscores: `veilig_thuis` becomes `partner-veilig-thuis`, which is also
    its principal. Its topics and groups keep the underscore. Raises `ValueError` for an id of
    which the name would not be valid or could be another's.
    """
    if not _ORGANISATION.fullmatch(organisation) or len(organisation) > 53:
        raise ValueError(
            f"{organisation!r} cannot be a user's name: use at most 53 small letters and digits,"
            " with single underscores between them."
        )
    return {
        **_header(partner_name(organisation).replace("_", "-"), cluster),
        "spec": {
            "authentication": {"type": "tls"},
            "authorization": {"type": "simple", "acls": _rights(partner_acls(organisation))},
            "quotas": {
                "producerByteRate": BYTES_PER_SECOND_MAX,
                "consumerByteRate": BYTES_PER_SECOND_MAX,
                "requestPercentage": REQUEST_PERCENTAGE_MAX,
            },
        },
    }


def service_user(service: str, cluster: str = CLUSTER) -> dict[str, Any]:
    """The `KafkaUser` of one service: reads what it follows, writes what it publishes."""
    reads, writes = SERVICE_TOPICS[service]
    # All its groups begin with its name, and no service's name begins with another's.
    group = _right("group", f"meldpunt-{service}", ["Read"], prefixed=True)
    topics_read = [_right("topic", name, ["Read", "Describe"]) for name in reads]
    topics_written = [_right("topic", name, ["Write", "Describe"]) for name in writes]
    rights = [*topics_read, *topics_written, group]
    if service == "referral":
        # A partner's topics come and go; a pattern with a part in the middle does not exist.
        rights.append(_right("topic", ALL_PARTNERS, ["Read", "Write", "Describe"], prefixed=True))
    return {
        **_header(f"meldpunt-{service}", cluster),
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": rights},
        },
    }


def document(users: Sequence[Mapping[str, Any]]) -> str:
    """All these users as YAML."""
    text: str = yaml.safe_dump_all(
        [dict(user) for user in users], sort_keys=False, explicit_start=True
    )
    return text


def _rights(rights: Sequence[Acl]) -> list[dict[str, Any]]:
    """One entry per resource, with all operations on it."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for right in rights:
        key = (right.resource.value, right.name, right.prefixed)
        found.setdefault(key, []).append(right.operation.value.capitalize())
    return [
        _right(kind, name, operations, prefixed=prefixed)
        for (kind, name, prefixed), operations in found.items()
    ]


def _right(
    kind: str, name: str, operations: Sequence[str], *, prefixed: bool = False
) -> dict[str, Any]:
    pattern = "prefix" if prefixed else "literal"
    return {
        "resource": {"type": kind, "name": name, "patternType": pattern},
        "operations": list(operations),
    }


def _header(name: str, cluster: str) -> dict[str, Any]:
    labels = {"strimzi.io/cluster": cluster, "app.kubernetes.io/part-of": "meldpunt"}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "KafkaUser", "metadata": metadata}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the users of the named organisations, or of the services."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kafka_users",
        description="Prints the KafkaUser of each partner, or of each service, for Strimzi.",
        epilog="example: python -m deploy.kafka_users veilig_thuis | kubectl apply -f -",
    )
    parser.add_argument("organisations", nargs="*", help="ids in the register")
    parser.add_argument("--services", action="store_true", help="also the four services")
    parser.add_argument("--cluster", default=CLUSTER, help="name of the Kafka resource")
    options = parser.parse_args(arguments)
    if not options.organisations and not options.services:
        parser.error("name an organisation, or --services")
    try:
        users = [kafka_user(name, options.cluster) for name in options.organisations]
        if options.services:
            users += [service_user(name, options.cluster) for name in SERVICE_TOPICS]
        print(document(users), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
