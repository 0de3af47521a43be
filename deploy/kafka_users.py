"""Users and rights for a broker that Strimzi manages, from the same table as the local stack's.

    python -m deploy.kafka_users veilig_thuis sbb | kubectl apply -f -

Strimzi makes a certificate for each user (secret of the same name) and gives it these rights and
no others. Deleting the user takes both back.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from contracts.topics import Acl, partner_acls, partner_name

CLUSTER = "meldpunt"
API_VERSION = "kafka.strimzi.io/v1beta2"
# A partner's answers are small; a client that loops must not take the broker from the others.
BYTES_PER_SECOND_MAX = 1_048_576
REQUEST_PERCENTAGE_MAX = 25
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
        "apiVersion": API_VERSION,
        "kind": "KafkaUser",
        "metadata": {
            "name": partner_name(organisation).replace("_", "-"),
            "labels": {"strimzi.io/cluster": cluster, "app.kubernetes.io/part-of": "meldpunt"},
        },
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


def document(organisations: Sequence[str], cluster: str = CLUSTER) -> str:
    """The YAML of all these partners' users."""
    users = [kafka_user(organisation, cluster) for organisation in organisations]
    text: str = yaml.safe_dump_all(users, sort_keys=False, explicit_start=True)
    return text


def _rights(rights: Sequence[Acl]) -> list[dict[str, Any]]:
    """One entry per resource, with all operations on it."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for right in rights:
        key = (right.resource.value, right.name, right.prefixed)
        found.setdefault(key, []).append(right.operation.value.capitalize())
    return [
        {
            "resource": {
                "type": kind,
                "name": name,
                "patternType": "prefix" if prefixed else "literal",
            },
            "operations": operations,
        }
        for (kind, name, prefixed), operations in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the users of the named organisations."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kafka_users",
        description="Prints the KafkaUser of each partner for Strimzi.",
        epilog="example: python -m deploy.kafka_users veilig_thuis | kubectl apply -f -",
    )
    parser.add_argument("organisations", nargs="+", help="ids in the register")
    parser.add_argument("--cluster", default=CLUSTER, help="name of the Kafka resource")
    options = parser.parse_args(arguments)
    try:
        print(document(options.organisations, options.cluster), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
